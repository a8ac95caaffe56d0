//! Processor time that was used so far.

use std::io;
use std::time::Duration;

/// Time on a processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// In our own code.
    pub user: Duration,
    /// In the kernel, for us.
    pub system: Duration,
}

impl Usage {
    /// Both.
    #[must_use]
    pub fn sum(self) -> Duration {
        self.user + self.system
    }

    /// What was used since.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self { user: self.user.saturating_sub(earlier.user), system: self.system.saturating_sub(earlier.system) }
    }
}

/// Tells what this process has used.
///
/// # Errors
/// What the system call says.
pub fn process() -> io::Result<Usage> {
    usage(libc::RUSAGE_SELF)
}

/// Tells what the calling thread has used.
///
/// # Errors
/// What the system call says.
pub fn thread() -> io::Result<Usage> {
    usage(libc::RUSAGE_THREAD)
}

fn usage(who: libc::c_int) -> io::Result<Usage> {
    #[expect(unsafe_code, reason = "getrusage(2)")]
    // SAFETY: `rusage` is made of integers, for all of which zero is a value; it lives through the call, which writes it.
    let (result, usage) = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        (libc::getrusage(who, &raw mut usage), usage)
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Usage { user: time(usage.ru_utime), system: time(usage.ru_stime) })
}

fn time(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_counted_for_its_thread_and_its_process() {
        let (process_before, thread_before) = (process().unwrap(), thread().unwrap());
        let mut value = 1_u64;
        while thread().unwrap().since(thread_before).sum() < Duration::from_millis(2) {
            value = std::hint::black_box(value.wrapping_mul(3));
        }
        assert!(process().unwrap().since(process_before).sum() >= Duration::from_millis(2));
    }
}
