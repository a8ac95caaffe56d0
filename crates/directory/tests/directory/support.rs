//! What the tests of this crate share.

use std::path::{Path, PathBuf};

use cusax_directory::{Directory, Mode, NewAccount, Password};
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;

/// The path of a file of that name in a directory of the test's own, which goes with the first value.
pub(crate) fn place(name: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    (directory, path)
}

/// Opens, and makes, the directory at a path.
pub(crate) async fn open(path: &Path) -> Directory {
    Directory::open(&url(path), Mode::ReadWrite).await.unwrap()
}

/// The directory's URL for a path.
pub(crate) fn url(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

/// An account `name` of example.com on both sides.
pub(crate) fn account(name: &str, password: &str) -> NewAccount {
    NewAccount {
        sip_user: name.to_owned(),
        sip_domain: "example.com".to_owned(),
        xmpp_user: name.to_owned(),
        xmpp_domain: "example.com".to_owned(),
        display_name: None,
        numbers: Vec::new(),
        language: None,
        password: Password::new(password).unwrap(),
    }
}

/// A connection as another server opens one.
pub(crate) async fn sql(path: &Path) -> SqliteConnection {
    SqliteConnection::connect(&url(path)).await.unwrap()
}
