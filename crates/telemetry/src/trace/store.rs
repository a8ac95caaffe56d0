//! The folder of the trace: segments, of which the newest is written and the oldest are deleted.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::segment::{self, Frames, Segment};
use super::{Error, Store};
use crate::timestamp;

/// An open trace store, which this process alone writes.
pub(super) struct Log {
    store: Store,
    /// Held open, for it is locked.
    _folder: File,
    /// The oldest first; the last is the one that is written.
    segments: Vec<Kept>,
    last: Option<File>,
    /// The place after the last record: it only grows.
    end: u64,
    /// Bytes of a whole segment.
    segment_bytes: u64,
}

struct Kept {
    segment: Segment,
    /// Microseconds since 1970.
    begun: i64,
    bytes: u64,
}

/// Locks a folder. A process that was just forked shares its parent's locks until it runs its own program, and one that is
/// ending holds them a moment longer: they are waited for, in the writer's own thread.
#[expect(clippy::disallowed_methods, reason = "a lock that is let go tells nobody who will not wait for it for ever")]
fn lock(folder: &File) -> Result<(), TryLockError> {
    for _ in 0..LOCK_TRIES {
        match folder.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            locked => return locked,
        }
    }
    folder.try_lock()
}

const LOCK_TRIES: u32 = 25;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

impl Log {
    /// Opens the folder, or makes it with mode 0700; goes on where the last writer ended.
    pub(super) fn open(store: &Store) -> Result<Self, Error> {
        let failed = |cause| Error::File { path: store.path.clone(), cause };
        for path in [&store.path, &with(&store.path, ".db")] {
            remove_old_database(path).map_err(failed)?;
        }
        DirBuilder::new().recursive(false).mode(0o700).create(&store.path).or_else(exists).map_err(failed)?;
        let folder = File::open(&store.path).map_err(failed)?;
        lock(&folder).map_err(|error| match error {
            TryLockError::WouldBlock => Error::InUse { path: store.path.clone() },
            TryLockError::Error(cause) => failed(cause),
        })?;
        let (segments, stranger) = Segment::all(&store.path).map_err(failed)?;
        if let Some(stranger) = stranger {
            return Err(Error::Stranger { path: store.path.clone(), stranger });
        }
        folder.set_permissions(Permissions::from_mode(0o700)).map_err(failed)?;
        let segment_bytes = store.max_bytes.max(LEAST_BYTES) / SEGMENTS;
        let (store, _folder) = (store.clone(), folder);
        let mut log = Self { store, _folder, segments: Vec::new(), last: None, end: 0, segment_bytes };
        for segment in segments {
            log.keep(segment).map_err(failed)?;
        }
        log.resume().map_err(failed)?;
        Ok(log)
    }

    /// Takes up a segment that is there; one that was never begun right is nothing to keep.
    fn keep(&mut self, segment: Segment) -> io::Result<()> {
        match segment.begun()? {
            Some(begun) => {
                let bytes = fs::metadata(&segment.path)?.len();
                self.segments.push(Kept { segment, begun, bytes });
                Ok(())
            }
            None => fs::remove_file(&segment.path),
        }
    }

    /// Goes on after the last whole record.
    fn resume(&mut self) -> io::Result<()> {
        let Some(last) = self.segments.last_mut() else { return Ok(()) };
        let file = OpenOptions::new().read(true).append(true).open(&last.segment.path)?;
        let mut bytes = Vec::new();
        let begin = segment::read(&file, 0, last.bytes, &mut bytes)?;
        let mut frames = Frames::new(&bytes);
        frames.by_ref().for_each(drop);
        last.bytes = begin + frames.offset as u64;
        file.set_len(last.bytes)?;
        self.end = last.segment.base + last.bytes;
        self.last = Some(file);
        Ok(())
    }

