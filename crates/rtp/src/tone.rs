//! Sine tones, and how much of one is in what is heard: the proof of who hears whom.
//!
//! Levels are in dB relative to a full-scale sine (dBFS).

use std::f64::consts::TAU;

/// A sine at 8 kHz.
#[derive(Clone, Debug)]
pub struct Sine {
    /// Radians per sample.
    step: f64,
    phase: f64,
    amplitude: f64,
}

impl Sine {
    /// Makes a sine of this frequency (below 4,000 Hz) and level.
    #[must_use]
    pub fn new(hertz: f64, dbfs: f64) -> Self {
        let amplitude = FULL_SCALE * 10_f64.powf(dbfs / 20.0);
        Self { step: TAU * hertz / SAMPLE_RATE, phase: 0.0, amplitude }
    }

    /// Writes its next samples.
    pub fn fill(&mut self, samples: &mut [i16]) {
        for sample in samples {
            let value = (self.amplitude * self.phase.sin()).round();
            *sample = value.clamp(-FULL_SCALE, FULL_SCALE) as i16;
            self.phase = (self.phase + self.step) % TAU;
        }
    }
}

/// Measures one frequency over a window of 8 kHz samples (Goertzel's algorithm).
///
/// A window of 1,600 samples (200 ms) has bins of 5 Hz: tones at multiples of 5 Hz do not leak into one another.
#[derive(Clone, Debug)]
pub struct Goertzel {
    coefficient: f64,
    previous: f64,
    before: f64,
    samples: u32,
}

impl Goertzel {
    /// Listens for this frequency.
    #[must_use]
    pub fn new(hertz: f64) -> Self {
        let coefficient = 2.0 * (TAU * hertz / SAMPLE_RATE).cos();
        Self { coefficient, previous: 0.0, before: 0.0, samples: 0 }
    }

    /// Hears samples of the window.
    pub fn push(&mut self, samples: &[i16]) {
        for &sample in samples {
            let next = f64::from(sample) + self.coefficient * self.previous - self.before;
            self.before = self.previous;
            self.previous = next;
            self.samples += 1;
        }
    }

    /// The level in the window so far, in dBFS; a new window begins. An empty window is at minus infinity.
    pub fn take_level(&mut self) -> f64 {
        let Self { coefficient, previous, before, samples } = *self;
        (self.previous, self.before, self.samples) = (0.0, 0.0, 0);
        if samples == 0 {
            return f64::NEG_INFINITY;
        }
        let power = previous * previous + before * before - coefficient * previous * before;
        // Rounding can leave a small negative power where there is nothing.
        let amplitude = 2.0 * power.max(0.0).sqrt() / f64::from(samples);
        20.0 * (amplitude / FULL_SCALE).log10()
    }
}

/// The level of a frequency in a window, in dBFS.
#[must_use]
pub fn level(samples: &[i16], hertz: f64) -> f64 {
    let mut goertzel = Goertzel::new(hertz);
    goertzel.push(samples);
    goertzel.take_level()
}

const SAMPLE_RATE: f64 = 8_000.0;
const FULL_SCALE: f64 = i16::MAX as f64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_the_level_that_was_made() {
        for dbfs in [0.0, -6.0, -20.0, -40.0] {
            let mut window = [0; 1_600];
            Sine::new(650.0, dbfs).fill(&mut window);
            assert!((level(&window, 650.0) - dbfs).abs() < 0.1, "{dbfs}");
        }
    }

    #[test]
    fn a_tone_is_absent_from_other_bins() {
        let mut window = [0; 1_600];
        Sine::new(650.0, -20.0).fill(&mut window);
        for hertz in [400.0, 645.0, 655.0, 1_300.0, 1_950.0] {
            assert!(level(&window, hertz) < -80.0, "{hertz}");
        }
    }

    #[test]
    fn silence_and_nothing_are_at_no_level() {
        assert!(level(&[0; 1_600], 650.0) < -100.0);
        assert_eq!(level(&[], 650.0), f64::NEG_INFINITY);
    }

    #[test]
    fn a_sine_goes_on_from_one_frame_to_the_next() {
        let mut whole = [0; 320];
        Sine::new(430.0, -3.0).fill(&mut whole);
        let mut frames = [0; 320];
        let mut sine = Sine::new(430.0, -3.0);
        frames.chunks_mut(160).for_each(|frame| sine.fill(frame));
        assert_eq!(frames, whole);
    }
}
