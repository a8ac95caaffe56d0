//! What the kernel dropped, as nobody fetched it in time.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Reads the socket's counter of dropped datagrams (`SO_MEMINFO`), which costs nothing per datagram.
pub(super) fn read(socket: BorrowedFd<'_>) -> io::Result<u32> {
    let mut info = [0_u32; DROPS + 1];
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
    Ok(info[DROPS])
}

const DROPS: usize = libc::SK_MEMINFO_DROPS as usize;
