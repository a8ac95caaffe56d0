//! The file is shared with other processes and other users of the machine.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{account, open, place, sql, url};
use cusax_directory::{Access, Directory, DirectoryError, Mode, Refresh};

/// Runs this test again in a process of its own, which finds the path in its environment; under another uid where this one is root.
fn again_in_another_process(test: &str, path: &Path, drop_privileges: bool) {
    // Resolved by the child itself, so that it needs no right to the directories on the way.
    let mut command = Command::new("/proc/self/exe");
    command.args(["--exact", test, "--nocapture"]).env(SHARED, path).current_dir("/");
    if drop_privileges && fs::metadata("/proc/self").unwrap().uid() == 0 {
        command.uid(65534).gid(65534);
    }
    assert!(command.status().unwrap().success(), "the other process failed");
}

fn shared() -> Option<PathBuf> {
    std::env::var_os(SHARED).map(PathBuf::from)
}

const SHARED: &str = "CUSAX_TEST_SHARED_DATABASE";

#[tokio::test]
async fn a_change_by_another_process_is_seen_by_the_next_refresh() {
    if let Some(path) = shared() {
        open(&path).await.add(account("bob", "builder")).await.unwrap();
        return;
    }
    let (_keep, path) = place("cusax.db");
    let directory = open(&path).await;
    directory.add(account("alice", "wonderland")).await.unwrap();
    assert_eq!(directory.refresh().await.unwrap(), Refresh::Refreshed);
    assert_eq!(directory.refresh().await.unwrap(), Refresh::Unchanged);
    let before = directory.snapshot();
    again_in_another_process("files::a_change_by_another_process_is_seen_by_the_next_refresh", &path, false);
    assert_eq!(directory.refresh().await.unwrap(), Refresh::Refreshed);
    assert!(directory.snapshot().by_jid("bob@example.com").is_some());
    assert!(before.by_jid("bob@example.com").is_none(), "a snapshot never changes");
    assert_eq!(directory.refresh().await.unwrap(), Refresh::Unchanged);
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_served_and_says_so() {
    if let Some(path) = shared() {
        let directory = open(&path).await;
        assert!(matches!(directory.access(), Access::ReadOnly { .. }), "{:?}", directory.access());
        assert!(directory.snapshot().by_digest_user("example.com", "alice").is_some());
        assert_eq!(directory.list().await.unwrap().len(), 1);
        assert_eq!(directory.refresh().await.unwrap(), Refresh::Unchanged);
        let error = directory.add(account("bob", "builder")).await.unwrap_err();
        assert!(matches!(error, DirectoryError::ReadOnly { .. }), "{error}");
        return;
    }
    let (keep, path) = place("cusax.db");
    open(&path).await.add(account("alice", "wonderland")).await.unwrap();
    let test = "files::a_directory_that_cannot_be_written_is_served_and_says_so";
    // The file takes no writes; then the file does, but its directory takes no journal.
    for (file, directory) in [(0o444, 0o755), (0o666, 0o555)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(file)).unwrap();
        fs::set_permissions(keep.path(), fs::Permissions::from_mode(directory)).unwrap();
        again_in_another_process(test, &path, true);
    }
    fs::set_permissions(keep.path(), fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn opened_for_reading_it_makes_and_changes_nothing() {
    let (_keep, path) = place("cusax.db");
    let missing = Directory::open(&url(&path), Mode::ReadOnly).await;
    assert!(matches!(missing, Err(DirectoryError::Missing { .. })));
    assert!(!path.exists());
    open(&path).await.add(account("alice", "wonderland")).await.unwrap();
    let bytes = fs::read(&path).unwrap();
    let directory = Directory::open(&url(&path), Mode::ReadOnly).await.unwrap();
    let error = directory.remove(&"alice@example.com".parse().unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("is read-only (opened for reading): nothing was changed"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[tokio::test]
async fn migrating_twice_changes_nothing_and_what_is_newer_is_refused() {
    let (_keep, path) = place("cusax.db");
    open(&path).await.add(account("alice", "wonderland")).await.unwrap();
    let bytes = fs::read(&path).unwrap();
    drop(open(&path).await);
    assert_eq!(fs::read(&path).unwrap(), bytes);

    let mut sql = sql(&path).await;
    sqlx::query("UPDATE cusax_schema SET version = 99").execute(&mut sql).await.unwrap();
    for mode in [Mode::ReadWrite, Mode::ReadOnly] {
        let refused = Directory::open(&url(&path), mode).await;
        assert!(matches!(refused, Err(DirectoryError::TooNew { found: 99, .. })));
    }
}

#[tokio::test]
async fn a_failed_migration_leaves_another_programs_database_as_it_was() {
    let (_keep, path) = place("kamailio.db");
    fs::File::create(&path).unwrap();
    sqlx::raw_sql("CREATE TABLE subscriber (id INTEGER, username TEXT)").execute(&mut sql(&path).await).await.unwrap();
    let Err(error) = Directory::open(&url(&path), Mode::ReadWrite).await else { panic!("opened") };
    assert!(error.to_string().contains("subscriber"), "{error}");
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_master").fetch_all(&mut sql(&path).await).await.unwrap();
    assert_eq!(tables, ["subscriber"]);
    assert!(matches!(
        Directory::open(&url(&path), Mode::ReadOnly).await,
        Err(DirectoryError::Outdated { found: 0, .. })
    ));
}

#[tokio::test]
async fn other_servers_may_read_the_file_and_nothing_lies_beside_it() {
    let (keep, path) = place("cusax.db");
    let directory = open(&path).await;
    directory.add(account("alice", "wonderland")).await.unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    let journal: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut sql(&path).await).await.unwrap();
    assert_eq!(journal, "delete");
    assert_eq!(fs::read_dir(keep.path()).unwrap().count(), 1, "no write-ahead log, no journal");
}

#[tokio::test]
async fn a_file_put_in_its_place_is_taken_up() {
    let (keep, path) = place("cusax.db");
    let backup = keep.path().join("backup.db");
    open(&backup).await.add(account("bob", "builder")).await.unwrap();
    let directory = open(&path).await;
    directory.add(account("alice", "wonderland")).await.unwrap();
    directory.refresh().await.unwrap();
    fs::rename(&backup, &path).unwrap();
    assert_eq!(directory.refresh().await.unwrap(), Refresh::Refreshed);
    assert!(directory.snapshot().by_jid("bob@example.com").is_some());
    assert!(directory.snapshot().by_jid("alice@example.com").is_none());
    directory.add(account("carol", "carol")).await.unwrap();
    assert_eq!(open(&path).await.list().await.unwrap().len(), 2);
    fs::remove_file(&path).unwrap();
    assert!(matches!(directory.refresh().await, Err(DirectoryError::File { .. })));
    assert!(directory.snapshot().by_jid("bob@example.com").is_some());
}

#[tokio::test]
async fn urls_that_name_no_file_are_refused_in_plain_words() {
    for (url, part) in [
        ("postgres://cusax:secret@db/cusax", "keeps accounts in SQLite only"),
        ("postgresql://db/cusax", "keeps accounts in SQLite only"),
        ("mysql://db", "does not begin with"),
        ("cusax.db", "does not begin with"),
        ("sqlite:", "names no file"),
        ("sqlite::memory:", "names no file"),
        ("sqlite:cusax.db?mode=rwc", "without parameters"),
    ] {
        let Err(error) = Directory::open(url, Mode::ReadWrite).await else { panic!("{url}") };
        assert!(error.to_string().contains(part), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    let Err(error) = Directory::open("sqlite:/nonexistent/cusax.db", Mode::ReadWrite).await else { panic!("opened") };
    assert!(error.to_string().starts_with("/nonexistent/cusax.db: No such file"), "{error}");
}

#[tokio::test]
async fn what_is_no_database_is_refused() {
    let (_keep, path) = place("cusax.db");
    fs::write(&path, "Dear diary, today I learnt that this is not a database. ".repeat(40)).unwrap();
    let Err(error) = Directory::open(&url(&path), Mode::ReadWrite).await else { panic!("opened") };
    assert!(error.to_string().contains("not a database"), "{error}");
    assert!(std::error::Error::source(&error).is_none(), "a source would be said a second time");
}
