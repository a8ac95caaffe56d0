//! What the proxy core wants done, decided or known.

use std::sync::Arc;
use std::time::Duration;

use cusax_event::sip::{DropReason, Timer};

use super::ContextId;
use crate::{Flow, Message, Transmit};

/// What the proxy core wants done, decided or known.
#[derive(Debug)]
pub enum Output {
    /// Bytes to send.
    Transmit {
        /// Where and what.
        transmit: Transmit,
        /// True where they were sent before.
        again: bool,
    },
    /// A new request: answer it or forward it.
    Request {
        /// Its context.
        context: ContextId,
        /// The request.
        message: Arc<Message>,
        /// Where it came from.
        flow: Flow,
    },
    /// An ACK to a 2xx: forward it with [`super::Proxy::forward_stateless`], or drop it.
    Ack {
        /// The ACK.
        message: Arc<Message>,
        /// Where it came from.
        flow: Flow,
    },
    /// A response to send upstream with [`super::Proxy::relay`].
    Response {
        /// The context it belongs to.
        context: ContextId,
        /// The response.
        message: Arc<Message>,
        /// The branch it came through.
        flow: Flow,
    },
    /// The final response was sent upstream; the context's data may go once [`Output::Closed`] comes.
    Answered {
        /// The context.
        context: ContextId,
        /// Its status.
        status: u16,
        /// Since the request came.
        duration: Duration,
    },
    /// A branch ended because nobody answered or nobody was there.
    BranchFailed {
        /// The context.
        context: ContextId,
        /// Where it had been sent.
        flow: Flow,
        /// The timer that fired; `None` for a transport that failed.
        timer: Option<Timer>,
    },
    /// Nothing more comes of a context.
    Closed {
        /// The context.
        context: ContextId,
    },
    /// A retransmission was absorbed.
    Absorbed {
        /// What came.
        message: Arc<Message>,
        /// Where it came from.
        flow: Flow,
    },
    /// A final response that was sent got no ACK (timer H).
    Unacknowledged {
        /// The context.
        context: Option<ContextId>,
    },
    /// Something was dropped.
    Dropped {
        /// Why.
        reason: DropReason,
        /// Where it came from.
        flow: Flow,
        /// What was wrong.
        detail: &'static str,
    },
}
