//! The trace store: what happened to whom, in clear, in a private and bounded folder.
//!
//! It resolves the pseudonyms of the log: every SIP message's first line, every stanza's summary, every decision, with the
//! identifiers that apply. Bodies and secrets never come in. [`find`] gives the whole story of a
//! Session-ID, Call-ID, SIP address, JID, number or room, and [`ladder`] draws it.
//!
//! It is left on at full load: whoever emits an event copies a few hundred bytes, one thread appends what has gathered to
//! a file, and there is no index. Whoever asks reads it all, which takes a second at most.

mod entry;
mod fields;
mod ladder;
mod record;
mod search;
mod segment;
mod store;
mod writer;

use std::path::PathBuf;
use std::time::Duration;

pub use entry::{Entry, Lane, Record};
pub use ladder::ladder;
pub use search::{Story, find};
pub(crate) use writer::{Queue, start};

/// Where the trace store is, and its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The folder, created with mode 0700; nothing else may be in it. A database that an older version left there, or
    /// beside it with `.db` at the end, is deleted.
    pub path: PathBuf,
    /// Older records are deleted, and with them those of the sixteenth of this time that they are of.
    pub max_age: Duration,
    /// The oldest sixteenth is deleted before the folder outgrows this; it is at least 4 MiB.
    pub max_bytes: u64,
}

impl Store {
    /// A store of at most a day and 512 MiB.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), max_age: Duration::from_secs(24 * 3_600), max_bytes: 512 << 20 }
    }
}

/// Why the trace store could not be used. All of it is in the words: there is no `source`, which would be said again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder is not there, or something in it cannot be read or written.
    #[error("{}: {cause}", path.display())]
    File {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The folder has something else in it.
    #[error("{} is no trace store: {} is in it", path.display(), stranger.display())]
    Stranger {
        /// The folder.
        path: PathBuf,
        /// What is in it.
        stranger: PathBuf,
    },
    /// Another process writes it.
    #[error("{}: another process writes this trace store", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
}
