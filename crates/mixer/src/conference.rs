//! One tick of one conference: the exact sum of who talks, to each without himself.

use cusax_event::media::Report;
use cusax_rtp::packet::CSRCS_MAX;
use cusax_rtp::{Codec, FRAME_SAMPLES};
use slab::Slab;

use crate::demux::Demux;
use crate::leg::Leg;
use crate::mix::{self, Sum};
use crate::{ConferenceId, Transmits};

/// A conference: the indices of its legs.
#[derive(Debug)]
pub(crate) struct Conference {
    pub(crate) id: ConferenceId,
    pub(crate) legs: Vec<usize>,
}

/// Who talks in a tick.
struct Talkers {
    count: usize,
    sum: Sum,
    /// Leg and SSRC of the first of them: one more than a packet can name, for it does not name its receiver.
    sources: [(usize, u32); CSRCS_MAX + 1],
    named: usize,
}

impl Conference {
    /// Produces the tick: a packet for each leg that listens. `settled` is told the legs whose mutes took effect.
    pub(crate) fn tick(
        &self,
        legs: &mut Slab<Leg>,
        demux: &Demux,
        report: &mut Report,
        out: &mut Transmits,
        mut settled: impl FnMut(&mut Leg),
    ) {
        let talkers = self.talkers(legs, &mut settled);
        let mut shared = [const { None }; Codec::ALL.len()];
        for &index in &self.legs {
            let Some(leg) = legs.get_mut(index) else { continue };
            let endpoint = demux.endpoint(index).filter(|endpoint| leg.listens() && endpoint.is_proven());
            if let Some(endpoint) = endpoint {
                let codec = leg.stream.codec;
                let own;
                let payload = if talkers.count == usize::from(leg.voiced) {
                    codec.silence()
                } else if leg.voiced {
                    own = talkers.without(leg);
                    &own
                } else {
                    shared[codec as usize].get_or_insert_with(|| talkers.all(codec))
                };
                let mut csrcs = [0; CSRCS_MAX];
                let named = talkers.name(index, &mut csrcs);
                let to = (endpoint.seat.port, endpoint.remote);
                let length = leg.send(to, &csrcs[..named], payload, out);
                report.sent[codec.label() as usize] += 1;
                report.sent_bytes += length as u64;
            } else {
                leg.pause();
            }
            leg.advance(1);
        }
    }

    fn talkers(&self, legs: &mut Slab<Leg>, settled: &mut impl FnMut(&mut Leg)) -> Talkers {
        let mut talkers = Talkers { count: 0, sum: [0; FRAME_SAMPLES], sources: [(0, 0); CSRCS_MAX + 1], named: 0 };
        for &index in &self.legs {
            let Some(leg) = legs.get_mut(index) else { continue };
            let effective = leg.produce();
            if effective && !leg.confirmations.is_empty() {
                settled(leg);
            }
            if !leg.voiced {
                continue;
            }
            mix::accumulate(&mut talkers.sum, &leg.frame);
            talkers.count += 1;
            if let (Some(place), Some(ssrc)) = (talkers.sources.get_mut(talkers.named), leg.source) {
                *place = (index, ssrc);
                talkers.named += 1;
            }
        }
        talkers
    }
}

impl Talkers {
    /// What everybody hears who does not talk.
    fn all(&self, codec: Codec) -> [u8; FRAME_SAMPLES] {
        let (mut frame, mut payload) = ([0; FRAME_SAMPLES], [0; FRAME_SAMPLES]);
        mix::clamp(&self.sum, &mut frame);
        codec.encode(&frame, &mut payload);
        payload
    }

    /// What this talker hears.
    fn without(&self, leg: &Leg) -> [u8; FRAME_SAMPLES] {
        let (mut frame, mut payload) = ([0; FRAME_SAMPLES], [0; FRAME_SAMPLES]);
        mix::clamp_without(&self.sum, &leg.frame, &mut frame);
        leg.stream.codec.encode(&frame, &mut payload);
        payload
    }

    /// Writes the SSRCs of those whom this leg hears; returns how many.
    fn name(&self, leg: usize, csrcs: &mut [u32; CSRCS_MAX]) -> usize {
        let others = self.sources[..self.named].iter().filter(|(talker, _)| *talker != leg);
        let pairs = csrcs.iter_mut().zip(others);
        pairs.map(|(csrc, (_, ssrc))| *csrc = *ssrc).count()
    }
}
