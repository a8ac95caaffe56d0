//! Requests that are sent: in their transactions, again with credentials, and to their end.

use std::time::Instant;

use bytes::Bytes;
use cusax_event::SessionId as Uuid;

use super::draft::{Body, Draft, Headers, borrowed, owned};
use super::login::Given;
use super::{Login, SentHandle, UserAgent};
use crate::dialog::Dialog;
use crate::method::{Method, method_of};
use crate::transaction::ClientId;
use crate::{Flow, Message};

/// A request that begins something: a call, or a transaction outside of calls.
#[derive(Clone, Debug)]
pub struct Outgoing<'a> {
    /// Request-URI.
    pub uri: &'a str,
    /// From without a tag, such as `<sip:alice@example.com>`.
    pub from: &'a str,
    /// To.
    pub to: &'a str,
    /// Where it is sent.
    pub flow: Flow,
    /// Contact, such as `<sip:alice@192.0.2.1:5060>`; a call must have one.
    pub contact: Option<&'a str>,
    /// Route values.
    pub routes: &'a [&'a str],
    /// The Call-ID; `None`: a new one.
    pub call_id: Option<&'a str>,
    /// The CSeq number; a refreshing REGISTER counts on (RFC 3261 §10.2).
    pub cseq: u32,
    /// Our half of the Session-ID.
    pub session: Option<Uuid>,
    /// Other header lines.
    pub headers: Headers<'a>,
    /// The body; an INVITE's is an offer.
    pub body: Option<&'a Body>,
    /// What answers challenges, of all requests of the call.
    pub login: Option<&'a Login>,
}

impl<'a> Outgoing<'a> {
    /// A request with nothing but what it must have.
    #[must_use]
    pub const fn new(uri: &'a str, from: &'a str, to: &'a str, flow: Flow) -> Self {
        Self {
            uri,
            from,
            to,
            flow,
            contact: None,
            routes: &[],
            call_id: None,
            cseq: 1,
            session: None,
            headers: &[],
            body: None,
            login: None,
        }
    }
}

/// What a client transaction is for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// To begin a call.
    Invite {
        /// The call; it may be gone before its INVITE is.
        call: u64,
        /// The dialogs that were acknowledged: their tag and ACK.
        acks: Vec<(String, Flow, Bytes)>,
    },
    /// To change a call.
    Reinvite {
        /// The call.
        call: u64,
        /// Its dialog, for the ACK.
        dialog: Box<Dialog>,
        /// The ACK that was sent.
        ack: Option<(Flow, Bytes)>,
    },
    /// Something that nobody waits for: BYE, PRACK.
    Silent,
    /// What the user wants to know the response of.
    Asked {
        /// The call that it was sent in.
        call: Option<u64>,
    },
}

#[derive(Debug)]
pub(super) struct Sent {
    pub(super) client: Option<ClientId>,
    pub(super) draft: Draft,
    pub(super) flow: Flow,
    pub(super) login: Option<Login>,
    pub(super) given: Given,
    pub(super) purpose: Purpose,
    pub(super) proceeding: bool,
    pub(super) cancel: Option<Vec<(String, String)>>,
}

impl UserAgent {
    /// Sends a request outside of calls; its response comes as [`Output::Response`](super::Output::Response). `None`
    /// where too much is open.
    pub fn send(&mut self, method: &str, outgoing: &Outgoing<'_>, now: Instant) -> Option<SentHandle> {
        let tag = self.tokens.tag();
        let draft = self.draft(method, outgoing, &tag);
        let login = outgoing.login.cloned();
        let sent = self.open(draft, outgoing.flow, login, Purpose::Asked { call: None }, now);
        self.settle(now);
        sent.map(SentHandle)
    }

