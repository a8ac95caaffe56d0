//! Secrets and restrictions outlive the process.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::{place, sql};
use cusax_directory::{DirectoryError, Purpose, Restriction, SecretKey, State};

#[tokio::test]
async fn the_first_key_stays_through_restarts_and_one_generation_of_rotation() {
    let (_keep, path) = place("cusax-state.db");
    let key = |byte| SecretKey::new([byte; 32]);
    let state = State::open(path.clone()).await.unwrap();
    for (byte, purpose) in (1..).zip(Purpose::ALL) {
        let secrets = state.secrets(purpose, key(byte)).await.unwrap();
        assert!(secrets.current == key(byte) && secrets.previous.is_none());
    }
    drop(state);
    let state = State::open(path.clone()).await.unwrap();
    assert!(state.secrets(Purpose::Nonce, key(100)).await.unwrap().current == key(1), "what is there is not replaced");
    let rotated = state.rotate(Purpose::Nonce, key(101)).await.unwrap();
    assert!(rotated.current == key(101) && rotated.previous == Some(key(1)));
    state.rotate(Purpose::Nonce, key(102)).await.unwrap();
    drop(state);
    let state = State::open(path.clone()).await.unwrap();
    let secrets = state.secrets(Purpose::Nonce, key(103)).await.unwrap();
    assert!(secrets.current == key(102) && secrets.previous == Some(key(101)));
    assert!(state.secrets(Purpose::Pseudonym, key(103)).await.unwrap().current == key(5), "the others are not touched");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn restrictions_of_a_room_are_kept_until_they_are_lifted() {
    let (_keep, path) = place("cusax-state.db");
    let state = State::open(path.clone()).await.unwrap();
    let (room, other) = ("standup@rooms.example.com", "other@rooms.example.com");
    let (bob, carol) = ("bob@example.com", "carol@example.com");
    for (jid, kind) in
        [(bob, Restriction::Mute), (carol, Restriction::Mute), (carol, Restriction::Ban), (carol, Restriction::Ban)]
    {
        state.restrict(room, jid, kind).await.unwrap();
    }
    state.restrict(other, bob, Restriction::Ban).await.unwrap();
    drop(state);
    let state = State::open(path).await.unwrap();
    let row = |room: &str, jid: &str, kind| (room.to_owned(), jid.to_owned(), kind);
    let banned = row(other, bob, Restriction::Ban);
    let muted = [row(room, bob, Restriction::Mute), row(room, carol, Restriction::Ban)];
    let all = state.restrictions().await.unwrap();
    assert_eq!(all[..3], [&[banned.clone()][..], &muted].concat()[..]);
    assert_eq!(all[3..], [row(room, carol, Restriction::Mute)]);
    state.lift(room, Some(carol), Restriction::Ban).await.unwrap();
    assert_eq!(state.restrictions().await.unwrap().len(), 3);
    state.lift(room, None, Restriction::Mute).await.unwrap();
    assert_eq!(state.restrictions().await.unwrap(), [banned]);
}

#[tokio::test]
async fn a_room_has_a_bounded_number_of_restrictions() {
    let (_keep, path) = place("cusax-state.db");
    let state = State::open(path.clone()).await.unwrap();
    sqlx::raw_sql(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) \
         INSERT INTO restriction SELECT 'room@rooms', i || '@example.com', 'ban' FROM n",
    )
    .execute(&mut sql(&path).await)
    .await
    .unwrap();
    let full = state.restrict("room@rooms", "one-more@example.com", Restriction::Ban).await;
    assert!(matches!(full, Err(DirectoryError::Full { .. })));
    state.restrict("room@rooms", "1@example.com", Restriction::Ban).await.unwrap();
    state.restrict("other@rooms", "one-more@example.com", Restriction::Ban).await.unwrap();
}
