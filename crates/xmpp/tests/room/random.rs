//! A service gone mad: nothing that it sends, in any order, makes the view panic, ask without end or lose its bounds.

use std::sync::LazyLock;

use cusax_xmpp::muc::{Link, Output};
use proptest::prelude::*;

use crate::service::{EJABBERD, PROSODY, Service, parse};

static STANZAS: LazyLock<Vec<cusax_xmpp::Element>> = LazyLock::new(|| {
    let received = [PROSODY, EJABBERD].map(|log| log.lines().filter_map(|line| line.strip_prefix("COMP << ")));
    let lines = received.into_iter().flatten().filter(|line| line.starts_with('<') && !line.starts_with("<?"));
    lines.filter(|line| !line.starts_with("<stream") && !line.starts_with("</")).flat_map(parse).collect()
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("CUSAX_LONG").is_some() { 20_000 } else { 64 }))]
    #[test]
    fn recorded_stanzas_in_any_order_never_panic_nor_ask_without_end(
        order in proptest::collection::vec((any::<proptest::sample::Index>(), 0..8u8), 1..200),
        answers in any::<bool>(),
    ) {
        let all = &*STANZAS;
        let mut service = Service::new(PROSODY);
        service.silent = !answers;
        service.settle();
        for (index, what) in order {
            match what {
                0 => service.room.handle_link(Link::Down, service.now),
                1 => service.room.handle_link(Link::Up, service.now),
                2 => {
                    service.now = service.room.poll_timeout().unwrap_or(service.now);
                    service.room.handle_timeout(service.now);
                }
                _ => service.room.handle_stanza(&all[index.index(all.len())], service.now),
            }
            let mut outputs = 0;
            while let Some(output) = service.room.poll_output() {
                outputs += usize::from(matches!(output, Output::Send(_)));
            }
            prop_assert!(outputs <= 8, "{outputs} requests for one stanza");
        }
    }
}
