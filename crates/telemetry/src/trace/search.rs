//! Finding the whole story of an identifier, by reading all that there is: nothing is spent on an index while calls run.

use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use cusax_event::SessionId;

use super::Error;
use super::entry::{Record, is_named};
use super::fields::{self, Key};
use super::segment::{self, Frames, Segment};
use crate::identities::canonical;

/// Finds all records of the sessions and calls that have to do with any of `ids`: Session-IDs (with or without dashes, or as
/// the header's value), Call-IDs, SIP or tel URIs, JIDs, numbers or rooms. Newest 10,000, in the order of time.
///
/// # Errors
/// [`Error::File`] where there is no store or it cannot be read.
pub fn find(path: &Path, ids: &[impl AsRef<str>]) -> Result<Vec<Record>, Error> {
    Story::new(path, ids).read()
}

/// The story of identifiers, as far as it was read.
#[derive(Debug)]
pub struct Story {
    folder: PathBuf,
    sought: Vec<Sought>,
    known: Threads,
    /// The place up to which the store was read.
    read: u64,
}

/// The sessions and calls that have to do with what is sought.
#[derive(Debug, Default)]
struct Threads {
    sessions: HashSet<Box<[u8]>>,
    calls: HashSet<Box<[u8]>>,
}

/// What an identifier may be.
#[derive(Debug)]
struct Sought {
    session: Option<[u8; 16]>,
    call: Vec<u8>,
    name: String,
}

impl Story {
    /// The story of all that has to do with any of `ids`, as in [`find`].
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, ids: &[impl AsRef<str>]) -> Self {
        let sought = ids.iter().map(|id| Sought::new(id.as_ref())).collect();
        Self { folder: path.into(), sought, known: Threads::default(), read: 0 }
    }

    /// What is new in it since it was last read, the first time all. Newest 10,000, in the order of time.
    ///
    /// # Errors
    /// As [`find`].
    pub fn read(&mut self) -> Result<Vec<Record>, Error> {
        let failed = |cause| Error::File { path: self.folder.clone(), cause };
        let new = New::open(&self.folder, self.read).map_err(failed)?;
        let mut found: VecDeque<(u64, Vec<u8>)> = VecDeque::new();
        // First what leads to sessions and calls, then all that is theirs, which may have come before.
        let mut alone = HashSet::new();
        let end = new.each(u64::MAX, |place, record| {
            if is_sought(record, &self.sought) && !self.known.learn(record) {
                alone.insert(place);
            }
        });
        self.read = end.map_err(failed)?;
        if !(alone.is_empty() && self.known.is_empty()) {
            new.each(self.read, |place, record| {
                if self.known.has(record) || alone.contains(&place) {
                    let oldest = if found.len() < LIMIT { None } else { found.pop_front() };
                    let (_, mut bytes) = oldest.unwrap_or_default();
                    bytes.clear();
                    bytes.extend_from_slice(record);
                    found.push_back((place, bytes));
                }
            })
            .map_err(failed)?;
        }
        let row = |place| i64::try_from(place).unwrap_or(i64::MAX);
        let mut records: Vec<_> =
            found.iter().filter_map(|(place, record)| Record::read(row(*place), record)).collect();
        records.sort_by_key(|record| (record.at, record.row));
        Ok(records)
    }
}

impl Threads {
    /// Adds the session and the call that a record is of; false where it is of none.
    fn learn(&mut self, record: &[u8]) -> bool {
        let mut any = false;
        for (tag, value) in fields::read(record).into_iter().flat_map(|(.., fields)| fields) {
            let known = match tag.key() {
                Some(Key::Session) => &mut self.sessions,
                Some(Key::Call) => &mut self.calls,
                Some(Key::Name) | None => continue,
            };
            any = true;
            if !known.contains(value) {
                known.insert(value.into());
            }
        }
        any
    }

    fn has(&self, record: &[u8]) -> bool {
        let Some((.., mut fields)) = fields::read(record) else { return false };
        fields.any(|(tag, value)| match tag.key() {
            Some(Key::Session) => self.sessions.contains(value),
            Some(Key::Call) => self.calls.contains(value),
            Some(Key::Name) | None => false,
        })
    }

    fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.calls.is_empty()
    }
}

fn is_sought(record: &[u8], sought: &[Sought]) -> bool {
    let Some((.., mut fields)) = fields::read(record) else { return false };
    fields.any(|(tag, value)| tag.key().is_some_and(|key| sought.iter().any(|sought| sought.is(key, value))))
}

impl Sought {
    fn new(id: &str) -> Self {
        // The session's half that it may be: `0123…`, `01234567-89ab-…` or `0123…;remote=…`.
        let half = id.split(';').next().unwrap_or_default();
        let digits = half.trim().chars().filter(|c| *c != '-').collect::<String>().to_ascii_lowercase();
        let session = digits.parse().ok().map(SessionId::bytes);
        Self { session, call: id.trim().as_bytes().to_vec(), name: canonical(id) }
    }

    fn is(&self, key: Key, value: &[u8]) -> bool {
        match key {
            Key::Session => self.session.is_some_and(|session| session == *value),
            Key::Call => !value.is_empty() && self.call == value,
            Key::Name => self.is_name(value),
        }
    }

    /// Most names are of somebody else, and need not be made canonical to know it.
    fn is_name(&self, value: &[u8]) -> bool {
        let Some(first) = self.name.as_bytes().first() else { return false };
        let within = || {
            let starts = value.iter().enumerate().filter(|(_, byte)| byte.to_ascii_lowercase() == *first);
            starts.map(|(at, _)| at).any(|at| {
                let there = value.get(at..at + self.name.len());
                there.is_some_and(|there| there.eq_ignore_ascii_case(self.name.as_bytes()))
            })
        };
        (!value.is_ascii() || within()) && str::from_utf8(value).is_ok_and(|name| is_named(name, &self.name))
    }
}

/// What came to the store after a place.
struct New {
    /// From there.
    from: u64,
    /// Open, so that it can be read even where it is deleted meanwhile.
    segments: Vec<(u64, File)>,
}

impl New {
    fn open(folder: &Path, from: u64) -> io::Result<Self> {
        let (all, _) = Segment::all(folder)?;
        let mut segments = Vec::new();
        let nexts = all.iter().skip(1).map(|next| next.base).chain([u64::MAX]);
        for (segment, _) in all.iter().zip(nexts).filter(|(_, next)| *next > from) {
            match segment.begun() {
                Ok(Some(_)) => segments.push((segment.base, File::open(&segment.path))),
                Ok(None) => {}
                Err(cause) => segments.push((segment.base, Err(cause))),
            }
        }
        // Deleted between the listing and the opening.
        let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        segments.retain(|(_, file)| !file.as_ref().is_err_and(gone));
        let segments = segments.into_iter().map(|(base, file)| Ok((base, file?))).collect::<io::Result<_>>()?;
        Ok(Self { from, segments })
    }

    /// Gives each record before the place `end`, with its own place; returns where the last one ends.
    fn each(&self, end: u64, mut give: impl FnMut(u64, &[u8])) -> io::Result<u64> {
        let mut bytes = Vec::new();
        let mut last = self.from;
        for (base, file) in &self.segments {
            let begin = segment::read(file, last.saturating_sub(*base), end.saturating_sub(*base), &mut bytes)?;
            let mut frames = Frames::new(&bytes);
            for (offset, record) in &mut frames {
                give(base + begin + offset as u64, record);
            }
            last = last.max(base + begin + frames.offset as u64);
        }
        Ok(last)
    }
}

const LIMIT: usize = 10_000;
