//! The form of a record in the store: a few fixed bytes, then fields, each a tag, a length and a value.
//!
//! ```text
//! record = time (i64, microseconds since 1970) from (u8) to (u8) *field
//! field  = tag (u8) length (u16) value
//! ```
//! Numbers are little-endian. A reader passes over fields that it does not know; whoever changes what a field or the head means
//! changes [`segment::MAGIC`](super::segment::MAGIC).

use std::fmt::{self, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::entry::Lane;

/// What a field says. The order is that of the file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    Node,
    Event,
    Text,
    Method,
    Status,
    Retransmission,
    Note,
    Transport,
    Remote,
    /// Of a message: From, then To.
    Participant,
    Account,
    Session,
    RemoteSession,
    CallId,
    Conference,
    Room,
    Occupant,
    Leg,
    Ssrc,
}

impl Tag {
    const ALL: [Self; 19] = [
        Self::Node,
        Self::Event,
        Self::Text,
        Self::Method,
        Self::Status,
        Self::Retransmission,
        Self::Note,
        Self::Transport,
        Self::Remote,
        Self::Participant,
        Self::Account,
        Self::Session,
        Self::RemoteSession,
        Self::CallId,
        Self::Conference,
        Self::Room,
        Self::Occupant,
        Self::Leg,
        Self::Ssrc,
    ];

    /// What the field says of whose story the record is in.
    pub(super) const fn key(self) -> Option<Key> {
        match self {
            Self::Session | Self::RemoteSession => Some(Key::Session),
            Self::CallId => Some(Key::Call),
            Self::Participant | Self::Conference | Self::Room | Self::Occupant => Some(Key::Name),
            Self::Node
            | Self::Event
            | Self::Text
            | Self::Method
            | Self::Status
            | Self::Retransmission
            | Self::Note
            | Self::Transport
            | Self::Remote
            | Self::Account
            | Self::Leg
            | Self::Ssrc => None,
        }
    }
}

/// What a record can be found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// One half of a session.
    Session,
    /// A Call-ID.
    Call,
    /// A SIP address, JID, number or room.
    Name,
}

/// Appends one record to a buffer.
pub(super) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// True where a field was written that the record can be found by.
    pub(super) findable: bool,
}

impl<'a> Writer<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>, micros: i64, from: Lane, to: Lane) -> Self {
        out.extend_from_slice(&micros.to_le_bytes());
        out.extend_from_slice(&[from as u8, to as u8]);
        Self { out, findable: false }
    }

    pub(super) fn bytes(&mut self, tag: Tag, value: &[u8]) {
        self.out.push(tag as u8);
        let length = u16::try_from(value.len()).expect("every value is at most LONGEST bytes");
        self.out.extend_from_slice(&length.to_le_bytes());
        self.out.extend_from_slice(value);
        self.findable |= !value.is_empty() && tag.key().is_some();
    }

    /// Text, cut where it is longer than [`LONGEST`].
    pub(super) fn text(&mut self, tag: Tag, text: &str) {
        self.bytes(tag, text.get(..text.floor_char_boundary(LONGEST)).unwrap_or_default().as_bytes());
    }

    /// Text of several parts.
    pub(super) fn format(&mut self, tag: Tag, text: fmt::Arguments<'_>) {
        self.out.extend_from_slice(&[tag as u8, 0, 0]);
        let begin = self.out.len();
        let written = Appended(self.out).write_fmt(text);
        debug_assert_eq!(written, Ok(()), "a Vec takes everything");
        let said = self.out.get(begin..).and_then(|said| str::from_utf8(said).ok()).unwrap_or_default();
        let length = said.floor_char_boundary(LONGEST);
        self.out.truncate(begin + length);
        let length = u16::try_from(length).expect("it was cut").to_le_bytes();
        self.out[begin - length.len()..begin].copy_from_slice(&length);
    }

    pub(super) fn address(&mut self, tag: Tag, address: SocketAddr) {
        let mut value = [0; 18];
        let (ip, port) = value.split_at_mut(16);
        match address.ip() {
            IpAddr::V4(v4) => ip.copy_from_slice(&v4.to_ipv6_mapped().octets()),
            IpAddr::V6(v6) => ip.copy_from_slice(&v6.octets()),
        }
        port.copy_from_slice(&address.port().to_le_bytes());
        self.bytes(tag, &value);
    }
}

struct Appended<'a>(&'a mut Vec<u8>);

impl Write for Appended<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// A record's time, lanes and fields; `None` for what is none.
pub(super) fn read(record: &[u8]) -> Option<(i64, Lane, Lane, Fields<'_>)> {
    let (micros, rest) = record.split_first_chunk()?;
    let ([from, to], rest) = rest.split_first_chunk()?;
    let lane = |byte: &u8| Lane::ALL.get(usize::from(*byte)).copied();
    Some((i64::from_le_bytes(*micros), lane(from)?, lane(to)?, Fields { rest }))
}

/// The fields of a record, those of unknown tags left out.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = (Tag, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let ([tag, low, high], rest) = self.rest.split_first_chunk()?;
            let (value, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([*low, *high])))?;
            self.rest = rest;
            if let Some(tag) = Tag::ALL.get(usize::from(*tag)) {
                return Some((*tag, value));
            }
        }
    }
}

/// The address that [`Writer::address`] wrote.
pub(super) fn address(value: &[u8]) -> Option<SocketAddr> {
    let (ip, port) = value.split_first_chunk::<16>()?;
    let ip = Ipv6Addr::from(*ip);
    let ip = ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4);
    Some(SocketAddr::new(ip, u16::from_le_bytes(port.try_into().ok()?)))
}

/// The longest value: no first line, header or name that is longer is worth its room.
pub(super) const LONGEST: usize = 4_096;
