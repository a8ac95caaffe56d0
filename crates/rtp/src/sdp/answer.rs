//! Answers (RFC 3264 §6).

use sdp_types::{Connection, Media, Origin, Session as Description, Time};

use super::{Direction, EVENTS, Formats, LocalMedia, PTIME_MS, Refusal, Session, Stream, media};

/// An answer to send, and the stream that it agrees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The `application/sdp` body.
    pub body: Vec<u8>,
    /// What is agreed.
    pub stream: Stream,
}

/// Answers an offer or a re-offer: takes its first audio line that we can take, with the first of its codecs that we
/// speak and telephone-event where it has it, and refuses every other line with port 0 in its place.
///
/// # Errors
/// [`Refusal`] where there is no line to take: a 488.
pub fn answer(offer: &Session, local: &LocalMedia<'_>) -> Result<Answer, Refusal> {
    let Session(offer) = offer;
    let (index, audio) = media::find(offer, local.address, local.codecs)?;
    let &(codec, payload_type) = audio.codecs.first().ok_or(Refusal::Format)?;
    let direction = local.direction.facing(audio.direction);
    let mut formats = Formats { telephone_event: audio.telephone_event, ..Formats::default() };
    formats.set(codec, payload_type);
    let stream = Stream {
        codec,
        payload_type,
        formats,
        telephone_event: audio.telephone_event,
        remote: audio.remote,
        direction,
        ptime_ms: audio.ptime_ms,
    };
    let mut body = description(local);
    // RFC 3264 §6: the time of the answer is that of the offer.
    body.times.clone_from(&offer.times);
    let taken = audio_line(local, &[(codec.name(), payload_type)], stream.telephone_event, direction);
    body.medias = in_place(offer, index, taken);
    Ok(Answer { body: write(&body), stream })
}

/// Puts our line at its index among the refusals of the others' other lines.
pub(super) fn in_place(theirs: &Description, index: usize, ours: Media) -> Vec<Media> {
    let mut medias: Vec<_> = theirs.medias.iter().map(refused).collect();
    match medias.get_mut(index) {
        Some(place) => *place = ours,
        None => medias.push(ours),
    }
    medias
}

/// A line refused: port 0, its formats kept because the grammar wants some.
fn refused(theirs: &Media) -> Media {
    Media {
        port: 0,
        num_ports: None,
        media_title: None,
        connections: Vec::new(),
        bandwidths: Vec::new(),
        key: None,
        attributes: Vec::new(),
        ..theirs.clone()
    }
}

/// A description of ours without media.
pub(super) fn description(local: &LocalMedia<'_>) -> Description {
    let origin = Origin::with_ip_addr(local.session_id.to_string(), local.version, local.address);
    let mut session = Description::new(origin, "-");
    session.set_connection(Connection::from_ip_addr(local.address));
    session.add_time(Time::new(0, 0));
    session
}

/// Our audio line with these codecs.
pub(super) fn audio_line(
    local: &LocalMedia<'_>,
    codecs: &[(&str, u8)],
    telephone_event: Option<u8>,
    direction: Direction,
) -> Media {
    let event = telephone_event.map(|of| ("telephone-event", of));
    let formats: Vec<_> = codecs.iter().copied().chain(event).collect();
    let list: Vec<_> = formats.iter().map(|(_, of)| of.to_string()).collect();
    let mut media = Media {
        media: "audio".into(),
        port: local.port,
        num_ports: None,
        proto: "RTP/AVP".into(),
        fmt: list.join(" "),
        media_title: None,
        connections: Vec::new(),
        bandwidths: Vec::new(),
        key: None,
        attributes: Vec::new(),
    };
    for (name, of) in formats {
        media.add_attribute_with_value("rtpmap", format!("{of} {name}/8000"));
    }
    if let Some(of) = telephone_event {
        media.add_attribute_with_value("fmtp", format!("{of} {EVENTS}"));
    }
    media.add_attribute_with_value("ptime", PTIME_MS);
    media.add_attribute_from_str(direction.as_str());
    media
}

pub(super) fn write(description: &Description) -> Vec<u8> {
    description.to_string().into_bytes()
}
