//! `[directory]`: where accounts and our own state are kept.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::{Bad, text_value};

/// The files and databases of accounts and state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Directory {
    /// Accounts and the views that other servers read: "sqlite:FILE" (or, in a later version, "postgres://…").
    pub(crate) url: StoreUrl,
    /// Our own state: bans, keys, sightings. A file that only cusax reads.
    pub(crate) state: PathBuf,
}

impl Default for Directory {
    fn default() -> Self {
        Self { url: StoreUrl::Sqlite("cusax.db".into()), state: "cusax-state.db".into() }
    }
}

/// The database that holds the accounts.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum StoreUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL URL; it may hold a password and is therefore never printed.
    Postgres(String),
}

impl StoreUrl {
    /// The file, where it is one.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(file) => Some(file),
            Self::Postgres(_) => None,
        }
    }
}

impl FromStr for StoreUrl {
    type Err = Bad;

    fn from_str(text: &str) -> Result<Self, Bad> {
        let advice = "write \"sqlite:\" and a file, such as \"sqlite:cusax.db\"";
        if let Some(file) = text.strip_prefix("sqlite:") {
            let file = file.strip_prefix("//").unwrap_or(file);
            if file.contains(":memory:") {
                return Err(Bad::new("a directory in memory can be read by nobody else", advice));
            }
            if file.is_empty() || file.contains(['?', '#']) {
                return Err(Bad::new(format!("{text:?} names no file"), advice));
            }
            return Ok(Self::Sqlite(file.into()));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        // The text may be a URL with a password in it.
        Err(Bad::new("this is no database that cusax knows", advice))
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(file) => write!(f, "sqlite:{}", file.display()),
            Self::Postgres(_) => f.write_str("postgres://…"),
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

text_value!(StoreUrl, "a database", "sqlite:cusax.db");
