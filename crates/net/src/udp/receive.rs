//! Many datagrams from one `recvmmsg(2)`.
//!
//! Budget: one system call per batch, no allocation, no copy. The headers that the kernel reads are built on the stack
//! for each call (about 2 ns a datagram in a full batch), so that no pointer outlives it.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::BATCH;
use super::address::RawAddress;

/// Memory for the datagrams of one receive call, used again and again.
#[derive(Debug)]
pub struct RecvBatch {
    slab: Box<[u8]>,
    largest: usize,
    received: Vec<Received>,
}

/// One received datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Who sent it.
    pub from: SocketAddr,
    /// What was received of it.
    pub bytes: &'a [u8],
    /// True where it was larger than the batch allows, so that its end is missing.
    pub truncated: bool,
}

#[derive(Clone, Copy, Debug)]
struct Received {
    slot: usize,
    length: usize,
    from: SocketAddr,
    truncated: bool,
}

impl RecvBatch {
    /// Reserves room for `datagrams` (1 to [`BATCH`], else the nearest of these) of at most `largest` bytes each.
    ///
    /// Address space is `datagrams * largest`, but only the pages that datagrams were written to become memory.
    #[must_use]
    pub fn new(datagrams: usize, largest: usize) -> Self {
        let datagrams = datagrams.clamp(1, BATCH);
        let largest = largest.max(1);
        Self { slab: vec![0; datagrams * largest].into_boxed_slice(), largest, received: Vec::with_capacity(datagrams) }
    }

    /// How many datagrams the last call brought.
    #[must_use]
    pub fn len(&self) -> usize {
        self.received.len()
    }

    /// True where the last call brought none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.received.is_empty()
    }

    /// The datagrams of the last call, in the order of their arrival.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Datagram<'_>> {
        self.received.iter().map(|received| {
            let start = received.slot * self.largest;
            Datagram {
                from: received.from,
                bytes: &self.slab[start..start + received.length],
                truncated: received.truncated,
            }
        })
    }

    /// Receives what is there, at most what there is room for.
    pub(super) fn fill(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.received.clear();
        let mut sources = [RawAddress::UNSPECIFIED; BATCH];
        let mut vectors = [EMPTY_VECTOR; BATCH];
        let mut headers = [EMPTY_HEADER; BATCH];
        let slots = self.slab.chunks_exact_mut(self.largest);
        let room = slots.len();
        for (((slot, source), vector), header) in slots.zip(&mut sources).zip(&mut vectors).zip(&mut headers) {
            vector.iov_base = slot.as_mut_ptr().cast();
            vector.iov_len = slot.len();
            header.msg_hdr.msg_name = source.as_mut_ptr();
            header.msg_hdr.msg_namelen = RawAddress::SPACE;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
        }
        let count = receive(socket, &mut headers[..room])?;
        for (slot, (header, source)) in headers.iter().zip(&sources).take(count).enumerate() {
            if let Some(from) = source.decode() {
                self.received.push(Received {
                    slot,
                    length: self.largest.min(header.msg_len as usize),
                    from,
                    truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
                });
            }
        }
        Ok(self.received.len())
    }
}

/// Calls `recvmmsg(2)`, again after a signal and after an error that an earlier *sent* datagram left on the socket.
fn receive(socket: BorrowedFd<'_>, headers: &mut [libc::mmsghdr]) -> io::Result<usize> {
    let mut attempts = 0;
    loop {
        #[expect(unsafe_code, reason = "recvmmsg(2)")]
        // SAFETY: each header points to one vector and one address, each vector to one slot of the slab; all are borrowed
        // mutably by the caller until this returns, are distinct, and have the lengths that the headers state.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                headers.len() as libc::c_uint,
                0,
                std::ptr::null_mut(),
            )
        };
        if let Ok(count) = usize::try_from(count) {
            return Ok(count);
        }
        let error = io::Error::last_os_error();
        attempts += 1;
        if error.kind() == io::ErrorKind::WouldBlock || attempts > PENDING_ERRORS {
            return Err(error);
        }
    }
}

/// How many errors are passed over in one call; a socket keeps one at a time, so more than a few are errors of the call.
const PENDING_ERRORS: u32 = 8;

pub(super) const EMPTY_VECTOR: libc::iovec = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };

pub(super) const EMPTY_HEADER: libc::mmsghdr = {
    #[expect(unsafe_code, reason = "msghdr has private padding on some targets")]
    // SAFETY: `mmsghdr` is made of integers and pointers, for all of which zero is a value.
    unsafe {
        std::mem::zeroed()
    }
};
