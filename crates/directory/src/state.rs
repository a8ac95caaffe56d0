//! What this process must remember over a restart and no other server may read: `cusax-state.db`.

use std::path::PathBuf;

use sqlx::{Connection, SqliteConnection};
use tokio::sync::Mutex;

use crate::database::{Access, Database, Migrations, Mode};
use crate::error::DirectoryError;

/// Holds secret keys and the restrictions that moderators put on people in rooms.
pub struct State {
    database: Database,
    connection: Mutex<SqliteConnection>,
}

/// Says what a secret key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// Digest nonces.
    Nonce,
    /// Via branches.
    Branch,
    /// Flow tokens in Path, Record-Route and Contact.
    FlowToken,
    /// Session-ID UUIDs of endpoints that send none.
    SessionNamespace,
    /// Pseudonyms of identities in logs.
    Pseudonym,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 5] = [Self::Nonce, Self::Branch, Self::FlowToken, Self::SessionNamespace, Self::Pseudonym];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Nonce => "nonce",
            Self::Branch => "branch",
            Self::FlowToken => "flow-token",
            Self::SessionNamespace => "session-namespace",
            Self::Pseudonym => "pseudonym",
        }
    }
}

/// Holds 256 secret bits; it cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey([u8; 32]);

impl SecretKey {
    /// Takes bytes from a random source.
    #[must_use]
    pub const fn new(random: [u8; 32]) -> Self {
        Self(random)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Holds two generations of one key: what `current` makes, both verify.
#[derive(Clone)]
pub struct Secrets {
    /// Makes and verifies.
    pub current: SecretKey,
    /// Verifies only.
    pub previous: Option<SecretKey>,
}

/// Says how somebody is restricted in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Restriction {
    /// May not come in.
    Ban,
    /// May listen, not speak.
    Mute,
}

impl Restriction {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ban => "ban",
            Self::Mute => "mute",
        }
    }
}

impl State {
    /// Opens the file, making it (mode 0600) where it is missing.
    ///
    /// # Errors
    /// The file cannot be read, or made, or has a schema that this program does not know.
    pub async fn open(path: PathBuf) -> Result<Self, DirectoryError> {
        let (database, connection) = Database::open(path, Mode::ReadWrite, 0o600, MIGRATIONS).await?;
        Ok(Self { database, connection: Mutex::new(connection) })
    }

    /// What can be done with the file.
    #[must_use]
    pub const fn access(&self) -> &Access {
        &self.database.access
    }

    /// The keys of a purpose; `fresh` becomes the current one where the file has none yet.
    ///
    /// # Errors
    /// The file fails, or there is no key and it cannot be written.
    pub async fn secrets(&self, purpose: Purpose, fresh: SecretKey) -> Result<Secrets, DirectoryError> {
        let mut connection = self.connection.lock().await;
        if self.database.check_writable().is_ok() {
            // Of two processes that start together, one inserts and both read the same.
            sqlx::query("INSERT OR IGNORE INTO secret (purpose, current) VALUES (?, ?)")
                .bind(purpose.as_str())
                .bind(fresh.as_bytes().as_slice())
                .execute(&mut *connection)
                .await
                .map_err(|e| self.database.failed(e))?;
        }
        let row: Option<(Vec<u8>, Option<Vec<u8>>)> =
            sqlx::query_as("SELECT current, previous FROM secret WHERE purpose = ?")
                .bind(purpose.as_str())
                .fetch_optional(&mut *connection)
                .await
                .map_err(|e| self.database.failed(e))?;
        let Some((current, previous)) = row else {
            self.database.check_writable()?;
            return Err(self.database.failed(sqlx::Error::RowNotFound));
        };
        Ok(Secrets { current: self.key(current)?, previous: previous.map(|bytes| self.key(bytes)).transpose()? })
    }

