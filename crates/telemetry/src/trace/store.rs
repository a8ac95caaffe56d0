//! The trace's database: its schema, what is written to it and what is deleted from it.

use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::time::{Duration, SystemTime};

use sqlx::sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Executor, SqliteConnection};

use super::entry::Entry;
use super::{Error, Store};
use crate::timestamp;

/// An open trace store.
pub(super) struct Database {
    connection: SqliteConnection,
    max_age: Duration,
    max_pages: i64,
}

impl Database {
    /// Opens the file, or creates it with mode 0600.
    pub(super) async fn open(store: &Store) -> Result<Self, Error> {
        let private = |cause| Error::File { path: store.path.clone(), cause };
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&store.path);
        file.and_then(|file| file.set_permissions(Permissions::from_mode(0o600))).map_err(private)?;
        let max_pages = i64::try_from(store.max_bytes / PAGE_BYTES).unwrap_or(i64::MAX).max(LEAST_PAGES);
        let mut connection = SqliteConnectOptions::new()
            .filename(&store.path)
            .page_size(u32::try_from(PAGE_BYTES).unwrap_or(u32::MAX))
            .auto_vacuum(SqliteAutoVacuum::Incremental)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Off) // a crash of the machine may cost the last records, nothing more
            .busy_timeout(Duration::from_secs(1))
            .pragma("max_page_count", max_pages.to_string())
            .pragma("journal_size_limit", "4194304")
            .disable_statement_logging()
            .connect()
            .await?;
        connection.execute(SCHEMA).await?;
        Ok(Self { connection, max_age: store.max_age, max_pages })
    }

    /// Stores a batch, all or nothing.
    pub(super) async fn insert(&mut self, batch: &[(SystemTime, Entry)]) -> Result<(), Error> {
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        let last: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = 'record'")
            .fetch_one(&mut *transaction)
            .await?;
        let rows = || batch.iter().zip(last + 1..);
        let records = json(rows().map(|((at, entry), row)| (row, timestamp::micros(*at), entry)));
        let mentions = json(rows().flat_map(|((_, entry), row)| {
            entry.keys().into_iter().map(move |(key, value)| (row, key.as_str(), value))
        }));
        sqlx::query(
            "INSERT INTO record (id, at, entry)
             SELECT value ->> 0, value ->> 1, value -> 2 FROM json_each(?)",
        )
        .bind(records)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "INSERT INTO mention (record, key, value)
             SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?)",
        )
        .bind(mentions)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Deletes what is too old and, where the file is nearly full, the oldest quarter; gives back the room.
    pub(super) async fn prune(&mut self, now: SystemTime) -> Result<(), Error> {
        let oldest = timestamp::micros(now.checked_sub(self.max_age).unwrap_or(SystemTime::UNIX_EPOCH));
        let expired: Option<i64> = sqlx::query_scalar("SELECT MAX(id) FROM record WHERE at < ?")
            .bind(oldest)
            .fetch_one(&mut self.connection)
            .await?;
        let mut end = expired;
        if self.used_pages().await? > self.max_pages / 10 * 8 {
            let quarter: Option<i64> = sqlx::query_scalar("SELECT MIN(id) + (MAX(id) - MIN(id)) / 4 FROM record")
                .fetch_one(&mut self.connection)
                .await?;
            end = end.max(quarter);
        }
        let Some(end) = end else { return Ok(()) };
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query("DELETE FROM mention WHERE record <= ?").bind(end).execute(&mut *transaction).await?;
        sqlx::query("DELETE FROM record WHERE id <= ?").bind(end).execute(&mut *transaction).await?;
        transaction.commit().await?;
        self.connection.execute("PRAGMA incremental_vacuum").await?;
        Ok(())
    }

    /// The file's size.
    pub(super) async fn bytes(&mut self) -> Result<i64, Error> {
        let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut self.connection).await?;
        Ok(pages.saturating_mul(PAGE_BYTES.cast_signed()))
    }

    async fn used_pages(&mut self) -> Result<i64, Error> {
        let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut self.connection).await?;
        let free: i64 = sqlx::query_scalar("PRAGMA freelist_count").fetch_one(&mut self.connection).await?;
        Ok(pages - free)
    }

    /// Closes the file; its write-ahead log is taken in.
    pub(super) async fn close(self) -> Result<(), Error> {
        Ok(self.connection.close().await?)
    }
}

/// A JSON array, which one statement turns into rows: one bind instead of thousands.
fn json(rows: impl Iterator<Item = impl serde::Serialize>) -> String {
    serde_json::to_string(&rows.collect::<Vec<_>>()).expect("its keys are strings and its values finite")
}

const PAGE_BYTES: u64 = 4_096;

/// A store smaller than this (256 KiB) holds no batch.
const LEAST_PAGES: i64 = 64;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS record (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    at    INTEGER NOT NULL, -- microseconds since 1970
    entry TEXT NOT NULL     -- JSON
);
CREATE INDEX IF NOT EXISTS record_at ON record (at);
CREATE TABLE IF NOT EXISTS mention (
    value  TEXT NOT NULL,
    key    TEXT NOT NULL, -- session, call or name
    record INTEGER NOT NULL,
    PRIMARY KEY (value, key, record)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS mention_record ON mention (record);
";
