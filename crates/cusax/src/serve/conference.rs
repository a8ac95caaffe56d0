//! The conferences' part of the configuration, in their own terms.

use anyhow::Context as _;
use cusax_conference::{
    Conferences, Config as ConferenceConfig, Create, Domain, Media, Restricted as Entry, Restriction,
};
use cusax_directory::Restriction as Kept;
use cusax_mixer::PortId;
use cusax_rtp::Codec;
use cusax_xmpp::BareJid;

use super::media::LEGS;
use super::seeds;
use super::stores::{Keep, Restricted};
use crate::config::Config;
use crate::config::conference::Create as CreateName;
use crate::config::media::Codec as CodecName;

/// The nick of the focus in its rooms.
const NICK: &str = "conference";

/// Makes the conferences.
pub(super) fn open(config: &Config, ports: Vec<PortId>, restricted: Vec<Restricted>) -> anyhow::Result<Conferences> {
    let xmpp = config.xmpp.as_ref().context("conferences need [xmpp]")?;
    let focus = BareJid::new(xmpp.focus.as_str(), xmpp.component.as_str()).context("xmpp.focus is no JID")?;
    let conferences = config.conference.iter().map(|conference| {
        Ok(Domain {
            domain: conference.domain.to_string(),
            rooms: conference.rooms.as_str().parse().context("conference.rooms is no JID")?,
            create: match conference.create {
                CreateName::WithRoom => Create::WithRoom,
                CreateName::Always => Create::Always,
            },
            mute_visitors_in_unmoderated_rooms: conference.mute_visitors_in_unmoderated_rooms,
        })
    });
    let restricted = restricted.into_iter().filter_map(|one| {
        let restriction = match one.restriction {
            Kept::Ban => Restriction::Ban,
            Kept::Mute => Restriction::Mute,
        };
        Some(Entry { room: one.room.parse().ok()?, jid: one.jid.parse().ok()?, restriction })
    });
    let codecs = config.media.codecs.iter().filter_map(|codec| match codec {
        CodecName::Pcmu => Some(Codec::Pcmu),
        CodecName::Pcma => Some(Codec::Pcma),
        // `check` refuses them: not built in this version.
        CodecName::Opus | CodecName::G722 => None,
    });
    let config = ConferenceConfig {
        domain: config.service.domain.to_string(),
        conferences: conferences.collect::<anyhow::Result<_>>()?,
        focus: focus.with_resource("focus").context("xmpp.focus is no JID")?,
        nick: NICK.to_owned(),
        media: Media { address: config.media.advertised(), ports, codecs: codecs.collect(), legs: LEGS },
        name: "cusax".to_owned(),
        restrictions: restricted.collect(),
    };
    Ok(Conferences::new(config, seeds()))
}

/// A restriction to keep.
pub(super) fn restrict(entry: &Entry) -> Keep {
    Keep::Restrict { room: entry.room.to_string(), jid: entry.jid.to_string(), restriction: kept(entry.restriction) }
}

/// A restriction to forget.
pub(super) fn lift(room: &BareJid, jid: Option<&BareJid>, restriction: Restriction) -> Keep {
    Keep::Lift { room: room.to_string(), jid: jid.map(ToString::to_string), restriction: kept(restriction) }
}

const fn kept(restriction: Restriction) -> Kept {
    match restriction {
        Restriction::Ban => Kept::Ban,
        Restriction::Mute => Kept::Mute,
    }
}
