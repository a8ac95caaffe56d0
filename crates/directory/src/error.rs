//! What can go wrong with the stores, worded for an operator.

use std::io;
use std::path::PathBuf;

/// Says why a store could not be opened, read or changed. All of it is in the words: there is no `source`, which would be said again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// The URL names no store that can be opened.
    #[error("directory url {url:?}: {reason}")]
    Url {
        /// What was configured.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The file could not be made or reached.
    #[error("{}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// There is no such file, and the store was opened for reading.
    #[error("{}: there is no such file; it is made by the first `cusax serve` or `cusax account add`", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A change was asked of a store that can only be read.
    #[error("{} is read-only ({reason}): nothing was changed", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
        /// Why it cannot be written.
        reason: String,
    },
    /// The schema is older than this program's, and the file cannot be written.
    #[error("{} has schema version {found}, this program needs {needed}, and the file is opened read-only: open it once where it can be written", path.display())]
    Outdated {
        /// The file.
        path: PathBuf,
        /// Version in the file.
        found: i64,
        /// Version that this program brings.
        needed: i64,
    },
    /// The schema is newer than this program's.
    #[error("{} has schema version {found}, made by a newer cusax; this program knows versions up to {known}", path.display())]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Version in the file.
        found: i64,
        /// Newest version that this program knows.
        known: i64,
    },
    /// A value of the account cannot be what it is.
    #[error("{field}: {reason}")]
    Invalid {
        /// Which value.
        field: &'static str,
        /// What is wrong with it; never holds a password.
        reason: String,
    },
    /// Another account has it already.
    #[error("{value} already belongs to account {account}")]
    Taken {
        /// `sip:…`, `xmpp:…` or a number.
        value: String,
        /// The other account's id.
        account: i64,
    },
    /// Another account of the same list has it already.
    #[error("{value} is in the list already")]
    Repeated {
        /// `sip:…`, `xmpp:…` or a number.
        value: String,
        /// The other account's place in the list.
        first: usize,
    },
    /// No account answers to the key.
    #[error("there is no account {0:?}")]
    NoSuchAccount(String),
    /// A table that is bounded is full.
    #[error("room {room} has {limit} restrictions, which is all that it may have")]
    Full {
        /// The room.
        room: String,
        /// The bound.
        limit: i64,
    },
    /// The system gave no random bytes.
    #[error("no random bytes: {0}")]
    Random(String),
    /// SQLite refused, or a row is not what we store.
    #[error("{}: {cause}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What it said.
        cause: sqlx::Error,
    },
}
