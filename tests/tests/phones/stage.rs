//! Kamailio behind the edge, and the people on both.

use std::time::{Duration, Instant};

use cusax_load::phone::within;
use cusax_load::{Phone, PhoneConfig};
use cusax_tests::ports::Port;
use cusax_tests::scratch::Scratch;
use cusax_tests::server::{DOMAIN, Edge, Hop, Kamailio, Player, Scenario};

/// Users with their passwords.
pub(crate) const USERS: [(&str, &str); 3] = [("alice", "wonderland-1"), ("bob", "builder-22"), ("carol", "carillon-3")];

/// For phones that give up where anything but MD5 is offered beside it, such as baresip 1.0 and JsSIP 3.
pub(crate) const MD5: &str = "[sip.auth]\nalgorithms = [\"MD5\"]\n";

/// What runs.
pub(crate) struct Stage {
    pub(crate) edge: Edge,
    pub(crate) kamailio: Kamailio,
    /// The gateway's, which is not there.
    _gateway: Port,
    /// Last, so that it goes when nothing runs in it.
    pub(crate) scratch: Scratch,
}

impl Stage {
    /// Brings up both, with the digest algorithms of the default configuration.
    pub(crate) async fn raise() -> Self {
        Self::with(Hop::Udp, "").await
    }

    /// Brings up both for phones that know MD5 only.
    pub(crate) async fn raise_for_md5() -> Self {
        Self::with(Hop::Udp, MD5).await
    }

    /// Brings up both for SIPp, which fills in credentials for one URI only: the edge asks nobody for them.
    pub(crate) async fn raise_without_challenge() -> Self {
        Self::with(Hop::Udp, "[sip.auth]\nchallenge = false\n").await
    }

    /// Brings up both, which speak over this transport with each other.
    pub(crate) async fn with(hop: Hop, more: &str) -> Self {
        let scratch = Scratch::new("phones").unwrap();
        let (port, gateway) = (Port::free().unwrap(), Port::free().unwrap());
        let mut edge = Edge::install(&scratch, port.address(), hop, &USERS, more).unwrap();
        let kamailio = Kamailio::behind(&scratch, port, &edge, gateway.address(), hop).await.unwrap();
        edge.serve().await.unwrap();
        Self { edge, kamailio, _gateway: gateway, scratch }
    }

    /// A phone of ours that has registered.
    pub(crate) async fn phone(&self, user: &str, hertz: f64) -> Phone {
        phone(&self.edge, user, hertz).await
    }

    /// A phone of SIPp's: its port, still bound.
    pub(crate) async fn sipp<'a>(&self, user: &'a str, port: &'a mut Port) -> Player<'a> {
        port.release();
        let (password, proxy) = (password(user), self.edge.access());
        let player = Player { user, password, proxy, port, target: user };
        Scenario::start(&self.scratch, "register", player).unwrap().played().await.unwrap();
        player
    }
}

/// A phone of ours that has registered through an edge.
pub(crate) async fn phone(edge: &Edge, user: &str, hertz: f64) -> Phone {
    let phone = Phone::start(PhoneConfig::new(user, DOMAIN, password(user), edge.access(), hertz)).unwrap();
    assert_eq!(phone.register(3600, soon()).await.unwrap().status, 200);
    phone
}

pub(crate) fn password(user: &str) -> &'static str {
    USERS.iter().find(|(name, _)| *name == user).unwrap().1
}

/// A deadline that only a failure reaches.
pub(crate) fn soon() -> Instant {
    within(Duration::from_secs(10))
}
