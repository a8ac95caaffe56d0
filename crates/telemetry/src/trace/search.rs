//! Finding the whole story of an identifier, by reading all that there is: nothing is spent on an index while calls run.

use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use cusax_event::SessionId;

use super::Error;
use super::entry::{Record, is_named};
use super::fields::{self, Tag, is_name};
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
    /// The sessions and calls that have to do with what is sought.
    sessions: HashSet<Box<[u8]>>,
    calls: HashSet<Box<[u8]>>,
    /// The place up to which the store was read.
    read: u64,
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
        Self { folder: path.into(), sought, sessions: HashSet::new(), calls: HashSet::new(), read: 0 }
    }

    /// What is new in it since it was last read, the first time all. Newest 10,000, in the order of time.
    ///
    /// # Errors
    /// As [`find`].
    pub fn read(&mut self) -> Result<Vec<Record>, Error> {
        let failed = |cause| Error::File { path: self.folder.clone(), cause };
        let new = New::open(&self.folder, self.read).map_err(failed)?;
        let mut found = VecDeque::new();
        // First what leads to sessions and calls, then all that is theirs, which may have come before.
        let (mut sessions, mut calls) = (std::mem::take(&mut self.sessions), std::mem::take(&mut self.calls));
        let end = new.each(u64::MAX, |_, record| {
            if self.is_sought(record) {
                for (tag, value) in threads(record) {
                    if tag == Tag::CallId { &mut calls } else { &mut sessions }.insert(value.into());
                }
            }
        });
        (self.sessions, self.calls) = (sessions, calls);
        self.read = end.map_err(failed)?;
        new.each(self.read, |place, record| {
            if self.is_of_thread(record) || self.is_sought(record) {
                found.push_back((place, record.to_vec()));
                if found.len() > LIMIT {
                    found.pop_front();
                }
            }
        })
        .map_err(failed)?;
        let row = |place| i64::try_from(place).unwrap_or(i64::MAX);
        let mut records: Vec<_> =
            found.iter().filter_map(|(place, record)| Record::read(row(*place), record)).collect();
        records.sort_by_key(|record| (record.at, record.row));
        Ok(records)
    }

    fn is_sought(&self, record: &[u8]) -> bool {
        let Some((.., mut fields)) = fields::read(record) else { return false };
        fields.any(|(tag, value)| self.sought.iter().any(|sought| sought.is(tag, value)))
    }

    fn is_of_thread(&self, record: &[u8]) -> bool {
        threads(record)
            .any(|(tag, value)| if tag == Tag::CallId { &self.calls } else { &self.sessions }.contains(value))
    }
}

/// The sessions and the call that a record is of.
fn threads(record: &[u8]) -> impl Iterator<Item = (Tag, &[u8])> {
    let fields = fields::read(record).map(|(.., fields)| fields);
    fields.into_iter().flatten().filter(|(tag, _)| matches!(tag, Tag::Session | Tag::RemoteSession | Tag::CallId))
}

impl Sought {
    fn new(id: &str) -> Self {
        // The session's half that it may be: `0123…`, `01234567-89ab-…` or `0123…;remote=…`.
        let half = id.split(';').next().unwrap_or_default();
        let digits = half.trim().chars().filter(|c| *c != '-').collect::<String>().to_ascii_lowercase();
        let session = digits.parse().ok().map(SessionId::bytes);
        Self { session, call: id.trim().as_bytes().to_vec(), name: canonical(id) }
    }

    fn is(&self, tag: Tag, value: &[u8]) -> bool {
        match tag {
            Tag::Session | Tag::RemoteSession => self.session.is_some_and(|session| session == *value),
            Tag::CallId => !value.is_empty() && self.call == value,
            tag if is_name(tag) => self.is_name(value),
            _ => false,
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
