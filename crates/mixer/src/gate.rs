//! Whether a leg's voice passes into the mix: shut and opened with a fade of 5 ms, against clicks.

use cusax_rtp::Frame;

use crate::mix;

/// The gate of one leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// The voice passes.
    Open,
    /// It passes from its next frame on, which fades in.
    Opening,
    /// Its next frame fades out.
    Closing,
    /// Nothing passes.
    Closed,
}

impl Gate {
    /// A gate for a leg that joins.
    pub(crate) const fn new(audible: bool) -> Self {
        if audible { Self::Opening } else { Self::Closed }
    }

    /// Whether the voice is to pass.
    pub(crate) const fn is_audible(self) -> bool {
        matches!(self, Self::Open | Self::Opening)
    }

    /// Opens or shuts the gate.
    pub(crate) const fn set(&mut self, audible: bool) {
        *self = match (*self, audible) {
            (Self::Open | Self::Opening, true) | (Self::Closed | Self::Closing, false) => *self,
            (Self::Open, false) => Self::Closing,
            (Self::Opening, false) => Self::Closed,
            (Self::Closed | Self::Closing, true) => Self::Opening,
        };
    }

    /// Lets a frame of voice through, faded where the gate moves.
    pub(crate) fn pass(&mut self, frame: &mut Frame) {
        match self {
            Self::Open | Self::Closed => {}
            Self::Opening => {
                mix::fade_in(frame);
                *self = Self::Open;
            }
            Self::Closing => {
                mix::fade_out(frame);
                *self = Self::Closed;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fades_in_once_and_out_once() {
        let mut gate = Gate::new(true);
        let loud = [1_000; 160];
        let mut frame = loud;
        gate.pass(&mut frame);
        assert_eq!((frame[0], frame[159]), (0, 1_000));
        let mut frame = loud;
        gate.pass(&mut frame);
        assert_eq!(frame, loud);
        gate.set(false);
        assert!(!gate.is_audible());
        let mut frame = loud;
        gate.pass(&mut frame);
        assert_eq!((frame[0], frame[159]), (1_000, 0));
        assert_eq!(gate, Gate::Closed);
    }

    #[test]
    fn a_voice_that_was_not_heard_yet_does_not_fade_out() {
        let mut gate = Gate::new(true);
        gate.set(false);
        assert_eq!(gate, Gate::Closed);
        gate.set(true);
        gate.set(true);
        assert_eq!(gate, Gate::Opening);
    }
}
