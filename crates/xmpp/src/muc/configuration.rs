//! What a room is (XEP-0045 §6.4 and §10.2).

use super::Role;
use crate::form::Form;
use crate::secret::Secret;
use crate::{Element, ns};

/// What matters of a room's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomConfig {
    /// Newcomers have no voice.
    pub moderated: bool,
    /// Newcomers who are no members may only listen.
    pub newcomers_listen: bool,
    /// The roles whose occupants are shown to nobody.
    pub hidden_roles: Vec<Role>,
    /// Only members come in.
    pub members_only: bool,
    /// A password is asked for; [`Room::password`](super::Room::password) knows it.
    pub password_protected: bool,
    /// It outlives its last occupant.
    pub persistent: bool,
    /// It is not listed.
    pub hidden: bool,
    /// Everybody sees real JIDs.
    pub non_anonymous: bool,
    /// The most occupants, where the server has such a limit and tells owners.
    pub max_users: Option<u32>,
    /// Its title.
    pub name: Option<String>,
    /// Its description.
    pub description: Option<String>,
    /// The conference that it is associated with (RFC 7081 §4 `audio-video-uri`).
    pub audio_video_uri: Option<String>,
}

/// The roles of those who are there.
const PRESENT: [Role; 3] = [Role::Visitor, Role::Participant, Role::Moderator];
/// Names under which the associated conference is published.
const AUDIO_VIDEO_URI: [&str; 2] = ["audio-video-uri", "muc#roominfo_audio-video-uri"];

impl RoomConfig {
    /// Reads the answer to disco#info; `None` where it is no chat room.
    #[must_use]
    pub fn of_disco(answer: &Element) -> Option<Self> {
        let query = answer.child(ns::DISCO_INFO, "query")?;
        let has = |feature| {
            query.children().any(|child| child.is(ns::DISCO_INFO, "feature") && child.attr("var") == Some(feature))
        };
        if !has(ns::MUC) {
            return None;
        }
        let identity = query.child(ns::DISCO_INFO, "identity").and_then(|identity| identity.attr("name"));
        let form = Form::of(query, "http://jabber.org/protocol/muc#roominfo");
        let value = |var| form.and_then(|form| form.value(var)).map(std::borrow::Cow::into_owned);
        Some(Self {
            moderated: has("muc_moderated"),
            newcomers_listen: has("muc_moderated"),
            hidden_roles: Vec::new(),
            members_only: has("muc_membersonly"),
            password_protected: has("muc_passwordprotected"),
            persistent: has("muc_persistent"),
            hidden: has("muc_hidden"),
            non_anonymous: has("muc_nonanonymous"),
            max_users: None,
            name: value("muc#roomconfig_roomname")
                .or_else(|| identity.filter(|name| !name.is_empty()).map(str::to_owned)),
            description: value("muc#roominfo_description"),
            audio_video_uri: AUDIO_VIDEO_URI.into_iter().find_map(value),
        })
    }

    /// Adds what only owners are told, and returns the password.
    pub(super) fn add_owner_form(&mut self, answer: &Element) -> Option<Secret> {
        let form = Form::of(answer.child(ns::MUC_OWNER, "query")?, ns::MUC_ROOMCONFIG)?;
        self.max_users = form.value("muc#roomconfig_maxusers").and_then(|most| most.parse().ok());
        // COMPAT(ejabberd): what newcomers are is a matter of its own there.
        if let Some(participants) = form.value("members_by_default") {
            self.newcomers_listen = !matches!(participants.as_ref(), "1" | "true");
        }
        // XEP-0045 §10.1.1: which roles are broadcast.
        if let Some(shown) = form.values("muc#roomconfig_presencebroadcast") {
            let shown: Vec<Role> = shown.filter_map(|role| Role::parse(&role)).collect();
            self.hidden_roles.extend(PRESENT.iter().filter(|role| !shown.contains(role)));
        }
        form.value("muc#roomconfig_roomsecret").filter(|_| self.password_protected).map(Secret::new)
    }
}
