//! Families of TLS, whatever is spoken over it.

use cusax_event::tls::{Aspect, Handshake, HandshakeResult, Side, Version};
use prometheus::IntCounter;

use super::children::{Children, Families, label};

pub(super) struct Tls {
    handshakes: Children<IntCounter, 4>,
}

impl Tls {
    pub(super) fn new(families: &Families<'_>) -> Self {
        Self {
            handshakes: families.counters(
                "tls_handshakes_total",
                "TLS handshakes by what they came to.",
                &[
                    label!("aspect", Aspect),
                    label!("side", Side),
                    label!("result", HandshakeResult),
                    label!("version", Version),
                ],
            ),
        }
    }

    pub(super) fn handshake(&self, it: &Handshake) {
        self.handshakes.at([it.aspect as usize, it.side as usize, it.result as usize, it.version as usize]).inc();
    }
}
