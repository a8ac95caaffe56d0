//! G.711 µ-law and A-law, both ways.
//!
//! Budget: tens of nanoseconds for a frame. A segment of G.711 is the exponent of a floating-point number and its
//! interval the mantissa, so both ways are arithmetic on the bits of an `f32`, without a table or a branch: the
//! loops over arrays of a known length become vector instructions. The `as` casts here are exact by construction.

/// Encodes linear samples as µ-law.
pub fn ulaw_encode<const N: usize>(samples: &[i16; N], codes: &mut [u8; N]) {
    for (code, &sample) in codes.iter_mut().zip(samples) {
        *code = ulaw_encode_sample(sample);
    }
}

/// Decodes µ-law to linear samples.
pub fn ulaw_decode<const N: usize>(codes: &[u8; N], samples: &mut [i16; N]) {
    for (sample, &code) in samples.iter_mut().zip(codes) {
        *sample = ulaw_decode_sample(code);
    }
}

/// Encodes linear samples as A-law.
pub fn alaw_encode<const N: usize>(samples: &[i16; N], codes: &mut [u8; N]) {
    for (code, &sample) in codes.iter_mut().zip(samples) {
        *code = alaw_encode_sample(sample);
    }
}

/// Decodes A-law to linear samples.
pub fn alaw_decode<const N: usize>(codes: &[u8; N], samples: &mut [i16; N]) {
    for (sample, &code) in samples.iter_mut().zip(codes) {
        *sample = alaw_decode_sample(code);
    }
}

/// Encodes one sample as µ-law.
#[inline]
#[must_use]
pub const fn ulaw_encode_sample(sample: i16) -> u8 {
    let sign = (sample as i32) >> 31;
    let magnitude = ((sample as i32 ^ sign) >> 2) + ULAW_BIAS;
    let magnitude = if magnitude > ULAW_CLIP { ULAW_CLIP } else { magnitude };
    // 33..=8191: exponents 5 to 12 are segments 0 to 7.
    let code = (float_bits(magnitude) >> INTERVAL_SHIFT) - (5 << 4);
    !((code | (sign & 0x80)) as u8)
}

/// Decodes one µ-law code.
#[inline]
#[must_use]
pub const fn ulaw_decode_sample(code: u8) -> i16 {
    let code = !code as i32;
    let sign = (code << 24) >> 31;
    let magnitude = float_integer(((code & 0x7f) << INTERVAL_SHIFT) + (7 << 23) + HALF_INTERVAL);
    let magnitude = magnitude - 4 * ULAW_BIAS;
    ((magnitude ^ sign) - sign) as i16
}

/// Encodes one sample as A-law.
#[inline]
#[must_use]
pub const fn alaw_encode_sample(sample: i16) -> u8 {
    let sign = (sample as i32) >> 31;
    let magnitude = (sample as i32 ^ sign) >> 4;
    // 16..=2047: exponents 4 to 10 are segments 1 to 7; segment 0 is linear.
    let segment = (float_bits(magnitude) >> INTERVAL_SHIFT) - (3 << 4);
    let code = if magnitude < 16 { magnitude } else { segment };
    ((code | (!sign & 0x80)) ^ 0x55) as u8
}

/// Decodes one A-law code.
#[inline]
#[must_use]
pub const fn alaw_decode_sample(code: u8) -> i16 {
    let code = code as i32 ^ 0x55;
    let sign = !((code << 24) >> 31);
    let interval = code & 0x7f;
    let segment = float_integer((interval << INTERVAL_SHIFT) + (7 << 23) + HALF_INTERVAL);
    let magnitude = if interval < 16 { (interval << 4) + 8 } else { segment };
    ((magnitude ^ sign) - sign) as i16
}

/// The bits of a positive integer below 2^23 as `f32`, its exponent without offset.
#[inline]
const fn float_bits(integer: i32) -> i32 {
    (integer as f32).to_bits() as i32 - EXPONENT_OFFSET
}

/// The integer below 2^23 that is the `f32` of these bits, whose exponent is without offset.
///
/// Adding 2^23 moves an integer to the low bits of the mantissa; a plain cast saturates, which costs more.
#[inline]
const fn float_integer(bits: i32) -> i32 {
    let float = f32::from_bits((bits + EXPONENT_OFFSET) as u32);
    ((float + 8_388_608.0).to_bits() & 0x007f_ffff) as i32
}

