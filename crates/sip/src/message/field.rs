//! Where a header line is in its message.

use std::ops::Range;

use crate::name::Name;

/// One header field line, folded lines included: 20 bytes, for many of them are kept as long as their transaction.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name.
    pub name: Name,
    name_length: u16,
    line: (u32, u32),
    value: (u32, u32),
}

impl Field {
    /// Its name begins its line.
    pub(super) fn new(name: Name, name_length: usize, line: &Range<usize>, value: &Range<usize>) -> Self {
        // All are within a header section of at most MAX_HEADER_BYTES.
        let short = |range: &Range<usize>| (narrow(range.start), narrow(range.end));
        let name_length = u16::try_from(name_length).unwrap_or(u16::MAX);
        Self { name, name_length, line: short(line), value: short(value) }
    }

    /// The name's bytes.
    #[must_use]
    pub fn name_span(&self) -> Range<usize> {
        self.line().start..self.line().start + usize::from(self.name_length)
    }

    /// The whole line with its CRLF.
    #[must_use]
    pub fn line(&self) -> Range<usize> {
        self.line.0 as usize..self.line.1 as usize
    }

    /// The value without white space around it.
    #[must_use]
    pub fn value(&self) -> Range<usize> {
        self.value.0 as usize..self.value.1 as usize
    }
}

fn narrow(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
