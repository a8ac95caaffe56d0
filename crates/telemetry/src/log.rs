//! The log: one line per event, with a stable `event` name and the identifiers that apply.
//!
//! Lines go to standard output, where a service manager or a container runtime collects them, through a thread of
//! their own: when the reader is slow, lines are lost and counted (`cusax_log_events_dropped_total`), calls are not.
//! Decisions are INFO, single messages and stanzas DEBUG, retransmissions and reports TRACE, losses WARN. Only our own
//! events are logged: lines of libraries could carry identities that nobody replaced.

mod identifiers;
mod line;
mod pretty;

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use cusax_event::Event;
use tracing::Dispatch;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt;

use crate::backlog::{Backlog, Thread};
use crate::identities::{Identities, Names};
use crate::timestamp;

pub use line::EVENT_NAMES;
pub(crate) use line::name;

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// One flat JSON object per line.
    #[default]
    Json,
    /// `key=value` pairs.
    Logfmt,
    /// Columns for people; coloured on a terminal.
    Pretty,
}

/// Where log lines go.
#[derive(Default)]
pub enum Output {
    /// Standard output.
    #[default]
    Stdout,
    /// Any other writer; never coloured.
    Writer(Box<dyn Write + Send>),
}

/// How lines are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) format: Format,
    pub(crate) level: LevelFilter,
    pub(crate) identities: Identities,
}

/// Writes events as log lines.
pub(crate) struct Log {
    node: String,
    key: [u8; 32],
    clock: fn() -> SystemTime,
    writer: LineWriter,
    colour: bool,
    /// Another one at any time.
    lines: ArcSwap<Lines>,
}

/// What writes lines in one style.
struct Lines {
    node: String,
    names: Names,
    level: LevelFilter,
    dispatch: Dispatch,
}

impl Log {
    /// Starts the writer's thread.
    pub(crate) fn new(
        node: String,
        key: [u8; 32],
        style: Style,
        output: Output,
        clock: fn() -> SystemTime,
    ) -> (Self, Thread) {
        let (mut writer, colour): (Box<dyn Write + Send>, bool) = match output {
            Output::Stdout => (Box::new(io::stdout()), io::stdout().is_terminal()),
            Output::Writer(writer) => (writer, false),
        };
        let waiting = Arc::new(Backlog::new(WAITING));
        let thread = Thread::start("log", Arc::clone(&waiting), IDLE, move |lines| {
            // A reader that is gone takes nothing: whoever asks why has another way to hear of it.
            let _ = writer.write_all(lines).and_then(|()| writer.flush());
        });
        let writer = LineWriter { waiting, dropped: Arc::default() };
        let lines = ArcSwap::from_pointee(Lines::new(node.clone(), &key, style, (writer.clone(), colour), clock));
        (Self { node, key, clock, writer, colour, lines }, thread)
    }

    /// Tells how many lines were lost.
    pub(crate) fn dropped(&self) -> Box<dyn Fn() -> u64 + Send + Sync> {
        let dropped = Arc::clone(&self.writer.dropped);
        Box::new(move || dropped.load(Ordering::Relaxed))
    }

    /// Writes in another style from now on.
    pub(crate) fn restyle(&self, style: Style) {
        let writer = (self.writer.clone(), self.colour);
        self.lines.store(Arc::new(Lines::new(self.node.clone(), &self.key, style, writer, self.clock)));
    }

    /// Writes the line of an event, unless its level is switched off.
    pub(crate) fn write(&self, event: &Event) {
        let level = line::level(event);
        let lines = self.lines.load();
        if level <= lines.level {
            tracing::dispatcher::with_default(&lines.dispatch, || line::write(&lines, level, event));
        }
    }
}

impl Lines {
    fn new(
        node: String,
        key: &[u8; 32],
        style: Style,
        (writer, colour): (LineWriter, bool),
        clock: fn() -> SystemTime,
    ) -> Self {
        let writer = move || writer.clone();
        let registry = tracing_subscriber::registry().with(style.level);
        let dispatch = match style.format {
            Format::Json => {
                let json = fmt::layer()
                    .with_writer(writer)
                    .json()
                    .flatten_event(true)
                    .with_current_span(false)
                    .with_span_list(false);
                Dispatch::new(registry.with(json.with_target(false).with_timer(Clock(clock))))
            }
            Format::Logfmt => {
                let logfmt = tracing_logfmt::builder().with_target(false).with_span_name(false).with_span_path(false);
                Dispatch::new(registry.with(logfmt.layer().with_writer(writer)))
            }
            Format::Pretty => {
                let lines = fmt::layer().with_writer(writer).with_ansi(colour).event_format(pretty::Columns { clock });
                Dispatch::new(registry.with(lines))
            }
        };
        Self { node, names: Names::new(style.identities, key), level: style.level, dispatch }
    }
}

/// The way to the log's thread; each write is a whole line.
#[derive(Clone)]
struct LineWriter {
    waiting: Arc<Backlog>,
    dropped: Arc<AtomicU64>,
}

impl Write for LineWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.waiting.push(line).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Clock(fn() -> SystemTime);

impl FormatTime for Clock {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        writer.write_str(&timestamp::rfc3339((self.0)()))
    }
}

/// Bytes of lines that wait for a slow reader, about 10,000 lines, and as many that are being read.
const WAITING: usize = 4 << 20;

/// Nothing is to be done while nothing is logged.
const IDLE: Duration = Duration::from_secs(3_600);
