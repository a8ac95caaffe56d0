//! What a Call-ID, a tag or a branch of ours says of the call that it belongs to: where it is, without a table.

/// A place in a table, and what is unique in the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) slot: u32,
    pub(super) serial: u64,
}

/// What a name is for; the letter in front of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Call-ID and From tag of a call, and Call-ID and From tag of a registration.
    Call,
    /// To tag of an answer.
    Answer,
    /// Branches, by the method of their request.
    Invite,
    Ack,
    Bye,
    Register,
}

/// A name as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) purpose: Purpose,
    /// How often the request has been made anew, as after a challenge.
    pub(super) attempt: u8,
    pub(super) number: Number,
}

/// Names of one run: another run's are none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    run: [u8; RUN],
}

impl Names {
    pub(super) fn new(run: u32) -> Self {
        let mut text = [0; RUN];
        digits(u64::from(run), &mut text);
        Self { run: text }
    }

    pub(super) fn write(&self, name: Name, out: &mut Vec<u8>) {
        let mut text = [0; LENGTH];
        text[0] = name.purpose.letter();
        text[1] = b'0' + name.attempt;
        text[2..SLOT].copy_from_slice(&self.run);
        digits(name.number.slot.into(), &mut text[SLOT..SERIAL]);
        digits(name.number.serial, &mut text[SERIAL..]);
        out.extend_from_slice(&text);
    }

    pub(super) fn read(&self, text: &[u8]) -> Option<Name> {
        let text: &[u8; LENGTH] = text.try_into().ok()?;
        if text[2..SLOT] != self.run {
            return None;
        }
        let purpose = PURPOSES.into_iter().find(|purpose| purpose.letter() == text[0])?;
        let attempt = text[1].checked_sub(b'0').filter(|attempt| *attempt < ATTEMPTS)?;
        let slot = u32::try_from(value(&text[SLOT..SERIAL])?).ok()?;
        Some(Name { purpose, attempt, number: Number { slot, serial: value(&text[SERIAL..])? } })
    }

    /// The name in a branch.
    pub(super) fn read_branch(&self, branch: &str) -> Option<Name> {
        self.read(branch.as_bytes().strip_prefix(COOKIE)?)
    }
}

impl Purpose {
    const fn letter(self) -> u8 {
        match self {
            Self::Call => b'c',
            Self::Answer => b'u',
            Self::Invite => b'i',
            Self::Ack => b'a',
            Self::Bye => b'b',
            Self::Register => b'r',
        }
    }
}

const PURPOSES: [Purpose; 6] =
    [Purpose::Call, Purpose::Answer, Purpose::Invite, Purpose::Ack, Purpose::Bye, Purpose::Register];

/// How often a request is made anew after challenges, and its first time.
pub(super) const ATTEMPTS: u8 = 3;

/// What a branch begins with (RFC 3261 §8.1.1.7).
pub(super) const COOKIE: &[u8] = b"z9hG4bK";

const RUN: usize = 8;
const SLOT: usize = 2 + RUN;
const SERIAL: usize = SLOT + 6;
const LENGTH: usize = SERIAL + 10;

/// Writes the last digits, as many as there is room for.
fn digits(mut value: u64, out: &mut [u8]) {
    for place in out.iter_mut().rev() {
        *place = b"0123456789abcdef"[(value & 15) as usize];
        value >>= 4;
    }
}

fn value(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0, |value, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_nothing_of_another_run() {
        let number = Number { slot: 0xab_cdef, serial: 0x12_3456_789a };
        for purpose in PURPOSES {
            let name = Name { purpose, attempt: 2, number };
            let mut text = Vec::new();
            Names::new(7).write(name, &mut text);
            assert_eq!(Names::new(7).read(&text), Some(name));
            assert_eq!(Names::new(8).read(&text), None);
            for cut in 0..text.len() {
                assert_eq!(Names::new(7).read(&text[..cut]), None);
            }
        }
    }

    #[test]
    fn an_attempt_that_was_never_made_is_no_name() {
        let names = Names::new(7);
        let mut text = Vec::new();
        names.write(Name { purpose: Purpose::Invite, attempt: 0, number: Number { slot: 1, serial: 2 } }, &mut text);
        for attempt in b'0' + ATTEMPTS..=b'9' {
            text[1] = attempt;
            assert_eq!(names.read(&text), None);
        }
    }

    #[test]
    fn what_only_looks_like_a_name_is_none() {
        let names = Names::new(7);
        let mut text = Vec::new();
        names.write(Name { purpose: Purpose::Call, attempt: 0, number: Number { slot: 1, serial: 2 } }, &mut text);
        for at in 0..text.len() {
            let mut other = text.clone();
            other[at] = b'!';
            assert_eq!(names.read(&other), None, "{at}");
        }
        assert_eq!(names.read_branch(std::str::from_utf8(&text).unwrap()), None, "no cookie");
    }
}
