//! What a client does in rooms (XEP-0045).

use std::time::Instant;

use cusax_net::clock;
use cusax_xmpp::muc::{self, Affiliation, Role, UserInfo, admin, owner};
use cusax_xmpp::{BareJid, Element, Jid, Secret, stanza};

use super::{Chat, ChatError, Received};

/// What entering a room came to.
#[derive(Clone, Debug)]
pub struct Entered {
    /// Our occupant JID.
    pub occupant: Jid,
    /// True where the room was created, and is locked until it is configured (status 201).
    pub created: bool,
    /// Our role.
    pub role: Option<Role>,
}

/// When something was asked of a room, and when the room said that it was done.
#[derive(Clone, Copy, Debug)]
pub struct Moderated {
    /// When the request was sent.
    pub asked: Instant,
    /// When its result was received.
    pub done: Instant,
}

impl Chat {
    /// Enters a room and waits for our own presence in it (status 110).
    ///
    /// # Errors
    /// [`ChatError::Stanza`] with `forbidden`, `registration-required`, `not-authorized`, ... where we may not;
    /// [`ChatError::Deadline`], [`ChatError::Closed`].
    pub async fn enter(
        &self,
        room: &BareJid,
        nick: &str,
        password: Option<&str>,
        deadline: Instant,
    ) -> Result<Entered, ChatError> {
        let what = format!("entering {room}");
        let occupant = self.occupant(room, nick, &what)?;
        let asked = clock::now();
        self.send(muc::enter(&occupant, password.map(Secret::new).as_ref())).await?;
        // What came before is about an earlier visit.
        let ours = |Received { at, element }: &Received| {
            let from = stanza::from(element).is_some_and(|from| from.bare_str() == room.as_str());
            let own = match element.attr("type") {
                None => UserInfo::of(element).is_some_and(|info| info.has(110)),
                Some(kind) => kind == "error",
            };
            *at >= asked && element.name() == "presence" && from && own
        };
        let presence = self.take_received(&format!("presence after {what}"), deadline, ours).await?.element;
        if let Some(condition) = stanza::error_condition(&presence) {
            return Err(self.refused(&what, condition));
        }
        let info = UserInfo::of(&presence).unwrap_or_default();
        let role = info.items.first().and_then(|item| item.role);
        Ok(Entered { occupant: stanza::from(&presence).unwrap_or(occupant), created: info.has(201), role })
    }

    /// Configures a room that we own, by `muc#roomconfig_…` fields; with none, accepts the defaults of a new room, which
    /// is locked until then ("instant room").
    ///
    /// # Errors
    /// As [`Chat::ask`].
    pub async fn configure(
        &self,
        room: &BareJid,
        fields: &[(&str, &str)],
        deadline: Instant,
    ) -> Result<Moderated, ChatError> {
        self.moderate(&format!("configuring {room}"), deadline, |id| owner::configure(id, room, fields)).await
    }

    /// Sets an occupant's role: visitor (no voice), participant (voice), none (kick).
    ///
    /// # Errors
    /// As [`Chat::ask`].
    pub async fn set_role(
        &self,
        room: &BareJid,
        nick: &str,
        role: Role,
        reason: Option<&str>,
        deadline: Instant,
    ) -> Result<Moderated, ChatError> {
        let what = format!("making {nick} {role} in {room}");
        self.moderate(&what, deadline, |id| admin::set_role(id, room, nick, role, reason)).await
    }

    /// Sets a user's affiliation: outcast (ban), none (unban), member, admin, owner.
    ///
    /// # Errors
    /// As [`Chat::ask`].
    pub async fn set_affiliation(
        &self,
        room: &BareJid,
        jid: &BareJid,
        affiliation: Affiliation,
        reason: Option<&str>,
        deadline: Instant,
    ) -> Result<Moderated, ChatError> {
        let what = format!("making {jid} {affiliation} in {room}");
        self.moderate(&what, deadline, |id| admin::set_affiliation(id, room, jid, affiliation, reason)).await
    }

    /// Destroys a room that we own.
    ///
    /// # Errors
    /// As [`Chat::ask`].
    pub async fn destroy(
        &self,
        room: &BareJid,
        reason: Option<&str>,
        deadline: Instant,
    ) -> Result<Moderated, ChatError> {
        self.moderate(&format!("destroying {room}"), deadline, |id| owner::destroy(id, room, reason)).await
    }

    /// Leaves a room.
    ///
    /// # Errors
    /// [`ChatError::Closed`].
    pub async fn leave(&self, occupant: &Jid) -> Result<(), ChatError> {
        self.send(muc::leave(occupant)).await
    }

    /// Waits for the presence of another occupant that is what is asked for, such as his role having changed.
    ///
    /// # Errors
    /// As [`Chat::take`].
    pub async fn occupant_presence(
        &self,
        room: &BareJid,
        nick: &str,
        deadline: Instant,
        wanted: impl Fn(&Element, &UserInfo) -> bool,
    ) -> Result<Received, ChatError> {
        let matches = |stanza: &Element| {
            let from = stanza::from(stanza);
            let his = from.is_some_and(|it| it.bare_str() == room.as_str() && it.resource() == Some(nick));
            stanza.name() == "presence" && his && UserInfo::of(stanza).is_some_and(|info| wanted(stanza, &info))
        };
        self.take(&format!("presence of {nick} in {room}"), deadline, matches).await
    }

    async fn moderate(
        &self,
        what: &str,
        deadline: Instant,
        build: impl FnOnce(&str) -> Element,
    ) -> Result<Moderated, ChatError> {
        let asked = clock::now();
        let answer = self.ask(what, deadline, build).await?;
        Ok(Moderated { asked, done: answer.at })
    }

    fn occupant(&self, room: &BareJid, nick: &str, what: &str) -> Result<Jid, ChatError> {
        room.with_resource(nick).map_err(|_| self.refused(what, "jid-malformed"))
    }

    fn refused(&self, what: &str, condition: &str) -> ChatError {
        ChatError::Stanza { jid: self.account.clone(), what: what.to_owned(), condition: condition.to_owned() }
    }
}