const EXPONENT_OFFSET: i32 = 127 << 23;
/// Puts a code's segment and interval at the exponent and the first four bits of the mantissa.
const INTERVAL_SHIFT: i32 = 19;
/// A code stands for the middle of its interval.
const HALF_INTERVAL: i32 = 1 << 18;
const ULAW_BIAS: i32 = 33;
const ULAW_CLIP: i32 = 8_191;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_all_65536_samples_as_ulaw_like_the_oracle() {
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(ulaw_encode_sample(sample), oracle::ulaw_compress(sample), "{sample}");
        }
    }

    #[test]
    fn encodes_all_65536_samples_as_alaw_like_the_oracle() {
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(alaw_encode_sample(sample), oracle::alaw_compress(sample), "{sample}");
        }
    }

    #[test]
    fn decodes_all_256_codes_like_the_oracle() {
        for code in 0..=u8::MAX {
            assert_eq!(ulaw_decode_sample(code), oracle::ulaw_expand(code), "µ-law {code:#x}");
            assert_eq!(alaw_decode_sample(code), oracle::alaw_expand(code), "A-law {code:#x}");
        }
    }

    #[test]
    fn knows_the_values_of_the_recommendation() {
        let ulaw = [(0x00, -32_124), (0x80, 32_124), (0xff, 0), (0x7f, 0), (0xfe, 8), (0x7e, -8)];
        for (code, sample) in ulaw {
            assert_eq!(ulaw_decode_sample(code), sample, "µ-law {code:#x}");
        }
        for (code, sample) in [(0xd5, 8), (0x55, -8), (0xaa, 32_256), (0x2a, -32_256)] {
            assert_eq!(alaw_decode_sample(code), sample, "A-law {code:#x}");
        }
    }

    #[test]
    fn arrays_give_what_single_samples_give() {
        let codes: [u8; 256] = std::array::from_fn(|code| u8::try_from(code).unwrap());
        let mut samples = [0; 256];
        let mut again = [0; 256];
        ulaw_decode(&codes, &mut samples);
        ulaw_encode(&samples, &mut again);
        for (code, again) in codes.into_iter().zip(again) {
            // µ-law has two codes of zero.
            assert_eq!(again, if code == 0x7f { 0xff } else { code });
        }
        alaw_decode(&codes, &mut samples);
        alaw_encode(&samples, &mut again);
        assert_eq!(again, codes);
    }

    /// The algorithm of ITU-T G.191 (G.711 module), step by step.
    mod oracle {
        pub(super) fn ulaw_compress(sample: i16) -> u8 {
            let sample = i32::from(sample);
            let magnitude = if sample < 0 { (!sample >> 2) + 33 } else { (sample >> 2) + 33 };
            let magnitude = magnitude.min(0x1fff);
            let mut segment = 1;
            let mut rest = magnitude >> 6;
            while rest != 0 {
                segment += 1;
                rest >>= 1;
            }
            let high = 8 - segment;
            let low = 0xf - ((magnitude >> segment) & 0xf);
            let code = (high << 4) | low | if sample >= 0 { 0x80 } else { 0 };
            u8::try_from(code).unwrap()
        }

        pub(super) fn ulaw_expand(code: u8) -> i16 {
            let sign = if code < 0x80 { -1 } else { 1 };
            let mantissa = i32::from(!code);
            let exponent = (mantissa >> 4) & 7;
            let step = 4 << (exponent + 1);
            let magnitude = (0x80 << exponent) + step * (mantissa & 0xf) + step / 2 - 4 * 33;
            i16::try_from(sign * magnitude).unwrap()
        }

        pub(super) fn alaw_compress(sample: i16) -> u8 {
            let sample = i32::from(sample);
            let mut code = if sample < 0 { !sample >> 4 } else { sample >> 4 };
            if code > 15 {
                let mut exponent = 1;
                while code > 16 + 15 {
                    code >>= 1;
                    exponent += 1;
                }
                code = code - 16 + (exponent << 4);
            }
            if sample >= 0 {
                code |= 0x80;
            }
            u8::try_from(code ^ 0x55).unwrap()
        }

        pub(super) fn alaw_expand(code: u8) -> i16 {
            let bits = i32::from((code ^ 0x55) & 0x7f);
            let exponent = bits >> 4;
            let mut mantissa = bits & 0xf;
            if exponent > 0 {
                mantissa += 16;
            }
            mantissa = (mantissa << 4) + 8;
            if exponent > 1 {
                mantissa <<= exponent - 1;
            }
            i16::try_from(if code > 127 { mantissa } else { -mantissa }).unwrap()
        }
    }
}
