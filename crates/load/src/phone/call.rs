//! One call of a phone: what happened to it, and what is heard in it.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cusax_net::random;
use cusax_rtp::Codec;
use cusax_rtp::sdp::{self, Direction, LocalMedia, Refusal, Session};
use cusax_sip::session_id::Uuid;
use cusax_sip::ua::{Body, CallHandle, EndReason, Headers};
use cusax_sip::{Message, Name};
use tokio::sync::watch;
use tokio::time::timeout_at;

use super::driver::Shared;
use super::ears::{Ears, Heard};
use super::media::Media;
use super::{PhoneConfig, PhoneError, Received};

/// Which side did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// This phone.
    Us,
    /// The other side, or what is between.
    Them,
}

/// How a call ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// When.
    pub at: Instant,
    /// Who ended it.
    pub by: Side,
    /// Why.
    pub reason: EndReason,
    /// The `Reason` header of the message that ended it.
    pub cause: Option<String>,
    /// That message: BYE, CANCEL, or the final response to what was cancelled.
    pub message: Option<Arc<Message>>,
}

/// What is known of a call.
#[derive(Clone, Debug, Default)]
struct Facts {
    /// Provisional responses, then the final one.
    responses: Vec<Received>,
    answer: Option<Received>,
    failure: Option<(u16, Option<Received>)>,
    /// Offers of the other side after the first.
    offers: Vec<Received>,
    /// How many of our offers were agreed or refused, and the last refusal.
    settled: u64,
    refused: Option<u16>,
    ended: Option<Ended>,
    /// What the other side said last, so that lines keep their places.
    theirs: Option<Session>,
    direction: Direction,
    version: u64,
}

/// A call's media and facts, as the driver and the call's owner share them.
pub(super) struct Line {
    pub(super) session: Uuid,
    media: Media,
    origin: u64,
    facts: watch::Sender<Facts>,
}

impl Line {
    pub(super) fn new(config: &PhoneConfig) -> io::Result<Self> {
        let session = loop {
            let [a, b] = [random::seed(), random::seed()];
            let bytes = (u128::from(a) << 64 | u128::from(b)).to_be_bytes();
            if let Some(session) = Uuid::new(bytes) {
                break session;
            }
        };
        let media = Media::start(config.bind, config.tone)?;
        // RFC 8866 §5.2: the session id is a number of at most 63 bits that others can read.
        Ok(Self { session, media, origin: random::seed() >> 2, facts: watch::Sender::new(Facts::default()) })
    }

