//! From the threads that calls run on to the disk, for which only the thread `trace` waits.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cusax_event::Event;
use cusax_event::service::{Lifecycle, Stage};

use super::record::Draft;
use super::store::Log;
use super::{Error, Store, segment};
use crate::Rendering;
use crate::backlog::{Backlog, Refused, Thread};
use crate::metrics::TraceDrop;

/// The bounded way to the thread that writes.
pub(crate) struct Queue {
    node: String,
    clock: fn() -> SystemTime,
    records: Arc<Backlog>,
}

impl Queue {
    /// Makes an event's record and hands it over; where too many wait, it is lost.
    pub(crate) fn offer(&self, event: &Event) -> Result<(), TraceDrop> {
        thread_local! {
            static FRAME: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        FRAME.with_borrow_mut(|frame| {
            frame.clear();
            segment::frame(frame, |out| Draft { node: &self.node, clock: self.clock, event, out }.write());
            if frame.is_empty() {
                return Ok(());
            }
            self.records.push(frame).map_err(|refused| match refused {
                Refused::Full => TraceDrop::QueueFull,
                Refused::Ended => TraceDrop::Closed,
            })
        })
    }
}

/// Starts the thread that writes what comes through the queue.
pub(crate) fn start(
    store: Store,
    node: String,
    clock: fn() -> SystemTime,
    rendering: Arc<Rendering>,
) -> (Queue, Thread) {
    let records = Arc::new(Backlog::new(QUEUE));
    let mut writer = Writer { store, rendering, clock, log: None, failing: false };
    writer.write(&mut []);
    let thread = Thread::start("trace", Arc::clone(&records), IDLE, move |frames| writer.write(frames));
    (Queue { node, clock, records }, thread)
}

struct Writer {
    store: Store,
    rendering: Arc<Rendering>,
    clock: fn() -> SystemTime,
    log: Option<Log>,
    /// True while the store is known to fail: one log line says so, not one for each batch.
    failing: bool,
}

impl Writer {
    /// Stores whole frames, or counts as lost what could not be; a store that could not be opened is tried again each time.
    fn write(&mut self, frames: &mut [u8]) {
        segment::seal(frames);
        let mut stored = 0;
        let result = self.try_write(frames, &mut stored);
        let metrics = self.rendering.metrics.trace();
        metrics.stored.inc_by(stored);
        if let Ok(bytes) = &result {
            metrics.bytes.set(i64::try_from(*bytes).unwrap_or(i64::MAX));
        } else {
            metrics.dropped(TraceDrop::Store, segment::ends(frames).count() as u64 - stored);
        }
        self.note(&result);
    }

    fn try_write(&mut self, frames: &[u8], stored: &mut u64) -> Result<u64, Error> {
        let log = match &mut self.log {
            Some(log) => log,
            None => self.log.insert(Log::open(&self.store)?),
        };
        log.append((self.clock)(), frames, stored)?;
        Ok(log.bytes())
    }

    /// Says once that the store fails, and once that it works again.
    fn note<T>(&mut self, result: &Result<T, Error>) {
        let (stage, detail) = match result {
            Err(error) if !self.failing => (Stage::Degraded, error.to_string()),
            Ok(_) if self.failing => (Stage::Recovered, "trace store".to_owned()),
            Ok(_) | Err(_) => return,
        };
        self.failing = result.is_err();
        self.rendering.render(&Event::Lifecycle(Lifecycle { stage, detail }));
    }
}

/// Bytes of records that wait for the disk, and as many that are being written: a second of 2,000 calls a second.
const QUEUE: usize = 8 << 20;

/// How often records are deleted that grew too old while nothing happened.
const IDLE: Duration = Duration::from_secs(60);
