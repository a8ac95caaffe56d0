//! Waiting in a tokio runtime for a moment that is nearer than its own timers can tell: these are of milliseconds.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::clock;

/// A timer of the system (`timerfd(2)`), which waits for one moment at a time.
#[derive(Debug)]
pub struct Alarm {
    timer: AsyncFd<File>,
}

impl Alarm {
    /// Makes one in the runtime that this is called in.
    ///
    /// # Errors
    /// What the system call says, as a rule that the process has no descriptor left.
    ///
    /// # Panics
    /// Outside of a tokio runtime with IO.
    pub fn new() -> io::Result<Self> {
        #[expect(unsafe_code, reason = "timerfd_create(2)")]
        // SAFETY: takes two numbers; what it returns is compared before it is taken for a descriptor, which is ours alone.
        let descriptor = unsafe {
            let result = libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC | libc::TFD_NONBLOCK);
            if result < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(result)
        };
        #[expect(unsafe_code, reason = "AsyncFd::register_with_interest")]
        // SAFETY: a file has the same descriptor, open, as long as it lives, and it is given away whole.
        let timer = unsafe { AsyncFd::register_with_interest(File::from(descriptor), Interest::READABLE) };
        Ok(Self { timer: timer.map_err(io::Error::from)? })
    }

    /// Waits until this moment; whatever another call waited for is forgotten.
    ///
    /// # Errors
    /// What the system calls say.
    pub async fn wait_until(&self, moment: Instant) -> io::Result<()> {
        // A timer that is set to nothing is stopped.
        let time = moment.saturating_duration_since(clock::now()).max(Duration::from_nanos(1));
        let value = libc::timespec {
            tv_sec: libc::time_t::try_from(time.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: time.subsec_nanos().into(),
        };
        let once = libc::itimerspec { it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        #[expect(unsafe_code, reason = "timerfd_settime(2)")]
        // SAFETY: `once` lives through the call, which reads it; nothing is asked back.
        let result = unsafe { libc::timerfd_settime(self.timer.as_raw_fd(), 0, &raw const once, std::ptr::null_mut()) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        loop {
            // What was there for an earlier moment is gone since the timer was set: then this waits again.
            let read = |timer: &AsyncFd<File>| timer.get_ref().read(&mut [0; 8]).map(drop);
            if let Ok(read) = self.timer.readable().await?.try_io(read) {
                return read;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn moments_come_in_their_time_and_not_before() {
        let alarm = Alarm::new().unwrap();
        for micros in [0, 50, 300, 1_000] {
            let moment = clock::now() + Duration::from_micros(micros);
            alarm.wait_until(moment).await.unwrap();
            assert!(clock::now() >= moment);
        }
        let past = clock::now();
        alarm.wait_until(past).await.unwrap();
    }

    #[tokio::test]
    async fn a_wait_that_was_given_up_does_not_end_the_next() {
        let alarm = Alarm::new().unwrap();
        let soon = clock::now() + Duration::from_micros(100);
        tokio::select! {
            biased;
            () = std::future::ready(()) => {}
            _ = alarm.wait_until(soon) => {}
        }
        // Given up after it was set, and due before the next is.
        let mut given_up = Box::pin(alarm.wait_until(soon));
        std::future::poll_fn(|cx| {
            let _ = given_up.as_mut().poll(cx);
            std::task::Poll::Ready(())
        })
        .await;
        drop(given_up);
        let later = clock::now() + Duration::from_millis(5);
        alarm.wait_until(later).await.unwrap();
        assert!(clock::now() >= later);
    }
}
