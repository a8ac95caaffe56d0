//! What a leg agrees on by offer and answer, and the mixer's port that it gets (RFC 3264).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use cusax_event::LegId;
use cusax_mixer::{NoPort, PortId, Ports, Seat, Signalling};
use cusax_rtp::Codec;
use cusax_rtp::sdp::{self, Direction, LocalMedia, Session, Stream};
use cusax_sip::ua::Body;
use cusax_sip::{Message, Name};

use crate::refusal::Refusal;

/// Our side of one leg's session descriptions.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    session_id: u64,
    version: u64,
    /// What we said last.
    said: Vec<u8>,
}

impl Description {
    pub(crate) const fn new(random: u64) -> Self {
        // Phones are known that read it as a signed number of 32 bits.
        Self { session_id: random & 0x7fff_ffff, version: 1, said: Vec::new() }
    }
}

/// Addresses, codecs and ports of the mixer.
#[derive(Debug)]
pub(crate) struct Media {
    address: IpAddr,
    codecs: Vec<Codec>,
    ports: Ports,
}

/// What was agreed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Agreed {
    pub(crate) seat: Seat,
    pub(crate) stream: Stream,
}

impl Media {
    pub(crate) fn new(config: &crate::config::Media) -> Self {
        Self {
            address: config.address,
            codecs: config.codecs.clone(),
            ports: Ports::new(config.ports.iter().copied(), config.legs),
        }
    }

    /// Answers an offer or a re-offer; a leg that is refused keeps the port that it had.
    pub(crate) fn answer(
        &mut self,
        leg: LegId,
        ours: &mut Description,
        offer: &Session,
        signalling: Signalling,
        now: Instant,
    ) -> Result<(Agreed, Body), Refusal> {
        // The port depends on the address that they describe, which reading the offer tells.
        let described = sdp::answer(offer, &self.local(ours, PortId(9))).map_err(Refusal::Media)?.stream.remote;
        let seat = self.ports.take(leg, described, signalling, now).map_err(Refusal::Port)?;
        let answer = sdp::answer(offer, &self.local(ours, seat.port)).map_err(Refusal::Media)?;
        let body = self.version(
            ours,
            answer.body,
            |local| sdp::answer(offer, local).map_or_else(|_| Vec::new(), |again| again.body),
            seat.port,
        );
        Ok((Agreed { seat, stream: answer.stream }, Body::sdp(body)))
    }

    /// Offers what we speak; `theirs` is what the other side said last, and `seat` what the leg has.
    pub(crate) fn offer(
        &mut self,
        leg: LegId,
        ours: &mut Description,
        theirs: Option<&Session>,
        seat: Option<Seat>,
        signalling: Signalling,
        now: Instant,
    ) -> Result<(Seat, Body), Refusal> {
        let seat = match seat {
            Some(seat) => seat,
            None => self.ports.take(leg, self.nowhere(), signalling, now).map_err(Refusal::Port)?,
        };
        let write =
            |local: &LocalMedia<'_>| theirs.map_or_else(|| sdp::offer(local), |theirs| sdp::reoffer(theirs, local));
        let first = write(&self.local(ours, seat.port));
        let body = self.version(ours, first, write, seat.port);
        Ok((seat, Body::sdp(body)))
    }

    /// Reads the answer to our offer on a port. The address that it describes must be free there.
    pub(crate) fn agree(
        &mut self,
        leg: LegId,
        ours: &Description,
        port: PortId,
        answer: &Session,
        signalling: Signalling,
        now: Instant,
    ) -> Result<Agreed, Refusal> {
        let stream = sdp::read_answer(&self.local(ours, port), answer).map_err(Refusal::Media)?;
        let seat = self.ports.take(leg, stream.remote, signalling, now).map_err(Refusal::Port)?;
        if seat.port == port { Ok(Agreed { seat, stream }) } else { Err(Refusal::Port(NoPort::Ambiguous)) }
    }

    pub(crate) fn latched(&mut self, leg: LegId, seat: Seat, source: SocketAddr) {
        self.ports.latched(leg, seat, source);
    }

    /// A leg that the mixer must not wait for any more.
    pub(crate) fn poll_displaced(&mut self) -> Option<LegId> {
        self.ports.poll_displaced()
    }

    pub(crate) fn release(&mut self, leg: LegId) {
        self.ports.release(leg);
    }

    pub(crate) fn legs(&self) -> usize {
        self.ports.legs()
    }

    /// Counts the version on where the description differs from what we said last (RFC 3264 §8).
    fn version(
        &self,
        ours: &mut Description,
        body: Vec<u8>,
        again: impl FnOnce(&LocalMedia<'_>) -> Vec<u8>,
        port: PortId,
    ) -> Vec<u8> {
        let body = if ours.said.is_empty() || ours.said == body {
            body
        } else {
            ours.version += 1;
            again(&self.local(ours, port))
        };
        ours.said.clone_from(&body);
        body
    }

    fn local(&self, ours: &Description, port: PortId) -> LocalMedia<'_> {
        LocalMedia {
            address: self.address,
            port: port.0,
            session_id: ours.session_id,
            version: ours.version,
            codecs: &self.codecs,
            direction: Direction::SendRecv,
        }
    }

    /// Before it is known where a leg receives.
    const fn nowhere(&self) -> SocketAddr {
        let address = match self.address {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        SocketAddr::new(address, 9)
    }
}

/// The session description in a message; `None` where it has no body.
pub(crate) fn described(message: &Message) -> Result<Option<Session>, Refusal> {
    if message.body().is_empty() {
        return Ok(None);
    }
    let kind = message.first(Name::ContentType).unwrap_or("");
    let kind = kind.split(';').next().unwrap_or("").trim();
    if !kind.eq_ignore_ascii_case("application/sdp") {
        return Err(Refusal::NotSdp);
    }
    Session::parse(message.body()).map(Some).map_err(|_| Refusal::NotSdp)
}
