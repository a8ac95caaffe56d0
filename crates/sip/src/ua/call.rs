//! One call: an INVITE, the dialogs that it made and what is open in them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::draft::{Body, Headers, owned};
use super::reliable::Reliable;
use super::{EndReason, Login};
use crate::dialog::Dialog;
use crate::name::Name;
use crate::session_id::SessionId;
use crate::transaction::ServerId;
use crate::{Compose, Flow, Message};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Somebody calls us.
    Ringing,
    /// We call somebody.
    Calling,
    /// It was answered.
    Established,
}

/// A dialog that a provisional response made.
#[derive(Debug)]
pub(super) struct Early {
    pub(super) dialog: Dialog,
    /// The RSeq that was last acknowledged.
    pub(super) rseq: Option<u32>,
}

/// A 2xx of ours that waits for its ACK.
#[derive(Debug)]
pub(super) struct Unacked {
    pub(super) cseq: u32,
    pub(super) server: ServerId,
    pub(super) bytes: Bytes,
    pub(super) interval: Duration,
}

/// What our open re-INVITE offers, in case it meets 491.
#[derive(Debug)]
pub(super) struct Offering {
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<Body>,
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) state: State,
    pub(super) flow: Flow,
    pub(super) local_tag: String,
    /// Call-ID and tag of a call from others.
    pub(super) origin: Option<(String, String)>,
    /// The value of Contact of our messages.
    pub(super) contact: String,
    pub(super) session: SessionId,
    pub(super) login: Option<Login>,
    /// Of a call from others at once, of a call to others once it is answered.
    pub(super) dialog: Option<Dialog>,
    pub(super) early: Vec<Early>,
    /// The INVITE of others, until it is answered.
    pub(super) invite: Option<(ServerId, Arc<Message>)>,
    /// The re-INVITE or UPDATE of others, until it is answered.
    pub(super) offer: Option<(ServerId, Arc<Message>)>,
    pub(super) reliable: Option<Reliable>,
    pub(super) unacked: Option<Unacked>,
    /// Our INVITE or re-INVITE, until its final response.
    pub(super) pending: Option<u64>,
    pub(super) offering: Option<Offering>,
    pub(super) retries: u8,
    /// The BYE's headers, where it has to wait for the ACK (§15: no BYE before).
    pub(super) hang_up: Option<Vec<(String, String)>>,
    /// Why our INVITE was cancelled.
    pub(super) cancelled: Option<EndReason>,
}

impl Call {
    pub(super) fn new(state: State, flow: Flow, local_tag: String) -> Self {
        Self {
            state,
            flow,
            local_tag,
            origin: None,
            contact: String::new(),
            session: SessionId::default(),
            login: None,
            dialog: None,
            early: Vec::new(),
            invite: None,
            offer: None,
            reliable: None,
            unacked: None,
            pending: None,
            offering: None,
            retries: 0,
            hang_up: None,
            cancelled: None,
        }
    }

    /// Takes the other side's half of the Session-ID; it may change with every message (RFC 7989 §6).
    pub(super) fn hear(&mut self, message: &Message) {
        if let Some(theirs) = message.first(Name::SessionId).and_then(SessionId::parse) {
            self.session.remote = theirs.local;
        }
    }

    /// Adds the Session-ID to a response.
    pub(super) fn sign(&self, compose: Compose) -> Compose {
        compose.header_opt("Session-ID", self.session_line().as_deref())
    }

    /// The user's headers with Session-ID for a request.
    pub(super) fn signed(&self, headers: Headers<'_>) -> Vec<(String, String)> {
        let mut headers = owned(headers);
        if let Some(line) = self.session_line() {
            headers.push(("Session-ID".to_owned(), line));
        }
        headers
    }

    fn session_line(&self) -> Option<String> {
        self.session.local.map(|_| self.session.to_string())
    }

    /// True where no offer is open on either side (RFC 3261 §14, RFC 3264 §4).
    pub(super) fn may_offer(&self) -> bool {
        self.state == State::Established && self.pending.is_none() && self.offer.is_none() && self.unacked.is_none()
    }
}

/// Most early dialogs of one call.
pub(super) const MAX_EARLY: usize = 16;