    fn local(&self, direction: Direction, version: u64) -> LocalMedia<'static> {
        let address = self.media.address();
        LocalMedia {
            address: address.ip(),
            port: address.port(),
            session_id: self.origin,
            version,
            codecs: &Codec::ALL,
            direction,
        }
    }

    fn now_local(&self) -> LocalMedia<'static> {
        let facts = self.facts.borrow();
        self.local(facts.direction, facts.version)
    }

    /// The first offer, or the next: with a version of its own.
    pub(super) fn offer(&self) -> Vec<u8> {
        let mut version = 0;
        self.facts.send_modify(|facts| {
            facts.version += 1;
            version = facts.version;
        });
        let facts = self.facts.borrow();
        let local = self.local(facts.direction, version);
        match &facts.theirs {
            Some(theirs) => sdp::reoffer(theirs, &local),
            None => sdp::offer(&local),
        }
    }

    /// Takes an answer, in a response or an ACK.
    fn take_answer(&self, message: &Message) {
        let Ok(session) = Session::parse(message.body()) else { return };
        if let Ok(stream) = sdp::read_answer(&self.now_local(), &session) {
            self.media.set(Some(stream));
            self.facts.send_modify(|facts| facts.theirs = Some(session));
        }
    }

    /// Answers an offer; makes one where there is none in an INVITE.
    fn take_offer(&self, message: &Message) -> Result<Option<Body>, Refusal> {
        if message.body().is_empty() {
            let invite = message.method() == cusax_sip::Method::Invite;
            return Ok(invite.then(|| Body::sdp(self.offer())));
        }
        let session = Session::parse(message.body()).map_err(|_| Refusal::NoAudio)?;
        self.facts.send_modify(|facts| facts.version += 1);
        let answer = sdp::answer(&session, &self.now_local())?;
        self.media.set(Some(answer.stream));
        self.facts.send_modify(|facts| facts.theirs = Some(session));
        Ok(Some(Body::sdp(answer.body)))
    }

    pub(super) fn progress(&self, response: Received) {
        self.take_answer(&response.message);
        self.facts.send_modify(|facts| {
            if facts.responses.len() < MAX_RESPONSES {
                facts.responses.push(response);
            }
        });
    }

    pub(super) fn answered(&self, response: Received) {
        self.take_answer(&response.message);
        self.facts.send_modify(|facts| {
            facts.responses.push(response.clone());
            facts.answer = Some(response);
        });
    }

    pub(super) fn failed(&self, status: u16, message: Option<Arc<Message>>, at: Instant) {
        self.media.set(None);
        self.facts.send_modify(|facts| {
            let response = message.map(|message| Received { at, message });
            facts.responses.extend(response.clone());
            facts.failure = Some((status, response));
        });
    }

    pub(super) fn acknowledged(&self, ack: &Message) {
        if !ack.body().is_empty() {
            self.take_answer(ack);
        }
    }

    pub(super) fn reoffered(&self, offer: &Received) -> Result<Option<Body>, Refusal> {
        let answer = self.take_offer(&offer.message);
        self.facts.send_modify(|facts| {
            if facts.offers.len() < MAX_RESPONSES {
                facts.offers.push(offer.clone());
            }
        });
        answer
    }

    pub(super) fn agreed(&self, response: &Message) {
        self.take_answer(response);
        self.facts.send_modify(|facts| facts.settled += 1);
    }

    pub(super) fn refused(&self, status: u16) {
        self.facts.send_modify(|facts| {
            facts.settled += 1;
            facts.refused = Some(status);
        });
    }

    pub(super) fn ended(&self, reason: EndReason, message: Option<Arc<Message>>, at: Instant) {
        self.media.set(None);
        let by = match reason {
            EndReason::HungUp | EndReason::RangOut => Side::Us,
            EndReason::Bye
            | EndReason::Cancelled
            | EndReason::Unacknowledged
            | EndReason::Unpracked
            | EndReason::Gone => Side::Them,
        };
        let cause = message.as_ref().and_then(|message| message.first(Name::Reason)).map(str::to_owned);
        self.facts.send_modify(|facts| facts.ended = Some(Ended { at, by, reason, cause, message }));
    }
}

/// A call that came in, between the driver and whoever takes it.
pub(super) struct Ringing {
    pub(super) call: CallHandle,
    pub(super) line: Arc<Line>,
    pub(super) invite: Received,
}

/// A call that came in and waits to be answered.
pub struct Incoming {
    shared: Arc<Shared>,
    ringing: Ringing,
}

impl Incoming {
    pub(super) fn new(shared: Arc<Shared>, ringing: Ringing) -> Self {
        Self { shared, ringing }
    }

    /// Its INVITE.
    #[must_use]
    pub fn invite(&self) -> &Received {
        &self.ringing.invite
    }

    /// Sends 180.
    pub fn ring(&self, headers: Headers<'_>) {
        let call = self.ringing.call;
        self.shared.with(|core, now| core.agent.progress(call, 180, &self.shared.contact, headers, None, now));
    }

    /// Answers it, with the tone; one whose offer cannot be taken is refused with 488.
    ///
    /// # Errors
    /// [`PhoneError::Failed`] with 488.
    pub fn accept(self, headers: Headers<'_>) -> Result<Call, PhoneError> {
        let Self { shared, ringing } = self;
        let Ringing { call, line, invite } = ringing;
        match line.take_offer(&invite.message) {
            Ok(body) => {
                shared.with(|core, now| core.agent.accept(call, &shared.contact, headers, body.as_ref(), now));
                Ok(Call::new(shared, line, call))
            }
            Err(refusal) => {
                let warning = format!("{} cusax-load \"{refusal}\"", refusal.warning());
                shared.with(|core, now| core.agent.reject(call, 488, &[("Warning", &warning)], now));
                let who = shared.config.user.clone();
                Err(PhoneError::Failed { who, status: 488, reason: refusal.to_string(), response: None })
            }
        }
    }

