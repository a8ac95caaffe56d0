//! Accounts are added, found, changed and removed.

use crate::support::{account, open, place, sql};
use cusax_directory::{DirectoryError, Ha1, Key, NewAccount, Password, Refresh};

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

#[tokio::test]
async fn an_account_is_found_by_every_name_it_has() {
    let (_keep, path) = place("cusax.db");
    let directory = open(&path).await;
    let added = directory
        .add(NewAccount {
            sip_user: "14045550100".to_owned(),
            sip_domain: "SIP.example.com".to_owned(),
            xmpp_user: "Alice".to_owned(),
            xmpp_domain: "example.com".to_owned(),
            display_name: Some("Alice Liddell".to_owned()),
            numbers: vec!["+1 (404) 555-0101".to_owned(), "+14045550100".to_owned(), "+14045550100".to_owned()],
            language: Some("en-GB".to_owned()),
            password: Password::new("wonderland").unwrap(),
        })
        .await
        .unwrap();
    assert_eq!(added.numbers, ["+14045550100", "+14045550101"]);
    assert_eq!((added.aor(), added.jid()), ("14045550100@sip.example.com".to_owned(), "alice@example.com".to_owned()));
    assert_eq!((added.display_name.as_deref(), added.language.as_deref()), (Some("Alice Liddell"), Some("en-GB")));
    assert!(added.enabled && added.created > 1_700_000_000 && added.changed >= added.created);

    assert_eq!(directory.refresh().await.unwrap(), Refresh::Refreshed);
    let snapshot = directory.snapshot();
    let id = |account: Option<&cusax_directory::Account>| account.map(|account| account.id);
    for found in [
        snapshot.by_digest_user("sip.example.com", "14045550100"),
        snapshot.by_digest_user("sip.example.com", "14045550100@sip.example.com"),
        snapshot.by_aor("14045550100", "Sip.Example.Com"),
        snapshot.by_jid("alice@example.com"),
        snapshot.by_jid("Alice@EXAMPLE.com"),
        snapshot.by_number("+14045550101"),
    ] {
        assert_eq!(id(found), Some(added.id));
    }
    for missed in [
        snapshot.by_digest_user("example.com", "14045550100"),
        snapshot.by_digest_user("sip.example.com", "14045550100@example.com"),
        snapshot.by_digest_user("sip.example.com", "alice"),
        snapshot.by_digest_user("sip.example.com", "@sip.example.com"),
        snapshot.by_digest_user("sip.example.com", ""),
        snapshot.by_aor("alice", "example.com"),
        snapshot.by_jid("example.com"),
        snapshot.by_number("14045550101"),
    ] {
        assert_eq!(id(missed), None);
    }
    for name in [
        added.id.to_string().as_str(),
        "sip:14045550100@sip.example.com",
        "alice@example.com",
        "xmpp:alice@example.com",
        "+14045550100",
    ] {
        assert_eq!(directory.show(&key(name)).await.unwrap().id, added.id, "{name}");
    }
}

#[tokio::test]
async fn the_keys_are_those_of_the_username_as_sent() {
    let (_keep, path) = place("cusax.db");
    let directory = open(&path).await;
    let alice = directory.add(account("alice", "wonderland")).await.unwrap();
    let password = Password::new("wonderland").unwrap();
    for username in ["alice", "alice@example.com"] {
        let expected = Ha1::derive(username, "example.com", &password);
        let kept = alice.ha1(username);
        assert_eq!(kept.md5(), expected.md5());
        assert_eq!(kept.sha256(), expected.sha256());
        assert_eq!(kept.sha512_256(), expected.sha512_256());
        let wrong = Ha1::derive(username, "example.com", &Password::new("Wonderland").unwrap());
        assert_ne!(kept.md5(), wrong.md5());
        assert_ne!(kept.sha256(), wrong.sha256());
    }
    let snapshot = directory.snapshot();
    assert_ne!(snapshot.nobody().md5(), alice.ha1("alice").md5());
    assert_eq!(snapshot.nobody().md5().len(), 32, "an unknown user's response is computed like any other");
}

#[tokio::test]
async fn a_new_password_replaces_every_key() {
    let (_keep, path) = place("cusax.db");
    let directory = open(&path).await;
    directory.add(account("alice", "wonderland")).await.unwrap();
    let keys = "SELECT ha1_md5 || ha1_sha256, ha1_sha512_256, ha1b_md5, ha1b_sha256, ha1b_sha512_256, scram_salt, \
                scram_sha1_stored, scram_sha1_server, scram_sha256_stored || scram_sha256_server FROM cusax_credential";
    type Row = (String, String, String, String, String, String, String, String, String);
    let mut sql = sql(&path).await;
    let before: Row = sqlx::query_as(keys).fetch_one(&mut sql).await.unwrap();
    directory.set_password(&key("alice@example.com"), Password::new("looking glass").unwrap()).await.unwrap();
    let after: Row = sqlx::query_as(keys).fetch_one(&mut sql).await.unwrap();
    let columns = |row: Row| [row.0, row.1, row.2, row.3, row.4, row.5, row.6, row.7, row.8];
    for (before, after) in columns(before).iter().zip(columns(after)) {
        assert_ne!(*before, after);
    }
}

