//! Kamailio behind the edge, and the people on both.

use std::time::{Duration, Instant};

use cusax_load::phone::within;
use cusax_load::{Phone, PhoneConfig};
use cusax_tests::ports::Port;
use cusax_tests::scratch::Scratch;
use cusax_tests::server::{DOMAIN, Edge, Hop, Kamailio};

/// Users with their passwords.
pub const USERS: [(&str, &str); 3] = [("alice", "wonderland-1"), ("bob", "builder-22"), ("carol", "carillon-3")];

/// What runs.
pub struct Stage {
    pub edge: Edge,
    pub kamailio: Kamailio,
    /// The gateway's, which is not there.
    _gateway: Port,
    /// Last, so that it goes when nothing runs in it.
    pub scratch: Scratch,
}

impl Stage {
    /// Brings up both.
    pub async fn raise() -> Self {
        let scratch = Scratch::new("phones").unwrap();
        let (port, gateway) = (Port::free().unwrap(), Port::free().unwrap());
        let mut edge = Edge::install(&scratch, port.address(), Hop::Udp, &USERS).unwrap();
        let kamailio = Kamailio::start(&scratch, port, edge.core(), gateway.address()).await.unwrap();
        edge.serve().await.unwrap();
        Self { edge, kamailio, _gateway: gateway, scratch }
    }

    /// A phone of ours that has registered.
    pub async fn phone(&self, user: &str, hertz: f64) -> Phone {
        let phone = Phone::start(PhoneConfig::new(user, DOMAIN, password(user), self.edge.access(), hertz)).unwrap();
        assert_eq!(phone.register(3600, soon()).await.unwrap().status, 200);
        phone
    }
}

pub fn password(user: &str) -> &'static str {
    USERS.iter().find(|(name, _)| *name == user).unwrap().1
}

/// A deadline that only a failure reaches.
pub fn soon() -> Instant {
    within(Duration::from_secs(10))
}
