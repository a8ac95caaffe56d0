//! What a media thread asks of the scheduler: a core of its own and timers that are on time.

use std::io;

/// Lists the cores that this process may use, in ascending order (affinity mask, so also a container's cpuset).
///
/// # Errors
/// What the system call says.
pub fn available_cores() -> io::Result<Vec<usize>> {
    let set = affinity()?;
    Ok((0..CORES).filter(|&core| contains(&set, core)).collect())
}

/// Binds the calling thread to one core.
///
/// # Errors
/// `InvalidInput` where the core is not one of [`available_cores`].
pub fn pin_to_core(core: usize) -> io::Result<()> {
    if !contains(&affinity()?, core) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("core {core} is not available to this process"),
        ));
    }
    let mut set = empty();
    #[expect(unsafe_code, reason = "CPU_SET(3) and sched_setaffinity(2)")]
    // SAFETY: `core` is in a set, so inside of any. `set` lives through the call, which reads `size_of::<cpu_set_t>()`
    // bytes of it; 0 is the calling thread.
    let result = unsafe {
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    checked(result)
}

/// Asks for timers of the calling thread that are not put off to be coalesced (by default up to 50 µs).
///
/// # Errors
/// What the system call says.
pub fn precise_timers() -> io::Result<()> {
    let slack: libc::c_ulong = 1;
    #[expect(unsafe_code, reason = "prctl(2)")]
    // SAFETY: PR_SET_TIMERSLACK takes one number, in nanoseconds, and touches no memory of ours.
    let result = unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, slack) };
    checked(result)
}

const CORES: usize = libc::CPU_SETSIZE as usize;

fn affinity() -> io::Result<libc::cpu_set_t> {
    let mut set = empty();
    #[expect(unsafe_code, reason = "sched_getaffinity(2)")]
    // SAFETY: `set` lives through the call, which writes at most `size_of::<cpu_set_t>()` bytes to it.
    let result = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) };
    checked(result)?;
    Ok(set)
}

fn empty() -> libc::cpu_set_t {
    #[expect(unsafe_code, reason = "cpu_set_t has no constructor")]
    // SAFETY: `cpu_set_t` is an array of integers; all zero is the empty set.
    unsafe {
        std::mem::zeroed()
    }
}

fn contains(set: &libc::cpu_set_t, core: usize) -> bool {
    if core >= CORES {
        return false;
    }
    #[expect(unsafe_code, reason = "CPU_ISSET(3)")]
    // SAFETY: the index is checked to be inside the set.
    unsafe {
        libc::CPU_ISSET(core, set)
    }
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
    use std::path::Path;

    #[test]
    fn pinned_thread_may_use_its_core_only() {
        let core = *available_cores().unwrap().last().unwrap();
        let left = std::thread::spawn(move || {
            pin_to_core(core).unwrap();
            available_cores().unwrap()
        });
        assert_eq!(left.join().unwrap(), [core]);
    }

    #[test]
    fn core_that_is_not_ours_is_refused() {
        let error = pin_to_core(CORES + 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn timer_slack_becomes_one_nanosecond() {
        let slack = std::thread::spawn(|| {
            precise_timers().unwrap();
            let this = std::fs::read_link("/proc/thread-self").unwrap();
            let file = Path::new("/proc").join(this.file_name().unwrap()).join("timerslack_ns");
            std::fs::read_to_string(file).unwrap()
        });
        assert_eq!(slack.join().unwrap().trim(), "1");
    }
}