    /// Refuses it.
    pub fn reject(self, status: u16, headers: Headers<'_>) {
        let call = self.ringing.call;
        self.shared.with(|core, now| core.agent.reject(call, status, headers, now));
    }

    /// Waits until the caller gives up.
    ///
    /// # Errors
    /// [`PhoneError::Deadline`].
    pub async fn cancelled(self, deadline: Instant) -> Result<Ended, PhoneError> {
        let Self { shared, ringing } = self;
        Call::new(shared, ringing.line, ringing.call).ended(deadline).await
    }
}

/// A call; it goes on when this is dropped, until the phone is.
pub struct Call {
    shared: Arc<Shared>,
    line: Arc<Line>,
    handle: CallHandle,
}

impl Call {
    pub(super) fn new(shared: Arc<Shared>, line: Arc<Line>, handle: CallHandle) -> Self {
        Self { shared, line, handle }
    }

    /// Our half of its Session-ID: what logs and traces know it by, where this phone called.
    #[must_use]
    pub fn session(&self) -> Uuid {
        self.line.session
    }

    /// The responses so far, each with its time.
    #[must_use]
    pub fn responses(&self) -> Vec<Received> {
        self.line.facts.borrow().responses.clone()
    }

    /// The re-INVITEs and UPDATEs of the other side so far.
    #[must_use]
    pub fn offers(&self) -> Vec<Received> {
        self.line.facts.borrow().offers.clone()
    }

    /// Waits for a provisional response of this status.
    ///
    /// # Errors
    /// [`PhoneError::Deadline`], or that the call failed or ended before.
    pub async fn provisional(&self, status: u16, deadline: Instant) -> Result<Received, PhoneError> {
        let found = |facts: &Facts| facts.responses.iter().find(|it| it.message.status() == Some(status)).cloned();
        self.wait(&status.to_string(), deadline, found).await
    }

    /// Waits for the 2xx.
    ///
    /// # Errors
    /// [`PhoneError::Failed`] with the status that came instead, [`PhoneError::Deadline`], [`PhoneError::Over`].
    pub async fn answered(&self, deadline: Instant) -> Result<Received, PhoneError> {
        self.wait("answer", deadline, |facts| facts.answer.clone()).await
    }

    /// Waits for the other side's next offer after so many.
    ///
    /// # Errors
    /// [`PhoneError::Deadline`], [`PhoneError::Over`].
    pub async fn reoffered(&self, after: usize, deadline: Instant) -> Result<Received, PhoneError> {
        self.wait("re-INVITE", deadline, |facts| facts.offers.get(after).cloned()).await
    }

    /// Puts the other side on hold by re-INVITE (`sendonly`).
    ///
    /// # Errors
    /// [`PhoneError::Failed`] with the status that refused it, [`PhoneError::Busy`], [`PhoneError::Deadline`].
    pub async fn hold(&self, deadline: Instant) -> Result<(), PhoneError> {
        self.redirect(Direction::SendOnly, deadline).await
    }

    /// Takes the call back from hold.
    ///
    /// # Errors
    /// As [`Call::hold`].
    pub async fn resume(&self, deadline: Instant) -> Result<(), PhoneError> {
        self.redirect(Direction::SendRecv, deadline).await
    }

    async fn redirect(&self, direction: Direction, deadline: Instant) -> Result<(), PhoneError> {
        let mut settled = 0;
        let mut before = Direction::default();
        self.line.facts.send_modify(|facts| {
            settled = facts.settled;
            before = std::mem::replace(&mut facts.direction, direction);
            facts.refused = None;
        });
        let body = Body::sdp(self.line.offer());
        if !self.shared.with(|core, now| core.agent.reinvite(self.handle, &[], Some(&body), now)) {
            self.line.facts.send_modify(|facts| facts.direction = before);
            return Err(self.shared.busy());
        }
        let refused = |facts: &Facts| (facts.settled > settled).then_some(facts.refused);
        match self.wait("answer to a re-INVITE", deadline, refused).await? {
            None => Ok(()),
            Some(status) => {
                self.line.facts.send_modify(|facts| facts.direction = before);
                Err(self.failure(status, None))
            }
        }
    }

