//! The rules of CONTRIBUTING.md that a program can check.

#![allow(clippy::unwrap_used, reason = "a test fails where it is wrong")]

use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a source file.
const LONGEST: usize = 500;
/// What is text of ours and has rules.
const TEXT: [&str; 14] =
    ["rs", "toml", "md", "lua", "cfg", "yml", "yaml", "json", "service", "sql", "xml", "sh", "js", "html"];
/// What a server or a tool reads, and a test must have read before.
const CONFIGURATION: [&str; 9] = ["cfg", "lua", "toml", "yml", "yaml", "json", "service", "xml", "conf"];

struct Source {
    /// From the root of the tree, with `/`.
    path: String,
    text: String,
}

impl Source {
    fn extension(&self) -> &str {
        Path::new(&self.path).extension().and_then(|extension| extension.to_str()).unwrap_or("")
    }

    fn is_rust(&self) -> bool {
        self.extension() == "rs"
    }

    /// Rust that is part of a crate rather than of its tests.
    fn is_product(&self) -> bool {
        self.is_rust()
            && self.path.starts_with("crates/")
            && self.path.split('/').nth(2) == Some("src")
            && !self.path.ends_with("/tests.rs")
            && !self.path.contains("/tests/")
    }

    /// Numbered lines, without a module of tests at the end.
    fn product_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines().take_while(|(_, line)| *line != "#[cfg(test)]")
    }

    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources() -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    collect(&root, &root, &mut found);
    assert!(found.len() > 50, "the tree was not found: {} files", found.len());
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let base = path.file_name().unwrap().to_string_lossy().into_owned();
        let hidden = base.starts_with('.') && base != ".ci";
        if path.is_dir() {
            if !hidden && !["target", "corpora", "data"].contains(&base.as_str()) {
                collect(root, &path, found);
            }
        } else if let Ok(text) = fs::read_to_string(&path) {
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            let script = !base.contains('.') && text.starts_with("#!");
            let source = Source { path: name, text };
            if script || TEXT.contains(&source.extension()) {
                found.push(source);
            }
        }
    }
}

