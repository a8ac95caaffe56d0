//! The directory of accounts.

mod import;
mod rows;
mod views;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::Mutex;

use crate::account::{Account, NewAccount};
use crate::credential::{Credential, Ha1, Password, hex};
use crate::database::{Access, Database, Migrations, Mode};
use crate::error::DirectoryError;
use crate::key::Key;
use crate::snapshot::Snapshot;

pub use import::ImportError;
pub use views::View;

/// Holds accounts in a file that other servers read too, and a [`Snapshot`] of them for hot paths.
pub struct Directory {
    database: Database,
    writer: Mutex<SqliteConnection>,
    watch: Mutex<Watch>,
    snapshot: ArcSwap<Snapshot>,
    nobody: Ha1,
}

/// Says whether a refresh found anything new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// The snapshot was replaced.
    Refreshed,
    /// Nobody changed anything.
    Unchanged,
}

/// A connection that never writes: `PRAGMA data_version` changes on it with every commit of any other connection, ours or not.
struct Watch {
    connection: SqliteConnection,
    data_version: i64,
    file: FileId,
}

/// Device and inode.
type FileId = (u64, u64);

impl Directory {
    /// Opens the directory at `sqlite:PATH`, making and migrating it where `mode` allows, and reads the first snapshot.
    ///
    /// A file that cannot be written is served read-only: see [`Directory::access`].
    ///
    /// # Errors
    /// A URL of another kind, a file that cannot be read, a schema that this program does not know, or one too old in a file that cannot be written.
    pub async fn open(url: &str, mode: Mode) -> Result<Self, DirectoryError> {
        let path = sqlite_path(url)?;
        let (database, writer) = Database::open(path, mode, 0o640, MIGRATIONS).await?;
        let mut connection = database.connect().await?;
        let nobody = nobody()?;
        let file = file_id(&database)?;
        let data_version = data_version(&mut connection).await.map_err(|e| database.failed(e))?;
        let accounts = rows::load(&mut connection, None).await.map_err(|e| database.failed(e))?;
        Ok(Self {
            writer: Mutex::new(writer),
            watch: Mutex::new(Watch { connection, data_version, file }),
            snapshot: ArcSwap::from_pointee(Snapshot::new(accounts, nobody.clone())),
            nobody,
            database,
        })
    }

    /// What can be done with the file.
    #[must_use]
    pub const fn access(&self) -> &Access {
        &self.database.access
    }

    /// The accounts as of the last refresh; never waits.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Replaces the snapshot where this or any other process changed the file, or put another file in its place.
    ///
    /// # Errors
    /// The file cannot be read, or holds keys that are none; the last snapshot stays.
    pub async fn refresh(&self) -> Result<Refresh, DirectoryError> {
        let mut watch = self.watch.lock().await;
        let file = file_id(&self.database)?;
        if file != watch.file {
            let connection = self.database.connect().await?;
            *self.writer.lock().await = self.database.connect().await?;
            // No data version is negative, so the next lines load.
            *watch = Watch { connection, data_version: -1, file };
        }
        // Read before the accounts: what changes in between is found by the next refresh.
        let data_version = data_version(&mut watch.connection).await.map_err(|e| self.failed(e))?;
        if data_version == watch.data_version {
            return Ok(Refresh::Unchanged);
        }
        let accounts = rows::load(&mut watch.connection, None).await.map_err(|e| self.failed(e))?;
        self.snapshot.store(Arc::new(Snapshot::new(accounts, self.nobody.clone())));
        watch.data_version = data_version;
        Ok(Refresh::Refreshed)
    }

    /// Adds an account; the snapshot shows it after the next refresh.
    ///
    /// # Errors
    /// [`DirectoryError::Invalid`], [`DirectoryError::Taken`], [`DirectoryError::ReadOnly`], or the file fails.
    pub async fn add(&self, account: NewAccount) -> Result<Account, DirectoryError> {
        self.database.check_writable()?;
        let profile = account.profile()?;
        let credential = derive(profile.sip_user.clone(), profile.sip_domain.clone(), account.password).await?;
        let mut writer = self.writer.lock().await;
        let mut transaction = self.begin(&mut writer).await?;
        if let Some((value, account)) = rows::owner(&mut transaction, &profile).await.map_err(|e| self.failed(e))? {
            return Err(DirectoryError::Taken { value, account });
        }
        let id = rows::insert(&mut transaction, &profile).await.map_err(|e| self.failed(e))?;
        rows::store_credential(&mut transaction, id, &credential).await.map_err(|e| self.failed(e))?;
        let added = self.one(&mut transaction, &Key::Id(id)).await?;
        transaction.commit().await.map_err(|e| self.failed(e))?;
        Ok(added)
    }

    /// Every account by ascending id, disabled ones too, as the file has them now.
    ///
    /// # Errors
    /// The file cannot be read, or holds keys that are none.
    pub async fn list(&self) -> Result<Vec<Account>, DirectoryError> {
        rows::load(&mut *self.writer.lock().await, None).await.map_err(|e| self.failed(e))
    }

    /// One account, as the file has it now.
    ///
    /// # Errors
    /// [`DirectoryError::NoSuchAccount`], or the file fails.
    pub async fn show(&self, key: &Key) -> Result<Account, DirectoryError> {
        self.one(&mut *self.writer.lock().await, key).await
    }