    /// Makes `fresh` the current key of a purpose and the current one the previous; what the previous one made is no longer verified.
    ///
    /// # Errors
    /// The file fails or cannot be written.
    pub async fn rotate(&self, purpose: Purpose, fresh: SecretKey) -> Result<Secrets, DirectoryError> {
        self.database.check_writable()?;
        sqlx::query(
            "INSERT INTO secret (purpose, current) VALUES (?, ?) \
             ON CONFLICT (purpose) DO UPDATE SET previous = current, current = excluded.current",
        )
        .bind(purpose.as_str())
        .bind(fresh.as_bytes().as_slice())
        .execute(&mut *self.connection.lock().await)
        .await
        .map_err(|e| self.database.failed(e))?;
        self.secrets(purpose, fresh).await
    }

    /// Remembers a restriction; doing so twice is doing so once.
    ///
    /// # Errors
    /// [`DirectoryError::Full`] beyond 10,000 restrictions of a room; the file fails or cannot be written.
    pub async fn restrict(&self, room: &str, jid: &str, kind: Restriction) -> Result<(), DirectoryError> {
        self.database.check_writable()?;
        let mut connection = self.connection.lock().await;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(|e| self.database.failed(e))?;
        let others: i64 =
            sqlx::query_scalar("SELECT count(*) FROM restriction WHERE room = ?1 AND NOT (jid = ?2 AND kind = ?3)")
                .bind(room)
                .bind(jid)
                .bind(kind.as_str())
                .fetch_one(&mut *transaction)
                .await
                .map_err(|e| self.database.failed(e))?;
        if others >= MAX_RESTRICTIONS_PER_ROOM {
            return Err(DirectoryError::Full { room: room.to_owned(), limit: MAX_RESTRICTIONS_PER_ROOM });
        }
        sqlx::query("INSERT OR IGNORE INTO restriction (room, jid, kind) VALUES (?, ?, ?)")
            .bind(room)
            .bind(jid)
            .bind(kind.as_str())
            .execute(&mut *transaction)
            .await
            .map_err(|e| self.database.failed(e))?;
        transaction.commit().await.map_err(|e| self.database.failed(e))
    }

    /// Forgets a restriction; `jid` of `None` forgets that kind for the whole room.
    ///
    /// # Errors
    /// The file fails or cannot be written.
    pub async fn lift(&self, room: &str, jid: Option<&str>, kind: Restriction) -> Result<(), DirectoryError> {
        self.database.check_writable()?;
        sqlx::query("DELETE FROM restriction WHERE room = ?1 AND (?2 IS NULL OR jid = ?2) AND kind = ?3")
            .bind(room)
            .bind(jid)
            .bind(kind.as_str())
            .execute(&mut *self.connection.lock().await)
            .await
            .map_err(|e| self.database.failed(e))?;
        Ok(())
    }

    /// All restrictions, as (room, bare JID, kind), ascending.
    ///
    /// # Errors
    /// The file fails.
    pub async fn restrictions(&self) -> Result<Vec<(String, String, Restriction)>, DirectoryError> {
        let rows: Vec<(String, String, String)> =
            sqlx::query_as("SELECT room, jid, kind FROM restriction ORDER BY room, jid, kind")
                .fetch_all(&mut *self.connection.lock().await)
                .await
                .map_err(|e| self.database.failed(e))?;
        let kind =
            |stored: &str| if stored == Restriction::Ban.as_str() { Restriction::Ban } else { Restriction::Mute };
        Ok(rows.into_iter().map(|(room, jid, stored)| (room, jid, kind(&stored))).collect())
    }

    fn key(&self, stored: Vec<u8>) -> Result<SecretKey, DirectoryError> {
        let key = <[u8; 32]>::try_from(stored)
            .map_err(|bytes| sqlx::Error::Decode(format!("a secret key of {} bytes, not 32", bytes.len()).into()));
        key.map(SecretKey).map_err(|e| self.database.failed(e))
    }
}

/// Far beyond what a room's moderators do by hand.
const MAX_RESTRICTIONS_PER_ROOM: i64 = 10_000;

const MIGRATIONS: Migrations = &[include_str!("../migrations/state/0001_state.sql")];
