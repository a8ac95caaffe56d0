//! The whole path, once, on real servers: what `deploy/try` shows, as a test.

use cusax_tests::interop::{KAMAILIO, PROSODY, SIPP, available};
use cusax_tests::tour::{Report, Stage, walk};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_step_of_the_tour_succeeds_on_kamailio_prosody_and_sipp() {
    if !available("tour", &[KAMAILIO, PROSODY, SIPP]) {
        return;
    }
    let mut report = Report::new();
    let mut stage = Stage::raise("tour", |_, _| {}).await.unwrap();
    walk(&mut stage, &mut report).await.unwrap();
    let (passed, failed) = report.counts();
    assert_eq!(failed, 0, "the report above says what was not seen");
    assert!(passed >= 25, "only {passed} things were looked at");
}
