//! The whole edge between phones and two core servers on a lossy link: cores die and come back, the edge is restarted with
//! the same keys. Every call ends, established ones outlive what happens between them, and nothing stays behind.
//! A failure names its seed; `CUSAX_SEED=n` runs that one alone.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails where it is wrong, and looks at what it is about"
)]

mod core;
mod world;

use std::time::Duration;

use world::{World, Wreck};

fn simulate(seed: u64, wreck: Wreck) -> World {
    let mut world = World::new(seed);
    world.register();
    for _ in 0..40 {
        world.act(wreck);
        let pause = Duration::from_millis(world.link.random(4_000));
        world.run(world.link.now + pause);
    }
    world.repair();
    world.hang_up_all();
    world.run(world.link.now + Duration::from_secs(900));
    world.ends_clean(seed);
    world
}

fn seeds(long: u64) -> Vec<u64> {
    match std::env::var("CUSAX_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => vec![seed],
        None if std::env::var_os("CUSAX_LONG").is_some() => (0..long).collect(),
        None => (0..24).collect(),
    }
}

#[test]
fn calls_outlive_restarts_of_the_edge() {
    let (mut answered, mut restarts) = (0, 0);
    let seeds = seeds(10_000);
    for seed in seeds.iter().copied() {
        let world = simulate(seed, Wreck::Edge);
        // RFC 5626 §5.3, design §4.0: routes and keys are all that a dialog needs of the edge.
        let torn: Vec<_> = world.torn().collect();
        assert!(torn.is_empty(), "seed {seed}: established calls that did not end by BYE: {torn:?}");
        answered += world.answered;
        restarts += world.restarts;
    }
    assert!(
        seeds.len() == 1 || (answered > 10 && restarts > 10),
        "{answered} calls were answered, {restarts} restarts"
    );
}

#[test]
fn calls_find_the_core_that_is_there() {
    let (mut answered, mut deaths) = (0, 0);
    let seeds = seeds(10_000);
    for seed in seeds.iter().copied() {
        let world = simulate(seed, Wreck::Cores);
        answered += world.answered;
        deaths += world.deaths;
    }
    assert!(seeds.len() == 1 || (answered > 10 && deaths > 10), "{answered} calls were answered, {deaths} deaths");
}
