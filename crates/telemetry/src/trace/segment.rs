//! One file of the trace store: a head, then records, each with its length and a checksum before it.
//!
//! ```text
//! segment = magic (8 bytes) begun (i64, microseconds since 1970) *frame
//! frame   = length (u32) checksum (u32: CRC-32 of the record) record
//! ```
//! Whoever was killed, or found no room, in the middle of writing leaves a frame that is short or does not add up: there a
//! reader stops, and the next writer goes on.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Begins every segment; its last byte is the version of the format.
pub(super) const MAGIC: [u8; 8] = *b"cusaxtr\x01";

/// The length of a segment's head.
pub(super) const HEAD: usize = 16;

/// A segment in the folder of a store. Its name is its place: how many bytes of the whole trace came before it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Segment {
    /// Its place.
    pub(super) base: u64,
    pub(super) path: PathBuf,
}

impl Segment {
    pub(super) fn at(folder: &Path, base: u64) -> Self {
        Self { base, path: folder.join(format!("{base:020}.{SUFFIX}")) }
    }

    /// The segment of this name; `None` for any other file.
    fn named(path: PathBuf) -> Option<Self> {
        let base = path.file_stem()?.to_str().filter(|digits| digits.len() == 20)?.parse().ok()?;
        (path.extension()? == SUFFIX).then_some(Self { base, path })
    }

    /// Those of a folder, the oldest first, and a file that is none.
    pub(super) fn all(folder: &Path) -> io::Result<(Vec<Self>, Option<PathBuf>)> {
        let mut segments = Vec::new();
        let mut stranger = None;
        for file in std::fs::read_dir(folder)? {
            let path = file?.path();
            match Self::named(path.clone()) {
                Some(segment) => segments.push(segment),
                None => stranger = Some(path),
            }
        }
        segments.sort_unstable();
        Ok((segments, stranger))
    }

    /// Makes its file, with its head.
    pub(super) fn create(&self, begun: i64) -> io::Result<File> {
        let mut file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&self.path)?;
        let head = [MAGIC, begun.to_le_bytes()].concat();
        if let Err(cause) = file.write_all(&head) {
            std::fs::remove_file(&self.path)?;
            return Err(cause);
        }
        Ok(file)
    }

    /// When it was begun; `None` where it has not the head of one.
    pub(super) fn begun(&self) -> io::Result<Option<i64>> {
        let mut head = Vec::with_capacity(HEAD);
        File::open(&self.path)?.take(HEAD as u64).read_to_end(&mut head)?;
        let Some((magic, begun)) = head.split_first_chunk() else { return Ok(None) };
        Ok(begun.try_into().ok().filter(|_| *magic == MAGIC).map(i64::from_le_bytes))
    }
}

/// Reads a file's frames from `offset` (0: from its first) to `end` into `bytes`.
pub(super) fn read(mut file: &File, offset: u64, end: u64, bytes: &mut Vec<u8>) -> io::Result<u64> {
    let offset = offset.max(HEAD as u64);
    bytes.clear();
    file.seek(SeekFrom::Start(offset))?;
    file.take(end.saturating_sub(offset)).read_to_end(bytes)?;
    Ok(offset)
}

/// Appends a frame whose record `write` appends; nothing where that says so. Its checksum comes later, with [`seal`].
pub(super) fn frame(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> bool) {
    let begin = out.len();
    out.extend_from_slice(&[0; FRAME]);
    if !write(out) {
        out.truncate(begin);
        return;
    }
    let length = u32::try_from(out.len() - begin - FRAME).expect("fields are few and short");
    out[begin..begin + 4].copy_from_slice(&length.to_le_bytes());
}

/// Writes the checksums of all frames; they are not the work of whoever made them.
pub(super) fn seal(mut frames: &mut [u8]) {
    while let Some((head, rest)) = frames.split_first_chunk_mut::<FRAME>() {
        let [a, b, c, d, sum @ ..] = head;
        let Some((record, rest)) = rest.split_at_mut_checked(length([*a, *b, *c, *d])) else { return };
        sum.copy_from_slice(&crc32fast::hash(record).to_le_bytes());
        frames = rest;
    }
}

/// Where each of whole frames ends.
pub(super) fn ends(frames: &[u8]) -> impl Iterator<Item = usize> {
    let mut end = 0;
    std::iter::from_fn(move || {
        let head = frames.get(end..)?.first_chunk::<4>()?;
        end += FRAME + length(*head);
        Some(end)
    })
}

/// Whole frames that add up: each with its offset and its record. It ends at the first that does not.
pub(super) struct Frames<'a> {
    bytes: &'a [u8],
    /// Where the next frame begins.
    pub(super) offset: usize,
}

impl<'a> Frames<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = (usize, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (head, rest) = self.bytes.get(self.offset..)?.split_first_chunk::<FRAME>()?;
        let [a, b, c, d, sum @ ..] = *head;
        let record = rest.get(..length([a, b, c, d]))?;
        if record.is_empty() || crc32fast::hash(record) != u32::from_le_bytes(sum) {
            return None;
        }
        let begin = self.offset;
        self.offset += FRAME + record.len();
        Some((begin, record))
    }
}

fn length(bytes: [u8; 4]) -> usize {
    usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX)
}

/// The length of what is before a record.
const FRAME: usize = 8;

const SUFFIX: &str = "trace";

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(records: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for record in records {
            frame(&mut bytes, |out| {
                out.extend_from_slice(record);
                true
            });
        }
        seal(&mut bytes);
        bytes
    }

    #[test]
    fn a_frame_that_is_cut_short_anywhere_or_damaged_ends_the_reading() {
        let whole = frames(&[b"one", b"two", b"three"]);
        let two = frames(&[b"one", b"two"]).len();
        for cut in two..whole.len() {
            let mut read = Frames::new(&whole[..cut]);
            assert_eq!(read.by_ref().map(|(_, record)| record).collect::<Vec<_>>(), [&b"one"[..], b"two"], "{cut}");
            assert_eq!(read.offset, two);
        }
        for bit in 0..8 * (whole.len() - two) {
            let mut damaged = whole.clone();
            damaged[two + bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Frames::new(&damaged).count(), 2, "{bit}");
        }
        assert_eq!(Frames::new(&whole).map(|(offset, _)| offset).last(), Some(two));
        assert_eq!(Frames::new(&[0; 64]).count(), 0, "room that was never written");
    }

    #[test]
    fn what_is_not_worth_a_record_leaves_no_frame() {
        let mut bytes = frames(&[b"one"]);
        let before = bytes.clone();
        frame(&mut bytes, |out| {
            out.extend_from_slice(b"two");
            false
        });
        assert_eq!(bytes, before);
    }
}
