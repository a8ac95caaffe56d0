//! A seeded, lossy link between nodes on a virtual clock: simulations jump from one event to the next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cusax_net::clock;

/// A datagram under way.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Datagram {
    /// When it arrives.
    pub at: Instant,
    order: u64,
    /// From where.
    pub from: SocketAddr,
    /// To where.
    pub to: SocketAddr,
    /// What.
    pub bytes: Bytes,
}

/// The link: loses, repeats, delays and so reorders what passes.
pub struct Link {
    /// The present.
    pub now: Instant,
    /// Of a hundred datagrams, so many are lost.
    pub loss: u64,
    /// Of a hundred datagrams, so many arrive twice.
    pub repeats: u64,
    /// The longest delay, in milliseconds.
    pub delay: u64,
    random: u64,
    order: u64,
    under_way: BinaryHeap<Reverse<Datagram>>,
}

impl Link {
    /// A link with a seed, that loses a fifth, repeats a tenth and delays up to 150 ms.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let under_way = BinaryHeap::new();
        Self { now: clock::now(), loss: 20, repeats: 10, delay: 150, random: seed, order: 0, under_way }
    }

    /// A number below `bound`.
    pub fn random(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }

    /// Sends a datagram.
    pub fn send(&mut self, from: SocketAddr, to: SocketAddr, bytes: &Bytes) {
        if self.random(100) < self.loss {
            return;
        }
        let copies = 1 + u64::from(self.random(100) < self.repeats);
        for _ in 0..copies {
            let at = self.now + Duration::from_millis(1 + self.random(self.delay));
            self.order += 1;
            self.under_way.push(Reverse(Datagram { at, order: self.order, from, to, bytes: bytes.clone() }));
        }
    }

    /// When the next datagram arrives.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.under_way.peek().map(|Reverse(datagram)| datagram.at)
    }

    /// Takes a datagram that has arrived.
    pub fn arrived(&mut self) -> Option<Datagram> {
        if self.next()? > self.now {
            return None;
        }
        self.under_way.pop().map(|Reverse(datagram)| datagram)
    }
}
