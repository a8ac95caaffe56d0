//! What ICMP said about datagrams that were sent (`IP_RECVERR`, ip(7)).

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::address::RawAddress;

/// A destination that ICMP reported, as RFC 3261 §18.4 wants transport errors told to who sent.
#[derive(Debug)]
pub struct Unreachable {
    /// Where the datagram had been sent.
    pub to: SocketAddr,
    /// What the kernel makes of the ICMP message: `ConnectionRefused`, `HostUnreachable`, ...
    pub error: io::Error,
    /// As much of the datagram as ICMP quotes, often its first 500 bytes, sometimes none: who can quote it has seen it.
    pub quoted: Vec<u8>,
}

/// Bytes of a datagram that are of interest.
const QUOTED: usize = 1_024;

/// Has the kernel keep ICMP errors of an unconnected socket.
pub(super) fn keep(socket: BorrowedFd<'_>, address: SocketAddr) -> io::Result<()> {
    let (level, name) = match address {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_RECVERR),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
    };
    let on: libc::c_int = 1;
    #[expect(unsafe_code, reason = "setsockopt(2)")]
    // SAFETY: `on` lives through the call, which reads the size of it.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Takes the oldest error that the kernel keeps, `None` where there is none.
pub(super) fn take(socket: BorrowedFd<'_>) -> Option<Unreachable> {
    loop {
        let mut quoted = [0; QUOTED];
        let (to, code, length) = receive(socket, &mut quoted)?;
        let quoted = quoted[..length.min(QUOTED)].to_vec();
        // Errors without a destination or a code are none that a sender could be told of; a datagram that was too large
        // for a path goes in fragments the next time.
        if let (Some(to), Some(code)) = (to.decode(), code.filter(|code| *code != libc::EMSGSIZE)) {
            return Some(Unreachable { to, error: io::Error::from_raw_os_error(code), quoted });
        }
    }
}

fn receive(socket: BorrowedFd<'_>, quoted: &mut [u8]) -> Option<(RawAddress, Option<i32>, usize)> {
    let mut to = RawAddress::UNSPECIFIED;
    let mut vector = libc::iovec { iov_base: quoted.as_mut_ptr().cast(), iov_len: quoted.len() };
    let mut control = [0_u64; 32];
    #[expect(unsafe_code, reason = "recvmsg(2) with MSG_ERRQUEUE")]
    // SAFETY: the header points to `to`, to `vector`, which spans `quoted`, and to `control`, with their lengths; all live
    // through the block. `control` is aligned for `cmsghdr`. CMSG_FIRSTHDR yields a header inside of what the kernel wrote, and its
    // length is compared before the data behind it is read.
    unsafe {
        let mut header: libc::msghdr = std::mem::zeroed();
        header.msg_name = to.as_mut_ptr();
        header.msg_namelen = RawAddress::SPACE;
        header.msg_iov = &raw mut vector;
        header.msg_iovlen = 1;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = size_of_val(&control) as _;
        let length = usize::try_from(libc::recvmsg(socket.as_raw_fd(), &raw mut header, libc::MSG_ERRQUEUE)).ok()?;
        let first = libc::CMSG_FIRSTHDR(&raw const header);
        let code = if first.is_null()
            || ((*first).cmsg_len as usize) < libc::CMSG_LEN(size_of::<libc::sock_extended_err>() as u32) as usize
        {
            None
        } else {
            let error: libc::sock_extended_err =
                libc::CMSG_DATA(first).cast::<libc::sock_extended_err>().read_unaligned();
            i32::try_from(error.ee_errno).ok()
        };
        Some((to, code, length.min(quoted.len())))
    }
}
