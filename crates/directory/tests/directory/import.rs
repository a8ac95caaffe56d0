//! Many accounts at once.

use crate::support::{account, open, place};
use cusax_directory::{DirectoryError, ImportError, NewAccount, Refresh};

fn refused(error: ImportError) -> Vec<(usize, String)> {
    let ImportError::Refused(refused) = error else { panic!("{error}") };
    refused.into_iter().map(|(place, error)| (place, error.to_string())).collect()
}

#[tokio::test]
async fn all_are_added_with_their_keys_in_the_order_of_the_list() {
    let (_keep, path) = place("cusax.db");
    let directory = open(&path).await;
    let list = || vec![account("carol", "c"), account("alice", "a"), account("bob", "b")];
    directory.try_import(&list()).await.unwrap();
    assert_eq!(directory.refresh().await.unwrap(), Refresh::Unchanged, "a trial changes nothing");
    let added = directory.import(list()).await.unwrap();
    assert_eq!(
        added.iter().map(|one| (one.id, one.sip_user.as_str())).collect::<Vec<_>>(),
        [(1, "carol"), (2, "alice"), (3, "bob")]
    );
    directory.refresh().await.unwrap();
    assert!(directory.snapshot().by_digest_user("example.com", "bob").is_some());
    let (views, iterations) = directory.shown(&added[1]).await.unwrap();
    assert_eq!(views.len(), 4);
    assert!(views.iter().all(|view| view.shown), "{views:?}");
    assert!(iterations >= 4_096);
}

#[tokio::test]
async fn one_that_cannot_be_added_keeps_out_all_and_every_fault_is_told() {
    let (_keep, path) = place("cusax.db");
    let directory = open(&path).await;
    directory.add(account("alice", "wonderland")).await.unwrap();
    let list = || {
        vec![
            account("bob", "b"),
            account("alice", "a"),
            NewAccount { numbers: vec!["12".to_owned()], ..account("carol", "c") },
            NewAccount { sip_user: "bob".to_owned(), ..account("robert", "b") },
        ]
    };
    let expected = [
        (1, "sip:alice@example.com already belongs to account 1"),
        (2, "number: \"12\" is not + and 2 to 15 digits (E.164)"),
        (3, "sip:bob@example.com is in the list already"),
    ]
    .map(|(place, text)| (place, text.to_owned()));
    assert_eq!(refused(directory.try_import(&list()).await.unwrap_err()), expected);
    assert_eq!(refused(directory.import(list()).await.unwrap_err()), expected);
    let Err(ImportError::Refused(all)) = directory.import(list()).await else { panic!("imported") };
    assert!(matches!(all[2].1, DirectoryError::Repeated { first: 0, .. }));
    assert_eq!(directory.list().await.unwrap().len(), 1);
    assert_eq!(directory.refresh().await.unwrap(), Refresh::Refreshed);
    assert_eq!(directory.refresh().await.unwrap(), Refresh::Unchanged);
    assert_eq!(directory.add(account("bob", "b")).await.unwrap().id, 2, "no id was given away");
}

#[tokio::test]
async fn a_disabled_account_is_in_no_view() {
    let (_keep, path) = place("cusax.db");
    let directory = open(&path).await;
    let alice = directory.add(account("alice", "wonderland")).await.unwrap();
    sqlx::query("UPDATE cusax_account SET enabled = 0").execute(&mut crate::support::sql(&path).await).await.unwrap();
    let (views, _) = directory.shown(&alice).await.unwrap();
    assert_eq!(views.iter().map(|view| view.name).collect::<Vec<_>>(), ["prosody", "users", "subscriber", "ps_auths"]);
    assert!(!views.iter().any(|view| view.shown), "{views:?}");
}
