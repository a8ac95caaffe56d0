//! How a media thread waits, without a runtime: for datagrams, for a word from the control plane, or for its next tick.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock;
use crate::udp::Socket;

/// The most sockets that one thread can wait for.
pub const MAX_SOCKETS: usize = 63;

/// Wakes a thread that is in [`wait`], or makes its next wait return at once; clones wake the same thread.
#[derive(Clone, Debug)]
pub struct Waker {
    counter: Arc<File>,
}

/// Why [`wait`] returned; nothing of it is set where the time was up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    sockets: u64,
    woken: bool,
}

impl Waker {
    /// Makes a waker (an `eventfd(2)`).
    ///
    /// # Errors
    /// What the system call says, as a rule that the process has no descriptor left.
    pub fn new() -> io::Result<Self> {
        #[expect(unsafe_code, reason = "eventfd(2)")]
        // SAFETY: takes two numbers; what it returns is compared before it is taken for a descriptor, which is ours alone.
        let descriptor = unsafe {
            let result = libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK);
            if result < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(result)
        };
        Ok(Self { counter: Arc::new(File::from(descriptor)) })
    }

    /// Wakes the thread; never blocks. Several calls before it runs are one wake.
    pub fn wake(&self) {
        // The one error is a counter that cannot grow, and then the thread has been woken already.
        let _ = (&*self.counter).write(&1_u64.to_ne_bytes());
    }

    fn take(&self) {
        // The one error is that another thread has taken it.
        let _ = (&*self.counter).read(&mut [0; 8]);
    }
}

impl Ready {
    /// True where the socket at this index of the list has datagrams to receive (or an error that receiving tells).
    #[must_use]
    pub fn socket(self, index: usize) -> bool {
        index < MAX_SOCKETS && self.sockets & (1 << index) != 0
    }

    /// True where a [`Waker`] was used.
    #[must_use]
    pub fn woken(self) -> bool {
        self.woken
    }
}

/// Waits until one of `sockets` can be received from, `waker` is used, or `until` is there.
///
/// A moment that is past makes it look without waiting. It may return with nothing set before the time is up (signals).
///
/// # Errors
/// `InvalidInput` for more than [`MAX_SOCKETS`] sockets; else what the system call says.
pub fn wait(sockets: &[Socket], waker: &Waker, until: Instant) -> io::Result<Ready> {
    if sockets.len() > MAX_SOCKETS {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut entries = [entry(waker.counter.as_fd().as_raw_fd()); MAX_SOCKETS + 1];
    for (entry_of, socket) in entries.iter_mut().skip(1).zip(sockets) {
        *entry_of = entry(socket.as_raw_fd());
    }
    let entries = &mut entries[..=sockets.len()];
    poll(entries, until.saturating_duration_since(clock::now()))?;

    let mut ready = Ready::default();
    if let Some((first, rest)) = entries.split_first() {
        ready.woken = first.revents != 0;
        for (index, entry) in rest.iter().enumerate() {
            ready.sockets |= u64::from(entry.revents != 0) << index;
        }
    }
    if ready.woken {
        waker.take();
    }
    Ok(ready)
}

fn entry(descriptor: RawFd) -> libc::pollfd {
    libc::pollfd { fd: descriptor, events: libc::POLLIN, revents: 0 }
}

/// Calls `ppoll(2)`, whose time is in nanoseconds where `poll(2)` would round a tick to milliseconds.
fn poll(entries: &mut [libc::pollfd], timeout: Duration) -> io::Result<()> {
    let timeout = libc::timespec {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    };
    #[expect(unsafe_code, reason = "ppoll(2)")]
    // SAFETY: `entries` and `timeout` live through the call, the count is that of `entries`, and no signal mask is given.
    let result = unsafe {
        libc::ppoll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, &raw const timeout, std::ptr::null())
    };
    if result < 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
        // Nothing was written to `revents` then: all zero, as they came.
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::udp::{Options, SendBatch};

    #[test]
    fn returns_with_nothing_set_when_the_time_is_up() {
        let waker = Waker::new().unwrap();
        let until = clock::now() + Duration::from_millis(2);
        assert_eq!(wait(&[], &waker, until).unwrap(), Ready::default());
        assert!(clock::now() >= until);
    }

    #[test]
    fn wake_from_another_thread_ends_the_wait_and_is_taken_by_it() {
        let waker = Waker::new().unwrap();
        let other = waker.clone();
        let thread = std::thread::spawn(move || {
            other.wake();
            other.wake();
        });
        assert!(wait(&[], &waker, an_hour_from_now()).unwrap().woken());
        thread.join().unwrap();
        // The second of the two may have come after the first was taken.
        wait(&[], &waker, clock::now()).unwrap();
        assert!(!wait(&[], &waker, clock::now()).unwrap().woken());
    }

    #[test]
    fn says_which_socket_has_datagrams() {
        let waker = Waker::new().unwrap();
        let sockets: Vec<Socket> =
            (0..3).map(|_| Socket::bind("127.0.0.1:0".parse().unwrap(), Options::default()).unwrap()).collect();
        let mut batch = SendBatch::new(1, 100);
        batch.push(sockets[1].local_addr(), b"tick").unwrap();
        sockets[0].send_batch(&mut batch);
        let ready = wait(&sockets, &waker, an_hour_from_now()).unwrap();
        let readable: Vec<bool> = (0..3).map(|index| ready.socket(index)).collect();
        assert_eq!(readable, [false, true, false]);
        assert!(!ready.woken());
    }

    fn an_hour_from_now() -> Instant {
        clock::now() + Duration::from_secs(3600)
    }
}
