//! The tables and what names their entries.

use cusax_sip::Method;
use cusax_sip::transaction::Layer;

use crate::bench::{Bench, UDP, flow, request};

#[test]
fn tables_are_bounded_and_say_so() {
    let mut bench = Bench::new(UDP);
    for number in 0..8 {
        bench.receive(request("OPTIONS", &format!("z9hG4bK{number}")));
        assert!(bench.layer.open(Method::Options, bench.flow, 0, None).is_some());
    }
    assert_eq!(bench.names(), ["request"; 8]);
    assert!(bench.layer.open(Method::Options, bench.flow, 0, None).is_none());
    bench.receive(request("OPTIONS", "z9hG4bK8"));
    assert_eq!(bench.names(), ["dropped"]);
}

#[test]
fn branches_and_tags_differ_within_a_run_and_between_runs() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..20 {
        let mut layer = Layer::new([seed, seed], 100);
        for _ in 0..20 {
            assert!(seen.insert(layer.open(Method::Options, flow(UDP), 0, None).unwrap().1));
            assert!(seen.insert(layer.stateless_branch()));
            assert!(seen.insert(layer.tag()));
        }
    }
}
