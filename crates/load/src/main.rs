//! `cusax-load`, the load tester.

fn main() {}
