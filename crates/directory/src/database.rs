//! One SQLite file: made, brought to its schema, and known to be writable or not.

use std::fs;
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{Connection, SqliteConnection};

use crate::error::DirectoryError;

/// Says what the caller means to do with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Make the file where it is missing, bring its schema up to date, change accounts. Falls back to reading where writing is impossible.
    ReadWrite,
    /// Touch nothing.
    ReadOnly,
}

/// Says what can be done with a store that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everything.
    ReadWrite,
    /// Reading only.
    ReadOnly {
        /// Why, in words for the log.
        reason: String,
    },
}

/// Statements that bring a schema from each version to the next.
pub(crate) type Migrations = &'static [&'static str];

/// A file that was opened, and what may be done with it.
pub(crate) struct Database {
    pub(crate) path: PathBuf,
    pub(crate) access: Access,
}

impl Database {
    /// Opens a file, making it with `permissions` where it is missing and may be made.
    pub(crate) async fn open(
        path: PathBuf,
        mode: Mode,
        permissions: u32,
        migrations: Migrations,
    ) -> Result<(Self, SqliteConnection), DirectoryError> {
        match mode {
            Mode::ReadWrite => create(&path, permissions)?,
            Mode::ReadOnly if !path.exists() => return Err(DirectoryError::Missing { path }),
            Mode::ReadOnly => {}
        }
        let mut database = Self { path, access: Access::ReadWrite };
        if mode == Mode::ReadOnly {
            database.access = Access::ReadOnly { reason: "opened for reading".to_owned() };
        }
        let mut connection = database.connect().await?;
        if mode == Mode::ReadWrite
            && let Err(error) = database.migrate(&mut connection, migrations).await
        {
            let Some(reason) = cannot_write(&error) else { return Err(database.failed(error)) };
            database.access = Access::ReadOnly { reason };
        }
        let known = version_of(migrations);
        let found = version(&mut connection).await.map_err(|e| database.failed(e))?;
        if found > known {
            return Err(DirectoryError::TooNew { path: database.path, found, known });
        }
        if found < known {
            return Err(DirectoryError::Outdated { path: database.path, found, needed: known });
        }
        Ok((database, connection))
    }

    /// Opens one more connection with the access that the first one found.
    pub(crate) async fn connect(&self) -> Result<SqliteConnection, DirectoryError> {
        let options = SqliteConnectOptions::new()
            .filename(&self.path)
            // Keys of a removed account shall not stay readable in free pages.
            .pragma("secure_delete", "ON");
        let options = match self.access {
            // Servers under another uid read the file while we are stopped: a write-ahead log would need them to write.
            Access::ReadWrite => options.journal_mode(SqliteJournalMode::Delete),
            Access::ReadOnly { .. } => options.read_only(true),
        };
        SqliteConnection::connect_with(&options).await.map_err(|e| self.failed(e))
    }

    /// Refuses a change early, with the reason found at opening.
    pub(crate) fn check_writable(&self) -> Result<(), DirectoryError> {
        match &self.access {
            Access::ReadWrite => Ok(()),
            Access::ReadOnly { reason } => {
                Err(DirectoryError::ReadOnly { path: self.path.clone(), reason: reason.clone() })
            }
        }
    }

    /// Names the file in an error, and tells a file that stopped being writable from other failures.
    pub(crate) fn failed(&self, cause: sqlx::Error) -> DirectoryError {
        let path = self.path.clone();
        match cannot_write(&cause) {
            Some(reason) => DirectoryError::ReadOnly { path, reason },
            None => DirectoryError::Database { path, cause },
        }
    }

    /// Applies what is missing in one transaction; proves on the way that the file can be written, without changing it.
    async fn migrate(&self, connection: &mut SqliteConnection, migrations: Migrations) -> Result<(), sqlx::Error> {
        // Immediate: of two processes that start together, one migrates and the other finds it done.
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        let found = version(&mut transaction).await?;
        if found >= version_of(migrations) {
            // A real change, for SQLite opens no journal for one that changes no byte.
            sqlx::raw_sql("UPDATE cusax_schema SET version = version + 1").execute(&mut *transaction).await?;
            return transaction.rollback().await;
        }
        for (step, statements) in (1_i64..).zip(migrations) {
            if step > found {
                sqlx::raw_sql(statements).execute(&mut *transaction).await?;
            }
        }
        sqlx::raw_sql("CREATE TABLE IF NOT EXISTS cusax_schema (version INTEGER NOT NULL); DELETE FROM cusax_schema;")
            .execute(&mut *transaction)
            .await?;
        sqlx::query("INSERT INTO cusax_schema (version) VALUES (?)")
            .bind(version_of(migrations))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await
    }
}

/// Makes an empty file where there is none. The mode is set besides, for the process' umask may ask for less than other servers need.
fn create(path: &Path, permissions: u32) -> Result<(), DirectoryError> {
    let failed = |cause| DirectoryError::File { path: path.to_owned(), cause };
    match fs::OpenOptions::new().write(true).create_new(true).mode(permissions).open(path) {
        Ok(file) => file.set_permissions(fs::Permissions::from_mode(permissions)).map_err(failed),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // A directory that cannot be written: fine where the file is there.
        Err(_) if path.exists() => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

fn version_of(migrations: Migrations) -> i64 {
    i64::try_from(migrations.len()).unwrap_or(i64::MAX)
}

/// The version in the file; 0 before the first migration.
async fn version(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'cusax_schema'")
            .fetch_one(&mut *connection)
            .await?;
    if tables == 0 {
        return Ok(0);
    }
    sqlx::query_scalar("SELECT max(version) FROM cusax_schema").fetch_one(connection).await
}

/// The reason, where SQLite says that the file, its directory or its file system takes no writes.
fn cannot_write(error: &sqlx::Error) -> Option<String> {
    let error = error.as_database_error()?;
    let primary = error.code()?.parse::<u32>().ok()? & 0xff;
    (primary == READONLY || primary == CANTOPEN).then(|| error.message().to_owned())
}

/// SQLITE_READONLY.
const READONLY: u32 = 8;
/// SQLITE_CANTOPEN: here the journal, in a directory that cannot be written, for the file itself is open.
const CANTOPEN: u32 = 14;