    /// Ends it, whatever its state: CANCEL, BYE, or 480.
    pub fn hang_up(&self, headers: Headers<'_>) {
        self.shared.with(|core, now| core.agent.hang_up(self.handle, headers, now));
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// [`PhoneError::Failed`] where it never was a call, [`PhoneError::Deadline`].
    pub async fn ended(&self, deadline: Instant) -> Result<Ended, PhoneError> {
        self.wait("end of the call", deadline, |facts| facts.ended.clone()).await
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn end(&self) -> Option<Ended> {
        self.line.facts.borrow().ended.clone()
    }

    /// The level of a frequency in what was received in the last `window`, in dBFS; minus infinity for nothing.
    #[must_use]
    pub fn level(&self, hertz: f64, window: Duration) -> f64 {
        self.ears().level(hertz, window)
    }

    /// True where a frequency was in what was received in the last 200 ms.
    #[must_use]
    pub fn hears(&self, hertz: f64) -> bool {
        self.ears().hears(hertz)
    }

    /// The packets received since a time, at most the last ten seconds of them.
    #[must_use]
    pub fn heard_since(&self, since: Instant) -> Vec<Heard> {
        self.ears().since(since)
    }

    /// Waits until a frequency is there (200 ms of it), and tells since when.
    ///
    /// # Errors
    /// [`PhoneError::Deadline`].
    pub async fn until_heard(&self, hertz: f64, deadline: Instant) -> Result<Instant, PhoneError> {
        self.first_packet(hertz, true, None, deadline).await
    }

    /// Waits until a frequency is gone (200 ms without it, packets still coming), and tells since when.
    ///
    /// # Errors
    /// [`PhoneError::Deadline`].
    pub async fn until_silent(&self, hertz: f64, deadline: Instant) -> Result<Instant, PhoneError> {
        self.first_packet(hertz, false, None, deadline).await
    }

    /// Waits for the first packet at or after `from` with (or without) a frequency that nine more follow of the same
    /// kind, and tells when it was received: "from the stanza to silence".
    ///
    /// # Errors
    /// [`PhoneError::Deadline`].
    pub async fn first_packet_from(
        &self,
        from: Instant,
        hertz: f64,
        with_it: bool,
        deadline: Instant,
    ) -> Result<Instant, PhoneError> {
        self.first_packet(hertz, with_it, Some(from), deadline).await
    }

    async fn first_packet(
        &self,
        hertz: f64,
        with_it: bool,
        from: Option<Instant>,
        deadline: Instant,
    ) -> Result<Instant, PhoneError> {
        let mut ears = self.line.media.ears();
        let found = ears.wait_for(|ears| ears.first_run(hertz, with_it, from).is_some());
        let found = match timeout_at(deadline.into(), found).await {
            Ok(Ok(ears)) => ears.first_run(hertz, with_it, from),
            Ok(Err(_)) | Err(_) => None,
        };
        let what = if with_it { "sound of" } else { "silence at" };
        found.ok_or_else(|| self.shared.late(&format!("{what} {hertz} Hz")))
    }

    fn ears(&self) -> watch::Ref<'_, Ears> {
        self.line.media.now()
    }

    async fn wait<T>(
        &self,
        what: &str,
        deadline: Instant,
        found: impl Fn(&Facts) -> Option<T>,
    ) -> Result<T, PhoneError> {
        let mut facts = self.line.facts.subscribe();
        let over = |facts: &Facts| facts.failure.is_some() || facts.ended.is_some();
        let facts =
            match timeout_at(deadline.into(), facts.wait_for(|facts| found(facts).is_some() || over(facts))).await {
                Ok(Ok(facts)) => facts.clone(),
                Ok(Err(_)) | Err(_) => return Err(self.shared.late(what)),
            };
        if let Some(found) = found(&facts) {
            return Ok(found);
        }
        match (facts.failure, facts.ended) {
            (Some((status, response)), _) => Err(self.failure(status, response)),
            (None, Some(ended)) => Err(PhoneError::Over { who: self.shared.config.user.clone(), reason: ended.reason }),
            (None, None) => Err(self.shared.late(what)),
        }
    }

    fn failure(&self, status: u16, response: Option<Received>) -> PhoneError {
        let reason = response.as_ref().map_or("", |response| response.message.reason()).to_owned();
        PhoneError::Failed { who: self.shared.config.user.clone(), status, reason, response }
    }
}

/// Provisional responses and offers that are remembered of one call.
const MAX_RESPONSES: usize = 64;
