//! Draws a story as a ladder: a column for each place, an arrow for each message, a mark for each decision.

mod canvas;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use canvas::{Canvas, Paint};

use super::entry::{Entry, Lane, Record};
use crate::identities::canonical;
use crate::timestamp;

/// Draws `records`, in their order, `width` columns wide (at least 60); with ANSI colours for a terminal.
///
/// What came from the network is drawn without control characters.
#[must_use]
pub fn ladder(records: &[Record], width: usize, colour: bool) -> String {
    let Some(first) = records.first() else { return String::new() };
    let columns = Columns::of(records, width.max(60));
    let mut canvas = Canvas::new(columns.width, colour);
    for line in heading(records) {
        canvas.text(0, &line, Paint::Faint);
        canvas.end_line();
    }
    let mut day = date(first);
    columns.titles(&mut canvas);
    for record in records {
        if date(record) != day {
            day = date(record);
            canvas.text(0, &day, Paint::Faint);
            columns.rails(&mut canvas);
            canvas.end_line();
        }
        columns.draw(&mut canvas, record);
    }
    canvas.finish()
}

/// The date, and the sessions and calls that are told of.
fn heading(records: &[Record]) -> Vec<String> {
    let some = |what: &str, values: BTreeSet<&str>| {
        let shown: Vec<&str> = values.iter().copied().take(LISTED).collect();
        let more = if values.len() > LISTED { " …" } else { "" };
        (!shown.is_empty()).then(|| format!("{what} {}{more}", shown.join(" ")))
    };
    let entries = || records.iter().map(|record| &record.entry);
    let sessions = entries().flat_map(|entry| [&entry.session, &entry.remote_session]).flatten().map(String::as_str);
    let calls = entries().filter_map(|entry| entry.call_id.as_deref());
    let rooms = entries().filter_map(|entry| entry.room.as_deref());
    let nodes = entries().map(|entry| entry.node.as_str());
    let date = records.first().map(date);
    date.into_iter()
        .chain(some("node   ", nodes.collect()))
        .chain(some("session", sessions.collect()))
        .chain(some("call   ", calls.collect()))
        .chain(some("room   ", rooms.collect()))
        .collect()
}

fn date(record: &Record) -> String {
    timestamp::rfc3339(record.at).split('T').next().unwrap_or_default().to_owned()
}

/// The columns, each with its title.
struct Columns {
    width: usize,
    step: usize,
    columns: Vec<(Place, String)>,
}

/// What has a column of its own: each client, and every other lane.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Client(SocketAddr),
    /// Clients beyond [`CLIENTS`], and those without an address.
    OtherClients,
    Lane(Lane),
}

impl Columns {
    /// Clients come first, in the order in which they appear; then the lanes that are used.
    fn of(records: &[Record], width: usize) -> Self {
        let mut clients: Vec<(Place, String)> = Vec::new();
        let mut lanes = BTreeSet::new();
        let mut others = false;
        for entry in records.iter().map(|record| &record.entry) {
            lanes.extend([entry.from, entry.to].into_iter().filter(|lane| *lane != Lane::Client));
            if ![entry.from, entry.to].contains(&Lane::Client) {
                continue;
            }
            let Some(remote) = entry.remote else {
                others = true;
                continue;
            };
            let known = clients.iter().any(|(place, _)| *place == Place::Client(remote));
            if !known && clients.len() < CLIENTS {
                clients.push((Place::Client(remote), title(entry, remote)));
            }
            others |=
                !known && clients.len() >= CLIENTS && clients.iter().all(|(place, _)| *place != Place::Client(remote));
        }
        let others = others.then(|| (Place::OtherClients, "others".to_owned()));
        let lanes = lanes.into_iter().map(|lane| (Place::Lane(lane), name(lane).to_owned()));
        let columns: Vec<_> = clients.into_iter().chain(others).chain(lanes).collect();
        let step = ((width - TIME) / columns.len().max(1)).max(NARROWEST);
        Self { width: width.max(TIME + step * columns.len()), step, columns }
    }

    /// Where the rail of a lane stands in an entry.
    fn at(&self, lane: Lane, entry: &Entry) -> usize {
        let place = match (lane, entry.remote) {
            (Lane::Client, Some(remote)) => Place::Client(remote),
            (Lane::Client, None) => Place::OtherClients,
            (Lane::Edge | Lane::Core | Lane::Peer | Lane::Focus | Lane::Mixer | Lane::Room, _) => Place::Lane(lane),
        };
        let column = self.columns.iter().position(|(of, _)| *of == place);
        let other = || self.columns.iter().position(|(of, _)| *of == Place::OtherClients);
        self.rail(column.or_else(other).unwrap_or_default())
    }