/// Fails with all findings at once, each as `file:line: what`.
fn none(findings: impl Iterator<Item = String>) {
    let findings: Vec<_> = findings.collect();
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn no_source_file_is_too_long() {
    let sources = sources();
    none(sources.iter().filter(|source| source.is_rust()).filter_map(|source| {
        let lines = source.text.lines().count();
        (lines > LONGEST).then(|| format!("{}: {lines} lines; a file is one noun, {LONGEST} at most", source.path))
    }));
}

#[test]
fn modules_are_files_of_their_own_name() {
    none(sources().iter().filter(|source| source.path.ends_with("/mod.rs")).map(|source| source.path.clone()));
}

#[test]
fn nothing_is_left_for_later() {
    let words = [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["XX", "X:"].concat()];
    none(sources().iter().flat_map(|source| {
        let found = source.lines().filter(|(_, line)| words.iter().any(|word| line.contains(word.as_str())));
        found.map(|(number, _)| format!("{}:{number}: open an issue instead", source.path)).collect::<Vec<_>>()
    }));
}

#[test]
fn no_path_of_somebodys_machine_is_written_down() {
    let roots = ["root", "home", "work", "Users"].map(|name| format!("/{name}/"));
    none(sources().iter().flat_map(|source| {
        let found = source.lines().filter(|(_, line)| {
            roots.iter().any(|root| {
                line.match_indices(root.as_str()).any(|(at, _)| {
                    at == 0
                        || !line.as_bytes()[at - 1].is_ascii_alphanumeric()
                            && !b"./}-_".contains(&line.as_bytes()[at - 1])
                })
            })
        });
        found.map(|(number, line)| format!("{}:{number}: {}", source.path, line.trim())).collect::<Vec<_>>()
    }));
}

/// `RFC 3261 §16.6 step 8`: a space, and the paragraph sign before the section.
fn bad_reference(line: &str) -> bool {
    let bytes = line.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let glued =
        line.match_indices("RFC").any(|(at, _)| digit(at + 3) || (bytes.get(at + 3) == Some(&b'-') && digit(at + 4)));
    let small = line.match_indices("rfc ").any(|(at, _)| digit(at + 4));
    let lower = line.to_ascii_lowercase();
    let lower = lower.as_bytes();
    let section = |word: &str| {
        line.to_ascii_lowercase()
            .match_indices(word)
            .any(|(at, word)| lower.get(at + word.len()).is_some_and(u8::is_ascii_digit))
    };
    glued || small || (line.contains("RFC") && (section("section ") || section("sec. ")))
}

#[test]
fn rfcs_are_referred_to_in_one_form() {
    assert!(bad_reference(&["RFC", "3261"].concat()) && bad_reference(&["RFC 3261 sec", "tion 16"].concat()));
    assert!(!bad_reference("RFC 3261 §16.6 step 8"));
    none(
        sources()
            .iter()
            .filter(|source| ["rs", "md", "lua", "cfg", "toml", "sql"].contains(&source.extension()))
            .flat_map(|source| {
                let found = source.lines().filter(|(_, line)| bad_reference(line));
                found.map(|(number, line)| format!("{}:{number}: {}", source.path, line.trim())).collect::<Vec<_>>()
            }),
    );
}

#[test]
fn only_the_clock_of_net_reads_the_clock() {
    none(sources().iter().filter(|source| source.is_product() && source.path != "crates/net/src/clock.rs").flat_map(
        |source| {
            let found = source
                .product_lines()
                .filter(|(_, line)| line.contains("Instant::now(") || line.contains("SystemTime::now("));
            found.map(|(number, _)| format!("{}:{number}: time is an argument", source.path)).collect::<Vec<_>>()
        },
    ));
}

#[test]
fn only_net_may_hold_unsafe_code() {
    let roots = sources().into_iter().filter(|source| {
        source.is_product() && ["/src/lib.rs", "/src/main.rs"].iter().any(|root| source.path.ends_with(root))
    });
    let unsafe_allowed = |path: &str| path == "crates/net/src/lib.rs";
    none(
        roots
            .filter(|source| !unsafe_allowed(&source.path) && !source.text.contains("#![forbid(unsafe_code)]"))
            .map(|source| format!("{}: #![forbid(unsafe_code)] is missing", source.path)),
    );
}

#[test]
fn names_are_nouns_of_the_standards() {
    let vague = ["Manager", "Handler", "Helper", "Util", "Utils"];
    none(sources().iter().filter(|source| source.is_product()).flat_map(|source| {
        let found = source.product_lines().filter(|(_, line)| {
            let words: Vec<_> = line.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
            words.windows(2).any(|pair| match pair[0] {
                "struct" | "enum" | "trait" | "type" => vague.iter().any(|end| pair[1].ends_with(end)),
                "fn" => pair[1].starts_with("get_") && pair[1] != "get_mut",
                "mod" => ["util", "utils", "helper", "helpers", "manager"].contains(&pair[1]),
                _ => false,
            })
        });
        found.map(|(number, line)| format!("{}:{number}: {}", source.path, line.trim())).collect::<Vec<_>>()
    }));
}

#[test]
fn every_package_takes_the_lints_of_the_workspace() {
    none(
        sources()
            .iter()
            .filter(|source| source.path.ends_with("/Cargo.toml") && !source.path.starts_with("tests/fuzz"))
            .filter(|source| !source.text.contains("[lints]\nworkspace = true"))
            .map(|source| format!("{}: [lints] workspace = true is missing", source.path)),
    );
}

#[test]
fn every_configuration_in_deploy_is_read_by_a_test() {
    let sources = sources();
    let tests: Vec<_> = sources.iter().filter(|source| source.is_rust() && source.path.starts_with("tests/")).collect();
    none(
        sources
            .iter()
            .filter(|source| source.path.starts_with("deploy/") && CONFIGURATION.contains(&source.extension()))
            .filter(|source| {
                let name = source.path.rsplit('/').next().unwrap();
                !tests.iter().any(|test| test.text.contains(name))
            })
            .map(|source| format!("{}: no test names it", source.path)),
    );
}
