//! Criterion benches; see `benches/`.

#![forbid(unsafe_code)]
