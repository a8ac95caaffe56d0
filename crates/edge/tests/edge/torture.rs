//! Corpora message by message, each with its verdict for a proxy: forwarded, answered or dropped.
//!
//! A row names the file, the section that has the last word, where the message comes from, and what becomes of it as a
//! datagram and on a stream. A file without a row fails, and so does a row without a file.

mod chunks;
mod compare;
mod play;
mod rfc4475;
mod rfc5118;
mod smuggling;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use play::Row;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpora").join(name)
}

/// The messages of a corpus, by their names.
fn files(corpus: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(folder(corpus)).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.extension().is_some_and(|extension| extension == "dat"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect()
}

fn message(corpus: &str, name: &str) -> Vec<u8> {
    fs::read(folder(corpus).join(name).with_extension("dat")).unwrap()
}

/// Plays every row, and fails with all that came out otherwise.
fn judge(corpus: &str, rows: &[Row]) {
    let judged: BTreeSet<String> = rows.iter().map(|row| row.file.to_owned()).collect();
    assert_eq!(files(corpus), judged, "every message of {corpus} has a verdict, and no verdict is without its message");
    let wrong: Vec<String> = rows.iter().flat_map(|row| row.play(&message(corpus, row.file))).collect();
    assert!(wrong.is_empty(), "{} of {corpus}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn messages_of_rfc_4475_fare_as_a_proxy_owes_them() {
    judge("rfc4475", rfc4475::ROWS);
}

#[test]
fn messages_of_rfc_5118_fare_as_a_proxy_owes_them() {
    judge("rfc5118", rfc5118::ROWS);
}

#[test]
fn nothing_is_smuggled_past_this_edge() {
    judge("smuggling", smuggling::ROWS);
}