#[tokio::test]
async fn what_is_taken_is_refused_and_nothing_is_left_half_done() {
    let (_keep, path) = place("cusax.db");
    let directory = open(&path).await;
    let alice =
        directory.add(NewAccount { numbers: vec!["+14045550100".to_owned()], ..account("alice", "a") }).await.unwrap();
    let taken = |error: DirectoryError| {
        let DirectoryError::Taken { value, account } = error else { panic!("{error}") };
        assert_eq!(account, alice.id);
        value
    };
    let same_sip = NewAccount { xmpp_user: "alyss".to_owned(), ..account("alice", "a") };
    assert_eq!(taken(directory.add(same_sip).await.unwrap_err()), "sip:alice@example.com");
    let same_jid = NewAccount { xmpp_user: "ALICE".to_owned(), ..account("alyss", "a") };
    assert_eq!(taken(directory.add(same_jid).await.unwrap_err()), "xmpp:alice@example.com");
    let same_number = NewAccount { numbers: vec!["+1-404-555-0100".to_owned()], ..account("bob", "b") };
    assert_eq!(taken(directory.add(same_number).await.unwrap_err()), "+14045550100");
    assert_eq!(directory.list().await.unwrap().len(), 1);
    directory.add(account("bob", "b")).await.unwrap();
}

#[tokio::test]
async fn a_removed_account_is_gone_and_its_id_is_not_given_again() {
    let (_keep, path) = place("cusax.db");
    let directory = open(&path).await;
    let alice =
        directory.add(NewAccount { numbers: vec!["+14045550100".to_owned()], ..account("alice", "a") }).await.unwrap();
    directory.remove(&key("alice@example.com")).await.unwrap();
    assert!(matches!(directory.remove(&key("alice@example.com")).await, Err(DirectoryError::NoSuchAccount(_))));
    let again =
        directory.add(NewAccount { numbers: vec!["+14045550100".to_owned()], ..account("alice", "a") }).await.unwrap();
    assert!(again.id > alice.id);
    let credentials: i64 =
        sqlx::query_scalar("SELECT count(*) FROM cusax_credential").fetch_one(&mut sql(&path).await).await.unwrap();
    assert_eq!(credentials, 1);
    let file = std::fs::read(&path).unwrap();
    let old = alice.ha1("alice@example.com").sha256().as_bytes();
    // The new row has the same key: same name, realm and password. One copy, so the removed one was overwritten.
    assert_eq!(file.windows(old.len()).filter(|window| *window == old).count(), 1);
}

#[tokio::test]
async fn a_disabled_account_is_listed_but_nobody_finds_it() {
    let (_keep, path) = place("cusax.db");
    let directory = open(&path).await;
    directory.add(account("alice", "a")).await.unwrap();
    let mut sql = sql(&path).await;
    sqlx::query("UPDATE cusax_account SET enabled = 0").execute(&mut sql).await.unwrap();
    directory.refresh().await.unwrap();
    assert!(directory.snapshot().by_digest_user("example.com", "alice").is_none());
    assert!(directory.snapshot().by_jid("alice@example.com").is_none());
    assert!(!directory.list().await.unwrap()[0].enabled);
    for view in ["prosody", "users", "subscriber", "ps_auths"] {
        let rows: i64 = sqlx::query_scalar(&format!("SELECT count(*) FROM {view}")).fetch_one(&mut sql).await.unwrap();
        assert_eq!(rows, 0, "{view}");
    }
}

#[tokio::test]
async fn the_file_holds_no_password_and_debug_shows_nobody() {
    let (_keep, path) = place("cusax.db");
    let directory = open(&path).await;
    let alice = directory.add(account("alice", "correct horse battery")).await.unwrap();
    drop(directory);
    let file = std::fs::read(&path).unwrap();
    let holds = |text: &str| file.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds(alice.ha1("alice").md5()), "the test would see a password were it there");
    assert!(!holds("correct horse battery"));
    assert_eq!(format!("{alice:?}"), format!("Account {{ id: {}, .. }}", alice.id));
}

#[tokio::test]
async fn a_row_with_keys_that_are_none_is_an_error_and_the_last_snapshot_stays() {
    let (_keep, path) = place("cusax.db");
    let directory = open(&path).await;
    directory.add(account("alice", "a")).await.unwrap();
    directory.refresh().await.unwrap();
    sqlx::query("UPDATE cusax_credential SET ha1_md5 = 'x'").execute(&mut sql(&path).await).await.unwrap();
    let error = directory.refresh().await.unwrap_err().to_string();
    assert!(error.contains("digest keys that are none"), "{error}");
    assert!(directory.snapshot().by_jid("alice@example.com").is_some());
    assert!(directory.refresh().await.is_err(), "it is not taken for seen");
}
