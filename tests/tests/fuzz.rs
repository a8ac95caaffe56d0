//! The fuzz targets of `tests/fuzz` under stable: on every corpus, on what once broke a law (`corpora/fuzz`), and on what a
//! seeded mutator makes of both. A failure leaves its input in the directory for temporary files and names it.
//!
//! So many inputs by itself; where `CUSAX_LONG` is set, as many as fit into half of `CUSAX_LONG_BUDGET`.

#![allow(clippy::unwrap_used, reason = "a test fails where it is wrong")]

#[allow(unreachable_pub, reason = "it is a library for libFuzzer")]
#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use cusax_net::clock;

const INPUTS: u32 = 2_000;
const LONGEST: usize = 4_096;

/// A seeded source of numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }

    /// One input from others, or from nothing.
    fn input(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut input = if self.below(3) == 0 {
            (0..self.below(600)).map(|_| u8::try_from(self.below(256)).unwrap()).collect()
        } else {
            seeds[self.below(seeds.len())].clone()
        };
        for _ in 0..self.below(8) {
            self.mutate(&mut input, seeds);
        }
        input.truncate(LONGEST);
        input
    }

    fn mutate(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        let end = (at + 1 + self.below(40)).min(input.len());
        match self.below(6) {
            0 => input.insert(at, u8::try_from(self.below(256)).unwrap()),
            1 => drop(input.drain(at..end)),
            2 => {
                let piece = input[at..end].to_vec();
                let to = self.below(input.len() + 1);
                input.splice(to..to, piece);
            }
            3 => {
                let other = &seeds[self.below(seeds.len())];
                let from = self.below(other.len() + 1);
                let piece = other[from..(from + self.below(200)).min(other.len())].to_vec();
                input.splice(at..end, piece);
            }
            4 => {
                const PIECES: [&[u8]; 10] = [
                    b"\r\n",
                    b"\n",
                    b"\0",
                    b",",
                    b"\"",
                    b"\r\n\r\n",
                    b"l: 5\r\n",
                    b";rport",
                    b"v:SIP/2.0/UDP a,",
                    b"\xff",
                ];
                input.splice(at..at, PIECES[self.below(PIECES.len())].iter().copied());
            }
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << self.below(8);
                }
            }
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.is_file() && path.extension().is_none_or(|extension| extension != "md"));
    found.sort();
    found
}

#[expect(clippy::print_stderr, reason = "how many there were is for whoever runs it")]
fn run(name: &str, target: fn(&[u8])) {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpora");
    let broke = files(&corpora.join("fuzz").join(name));
    let others = ["rfc4475", "rfc5118", "smuggling"].iter().flat_map(|folder| files(&corpora.join(folder)));
    let seeds: Vec<_> = broke.into_iter().chain(others).map(|path| fs::read(path).unwrap()).collect();
    assert!(seeds.len() > 100, "the corpora were not found");
    let check = |input: &[u8], which: &str| {
        if catch_unwind(AssertUnwindSafe(|| target(input))).is_err() {
            let file = std::env::temp_dir().join(format!("cusax-fuzz-{name}-{which}"));
            fs::write(&file, input).unwrap();
            panic!("{name} breaks a law with {}", file.display());
        }
    };
    for (number, seed) in seeds.iter().enumerate() {
        check(seed, &format!("seed-{number}"));
    }
    let seconds = || std::env::var("CUSAX_LONG_BUDGET").ok().and_then(|budget| budget.parse().ok()).unwrap_or(900_u64);
    let long = std::env::var_os("CUSAX_LONG").map(|_| clock::now() + Duration::from_secs(seconds() / 2));
    let mut random = Random(1);
    let mut count = 0;
    while count < INPUTS || long.is_some_and(|end| clock::now() < end) {
        check(&random.input(&seeds), &count.to_string());
        count += 1;
    }
    eprintln!("{name}: {count} inputs");
}

#[test]
fn datagrams() {
    run("datagram", fuzz::datagram::target);
}

#[test]
fn streams() {
    run("stream", fuzz::stream::target);
}

#[test]
fn edits() {
    run("edit", fuzz::edit::target);
}

#[test]
fn digests() {
    run("digest", fuzz::digest::target);
}

#[test]
fn transactions() {
    run("transaction", fuzz::transaction::target);
}

#[test]
fn proxies() {
    run("proxy", fuzz::proxy::target);
}

#[test]
fn edges() {
    run("edge", fuzz::edge::target);
}