    const fn rail(&self, column: usize) -> usize {
        TIME + self.step / 2 + column * self.step
    }

    fn rails(&self, canvas: &mut Canvas) {
        for column in 0..self.columns.len() {
            canvas.put(self.rail(column), '│');
        }
    }

    fn titles(&self, canvas: &mut Canvas) {
        for (column, (_, title)) in self.columns.iter().enumerate() {
            let title = shortened(title, self.step - 1);
            let start = self.rail(column).saturating_sub(title.chars().count() / 2);
            canvas.text(start, &title, Paint::Strong);
        }
        canvas.end_line();
    }

    fn draw(&self, canvas: &mut Canvas, record: &Record) {
        let entry = &record.entry;
        let (from, to) = (self.at(entry.from, entry), self.at(entry.to, entry));
        let (left, right) = (from.min(to), from.max(to));
        let time: String = timestamp::clock_time(record.at).chars().take(12).collect();
        let label = label(entry);
        let paint = paint(entry);
        let fits = label.chars().count() + 6 <= right - left;
        canvas.text(0, &time, Paint::Faint);
        self.rails(canvas);
        if from == to {
            self.beside(canvas, from, &format!("◆ {label}"), paint);
        } else if fits {
            canvas.arrow(from, to, paint);
            let start = left + (right - left - label.chars().count()) / 2;
            canvas.text(start, &format!(" {label} "), paint);
            canvas.end_line();
        } else {
            self.beside(canvas, left, &label, paint);
            self.rails(canvas);
            canvas.arrow(from, to, paint);
            canvas.end_line();
        }
        for note in &entry.notes {
            self.rails(canvas);
            self.beside(canvas, left, note, Paint::Faint);
        }
    }

    /// Text right of a rail, or left of it where that leaves more room.
    fn beside(&self, canvas: &mut Canvas, rail: usize, text: &str, paint: Paint) {
        let (before, after) = (rail.saturating_sub(TIME + 1), self.width.saturating_sub(rail + 2));
        if text.chars().count() <= after || after >= before {
            canvas.text(rail + 2, &shortened(text, after), paint);
        } else {
            let text = shortened(text, before);
            canvas.text(rail.saturating_sub(text.chars().count() + 1), &text, paint);
        }
        canvas.end_line();
    }
}

/// Who is at a client's address, else the address.
fn title(entry: &Entry, remote: SocketAddr) -> String {
    let party = entry.party.as_deref().map(canonical).unwrap_or_default();
    let user = party.split('@').next().unwrap_or_default();
    if user.is_empty() { remote.to_string() } else { user.to_owned() }
}

const fn name(lane: Lane) -> &'static str {
    match lane {
        Lane::Client => "client",
        Lane::Edge => "edge",
        Lane::Core => "core",
        Lane::Peer => "peer",
        Lane::Focus => "focus",
        Lane::Mixer => "mixer",
        Lane::Room => "room",
    }
}

/// `INVITE sip:bob@example.com`, `200 OK (INVITE)`.
fn label(entry: &Entry) -> String {
    let text = match (entry.status, &entry.method) {
        (Some(_), Some(method)) => format!("{} ({method})", entry.text.strip_prefix("SIP/2.0 ").unwrap_or(&entry.text)),
        _ => entry.text.strip_suffix(" SIP/2.0").unwrap_or(&entry.text).to_owned(),
    };
    if entry.retransmission { format!("{text} again") } else { text }
}

const fn paint(entry: &Entry) -> Paint {
    match (&entry.method, entry.status) {
        (Some(_), None) => Paint::Request,
        (Some(_), Some(100..=299)) => Paint::Good,
        (Some(_), Some(300..=399)) => Paint::Decision,
        (Some(_), Some(_)) => Paint::Bad,
        (None, _) => match (entry.from, entry.to) {
            (Lane::Room, Lane::Focus) | (Lane::Focus, Lane::Room) => Paint::Stanza,
            _ => Paint::Decision,
        },
    }
}

fn shortened(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// The width of `04:05:06.000 `.
const TIME: usize = 13;

/// The least distance of two rails: a title of a few letters and a space.
const NARROWEST: usize = 8;

/// Clients with a column of their own.
const CLIENTS: usize = 4;

/// Identifiers of one kind in the heading.
const LISTED: usize = 2;
