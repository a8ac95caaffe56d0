//! One UDP socket of the SIP thread: what waits to be sent by it, and whether it is read in time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cusax_net::udp::{AsyncSocket, BATCH, SendBatch};
use cusax_sip::ListenerId;

/// For how long a receive buffer that is never empty is a crowd at the door and not overload.
const STANDING: Duration = Duration::from_millis(100);

/// Between two questions for what ICMP said.
const ICMP: Duration = Duration::from_millis(2);

/// A socket and what is to be sent by it.
pub(super) struct SipSocket {
    pub(super) id: ListenerId,
    pub(super) socket: Arc<AsyncSocket>,
    pub(super) batch: SendBatch,
    /// Since when each read has left something behind, and when the last of them was.
    standing: Option<(Instant, Instant)>,
    /// How full its receive buffer is, in percent, if that has lasted.
    pub(super) backlog: u8,
    /// Datagrams that its receive buffer had not taken when it was last looked at.
    dropped: u32,
    /// When it was last asked what ICMP said, and whether something was sent since.
    asked: Option<Instant>,
    unasked: bool,
}

impl SipSocket {
    pub(super) fn new(id: ListenerId, socket: Arc<AsyncSocket>) -> Self {
        let batch = SendBatch::new(BATCH, BATCH * 4_096);
        Self { id, socket, batch, standing: None, backlog: 0, dropped: 0, asked: None, unasked: false }
    }

    /// Takes note of how many datagrams a read has brought; returns how many the kernel has dropped since.
    pub(super) fn watch(&mut self, read: usize, now: Instant) -> u32 {
        let queue = if read == BATCH { self.socket.queue().ok().filter(|queue| queue.bytes > 0) } else { None };
        let Some(queue) = queue else {
            (self.standing, self.backlog) = (None, 0);
            return 0;
        };
        let since = match self.standing {
            Some((since, last)) if now.saturating_duration_since(last) < STANDING => since,
            Some(_) | None => now,
        };
        self.standing = Some((since, now));
        self.backlog = if now.saturating_duration_since(since) >= STANDING { queue.percent() } else { 0 };
        let lost = queue.dropped.wrapping_sub(self.dropped);
        self.dropped = queue.dropped;
        lost
    }

    /// What ICMP said of what was sent: where to, and how it begins. Asked at most once in [`ICMP`], for each question is a
    /// system call.
    pub(super) fn bounced(&mut self, now: Instant) -> Vec<(SocketAddr, Vec<u8>)> {
        let soon = self.asked.is_some_and(|asked| now.saturating_duration_since(asked) < ICMP);
        if !self.unasked || soon {
            return Vec::new();
        }
        (self.unasked, self.asked) = (false, Some(now));
        std::iter::from_fn(|| self.socket.take_unreachable()).map(|told| (told.to, told.quoted)).collect()
    }

    /// When it wants to be asked again.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.asked.filter(|_| self.unasked).map(|asked| asked + ICMP)
    }

    /// Sends what has gathered; returns what the kernel refused: where to, and how it begins.
    pub(super) fn send(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        if self.batch.is_empty() {
            return Vec::new();
        }
        self.unasked = true;
        self.socket.send_batch(&mut self.batch);
        let failed = self.batch.failures().iter().map(|failure| (failure.to, failure.head.clone())).collect();
        self.batch.clear();
        failed
    }
}
