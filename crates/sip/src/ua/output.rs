//! What a user agent wants done or known.

use std::fmt;
use std::sync::Arc;

use cusax_event::closed_enum;
use cusax_event::sip::DropReason;

use crate::digest::Algorithm;
use crate::{Flow, Message, Transmit};

/// A call of a [`UserAgent`](super::UserAgent); never valid for another call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallHandle(pub(super) u64);

/// A request that was received and waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestHandle(pub(super) u64);

/// A request that was sent and waits for its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SentHandle(pub(super) u64);

impl fmt::Display for CallHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

closed_enum! {
    /// Why a call ended.
    EndReason {
        /// The other side sent BYE.
        Bye = "bye",
        /// The caller cancelled it before it was answered.
        Cancelled = "cancelled",
        /// This side ended it: BYE, CANCEL or a rejection.
        HungUp = "hung_up",
        /// No ACK came for its 2xx.
        Unacknowledged = "unacknowledged",
        /// No PRACK came for a reliable provisional response.
        Unpracked = "unpracked",
        /// The other side knows the dialog no more, or does not answer within it.
        Gone = "gone",
        /// Nobody answered it for three minutes.
        RangOut = "rang_out",
    }
}

/// What a user agent wants done or known.
#[derive(Debug)]
pub enum Output {
    /// Bytes to send.
    Transmit(Transmit),
    /// A call came in: answer it by `progress`, `accept` or `reject`.
    Invited {
        /// The new call.
        call: CallHandle,
        /// Its INVITE.
        message: Arc<Message>,
        /// Where it came from.
        flow: Flow,
    },
    /// A provisional response other than 100 to our INVITE.
    Progress {
        /// The call.
        call: CallHandle,
        /// The response.
        message: Arc<Message>,
    },
    /// The first 2xx to our INVITE; its ACK is sent.
    Answered {
        /// The call.
        call: CallHandle,
        /// The response.
        message: Arc<Message>,
    },
    /// Our INVITE failed; the call is no more.
    Failed {
        /// The call.
        call: CallHandle,
        /// Its status; 408 where nobody answered, 503 where nobody could be reached.
        status: u16,
        /// The response, where one came.
        message: Option<Arc<Message>>,
    },
    /// The ACK to our 2xx came.
    Acked {
        /// The call.
        call: CallHandle,
        /// The ACK; its body is the answer where the 2xx had the offer.
        message: Arc<Message>,
    },
    /// A re-INVITE or UPDATE, with an offer or without: answer it by `answer_offer` or `reject_offer`.
    Reoffered {
        /// The call.
        call: CallHandle,
        /// The request.
        message: Arc<Message>,
    },
    /// The 2xx to our re-INVITE; its ACK is sent.
    Agreed {
        /// The call.
        call: CallHandle,
        /// The response.
        message: Arc<Message>,
    },
    /// Our re-INVITE failed and the call goes on as it was.
    Refused {
        /// The call.
        call: CallHandle,
        /// Its status.
        status: u16,
        /// The response, where one came.
        message: Option<Arc<Message>>,
    },
    /// The call is no more.
    Ended {
        /// The call.
        call: CallHandle,
        /// Why.
        reason: EndReason,
        /// The message that ended it, where one did.
        message: Option<Arc<Message>>,
    },
    /// Any other request: answer it by `answer` within 32 s, else it gets 500.
    Request {
        /// The request's handle.
        request: RequestHandle,
        /// The call, where it came within one.
        call: Option<CallHandle>,
        /// The request.
        message: Arc<Message>,
        /// Where it came from.
        flow: Flow,
    },
    /// The final response to a request other than INVITE that the user sent.
    Response {
        /// The request's handle.
        request: SentHandle,
        /// The call, where it was sent within one.
        call: Option<CallHandle>,
        /// Its status; 408 where nobody answered, 503 where nobody could be reached.
        status: u16,
        /// The response, where one came.
        message: Option<Arc<Message>>,
        /// The algorithm of the credentials that the request carried in the end.
        algorithm: Option<Algorithm>,
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
