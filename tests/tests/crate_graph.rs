//! The arrows between the crates, and what a core may not depend on (ARCHITECTURE.md).

#![allow(clippy::unwrap_used, reason = "a test fails where it is wrong")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A -> B: A uses B. Not here: `cusax-tests` and `cusax-benches`, which may use all.
const ARROWS: [(&str, &[&str]); 13] = [
    ("event", &[]),
    ("sip", &["event"]),
    ("xmpp", &["event"]),
    ("rtp", &["event"]),
    ("numbering", &["event"]),
    ("mixer", &["event", "rtp"]),
    ("edge", &["event", "sip", "numbering"]),
    ("conference", &["event", "sip", "xmpp", "rtp", "mixer"]),
    ("directory", &[]),
    ("net", &[]),
    ("telemetry", &["event"]),
    ("load", &["sip", "xmpp", "rtp", "net", "telemetry"]),
    (
        "cusax",
        &["event", "sip", "xmpp", "rtp", "mixer", "numbering", "edge", "conference", "directory", "telemetry", "net"],
    ),
];

const CORES: [&str; 8] = ["event", "sip", "xmpp", "rtp", "numbering", "mixer", "edge", "conference"];

/// What has sockets, clocks, tasks, randomness, metrics or logs.
const IO: [&str; 18] = [
    "tokio",
    "tokio-rustls",
    "rustls",
    "rustls-webpki",
    "tokio-tungstenite",
    "socket2",
    "libc",
    "rustix",
    "hickory-resolver",
    "getrandom",
    "rand",
    "sqlx",
    "axum",
    "prometheus",
    "tracing",
    "tracing-subscriber",
    "log",
    "dashmap",
];

struct Package {
    name: String,
    /// Where its sources are.
    root: PathBuf,
    features: usize,
    /// Name and kind (`None`: normal) of each dependency.
    dependencies: Vec<(String, Option<String>)>,
}

fn packages() -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let package = |package: &Value| Package {
        name: text(&package["name"]).unwrap(),
        root: Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap().to_path_buf(),
        features: package["features"].as_object().unwrap().len(),
        dependencies: package["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|dependency| (text(&dependency["name"]).unwrap(), text(&dependency["kind"])))
            .collect(),
    };
    metadata["packages"].as_array().unwrap().iter().map(package).collect()
}

/// `sip` for `cusax-sip`; the binary's package is `cusax`.
fn short(name: &str) -> &str {
    name.strip_prefix("cusax-").unwrap_or(name)
}

#[test]
fn arrows_are_those_of_the_architecture() {
    let expected: BTreeMap<_, BTreeSet<_>> = ARROWS
        .into_iter()
        .map(|(name, uses)| (name.to_owned(), uses.iter().map(|name| (*name).to_owned()).collect()))
        .collect();
    let packages = packages();
    let ours: BTreeSet<_> = packages.iter().map(|package| package.name.clone()).collect();
    let found: BTreeMap<_, BTreeSet<_>> = packages
        .iter()
        .filter(|package| !["cusax-tests", "cusax-benches"].contains(&package.name.as_str()))
        .map(|package| {
            let uses = package.dependencies.iter().filter(|(name, _)| ours.contains(name));
            (short(&package.name).to_owned(), uses.map(|(name, _)| short(name).to_owned()).collect())
        })
        .collect();
    for (name, uses) in &found {
        let allowed = expected.get(name).unwrap_or_else(|| panic!("crate {name} is not in the architecture"));
        let surplus: Vec<_> = uses.difference(allowed).collect();
        assert!(surplus.is_empty(), "{name} must not use {surplus:?}");
    }
    let missing: Vec<_> = expected.keys().filter(|name| !found.contains_key(*name)).collect();
    assert!(missing.is_empty(), "crates of the architecture that are not there: {missing:?}");
}

#[test]
fn cores_depend_on_nothing_that_does_io() {
    for package in packages().iter().filter(|package| CORES.contains(&short(&package.name))) {
        let io: Vec<_> = package
            .dependencies
            .iter()
            .filter(|(name, kind)| kind.is_none() && IO.contains(&name.as_str()))
            .map(|(name, _)| name)
            .collect();
        assert!(io.is_empty(), "{} is sans-IO and must not depend on {io:?}", package.name);
    }
}

#[test]
fn choices_are_configuration_and_no_cargo_features() {
    let with: Vec<_> =
        packages().into_iter().filter(|package| package.features > 0).map(|package| package.name).collect();
    assert!(with.is_empty(), "{with:?}");
}

/// All Rust below a folder, one text.
fn rust(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            rust(&entry, text);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&entry).unwrap());
        }
    }
}

#[test]
fn every_dependency_is_used() {
    for package in packages() {
        let mut text = String::new();
        for folder in ["src", "tests", "benches", "fuzz/src"].map(|name| package.root.join(name)) {
            if folder.is_dir() {
                rust(&folder, &mut text);
            }
        }
        let unused: Vec<_> = package
            .dependencies
            .iter()
            // The library's own name may differ from the package's.
            .map(|(name, _)| match name.as_str() {
                "md-5" => "md5".to_owned(),
                "rustls-webpki" => "webpki".to_owned(),
                name => name.replace('-', "_"),
            })
            .filter(|name| !text.contains(name.as_str()))
            .collect();
        assert!(unused.is_empty(), "{} does not use {unused:?}", package.name);
    }
}
