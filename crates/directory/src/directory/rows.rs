//! The statements on accounts, numbers and credentials.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use crate::account::{Account, Profile, xmpp_domain, xmpp_user};
use crate::credential::{Credential, Ha1};
use crate::key::Key;

/// All accounts, or one, by ascending id.
pub(super) async fn load(connection: &mut SqliteConnection, id: Option<i64>) -> Result<Vec<Account>, sqlx::Error> {
    sqlx::query(
        "SELECT a.*, c.ha1_md5, c.ha1_sha256, c.ha1_sha512_256, c.ha1b_md5, c.ha1b_sha256, c.ha1b_sha512_256, \
                (SELECT group_concat(n.number, ' ') FROM cusax_number n WHERE n.account_id = a.id) AS numbers \
         FROM cusax_account a JOIN cusax_credential c ON c.account_id = a.id \
         WHERE ?1 IS NULL OR a.id = ?1 ORDER BY a.id",
    )
    .bind(id)
    .fetch_all(connection)
    .await?
    .iter()
    .map(account)
    .collect()
}

fn account(row: &SqliteRow) -> Result<Account, sqlx::Error> {
    let id = row.try_get("id")?;
    let ha1 = |names: [&str; 3]| {
        let [md5, sha256, sha512_256] = names;
        Ha1::stored(row.try_get(md5)?, row.try_get(sha256)?, row.try_get(sha512_256)?)
            .ok_or_else(|| sqlx::Error::Decode(format!("account {id} has digest keys that are none").into()))
    };
    let numbers: Option<&str> = row.try_get("numbers")?;
    let mut numbers: Vec<String> = numbers.into_iter().flat_map(str::split_whitespace).map(str::to_owned).collect();
    numbers.sort_unstable();
    Ok(Account {
        id,
        sip_user: row.try_get("sip_user")?,
        sip_domain: row.try_get("sip_domain")?,
        xmpp_user: row.try_get("xmpp_user")?,
        xmpp_domain: row.try_get("xmpp_domain")?,
        display_name: row.try_get("display_name")?,
        numbers,
        language: row.try_get("language")?,
        enabled: row.try_get("enabled")?,
        created: row.try_get("created")?,
        changed: row.try_get("changed")?,
        ha1: ha1(["ha1_md5", "ha1_sha256", "ha1_sha512_256"])?,
        ha1b: ha1(["ha1b_md5", "ha1b_sha256", "ha1b_sha512_256"])?,
    })
}

/// The account that a key names.
pub(super) async fn id_of(connection: &mut SqliteConnection, key: &Key) -> Result<Option<i64>, sqlx::Error> {
    match key {
        Key::Id(id) => {
            sqlx::query_scalar("SELECT id FROM cusax_account WHERE id = ?").bind(id).fetch_optional(connection).await
        }
        Key::Sip(user, domain) => by_sip(connection, user, domain).await,
        Key::Xmpp(user, domain) => by_xmpp(connection, user, domain).await,
        Key::Number(number) => by_number(connection, number).await,
        Key::Address(user, domain) => {
            if let Some(id) = by_sip(connection, user, &domain.to_ascii_lowercase()).await? {
                return Ok(Some(id));
            }
            match (xmpp_user(user), xmpp_domain(domain)) {
                (Ok(user), Ok(domain)) => by_xmpp(connection, &user, &domain).await,
                _ => Ok(None),
            }
        }
    }
}

/// Who has one of the addresses or numbers already, and which.
pub(super) async fn owner(
    connection: &mut SqliteConnection,
    new: &Profile,
) -> Result<Option<(String, i64)>, sqlx::Error> {
    if let Some(id) = by_sip(connection, &new.sip_user, &new.sip_domain).await? {
        return Ok(Some((format!("sip:{}@{}", new.sip_user, new.sip_domain), id)));
    }
    if let Some(id) = by_xmpp(connection, &new.xmpp_user, &new.xmpp_domain).await? {
        return Ok(Some((format!("xmpp:{}@{}", new.xmpp_user, new.xmpp_domain), id)));
    }
    for number in &new.numbers {
        if let Some(id) = by_number(connection, number).await? {
            return Ok(Some((number.clone(), id)));
        }
    }
    Ok(None)
}

