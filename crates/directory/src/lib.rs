//! Accounts, bindings and derived credentials in one store that other servers read through views.
//!
//! Two files, both SQLite in rollback-journal mode: [`Directory`] holds accounts and the views that Prosody, ejabberd, Kamailio and Asterisk
//! read, also while no process of ours runs; [`State`] holds what only this process may know. Hot paths read a [`Snapshot`], never a file.

#![forbid(unsafe_code)]

mod account;
mod credential;
mod database;
mod directory;
mod error;
mod key;
mod snapshot;
mod state;

pub use account::{Account, NewAccount};
pub use credential::{Ha1, Password};
pub use database::{Access, Mode};
pub use directory::{Directory, ImportError, Refresh, View};
pub use error::DirectoryError;
pub use key::Key;
pub use snapshot::Snapshot;
pub use state::{Purpose, Restriction, SecretKey, Secrets, State};
