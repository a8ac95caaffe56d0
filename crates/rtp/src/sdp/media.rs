//! What one media line of the other side says (RFC 8866 §5.14, §6).

use std::net::{IpAddr, SocketAddr};

use sdp_types::{Connection, Media, Session};

use super::{Direction, PTIME_MS, Refusal};
use crate::Codec;

/// An audio line that we could take.
pub(super) struct Audio {
    /// Where they receive.
    pub(super) remote: SocketAddr,
    /// What they do: they do not receive at an unspecified address.
    pub(super) direction: Direction,
    /// The codecs that we know, with their payload types, in their order.
    pub(super) codecs: Vec<(Codec, u8)>,
    /// The payload type of telephone-event/8000.
    pub(super) telephone_event: Option<u8>,
    /// The packet time that they would like.
    pub(super) ptime_ms: u16,
}

/// Finds the first audio line that we can take, and its index.
///
/// # Errors
/// The refusal of the audio line that came nearest.
pub(super) fn find(session: &Session, ours: IpAddr, codecs: &[Codec]) -> Result<(usize, Audio), Refusal> {
    let mut refusal = Refusal::NoAudio;
    for (index, media) in session.medias.iter().enumerate() {
        if media.media != "audio" || media.port == 0 {
            continue;
        }
        match read(session, media, ours, codecs) {
            Ok(audio) => return Ok((index, audio)),
            Err(found) => refusal = found,
        }
    }
    Err(refusal)
}

fn read(session: &Session, media: &Media, ours: IpAddr, known: &[Codec]) -> Result<Audio, Refusal> {
    if media.proto != "RTP/AVP" {
        return Err(Refusal::Transport);
    }
    let connection = media.connections.first().or(session.connection.as_ref());
    let address = connection.and_then(|it| unicast(it, ours)).ok_or(Refusal::Address)?;
    let formats = || media.fmt.split_ascii_whitespace().filter_map(|of| of.parse().ok());
    let codecs: Vec<_> =
        formats().filter_map(|of| Some((codec(media, of)?, of))).filter(|(codec, _)| known.contains(codec)).collect();
    if codecs.is_empty() {
        return Err(Refusal::Format);
    }
    let direction = direction(session, media);
    Ok(Audio {
        remote: SocketAddr::new(address, media.port),
        // RFC 3264 §8.4: the hold of RFC 2543.
        direction: Direction::new(direction.sends(), direction.receives() && !address.is_unspecified()),
        codecs,
        telephone_event: formats().find(|&of| encoding(media, of).is_some_and(|it| is(it, "telephone-event", 8_000))),
        ptime_ms: ptime(media),
    })
}

/// The address, if it is one that we can send to from ours.
fn unicast(connection: &Connection, ours: IpAddr) -> Option<IpAddr> {
    let address: IpAddr = connection.connection_address.parse().ok()?;
    let group = match address {
        IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_multicast(),
    };
    (!group && address.is_ipv4() == ours.is_ipv4()).then_some(address)
}

/// The codec of a payload type; RFC 3551 §6 assigns some, an `rtpmap` any.
fn codec(media: &Media, payload_type: u8) -> Option<Codec> {
    let mut codecs = Codec::ALL.into_iter();
    match encoding(media, payload_type) {
        Some(encoding) => codecs.find(|it| is(encoding, it.name(), it.clock_rate())),
        None => codecs.find(|it| it.payload_type() == payload_type),
    }
}

/// The `<encoding name>/<clock rate>[/<channels>]` of a payload type.
fn encoding(media: &Media, payload_type: u8) -> Option<&str> {
    media.get_attribute_values("rtpmap").flatten().find_map(|value| {
        let (of, encoding) = value.trim_ascii().split_once(' ')?;
        (of.parse() == Ok(payload_type)).then(|| encoding.trim_ascii())
    })
}

fn is(encoding: &str, name: &str, clock_rate: u32) -> bool {
    let mut parts = encoding.split('/');
    parts.next().is_some_and(|it| it.eq_ignore_ascii_case(name))
        && parts.next().and_then(|rate| rate.parse().ok()) == Some(clock_rate)
        && parts.next().is_none_or(|channels| channels == "1")
}

fn direction(session: &Session, media: &Media) -> Direction {
    let named = |name: &str| {
        [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive]
            .into_iter()
            .find(|direction| direction.as_str() == name)
    };
    let in_media = media.attributes.iter().find_map(|it| named(&it.attribute));
    let in_session = || session.attributes.iter().find_map(|it| named(&it.attribute));
    in_media.or_else(in_session).unwrap_or_default()
}

fn ptime(media: &Media) -> u16 {
    let of = |name| media.get_first_attribute_value(name).flatten()?.trim_ascii().parse().ok();
    let most = of("maxptime").unwrap_or(u16::MAX);
    of("ptime").unwrap_or(PTIME_MS).min(most)
}
