//! The human format: time, level, event, then its fields.

use std::fmt::{self, Debug, Write};
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::timestamp;

/// `04:05:06.000007 INFO  sip.call             outcome=answered status=200`
pub(super) struct Columns {
    pub(super) clock: fn() -> SystemTime,
}

impl<S, N> FormatEvent<S, N> for Columns
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = *event.metadata().level();
        let time = timestamp::clock_time((self.clock)());
        if writer.has_ansi_escapes() {
            let colour = match level {
                Level::ERROR => 31,
                Level::WARN => 33,
                Level::INFO => 32,
                Level::DEBUG => 34,
                Level::TRACE => 35,
            };
            writeln!(
                writer,
                "\x1b[2m{time}\x1b[0m \x1b[{colour}m{level:<5}\x1b[0m \x1b[1m{:<21}\x1b[0m{}",
                fields.event, fields.rest
            )
        } else {
            writeln!(writer, "{time} {level:<5} {:<21}{}", fields.event, fields.rest)
        }
    }
}

#[derive(Default)]
struct Fields {
    event: String,
    rest: String,
}

impl Fields {
    /// Quotes what is not one plain word, so that nothing from the network reaches the terminal as a control.
    fn push(&mut self, field: &Field, value: &str) {
        let plain = !value.is_empty() && value.chars().all(|c| !c.is_whitespace() && !c.is_control() && c != '"');
        let written = match field.name() {
            "event" => self.event.write_str(value),
            name if plain => write!(self.rest, " {name}={value}"),
            name => write!(self.rest, " {name}={value:?}"),
        };
        debug_assert_eq!(written, Ok(()), "a String takes everything");
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.push(field, &format!("{value:?}"));
    }
}
