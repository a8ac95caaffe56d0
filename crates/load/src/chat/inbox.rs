//! What a client received and nobody took yet.

use std::collections::VecDeque;
use std::time::Instant;

use cusax_xmpp::sasl::Mechanism;
use cusax_xmpp::{Element, Jid};

/// A stanza and when its last byte was received.
#[derive(Clone, Debug)]
pub struct Received {
    /// When.
    pub at: Instant,
    /// The stanza.
    pub element: Element,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Stage {
    #[default]
    LoggingIn,
    Online {
        jid: Jid,
        mechanism: Mechanism,
    },
    Refused {
        condition: String,
        text: Option<String>,
    },
    Closed {
        detail: String,
    },
}

#[derive(Debug, Default)]
pub(super) struct Inbox {
    pub(super) stage: Stage,
    stanzas: VecDeque<Received>,
}

impl Inbox {
    pub(super) fn push(&mut self, received: Received) {
        if self.stanzas.len() == MEMORY {
            self.stanzas.pop_front();
        }
        self.stanzas.push_back(received);
    }

    pub(super) fn take(&mut self, wanted: &impl Fn(&Received) -> bool) -> Option<Received> {
        let at = self.stanzas.iter().position(wanted)?;
        self.stanzas.remove(at)
    }

    pub(super) fn forget(&mut self) {
        self.stanzas.clear();
    }
}

/// Stanzas that are kept for whoever may ask for them.
const MEMORY: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use cusax_net::clock;

    #[test]
    fn takes_in_order_and_forgets_the_oldest_beyond_its_bound() {
        let mut inbox = Inbox::default();
        for number in 0..MEMORY + 2 {
            let element = Element::message("chat").with_attr("id", number.to_string());
            inbox.push(Received { at: clock::now(), element });
        }
        let id = |received: Option<Received>| received.and_then(|it| it.element.attr("id").map(str::to_owned));
        let nine = |received: &Received| received.element.attr("id") == Some("9");
        assert_eq!(id(inbox.take(&|_| true)).as_deref(), Some("2"));
        assert_eq!(id(inbox.take(&nine)).as_deref(), Some("9"));
        assert_eq!(id(inbox.take(&nine)), None);
        inbox.forget();
        assert_eq!(id(inbox.take(&|_| true)), None);
    }
}