    /// What the views of other servers show of an account, and how often the hash of its SCRAM keys is repeated.
    ///
    /// # Errors
    /// The file fails.
    pub async fn shown(&self, account: &Account) -> Result<(Vec<View>, u32), DirectoryError> {
        let connection = &mut *self.writer.lock().await;
        let views = views::of(connection, account).await.map_err(|e| self.failed(e))?;
        let iterations = rows::scram_iterations(connection, account.id).await.map_err(|e| self.failed(e))?;
        Ok((views, iterations))
    }

    /// Replaces every key of an account.
    ///
    /// # Errors
    /// [`DirectoryError::NoSuchAccount`], [`DirectoryError::ReadOnly`], or the file fails.
    pub async fn set_password(&self, key: &Key, password: Password) -> Result<Account, DirectoryError> {
        self.database.check_writable()?;
        let mut writer = self.writer.lock().await;
        let account = self.one(&mut writer, key).await?;
        // Outside the transaction, for it would keep other processes from reading; addresses of an account never change.
        let credential = derive(account.sip_user, account.sip_domain, password).await?;
        let mut transaction = self.begin(&mut writer).await?;
        let id = self.one(&mut transaction, &Key::Id(account.id)).await?.id;
        rows::store_credential(&mut transaction, id, &credential).await.map_err(|e| self.failed(e))?;
        let changed = self.one(&mut transaction, &Key::Id(id)).await?;
        transaction.commit().await.map_err(|e| self.failed(e))?;
        Ok(changed)
    }

    /// Removes an account with its numbers and keys, and returns what it was.
    ///
    /// # Errors
    /// [`DirectoryError::NoSuchAccount`], [`DirectoryError::ReadOnly`], or the file fails.
    pub async fn remove(&self, key: &Key) -> Result<Account, DirectoryError> {
        self.database.check_writable()?;
        let mut writer = self.writer.lock().await;
        let mut transaction = self.begin(&mut writer).await?;
        let removed = self.one(&mut transaction, key).await?;
        rows::delete(&mut transaction, removed.id).await.map_err(|e| self.failed(e))?;
        transaction.commit().await.map_err(|e| self.failed(e))?;
        Ok(removed)
    }

    async fn one(&self, connection: &mut SqliteConnection, key: &Key) -> Result<Account, DirectoryError> {
        let unknown = || DirectoryError::NoSuchAccount(key.to_string());
        let id = rows::id_of(connection, key).await.map_err(|e| self.failed(e))?.ok_or_else(unknown)?;
        rows::load(connection, Some(id)).await.map_err(|e| self.failed(e))?.pop().ok_or_else(unknown)
    }

    /// Takes the write lock at once: what is read in the transaction stays true until it is committed.
    async fn begin<'c>(
        &self,
        connection: &'c mut SqliteConnection,
    ) -> Result<sqlx::Transaction<'c, sqlx::Sqlite>, DirectoryError> {
        connection.begin_with("BEGIN IMMEDIATE").await.map_err(|e| self.failed(e))
    }

    fn failed(&self, cause: sqlx::Error) -> DirectoryError {
        self.database.failed(cause)
    }
}

/// Derives the keys under a new salt, off the threads that serve: PBKDF2 takes its time by design.
async fn derive(user: String, domain: String, password: Password) -> Result<Credential, DirectoryError> {
    let salt = random()?;
    let derived = tokio::task::spawn_blocking(move || Credential::derive(&user, &domain, &password, salt)).await;
    Ok(derived.expect("hashing does not panic"))
}

/// Keys of an account that is nobody's.
fn nobody() -> Result<Ha1, DirectoryError> {
    let random: [u8; 32] = random()?;
    Ok(Ha1::derive("nobody", "nowhere", &Password::new(&hex(&random))?))
}

fn random<const N: usize>() -> Result<[u8; N], DirectoryError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| DirectoryError::Random(error.to_string()))?;
    Ok(bytes)
}

/// The path in `sqlite:PATH`, `sqlite://PATH` (so `sqlite:///var/lib/cusax.db` is absolute).
fn sqlite_path(url: &str) -> Result<PathBuf, DirectoryError> {
    let refused = |reason| Err(DirectoryError::Url { url: without_password(url), reason });
    if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        return refused("this version keeps accounts in SQLite only; write \"sqlite:cusax.db\"");
    }
    let Some(path) = url.strip_prefix("sqlite:") else {
        return refused("does not begin with \"sqlite:\"");
    };
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() || path.starts_with(':') || path.contains('?') {
        return refused(
            "names no file: write \"sqlite:PATH\", without parameters; other servers cannot read a database in memory",
        );
    }
    Ok(PathBuf::from(path))
}

/// The URL without what stands before its `@`.
fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
        _ => url.to_owned(),
    }
}

fn file_id(database: &Database) -> Result<FileId, DirectoryError> {
    let metadata =
        fs::metadata(&database.path).map_err(|cause| DirectoryError::File { path: database.path.clone(), cause })?;
    Ok((metadata.dev(), metadata.ino()))
}

async fn data_version(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("PRAGMA data_version").fetch_one(connection).await
}

const MIGRATIONS: Migrations = &[
    include_str!("../migrations/directory/0001_accounts.sql"),
    include_str!("../migrations/directory/0002_views.sql"),
];
