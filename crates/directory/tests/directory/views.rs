//! Other servers find in their views what their schemas say.

use crate::support::{account, open, place, sql};
use base64::{Engine, engine::general_purpose::STANDARD};
use cusax_directory::NewAccount;

#[tokio::test]
async fn each_server_reads_its_own_schema_and_its_own_side_of_the_account() {
    let (_keep, path) = place("cusax.db");
    let directory = open(&path).await;
    let alice = directory
        .add(NewAccount {
            sip_user: "7001".to_owned(),
            sip_domain: "sip.example.com".to_owned(),
            ..account("alice", "wonderland")
        })
        .await
        .unwrap();
    let mut sql = sql(&path).await;

    let (salt, iterations, stored, server): (String, i64, String, String) = sqlx::query_as(
        "SELECT scram_salt, scram_iterations, scram_sha256_stored, scram_sha256_server FROM cusax_credential",
    )
    .fetch_one(&mut sql)
    .await
    .unwrap();
    let base64 = |hex: &str| {
        let bytes: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        STANDARD.encode(bytes)
    };

    // As mod_storage_sql asks.
    let prosody: Vec<(String, String, String)> = sqlx::query_as(
        r#"SELECT "key", "type", "value" FROM "prosody" WHERE "host"=? AND "user"=? AND "store"=? ORDER BY "key""#,
    )
    .bind("example.com")
    .bind("alice")
    .bind("accounts")
    .fetch_all(&mut sql)
    .await
    .unwrap();
    let row = |key: &str, kind: &str, value: &str| (key.to_owned(), kind.to_owned(), value.to_owned());
    assert_eq!(
        prosody,
        [
            row("iteration_count", "number", &iterations.to_string()),
            row("salt", "string", &salt),
            row("server_key", "string", &server),
            row("stored_key", "string", &stored),
        ]
    );

    // As ejabberd_auth_sql asks, old schema and new.
    let users: (String, String, String, i64, String) = sqlx::query_as(
        "SELECT password, serverkey, salt, iterationcount, created_at FROM users WHERE username = ? AND server_host = ?",
    )
    .bind("alice")
    .bind("example.com")
    .fetch_one(&mut sql)
    .await
    .unwrap();
    assert_eq!(users.0, format!("sha256:{}", base64(&stored)));
    assert_eq!((users.1, users.2, users.3), (base64(&server), STANDARD.encode(&salt), iterations));
    assert!(users.4.len() == 19 && users.4.starts_with("20"), "{}", users.4);

    // As Kamailio's auth_db asks, after it looked up the table's version.
    let version: i64 = sqlx::query_scalar("SELECT table_version FROM version WHERE table_name = 'subscriber'")
        .fetch_one(&mut sql)
        .await
        .unwrap();
    assert_eq!(version, 7);
    let subscriber: (i64, String, String, String) =
        sqlx::query_as("SELECT id, password, ha1, ha1b FROM subscriber WHERE username = ? AND domain = ?")
            .bind("7001")
            .bind("sip.example.com")
            .fetch_one(&mut sql)
            .await
            .unwrap();
    let (ha1, ha1b) = (alice.ha1("7001").md5().to_owned(), alice.ha1("7001@sip.example.com").md5().to_owned());
    assert_eq!(subscriber, (alice.id, String::new(), ha1.clone(), ha1b));

    // As Asterisk's realtime asks.
    let ps_auths: (String, String, Option<String>, String, String) =
        sqlx::query_as("SELECT auth_type, md5_cred, password, realm, username FROM ps_auths WHERE id = ?")
            .bind("7001")
            .fetch_one(&mut sql)
            .await
            .unwrap();
    assert_eq!(ps_auths, ("md5".to_owned(), ha1, None, "sip.example.com".to_owned(), "7001".to_owned()));
}

#[tokio::test]
async fn both_scram_hashes_are_kept_in_hex_and_base64() {
    let (_keep, path) = place("cusax.db");
    open(&path).await.add(account("alice", "wonderland")).await.unwrap();
    let mut sql = sql(&path).await;
    for (hash, bytes) in [("sha1", 20), ("sha256", 32)] {
        for key in ["stored", "server"] {
            let column = format!("scram_{hash}_{key}");
            let (hex, base64): (String, String) =
                sqlx::query_as(&format!("SELECT {column}, {column}_b64 FROM cusax_credential"))
                    .fetch_one(&mut sql)
                    .await
                    .unwrap();
            let decoded = STANDARD.decode(base64).unwrap();
            assert_eq!(decoded.len(), bytes);
            assert_eq!(hex, decoded.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        }
    }
}
