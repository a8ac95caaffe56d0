//! The arithmetic of a mix.
//!
//! Budget: a few nanoseconds a frame. Loops run over arrays of a known length, so that they become vector
//! instructions, and each has a plain oracle beside it.

use cusax_rtp::{FRAME_SAMPLES, Frame};

/// The exact sum of frames. It cannot overflow below 65,536 talkers.
pub(crate) type Sum = [i32; FRAME_SAMPLES];

/// Adds a talker.
pub(crate) fn accumulate(sum: &mut Sum, frame: &Frame) {
    for (total, &sample) in sum.iter_mut().zip(frame) {
        *total += i32::from(sample);
    }
}

/// What everybody hears who does not talk.
pub(crate) fn clamp(sum: &Sum, mix: &mut Frame) {
    for (sample, &total) in mix.iter_mut().zip(sum) {
        *sample = saturate(total);
    }
}

/// What a talker hears: the others.
pub(crate) fn clamp_without(sum: &Sum, own: &Frame, mix: &mut Frame) {
    for ((sample, &total), &own) in mix.iter_mut().zip(sum).zip(own) {
        *sample = saturate(total - i32::from(own));
    }
}

/// Raises the first 5 ms from nothing.
pub(crate) fn fade_in(frame: &mut Frame) {
    for (step, sample) in frame.iter_mut().take(FADE).enumerate() {
        *sample = scale(*sample, step, FADE);
    }
}

/// Lowers the first 5 ms to nothing, and leaves nothing behind them.
pub(crate) fn fade_out(frame: &mut Frame) {
    for (step, sample) in frame.iter_mut().enumerate() {
        *sample = scale(*sample, FADE.saturating_sub(step), FADE);
    }
}

/// Makes up the frame that follows: the last one again, fading out over two.
///
/// `frame` holds the last one, made up itself where `again`; samples before `from` stay.
pub(crate) fn conceal(frame: &mut Frame, from: usize, again: bool) {
    for (step, sample) in frame.iter_mut().enumerate().skip(from) {
        let left = 2 * FRAME_SAMPLES - step;
        *sample = match again {
            false => scale(*sample, left, 2 * FRAME_SAMPLES),
            true => scale(*sample, FRAME_SAMPLES - step, left),
        };
    }
}

const fn saturate(total: i32) -> i16 {
    const MIN: i32 = i16::MIN as i32;
    const MAX: i32 = i16::MAX as i32;
    // A plain cast once it fits: a fallible one would not vectorise.
    (if total < MIN {
        MIN
    } else if total > MAX {
        MAX
    } else {
        total
    }) as i16
}

/// The part `numerator` of `denominator` of a sample; no more than the whole.
const fn scale(sample: i16, numerator: usize, denominator: usize) -> i16 {
    (sample as i32 * numerator as i32 / denominator as i32) as i16
}

/// 5 ms.
const FADE: usize = FRAME_SAMPLES / 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_like_the_oracle_and_clamps_once() {
        let mut seed = 1;
        for talkers in [1, 2, 3, 8, 100] {
            let frames: Vec<Frame> = (0..talkers).map(|_| noise(&mut seed)).collect();
            let mut sum = [0; FRAME_SAMPLES];
            frames.iter().for_each(|frame| accumulate(&mut sum, frame));
            let (mut all, mut others) = ([0; FRAME_SAMPLES], [0; FRAME_SAMPLES]);
            clamp(&sum, &mut all);
            clamp_without(&sum, &frames[0], &mut others);
            for at in 0..FRAME_SAMPLES {
                let total: i64 = frames.iter().map(|frame| i64::from(frame[at])).sum();
                let rest = total - i64::from(frames[0][at]);
                assert_eq!(i64::from(all[at]), total.clamp(-32_768, 32_767));
                assert_eq!(i64::from(others[at]), rest.clamp(-32_768, 32_767));
            }
        }
    }

    #[test]
    fn fades_last_5_ms() {
        let mut frame = [i16::MIN; FRAME_SAMPLES];
        fade_in(&mut frame);
        assert_eq!((frame[0], frame[20], frame[40]), (0, i16::MIN / 2, i16::MIN));
        let mut frame = [i16::MAX; FRAME_SAMPLES];
        fade_out(&mut frame);
        assert_eq!((frame[0], frame[20], frame[40]), (i16::MAX, i16::MAX / 2, 0));
        assert!(frame[40..].iter().all(|&sample| sample == 0));
    }

    #[test]
    fn a_concealed_frame_goes_on_where_the_last_one_ended() {
        let mut frame = [10_000; FRAME_SAMPLES];
        conceal(&mut frame, 0, false);
        assert_eq!((frame[0], frame[80]), (10_000, 7_500));
        let half_way = frame[159];
        conceal(&mut frame, 0, true);
        assert!((frame[0] - half_way).abs() < 100, "{} {half_way}", frame[0]);
        assert!((frame[159]).abs() < 100);
    }

    fn noise(seed: &mut u64) -> Frame {
        std::array::from_fn(|_| {
            *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let [.., high, low] = seed.to_le_bytes();
            i16::from_le_bytes([high, low])
        })
    }
}
