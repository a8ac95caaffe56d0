//! The committed table of emergency numbers is what libphonenumber's metadata says, pattern by pattern.
//!
//! After an update of the `phonenumber` crate: `WRITE_EMERGENCY_TABLE=1 cargo test -p cusax-numbering --test emergency_table`.

#![cfg(test)]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use quick_xml::Reader;
use quick_xml::events::Event;

#[test]
fn the_table_is_what_the_metadata_says() {
    let (version, assets) = phonenumber_crate();
    let xml = fs::read_to_string(assets.join("assets/ShortNumberMetadata.xml")).unwrap();
    let patterns = emergency_patterns(&xml);
    assert!(patterns.len() > 200, "{} territories", patterns.len());
    let mut table = format!(
        "# Emergency numbers by ISO 3166 territory.\n\
         # Source: ShortNumberMetadata.xml of libphonenumber (https://github.com/google/libphonenumber), Apache-2.0,\n\
         # as shipped in the crate phonenumber {version}. Made and checked by tests/emergency_table.rs.\n"
    );
    for (territory, pattern) in patterns {
        let numbers = Expander::new(&pattern).numbers().join(" ");
        writeln!(table, "{territory} {numbers}").unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/emergency/numbers.txt");
    if env::var_os("WRITE_EMERGENCY_TABLE").is_some() {
        fs::write(&path, &table).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), table);
}

#[test]
fn patterns_expand_to_exactly_the_numbers_that_they_match() {
    for (pattern, expected) in [
        ("112|9(?:11|99)", vec!["112", "911", "999"]),
        ("9(?:11?|2)", vec!["91", "911", "92"]),
        ("1[0-2]5", vec!["105", "115", "125"]),
        ("1(?:1(?:22?|5)|[56])", vec!["112", "1122", "115", "15", "16"]),
    ] {
        assert_eq!(Expander::new(pattern).numbers(), expected, "{pattern}");
    }
    assert_eq!(Expander::new(r"1\d\d").numbers().len(), 100);
}

/// Version and directory of the crate that this build uses.
fn phonenumber_crate() -> (String, PathBuf) {
    // Packages of other platforms need not be on this machine.
    let rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).arg("-vV").output().unwrap();
    let rustc = String::from_utf8(rustc.stdout).unwrap();
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version=1", "--offline", "--filter-platform", host, "--manifest-path"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let package =
        metadata["packages"].as_array().unwrap().iter().find(|package| package["name"] == "phonenumber").unwrap();
    let manifest = Path::new(package["manifest_path"].as_str().unwrap());
    (package["version"].as_str().unwrap().to_owned(), manifest.parent().unwrap().to_owned())
}

/// The pattern in `territory/emergency/nationalNumberPattern`, by territory; white space in it means nothing.
fn emergency_patterns(xml: &str) -> BTreeMap<String, String> {
    let mut reader = Reader::from_str(xml);
    let (mut patterns, mut path, mut territory) = (BTreeMap::new(), Vec::new(), String::new());
    loop {
        match reader.read_event().unwrap() {
            Event::Start(element) => {
                let name = element.name().as_ref().to_owned();
                if name == "territory" {
                    let id = element.try_get_attribute("id").unwrap().unwrap();
                    territory = id.value.into_owned();
                }
                path.push(name);
            }
            Event::End(_) => {
                path.pop();
            }
            Event::Text(text) if path.ends_with(&["emergency".to_owned(), "nationalNumberPattern".to_owned()]) => {
                patterns.entry(territory.clone()).or_insert_with(String::new).extend(text.split_whitespace());
            }
            Event::Eof => return patterns,
            Event::Empty(_)
            | Event::Text(_)
            | Event::CData(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_)
            | Event::GeneralRef(_) => {}
        }
    }
}

/// Lists what a pattern matches; it knows the finite part of the regular expressions that the metadata uses, and panics at anything else.
struct Expander<'a> {
    pattern: &'a [u8],
    at: usize,
}

impl<'a> Expander<'a> {
    fn new(pattern: &'a str) -> Self {
        Self { pattern: pattern.as_bytes(), at: 0 }
    }

    fn numbers(mut self) -> Vec<String> {
        let mut numbers = self.alternatives();
        assert_eq!(self.at, self.pattern.len(), "left over in {}", String::from_utf8_lossy(self.pattern));
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    fn peek(&self) -> Option<u8> {
        self.pattern.get(self.at).copied()
    }

    fn next(&mut self) -> u8 {
        self.at += 1;
        self.pattern[self.at - 1]
    }

    fn alternatives(&mut self) -> Vec<String> {
        let mut all = self.sequence();
        while self.peek() == Some(b'|') {
            self.next();
            all.extend(self.sequence());
        }
        all
    }

    fn sequence(&mut self) -> Vec<String> {
        let mut sequences = vec![String::new()];
        while !matches!(self.peek(), None | Some(b'|' | b')')) {
            let mut atom = self.atom();
            if self.peek() == Some(b'?') {
                self.next();
                atom.push(String::new());
            }
            sequences =
                sequences.iter().flat_map(|before| atom.iter().map(move |after| format!("{before}{after}"))).collect();
        }
        sequences
    }

    fn atom(&mut self) -> Vec<String> {
        match self.next() {
            digit @ b'0'..=b'9' => vec![char::from(digit).to_string()],
            b'\\' => {
                assert_eq!(self.next(), b'd');
                (0..=9).map(|digit| digit.to_string()).collect()
            }
            b'(' => {
                assert_eq!((self.next(), self.next()), (b'?', b':'));
                let group = self.alternatives();
                assert_eq!(self.next(), b')');
                group
            }
            b'[' => {
                let mut digits = Vec::new();
                loop {
                    match self.next() {
                        b']' => return digits,
                        from @ b'0'..=b'9' if self.peek() == Some(b'-') => {
                            self.next();
                            let to = self.next();
                            digits.extend((from..=to).map(|digit| char::from(digit).to_string()));
                        }
                        digit @ b'0'..=b'9' => digits.push(char::from(digit).to_string()),
                        other => panic!("{:?} in a class", char::from(other)),
                    }
                }
            }
            other => panic!("{:?} in {}", char::from(other), String::from_utf8_lossy(self.pattern)),
        }
    }
}