async fn by_sip(connection: &mut SqliteConnection, user: &str, domain: &str) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar("SELECT id FROM cusax_account WHERE sip_user = ? AND sip_domain = ?")
        .bind(user)
        .bind(domain)
        .fetch_optional(connection)
        .await
}

async fn by_xmpp(connection: &mut SqliteConnection, user: &str, domain: &str) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar("SELECT id FROM cusax_account WHERE xmpp_user = ? AND xmpp_domain = ?")
        .bind(user)
        .bind(domain)
        .fetch_optional(connection)
        .await
}

async fn by_number(connection: &mut SqliteConnection, number: &str) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar("SELECT account_id FROM cusax_number WHERE number = ?")
        .bind(number)
        .fetch_optional(connection)
        .await
}

/// Writes an account without its keys and returns its id. The time is the database's: this crate reads no clock.
pub(super) async fn insert(connection: &mut SqliteConnection, new: &Profile) -> Result<i64, sqlx::Error> {
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO cusax_account (sip_user, sip_domain, xmpp_user, xmpp_domain, display_name, language, created, changed) \
         VALUES (?, ?, ?, ?, ?, ?, CAST(strftime('%s', 'now') AS INTEGER), CAST(strftime('%s', 'now') AS INTEGER)) \
         RETURNING id",
    )
    .bind(&new.sip_user)
    .bind(&new.sip_domain)
    .bind(&new.xmpp_user)
    .bind(&new.xmpp_domain)
    .bind(&new.display_name)
    .bind(&new.language)
    .fetch_one(&mut *connection)
    .await?;
    for number in &new.numbers {
        // The same number twice in one account is one number.
        sqlx::query("INSERT OR IGNORE INTO cusax_number (number, account_id) VALUES (?, ?)")
            .bind(number)
            .bind(id)
            .execute(&mut *connection)
            .await?;
    }
    Ok(id)
}

/// Writes every key of an account anew.
pub(super) async fn store_credential(
    connection: &mut SqliteConnection,
    id: i64,
    credential: &Credential,
) -> Result<(), sqlx::Error> {
    let Credential { ha1, ha1b, scram } = credential;
    sqlx::query(
        "INSERT OR REPLACE INTO cusax_credential (account_id, \
         ha1_md5, ha1_sha256, ha1_sha512_256, ha1b_md5, ha1b_sha256, ha1b_sha512_256, scram_salt, scram_iterations, \
         scram_sha1_stored, scram_sha1_server, scram_sha256_stored, scram_sha256_server, scram_salt_b64, \
         scram_sha1_stored_b64, scram_sha1_server_b64, scram_sha256_stored_b64, scram_sha256_server_b64) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(id)
    .bind(ha1.md5())
    .bind(ha1.sha256())
    .bind(ha1.sha512_256())
    .bind(ha1b.md5())
    .bind(ha1b.sha256())
    .bind(ha1b.sha512_256())
    .bind(&scram.salt)
    .bind(scram.iterations)
    .bind(scram.sha1.stored_hex())
    .bind(scram.sha1.server_hex())
    .bind(scram.sha256.stored_hex())
    .bind(scram.sha256.server_hex())
    .bind(scram.salt_base64())
    .bind(scram.sha1.stored_base64())
    .bind(scram.sha1.server_base64())
    .bind(scram.sha256.stored_base64())
    .bind(scram.sha256.server_base64())
    .execute(&mut *connection)
    .await?;
    sqlx::query("UPDATE cusax_account SET changed = CAST(strftime('%s', 'now') AS INTEGER) WHERE id = ?")
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

/// How often the hash of an account's SCRAM keys is repeated.
pub(super) async fn scram_iterations(connection: &mut SqliteConnection, id: i64) -> Result<u32, sqlx::Error> {
    sqlx::query_scalar("SELECT scram_iterations FROM cusax_credential WHERE account_id = ?")
        .bind(id)
        .fetch_one(connection)
        .await
}

/// Removes an account; its numbers and keys go by the foreign keys.
pub(super) async fn delete(connection: &mut SqliteConnection, id: i64) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM cusax_account WHERE id = ?").bind(id).execute(connection).await?;
    Ok(())
}
