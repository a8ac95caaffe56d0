//! Offers, and reading what answers them (RFC 3264 §5, §7, §8).

use super::answer::{audio_line, description, in_place, write};
use super::{Formats, LocalMedia, Refusal, Session, Stream, TELEPHONE_EVENT, media};

/// Makes the first offer of a dialog: one audio line with all our codecs and telephone-event.
#[must_use]
pub fn offer(local: &LocalMedia<'_>) -> Vec<u8> {
    offer_among(None, local)
}

/// Makes a later offer of a dialog, from what the other side said last: its lines keep their places (RFC 3264 §8).
#[must_use]
pub fn reoffer(theirs: &Session, local: &LocalMedia<'_>) -> Vec<u8> {
    offer_among(Some(theirs), local)
}

/// Reads the answer to our offer.
///
/// # Errors
/// [`Refusal`] where no audio was agreed.
pub fn read_answer(local: &LocalMedia<'_>, answer: &Session) -> Result<Stream, Refusal> {
    let (_, audio) = media::find(&answer.0, local.address, local.codecs)?;
    let &(codec, payload_type) = audio.codecs.first().ok_or(Refusal::Format)?;
    // RFC 3264 §5.1: they send with the payload types of our offer, we with those of their answer.
    let mut formats = Formats { telephone_event: audio.telephone_event.map(|_| TELEPHONE_EVENT), ..Formats::default() };
    audio.codecs.iter().for_each(|(codec, _)| formats.set(*codec, codec.payload_type()));
    Ok(Stream {
        codec,
        payload_type,
        formats,
        telephone_event: audio.telephone_event,
        remote: audio.remote,
        direction: local.direction.facing(audio.direction),
        ptime_ms: audio.ptime_ms,
    })
}

fn offer_among(theirs: Option<&Session>, local: &LocalMedia<'_>) -> Vec<u8> {
    let codecs: Vec<_> = local.codecs.iter().map(|it| (it.name(), it.payload_type())).collect();
    let ours = audio_line(local, &codecs, Some(TELEPHONE_EVENT), local.direction);
    let mut body = description(local);
    body.medias = match theirs {
        None => vec![ours],
        Some(Session(theirs)) => {
            let audio = media::find(theirs, local.address, local.codecs);
            let index = audio.map_or(theirs.medias.len(), |(index, _)| index);
            in_place(theirs, index, ours)
        }
    };
    write(&body)
}
