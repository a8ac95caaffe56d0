//! What waits for a thread that writes it: log lines, trace records.
//!
//! Whoever has something to write copies it in and goes on; the thread takes all that has gathered at once. It is woken
//! for the first item after a pause, then rests a moment: a busy service wakes it a few dozen times a second, however
//! many items there are.

use std::mem;
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// A bounded buffer of items between many threads and the one that writes them.
pub(crate) struct Backlog {
    waiting: Mutex<Waiting>,
    filled: Condvar,
    limit: usize,
}

struct Waiting {
    bytes: Vec<u8>,
    /// So many bytes wake the thread.
    wanted: usize,
    ended: bool,
}

/// Why an item was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The thread does not keep up.
    Full,
    /// There is no thread any more.
    Ended,
}

impl Backlog {
    /// A backlog of at most `limit` bytes. While they are written another `limit` may gather; of either, only what is
    /// used is memory.
    pub(crate) fn new(limit: usize) -> Self {
        let waiting = Waiting { bytes: Vec::with_capacity(limit), wanted: 1, ended: false };
        Self { waiting: Mutex::new(waiting), filled: Condvar::new(), limit }
    }

    /// Adds an item; waits for nothing but the copying of another one.
    pub(crate) fn push(&self, item: &[u8]) -> Result<(), Refused> {
        let mut waiting = self.lock();
        if waiting.ended {
            return Err(Refused::Ended);
        }
        let before = waiting.bytes.len();
        let after = before + item.len();
        if after > self.limit {
            return Err(Refused::Full);
        }
        waiting.bytes.extend_from_slice(item);
        let wakes = before < waiting.wanted && after >= waiting.wanted;
        drop(waiting);
        if wakes {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Rests, then waits for an item (at most `patience`) and moves all there are into `batch`. False when that was the last.
    fn take(&self, batch: &mut Vec<u8>, patience: Duration) -> bool {
        batch.clear();
        let mut waiting = self.lock();
        for (wanted, patience) in [(self.limit / 2, REST), (1, patience)] {
            waiting.wanted = wanted;
            let lacks = |waiting: &mut Waiting| !waiting.ended && waiting.bytes.len() < wanted;
            let woken = self.filled.wait_timeout_while(waiting, patience, lacks);
            waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        mem::swap(&mut waiting.bytes, batch);
        !waiting.ended
    }

    fn end(&self) {
        self.lock().ended = true;
        self.filled.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that writes a backlog; dropping this lets it write what is left, and waits for it.
pub(crate) struct Thread {
    backlog: Arc<Backlog>,
    done: mpsc::Receiver<()>,
}

impl Thread {
    /// Starts it. `write` gets what has gathered, or nothing where nothing has for `patience`.
    ///
    /// # Panics
    /// Where the system has no thread left.
    pub(crate) fn start(
        name: &str,
        backlog: Arc<Backlog>,
        patience: Duration,
        mut write: impl FnMut(&mut [u8]) + Send + 'static,
    ) -> Self {
        let (alive, done) = mpsc::channel::<()>();
        let from = Arc::clone(&backlog);
        let run = move || {
            let _alive = alive;
            let mut batch = Vec::with_capacity(from.limit);
            let mut more = true;
            while more {
                more = from.take(&mut batch, patience);
                write(&mut batch);
            }
        };
        thread::Builder::new().name(name.to_owned()).spawn(run).expect("the system has a thread for us");
        Self { backlog, done }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.backlog.end();
        // It sends nothing: it is done when its end of the channel is gone.
        let _done = self.done.recv_timeout(FAREWELL);
    }
}

/// The pause after each writing: short enough to seem at once, long enough for many items to gather.
const REST: Duration = Duration::from_millis(20);

/// Longest wait at the end for a disk or a reader that has stopped.
const FAREWELL: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_pushed_comes_out_whole_and_in_order_and_the_last_of_it_at_the_end() {
        let backlog = Arc::new(Backlog::new(64));
        let (told, heard) = mpsc::channel();
        let write = move |batch: &mut [u8]| told.send(batch.to_vec()).unwrap();
        let thread = Thread::start("test", Arc::clone(&backlog), Duration::from_secs(60), write);
        for item in ["one ", "two ", "three "] {
            assert_eq!(backlog.push(item.as_bytes()), Ok(()));
        }
        drop(thread);
        assert_eq!(heard.iter().flatten().collect::<Vec<u8>>(), b"one two three ");
        assert_eq!(backlog.push(b"four"), Err(Refused::Ended));
    }

    #[test]
    fn a_full_backlog_refuses_and_takes_smaller_ones_on() {
        let backlog = Backlog::new(8);
        assert_eq!(backlog.push(b"12345"), Ok(()));
        assert_eq!(backlog.push(b"6789"), Err(Refused::Full));
        assert_eq!(backlog.push(b"678"), Ok(()));
        let mut batch = Vec::with_capacity(8);
        assert!(backlog.take(&mut batch, Duration::ZERO));
        assert_eq!(batch, b"12345678");
        assert_eq!(backlog.push(b"6789"), Ok(()));
    }
}
