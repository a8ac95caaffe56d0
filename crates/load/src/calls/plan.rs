//! What a run is to do, and what it counts as right.

use std::time::Duration;

use cusax_sip::{Flow, Transport};

use super::users::Users;

/// Which sides of the calls are ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Callers and callees.
    Both,
    /// Callers only: somebody else answers.
    Caller,
    /// Callees only: somebody else calls.
    Callee,
}

impl Role {
    /// True where callers are ours.
    #[must_use]
    pub const fn calls(self) -> bool {
        matches!(self, Self::Both | Self::Caller)
    }

    /// True where callees are ours.
    #[must_use]
    pub const fn answers(self) -> bool {
        matches!(self, Self::Both | Self::Callee)
    }

    /// The role as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Caller => "caller",
            Self::Callee => "callee",
        }
    }
}

/// A run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which sides are ours.
    pub role: Role,
    /// What calls travel on.
    pub transport: Transport,
    /// Who calls whom.
    pub users: Users,
    /// A Route for what begins something (RFC 3261 §8.1.2): a URI without angle brackets.
    pub route: Option<String>,
    /// Header lines that each INVITE has, without their ends.
    pub headers: Vec<String>,
    /// Calls a second.
    pub rate: f64,
    /// Time in which the rate rises from nothing.
    pub ramp: Duration,
    /// How many calls; `None`: as many as the duration has.
    pub calls: Option<u64>,
    /// How long calls are begun (callees only: how long they answer); `None`: as long as there are calls.
    pub duration: Option<Duration>,
    /// Most calls at a time: one that would be beyond it is not begun, and the run is invalid.
    pub concurrency: usize,
    /// A call that begins later than this after its time is late.
    pub late: Duration,
    /// From answer to BYE.
    pub hold: Duration,
    /// From 180 to the final response of our callees.
    pub ring: Duration,
    /// The final response of our callees.
    pub answer: u16,
    /// What is looked at in each call.
    pub expect: Expect,
    /// Whether users are registered before the first call.
    pub register: Option<Register>,
    /// What decides who calls whom.
    pub seed: u64,
}

/// What every call must have.
#[derive(Clone, Debug)]
pub struct Expect {
    /// The final response that callers get.
    pub status: u16,
    /// What the Call-Info of an INVITE has in it when it arrives.
    pub call_info: Option<CallInfo>,
    /// Whether Session-ID is in the INVITE that arrives and in its 2xx (RFC 7989).
    pub session_id: bool,
}

/// Text that a Call-Info must have in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallInfo {
    head: String,
    /// What follows the user part of the caller; `None` where it is not asked for.
    tail: Option<String>,
}

impl CallInfo {
    /// Reads such text; `%u` in it stands for the user part of the From that arrives, and empty text for any Call-Info.
    #[must_use]
    pub fn new(text: &str) -> Self {
        match text.split_once("%u") {
            Some((head, tail)) => Self { head: head.to_owned(), tail: Some(tail.to_owned()) },
            None => Self { head: text.to_owned(), tail: None },
        }
    }

    pub(super) fn is_in(&self, value: &str, user: &str) -> bool {
        let Some(tail) = &self.tail else { return value.contains(&self.head) };
        value.match_indices(&self.head).any(|(at, head)| {
            let rest = value[at + head.len()..].strip_prefix(user);
            rest.is_some_and(|rest| rest.starts_with(tail.as_str()))
        })
    }
}

/// How users are registered.
#[derive(Clone, Copy, Debug)]
pub struct Register {
    /// Registrations a second.
    pub rate: f64,
    /// Seconds that they last.
    pub expires: u32,
}

/// Our end of a way to the server: a socket, or a connection.
#[derive(Clone, Debug)]
pub struct End {
    /// Where what is sent on it goes.
    pub flow: Flow,
    /// Its host and port, as others reach it.
    pub local: String,
}

/// All our ends.
#[derive(Clone, Debug)]
pub struct Ends {
    /// Those that callers use in turn; none where nobody calls.
    pub callers: Vec<End>,
    /// The one that callees answer on; its flow is the one that they register on over UDP.
    pub callee: Option<End>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_info_is_looked_at_for_the_caller_who_came() {
        let value = "<http://x/load1@>;purpose=icon, <xmpp:load1@example.com>;purpose=impp";
        let expected = CallInfo::new("<xmpp:%u@example.com>;purpose=impp");
        assert!(expected.is_in(value, "load1"));
        assert!(!expected.is_in(value, "load") && !expected.is_in(value, "load11") && !expected.is_in("", "load1"));
        assert!(CallInfo::new("").is_in("anything", "x") && CallInfo::new("impp").is_in(value, "x"));
        assert!(!CallInfo::new("cusax").is_in(value, "x"));
    }
}
