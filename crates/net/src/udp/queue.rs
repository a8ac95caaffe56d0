//! What waits in a socket's receive buffer, and what did not fit into it.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The receive buffer of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Bytes in it, with the kernel's own.
    pub bytes: u32,
    /// Bytes that it takes.
    pub room: u32,
    /// Datagrams that it did not take since the socket was made; it wraps.
    pub dropped: u32,
}

impl Queue {
    /// How full it is, in percent.
    #[must_use]
    pub fn percent(&self) -> u8 {
        let percent = u64::from(self.bytes) * 100 / u64::from(self.room.max(1));
        u8::try_from(percent.min(100)).unwrap_or(100)
    }
}

/// Reads the socket's counters (`SO_MEMINFO`), which costs nothing per datagram.
pub(super) fn read(socket: BorrowedFd<'_>) -> io::Result<Queue> {
    let mut info = [0_u32; DROPPED + 1];
    let mut length = size_of_val(&info) as libc::socklen_t;
    #[expect(unsafe_code, reason = "getsockopt(2) with SO_MEMINFO")]
    // SAFETY: the call writes at most `length` bytes to `info`, which is that long, and to `length`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Queue { bytes: info[BYTES], room: info[ROOM], dropped: info[DROPPED] })
}

const BYTES: usize = libc::SK_MEMINFO_RMEM_ALLOC as usize;
const ROOM: usize = libc::SK_MEMINFO_RCVBUF as usize;
const DROPPED: usize = libc::SK_MEMINFO_DROPS as usize;
