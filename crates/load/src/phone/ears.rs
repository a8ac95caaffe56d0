//! What a phone heard, packet by packet, and which tones are in it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cusax_net::clock;
use cusax_rtp::tone::{Goertzel, level};

/// One received packet of audio.
#[derive(Clone, Debug)]
pub struct Heard {
    /// When.
    pub at: Instant,
    /// RTP sequence number.
    pub sequence: u16,
    /// RTP source.
    pub ssrc: u32,
    /// The samples, at 8 kHz.
    pub samples: Arc<[i16]>,
}

impl Heard {
    /// The level of a frequency in this packet, in dBFS; of 20 ms, tones 50 Hz apart are told apart.
    #[must_use]
    pub fn level(&self, hertz: f64) -> f64 {
        level(&self.samples, hertz)
    }
}

/// The last ten seconds.
#[derive(Debug, Default)]
pub(super) struct Ears {
    packets: VecDeque<Heard>,
    total: u64,
}

impl Ears {
    pub(super) fn push(&mut self, heard: Heard) {
        if self.packets.len() == MEMORY {
            self.packets.pop_front();
        }
        self.packets.push_back(heard);
        self.total += 1;
    }

    /// Packets ever heard.
    pub(super) const fn len(&self) -> u64 {
        self.total
    }

    pub(super) fn since(&self, since: Instant) -> Vec<Heard> {
        self.packets.iter().filter(|heard| heard.at >= since).cloned().collect()
    }

    pub(super) fn level(&self, hertz: f64, window: Duration) -> f64 {
        let since = clock::now().checked_sub(window);
        let recent = self.packets.iter().rev().take_while(|heard| since.is_none_or(|since| heard.at >= since));
        let mut goertzel = Goertzel::new(hertz);
        let recent: Vec<_> = recent.collect();
        recent.iter().rev().for_each(|heard| goertzel.push(&heard.samples));
        goertzel.take_level()
    }

    pub(super) fn hears(&self, hertz: f64) -> bool {
        self.level(hertz, WINDOW) > PRESENT_DBFS
    }

    /// When the first of [`RUN`] packets in a row came that all have the tone, or all have it not: from a time on, or
    /// the last ones.
    pub(super) fn first_run(&self, hertz: f64, with_it: bool, from: Option<Instant>) -> Option<Instant> {
        let is = |heard: &&Heard| (heard.level(hertz) > PRESENT_DBFS) == with_it;
        let skipped = match from {
            Some(from) => self.packets.partition_point(|heard| heard.at < from),
            None => self.packets.len().checked_sub(RUN)?,
        };
        let (mut first, mut run) = (None, 0);
        for heard in self.packets.range(skipped..) {
            if is(&heard) {
                run += 1;
                first = first.or(Some(heard.at));
            } else {
                (first, run) = (None, 0);
            }
            if run == RUN {
                return first;
            }
        }
        None
    }
}

/// A tone at a lower level is not there; phones speak at -20 dBFS.
pub const PRESENT_DBFS: f64 = -45.0;
/// Packets that are remembered of a call: ten seconds.
const MEMORY: usize = 512;
/// What "now" is.
const WINDOW: Duration = Duration::from_millis(200);
/// Packets that make a run: 200 ms.
const RUN: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use cusax_rtp::tone::Sine;

    fn ears(tones: &[(usize, f64)]) -> (Ears, Instant) {
        let (start, mut ears, mut packet) = (clock::now(), Ears::default(), 0);
        for (count, hertz) in tones {
            let mut sine = Sine::new(*hertz, -20.0);
            for _ in 0..*count {
                let mut samples = [0; 160];
                sine.fill(&mut samples);
                let at = start + Duration::from_millis(20) * packet;
                ears.push(Heard { at, sequence: 0, ssrc: 0, samples: samples.into() });
                packet += 1;
            }
        }
        (ears, start)
    }

    #[test]
    fn finds_the_first_packet_without_a_tone_and_no_gap_in_it() {
        let (ears, start) = ears(&[(30, 400.0), (5, 500.0), (10, 400.0), (20, 500.0)]);
        let at = |ears: &Ears, with_it, from| ears.first_run(400.0, with_it, Some(start + Duration::from_millis(from)));
        assert_eq!(at(&ears, false, 0), Some(start + Duration::from_millis(45 * 20)));
        assert_eq!(at(&ears, false, 1_000), Some(start + Duration::from_millis(1_000)));
        assert_eq!(at(&ears, true, 0), Some(start));
        assert_eq!(at(&ears, true, 600), Some(start + Duration::from_millis(35 * 20)));
        assert_eq!(at(&ears, true, 800), None);
    }

    #[test]
    fn remembers_a_bounded_time() {
        let (ears, start) = ears(&[(MEMORY + 100, 400.0)]);
        assert_eq!(ears.since(start).len(), MEMORY);
        assert_eq!(ears.len(), MEMORY as u64 + 100);
    }

    #[test]
    fn hears_nothing_where_nothing_comes() {
        let (ears, _) = ears(&[]);
        assert_eq!(ears.level(400.0, WINDOW), f64::NEG_INFINITY);
        assert!(!ears.hears(400.0));
        assert_eq!(ears.first_run(400.0, false, None), None);
    }
}
