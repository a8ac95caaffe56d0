//! How many files and sockets this process may have open.

use std::io;

/// Raises the soft limit of open descriptors to the hard one, and tells what it is now.
///
/// The soft limit is low (1,024 as a rule) for programs that use select(2), which cannot look at higher descriptors; what
/// waits here does so by epoll(7) and ppoll(2), which can.
///
/// # Errors
/// What the system calls say.
pub fn raise_limit() -> io::Result<u64> {
    let mut limit = limit()?;
    if limit.rlim_cur < limit.rlim_max {
        limit.rlim_cur = limit.rlim_max;
        #[expect(unsafe_code, reason = "setrlimit(2)")]
        // SAFETY: `limit` lives through the call, which reads it.
        let result = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
        checked(result)?;
    }
    Ok(limit.rlim_cur)
}

fn limit() -> io::Result<libc::rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    #[expect(unsafe_code, reason = "getrlimit(2)")]
    // SAFETY: `limit` lives through the call, which writes it.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    checked(result)?;
    Ok(limit)
}

fn checked(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let hard = limit().unwrap().rlim_max;
        assert_eq!(raise_limit().unwrap(), hard);
        assert_eq!(limit().unwrap().rlim_cur, hard);
        assert_eq!(raise_limit().unwrap(), hard, "once more changes nothing");
    }
}
