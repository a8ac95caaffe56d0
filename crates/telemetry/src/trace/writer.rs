//! The one task that writes the trace: it alone waits for the disk.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cusax_event::Event;
use cusax_event::service::{Lifecycle, Stage};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::entry::Entry;
use super::store::Database;
use super::{Error, Store};
use crate::Rendering;
use crate::metrics::TraceDrop;

type Told = (SystemTime, Entry);

/// The bounded way to the writer.
pub(crate) struct Queue {
    node: String,
    clock: fn() -> SystemTime,
    entries: mpsc::Sender<Told>,
}

impl Queue {
    /// Hands an event to the writer; where the queue is full, the record is lost.
    pub(crate) fn offer(&self, event: &Event) -> Result<(), TraceDrop> {
        let Some(entry) = Entry::of(&self.node, event) else { return Ok(()) };
        self.entries.try_send(((self.clock)(), entry)).map_err(|error| match error {
            TrySendError::Full(_) => TraceDrop::QueueFull,
            TrySendError::Closed(_) => TraceDrop::Closed,
        })
    }
}

/// Writes what comes through the queue, in batches.
pub(crate) struct Writer {
    store: Store,
    rendering: Arc<Rendering>,
    clock: fn() -> SystemTime,
    entries: mpsc::Receiver<Told>,
    database: Option<Database>,
    /// True while the store is known to fail: one log line says so, not one for each batch.
    failing: bool,
}

impl Writer {
    pub(crate) fn new(
        store: Store,
        node: String,
        clock: fn() -> SystemTime,
        rendering: Arc<Rendering>,
    ) -> (Queue, Self) {
        let (sender, entries) = mpsc::channel(QUEUE);
        let queue = Queue { node, clock, entries: sender };
        (queue, Self { store, rendering, clock, entries, database: None, failing: false })
    }

    /// Writes until `stop` is told or dropped, then what is still queued.
    pub(crate) async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut stopping = false;
        self.write(&[]).await;
        loop {
            tokio::select! {
                biased;
                _ = &mut stop, if !stopping => {
                    stopping = true;
                    self.entries.close();
                }
                received = self.entries.recv_many(&mut batch, BATCH) => {
                    if received == 0 {
                        break;
                    }
                    self.write(&batch).await;
                    batch.clear();
                }
                () = tokio::time::sleep(IDLE) => self.write(&[]).await, // records grow old while nothing happens
            }
        }
        if let Some(database) = self.database.take() {
            let closed = database.close().await;
            self.noted(&closed);
        }
    }

    /// Stores a batch or counts it as lost; a store that failed is opened again with the next batch.
    async fn write(&mut self, batch: &[Told]) {
        let written = self.try_write(batch).await;
        let records = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let trace = self.rendering.metrics.trace();
        match &written {
            Ok(bytes) => {
                trace.stored.inc_by(records);
                trace.bytes.set(*bytes);
            }
            Err(_) => {
                trace.dropped(TraceDrop::Store, records);
                self.database = None;
            }
        }
        self.noted(&written);
    }

    async fn try_write(&mut self, batch: &[Told]) -> Result<i64, Error> {
        let mut database = match self.database.take() {
            Some(database) => database,
            None => Database::open(&self.store).await?,
        };
        database.prune((self.clock)()).await?;
        if !batch.is_empty() {
            database.insert(batch).await?;
        }
        let bytes = database.bytes().await?;
        self.database = Some(database);
        Ok(bytes)
    }

    /// Says once that the store fails, and once that it works again.
    fn noted<T>(&mut self, result: &Result<T, Error>) {
        let (stage, detail) = match result {
            Err(error) if !self.failing => (Stage::Degraded, error.to_string()),
            Ok(_) if self.failing => (Stage::Recovered, "trace store".to_owned()),
            Ok(_) | Err(_) => return,
        };
        self.failing = result.is_err();
        self.rendering.render(&Event::Lifecycle(Lifecycle { stage, detail }));
    }
}

/// Records that wait for the disk, a few MiB of them.
const QUEUE: usize = 8_192;

/// Records of one transaction.
const BATCH: usize = 512;

/// How often records are deleted that grew too old while nothing happened.
const IDLE: Duration = Duration::from_secs(60);
