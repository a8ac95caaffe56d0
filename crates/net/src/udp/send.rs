//! Many datagrams to one `sendmmsg(2)`.
//!
//! Budget: one system call for up to [`BATCH`] datagrams, no allocation, one copy into the batch (or none, where the
//! caller writes into it by [`SendBatch::push_with`]).

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::BATCH;
use super::address::RawAddress;
use super::receive::{EMPTY_HEADER, EMPTY_VECTOR};

/// Datagrams on their way out, one behind the other in one piece of memory that is used again and again.
#[derive(Debug)]
pub struct SendBatch {
    slab: Box<[u8]>,
    used: usize,
    queued: Vec<Queued>,
    datagrams: usize,
    next: usize,
    failures: Vec<SendFailure>,
}

/// Why a datagram was not taken into a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// The batch has no room left: send it, then push again.
    #[error("the batch is full")]
    Full,
    /// The datagram is larger than a whole batch, or than UDP carries: it can never be sent.
    #[error("the datagram is too large")]
    TooLarge,
}

/// A datagram that the kernel refused to send (`EMSGSIZE`, `ENETUNREACH`, `EACCES`, ...).
#[derive(Debug)]
pub struct SendFailure {
    /// Where it was to go.
    pub to: SocketAddr,
    /// Why it did not.
    pub error: io::Error,
    /// Its first bytes, as ICMP would quote them.
    pub head: Vec<u8>,
}

/// Bytes of a refused datagram that are told.
const HEAD: usize = 1_024;

/// What became of the datagrams of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Taken by the kernel.
    pub sent: usize,
    /// Refused; [`SendBatch::failures`] says which and why.
    pub failed: usize,
    /// Still in the batch, as the socket's buffer is full.
    pub left: usize,
}

#[derive(Clone, Copy)]
struct Queued {
    to: RawAddress,
    start: usize,
    length: usize,
}

impl std::fmt::Debug for Queued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes to {:?}", self.length, self.to.decode())
    }
}

impl SendBatch {
    /// Reserves room for `datagrams` datagrams of `bytes` bytes all together.
    #[must_use]
    pub fn new(datagrams: usize, bytes: usize) -> Self {
        let datagrams = datagrams.max(1);
        Self {
            slab: vec![0; bytes.max(1)].into_boxed_slice(),
            used: 0,
            queued: Vec::with_capacity(datagrams),
            datagrams,
            next: 0,
            failures: Vec::with_capacity(datagrams),
        }
    }

    /// Appends a copy of `bytes`, addressed to `to`.
    ///
    /// # Errors
    /// [`PushError`].
    pub fn push(&mut self, to: SocketAddr, bytes: &[u8]) -> Result<(), PushError> {
        self.push_with(to, bytes.len(), |space| {
            space.copy_from_slice(bytes);
            bytes.len()
        })
    }

    /// Appends a datagram that `write` makes in place: it is given `largest` bytes and returns how many it wrote.
    ///
    /// What the bytes held before is not cleared.
    ///
    /// # Errors
    /// [`PushError`]; `write` is not called then.
    pub fn push_with(
        &mut self,
        to: SocketAddr,
        largest: usize,
        write: impl FnOnce(&mut [u8]) -> usize,
    ) -> Result<(), PushError> {
        if largest > self.slab.len().min(LARGEST_DATAGRAM) {
            return Err(PushError::TooLarge);
        }
        if self.queued.len() == self.datagrams || largest > self.slab.len() - self.used {
            return Err(PushError::Full);
        }
        let start = self.used;
        let length = write(&mut self.slab[start..start + largest]).min(largest);
        self.used += length;
        self.queued.push(Queued { to: to.into(), start, length });
        Ok(())
    }

    /// How many datagrams wait to be sent.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queued.len() - self.next
    }

    /// True where none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Drops what waits and tells how many datagrams that was.
    pub fn clear(&mut self) -> usize {
        let dropped = self.len();
        self.queued.clear();
        self.used = 0;
        self.next = 0;
        dropped
    }

    /// The datagrams that the last send call could not send.
    #[must_use]
    pub fn failures(&self) -> &[SendFailure] {
        &self.failures
    }

    /// Sends until the batch is empty or the socket's buffer is full.
    pub(super) fn drain(&mut self, socket: BorrowedFd<'_>) -> Sent {
        self.failures.clear();
        let mut sent = 0;
        let mut attempts = 0;
        while !self.is_empty() {
            match self.send_some(socket) {
                Ok(count) => {
                    sent += count;
                    self.next += count;
                    attempts = 0;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // The error may be what ICMP reported of an earlier datagram: the kernel hands it to the next call, once.
                Err(_) if attempts == 0 => attempts = 1,
                Err(error) => {
                    if let Some(queued) = self.queued.get(self.next)
                        && let Some(to) = queued.to.decode()
                    {
                        let head = self.slab[queued.start..queued.start + queued.length.min(HEAD)].to_vec();
                        self.failures.push(SendFailure { to, error, head });
                    }
                    self.next += 1;
                    attempts = 0;
                }
            }
        }
        let left = self.len();
        if left == 0 {
            self.clear();
        }
        Sent { sent, failed: self.failures.len(), left }
    }

    /// Calls `sendmmsg(2)` once; an error is that of the first datagram that waits.
    fn send_some(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let mut vectors = [EMPTY_VECTOR; BATCH];
        let mut headers = [EMPTY_HEADER; BATCH];
        let waiting = &mut self.queued[self.next..];
        let count = waiting.len().min(BATCH);
        for ((queued, vector), header) in waiting.iter_mut().zip(&mut vectors).zip(&mut headers) {
            let bytes = &mut self.slab[queued.start..queued.start + queued.length];
            vector.iov_base = bytes.as_mut_ptr().cast();
            vector.iov_len = bytes.len();
            header.msg_hdr.msg_namelen = queued.to.len();
            header.msg_hdr.msg_name = queued.to.as_mut_ptr();
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
        }
        #[expect(unsafe_code, reason = "sendmmsg(2)")]
        // SAFETY: each header points to one vector and one address, each vector to a range of the slab; all live until
        // this returns and have the lengths that the headers state. The kernel only reads what they point to.
        let result = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count as libc::c_uint, 0) };
        usize::try_from(result).map_err(|_| io::Error::last_os_error())
    }
}

/// The largest payload that the length field of UDP can state over IPv6 (RFC 768, RFC 8200); IPv4 refuses 20 bytes earlier.
const LARGEST_DATAGRAM: usize = 65_527;