    /// Appends whole frames, and counts in `written` the records that came to the file.
    pub(super) fn append(&mut self, now: SystemTime, mut frames: &[u8], written: &mut u64) -> Result<(), Error> {
        self.prune(now)?;
        while !frames.is_empty() {
            let last = self.segments.last().filter(|_| self.last.is_some());
            let room = last.map_or(0, |last| self.segment_bytes.saturating_sub(last.bytes));
            let (records, length) = fitting(frames, room);
            if length == 0 {
                self.begin(now)?;
                continue;
            }
            let (piece, rest) = frames.split_at(length);
            self.write(piece).map_err(|cause| self.failed(cause))?;
            *written += records;
            frames = rest;
        }
        Ok(())
    }

    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        let (Some(kept), Some(file)) = (self.segments.last_mut(), &mut self.last) else { return Ok(()) };
        if let Err(cause) = file.write_all(piece) {
            // What came of it must not be between this and the next.
            if file.set_len(kept.bytes).is_err() {
                self.last = None;
            }
            return Err(cause);
        }
        kept.bytes += piece.len() as u64;
        self.end += piece.len() as u64;
        Ok(())
    }

    /// Begins a segment, after room was made for all of it.
    fn begin(&mut self, now: SystemTime) -> Result<(), Error> {
        let limit = self.store.max_bytes.max(LEAST_BYTES) - self.segment_bytes;
        while self.bytes() > limit {
            self.delete_oldest()?;
        }
        self.last = None;
        let (segment, begun) = (Segment::at(&self.store.path, self.end), timestamp::micros(now));
        self.last = Some(segment.create(begun).map_err(|cause| self.failed(cause))?);
        let bytes = segment::HEAD as u64;
        self.end += bytes;
        self.segments.push(Kept { segment, begun, bytes });
        Ok(())
    }

    /// Deletes what is too old, and closes a segment that has been written for long enough: it is deleted as a whole.
    pub(super) fn prune(&mut self, now: SystemTime) -> Result<(), Error> {
        let age = |kept: &Kept| now.duration_since(timestamp::from_micros(kept.begun)).unwrap_or(Duration::ZERO);
        let max_age = self.store.max_age;
        if self.segments.last().is_some_and(|last| age(last) > max_age / SPANS) {
            self.last = None;
        }
        while self.segments.first().is_some_and(|first| age(first) > max_age) {
            self.delete_oldest()?;
        }
        Ok(())
    }

    fn delete_oldest(&mut self) -> Result<(), Error> {
        if let Some(oldest) = self.segments.first() {
            remove(&oldest.segment.path).map_err(|cause| self.failed(cause))?;
            self.segments.remove(0);
        }
        Ok(())
    }

    /// The size of all segments.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|kept| kept.bytes).sum()
    }

    fn failed(&self, cause: io::Error) -> Error {
        Error::File { path: self.store.path.clone(), cause }
    }
}

/// How many frames fit into so much room, and their length.
fn fitting(frames: &[u8], room: u64) -> (u64, usize) {
    let lengths = segment::ends(frames).take_while(|end| *end as u64 <= room);
    lengths.fold((0, 0), |(records, _), end| (records + 1, end))
}

fn exists(cause: io::Error) -> io::Result<()> {
    if cause.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(cause) }
}

/// Removes what the first versions kept here: a database of clear values, which nobody would delete any more. Any other
/// file stays.
fn remove_old_database(path: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(path).is_ok_and(|found| found.is_file()) {
        return Ok(());
    }
    let mut first_page = Vec::new();
    File::open(path)?.take(4_096).read_to_end(&mut first_page)?;
    let has = |text: &[u8]| first_page.windows(text.len()).any(|window| window == text);
    if !first_page.starts_with(b"SQLite format 3\0") || !has(b"CREATE TABLE mention") {
        return Ok(());
    }
    fs::remove_file(path)?;
    ["-wal", "-shm"].iter().try_for_each(|suffix| remove(&with(path, suffix)))
}

/// A path with something at the end of its name.
fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// Removes a file that may be gone already.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A store is so many segments: the part of it that is deleted at once.
const SEGMENTS: u64 = 16;

/// A segment holds so much of the time that records are kept.
const SPANS: u32 = 16;

/// A store that is meant to be smaller has this size: a segment of it (256 KiB) takes the largest record.
const LEAST_BYTES: u64 = 4 << 20;
