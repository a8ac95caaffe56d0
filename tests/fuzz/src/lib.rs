//! What must hold whatever comes: each target is a function of bytes that fails where a law is broken.
//!
//! With libFuzzer, for as long as you like (nightly Rust and `cargo install cargo-fuzz`; here for five minutes):
//!
//! ```text
//! cargo +nightly fuzz run --fuzz-dir tests/fuzz datagram tests/fuzz/corpus/datagram tests/corpora/rfc4475 -- -max_total_time=300
//! ```
//!
//! Under stable `tests/tests/fuzz.rs` runs all of them on the corpora and on what a seeded mutator makes of them. An input that
//! broke a law stays in `tests/corpora/fuzz/<target>`.

pub mod datagram;
pub mod digest;
pub mod edge;
pub mod edit;
mod input;
mod pace;
pub mod proxy;
pub mod stream;
pub mod transaction;
mod wire;