    pub(super) fn draft(&mut self, method: &str, outgoing: &Outgoing<'_>, tag: &str) -> Draft {
        let mut headers = Vec::new();
        if let Some(contact) = outgoing.contact {
            headers.push(("Contact".to_owned(), contact.to_owned()));
        }
        headers.extend(owned(outgoing.headers));
        headers.push(("User-Agent".to_owned(), self.config.name.clone()));
        Draft {
            method: method.to_owned(),
            uri: outgoing.uri.to_owned(),
            routes: outgoing.routes.iter().map(|route| (*route).to_owned()).collect(),
            from: format!("{};tag={tag}", outgoing.from),
            to: outgoing.to.to_owned(),
            call_id: outgoing.call_id.map_or_else(|| self.tokens.call_id(), str::to_owned),
            cseq: outgoing.cseq,
            headers,
            body: outgoing.body.cloned(),
        }
    }

    /// Opens a client transaction; `None` where too many live.
    pub(super) fn open(
        &mut self,
        draft: Draft,
        flow: Flow,
        login: Option<Login>,
        purpose: Purpose,
        now: Instant,
    ) -> Option<u64> {
        let (client, given, cancel) = (None, Given::default(), None);
        let sent = Sent { client, draft, flow, login, given, purpose, proceeding: false, cancel };
        let key = self.sent.insert(sent)?;
        if !self.start(key, now) {
            self.sent.remove(key);
            return None;
        }
        Some(key)
    }

    fn start(&mut self, key: u64, now: Instant) -> bool {
        let Some(sent) = self.sent.get(key) else { return false };
        let (method, flow) = (method_of(&sent.draft.method), sent.flow);
        let Some((client, branch)) = self.layer.open(method, flow, key, None) else { return false };
        let via = self.via(&flow, &branch);
        let Some(sent) = self.sent.get_mut(key) else { return false };
        sent.client = Some(client);
        sent.proceeding = false;
        let bytes = sent.draft.print(&via, &sent.given.lines);
        self.layer.start(client, bytes, now);
        true
    }

    /// Sends a request again with credentials (RFC 3261 §22.2: new branch, CSeq one higher); false where they were
    /// given in vain or there are none.
    pub(super) fn answer_challenge(&mut self, key: u64, response: &Message, now: Instant) -> bool {
        let cnonce = self.tokens.tag();
        let Some(sent) = self.sent.get_mut(key) else { return false };
        let Some(login) = &sent.login else { return false };
        if sent.cancel.is_some() || !sent.given.answer(login, response, &sent.draft.method, &sent.draft.uri, &cnonce) {
            return false;
        }
        sent.draft.cseq += 1;
        let cseq = sent.draft.cseq;
        let call = match &sent.purpose {
            Purpose::Reinvite { call, .. } => Some(*call),
            Purpose::Asked { call } => *call,
            Purpose::Invite { .. } | Purpose::Silent => None,
        };
        if let Some(dialog) = call.and_then(|call| self.calls.get_mut(call)).and_then(|call| call.dialog.as_mut()) {
            dialog.advance_seq(cseq);
        }
        self.start(key, now)
    }

    /// Sends an ACK to a 2xx, which belongs to no transaction, and returns it for the case that the 2xx comes again.
    pub(super) fn acknowledge(&mut self, dialog: &Dialog, sent: &Draft, flow: Flow, given: &Given) -> (Flow, Bytes) {
        let mut headers = borrowed(&sent.headers);
        headers.retain(|(name, _)| name.eq_ignore_ascii_case("Session-ID"));
        let ack = Draft::ack(dialog, sent.cseq, &headers);
        let flow = ack.flow(flow);
        let branch = self.layer.stateless_branch();
        // RFC 3261 §13.2.2.4: the same credentials as the INVITE.
        let bytes = ack.print(&self.via(&flow, &branch), &given.lines);
        self.layer.send_stateless(flow, bytes.clone());
        (flow, bytes)
    }

    /// Sends BYE in a dialog; nobody waits for its response.
    pub(super) fn bye(
        &mut self,
        mut dialog: Dialog,
        flow: Flow,
        login: Option<Login>,
        headers: Headers<'_>,
        now: Instant,
    ) {
        let mut draft = Draft::within(&mut dialog, Method::Bye.as_str(), headers, None);
        draft.headers.push(("User-Agent".to_owned(), self.config.name.clone()));
        let flow = draft.flow(flow);
        self.open(draft, flow, login, Purpose::Silent, now);
    }
}
