//! The trace store: what happened to whom, in clear, in a private and bounded file.
//!
//! It resolves the pseudonyms of the log: every SIP message's first line, every stanza's summary, every decision, with the
//! identifiers that apply. Bodies and secrets never come in. [`find`] gives the whole story of a
//! Session-ID, Call-ID, SIP address, JID, number or room, and [`ladder`] draws it.

mod entry;
mod ladder;
mod search;
mod store;
mod writer;

use std::path::PathBuf;
use std::time::Duration;

pub use entry::{Entry, Lane, Record};
pub use ladder::ladder;
pub use search::{find, find_after};
pub(crate) use writer::{Queue, Writer};

/// Where the trace store is, and its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The file, created with mode 0600.
    pub path: PathBuf,
    /// Older records are deleted.
    pub max_age: Duration,
    /// The oldest records are deleted before the file outgrows this; its write-ahead log comes on top (a few MiB).
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
    /// The file is not there or may not be opened.
    #[error("{}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The database refused.
    #[error("trace store: {0}")]
    Database(sqlx::Error),
}

impl From<sqlx::Error> for Error {
    fn from(cause: sqlx::Error) -> Self {
        Self::Database(cause)
    }
}
