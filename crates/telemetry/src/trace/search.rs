//! Finding the whole story of an identifier.

use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Row};

use super::Error;
use super::entry::Record;
use crate::identities::canonical;
use crate::timestamp;

/// Finds all records of the sessions and calls that have to do with `id`: a Session-ID (with or without dashes, or as the
/// header's value), a Call-ID, a SIP or tel URI, a JID, a number or a room. Newest 10,000, in the order of time.
///
/// # Errors
/// [`Error::File`] where there is no store, [`Error::Database`] where it cannot be read.
pub async fn find(path: &Path, id: &str) -> Result<Vec<Record>, Error> {
    find_after(path, id, 0).await
}

/// As [`find`], only records after `row`: to follow a story, ask again with the greatest row seen.
///
/// # Errors
/// As [`find`].
pub async fn find_after(path: &Path, id: &str, row: i64) -> Result<Vec<Record>, Error> {
    if let Err(cause) = std::fs::File::open(path) {
        return Err(Error::File { path: path.to_owned(), cause });
    }
    let options = SqliteConnectOptions::new().filename(path).read_only(true).disable_statement_logging();
    let mut connection = options.connect().await?;
    let rows = sqlx::query(STORY)
        .bind(session(id))
        .bind(id.trim())
        .bind(canonical(id))
        .bind(row)
        .bind(LIMIT)
        .fetch_all(&mut connection)
        .await?;
    connection.close().await?;
    let mut records = Vec::with_capacity(rows.len());
    for row in rows {
        let entry: String = row.try_get("entry")?;
        let entry = serde_json::from_str(&entry).map_err(|error| sqlx::Error::Decode(error.into()))?;
        records.push(Record { row: row.try_get("id")?, at: timestamp::from_micros(row.try_get("at")?), entry });
    }
    records.sort_by_key(|record| (record.at, record.row));
    Ok(records)
}

/// The session's half that `id` may be: `0123…`, `01234567-89ab-…` or `0123…;remote=…`.
fn session(id: &str) -> String {
    let half = id.split(';').next().unwrap_or_default();
    half.trim().chars().filter(|c| *c != '-').collect::<String>().to_ascii_lowercase()
}

const LIMIT: i64 = 10_000;

const STORY: &str = "
WITH hit(record) AS (
    SELECT record FROM mention WHERE key = 'session' AND value = ?1
    UNION SELECT record FROM mention WHERE key = 'call' AND value = ?2
    UNION SELECT record FROM mention WHERE key = 'name' AND value = ?3
), thread(key, value) AS (
    SELECT DISTINCT key, value FROM mention WHERE record IN (SELECT record FROM hit) AND key IN ('session', 'call')
), story(record) AS (
    SELECT record FROM hit
    UNION SELECT mention.record FROM thread JOIN mention ON mention.value = thread.value AND mention.key = thread.key
)
SELECT id, at, entry FROM record WHERE id IN (SELECT record FROM story) AND id > ?4 ORDER BY id DESC LIMIT ?5
";
