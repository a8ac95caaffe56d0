//! What moderators and admins send (XEP-0045 §8, §9): IQs to the room, without `from`.

use super::{Affiliation, Occupant, Role};
use crate::{BareJid, Element, ns};

/// Sets an occupant's role: voice granted (participant) or revoked (visitor), kick (none).
#[must_use]
pub fn set_role(id: &str, room: &BareJid, nick: &str, role: Role, reason: Option<&str>) -> Element {
    let item = Element::new(ns::MUC_ADMIN, "item").with_attr("nick", nick).with_attr("role", role.as_str());
    query("set", id, room, with_reason(item, reason))
}

/// Sets a user's affiliation, present or not: ban (outcast), unban (none), member, admin, owner.
#[must_use]
pub fn set_affiliation(
    id: &str,
    room: &BareJid,
    jid: &BareJid,
    affiliation: Affiliation,
    reason: Option<&str>,
) -> Element {
    let item = Element::new(ns::MUC_ADMIN, "item")
        .with_attr("jid", jid.as_str())
        .with_attr("affiliation", affiliation.as_str());
    query("set", id, room, with_reason(item, reason))
}

/// Asks for the users of an affiliation.
#[must_use]
pub fn list(id: &str, room: &BareJid, affiliation: Affiliation) -> Element {
    query("get", id, room, Element::new(ns::MUC_ADMIN, "item").with_attr("affiliation", affiliation.as_str()))
}

/// Asks for the occupants of a role.
#[must_use]
pub fn list_role(id: &str, room: &BareJid, role: Role) -> Element {
    query("get", id, room, Element::new(ns::MUC_ADMIN, "item").with_attr("role", role.as_str()))
}

fn query(kind: &'static str, id: &str, room: &BareJid, item: Element) -> Element {
    Element::iq(kind, id, Element::new(ns::MUC_ADMIN, "query").with_child(item)).with_attr("to", room.as_str())
}

fn with_reason(item: Element, reason: Option<&str>) -> Element {
    match reason {
        Some(reason) => item.with_child(Element::new(ns::MUC_ADMIN, "reason").with_text(reason)),
        None => item,
    }
}

/// The users in the answer to [`list`]. Entries that are no JID are left out.
pub fn listed(answer: &Element) -> impl Iterator<Item = (BareJid, Affiliation)> + '_ {
    items(answer).filter_map(|item| {
        let jid: crate::Jid = item.attr("jid")?.parse().ok()?;
        Some((jid.bare(), Affiliation::parse(item.attr("affiliation")?)?))
    })
}

/// The occupants in the answer to [`list_role`].
pub fn listed_by_role(answer: &Element) -> impl Iterator<Item = Occupant> + '_ {
    items(answer).filter_map(|item| {
        Some(Occupant {
            nick: item.attr("nick")?.to_owned(),
            sessions: item.attr("jid").and_then(|jid| jid.parse().ok()).into_iter().collect(),
            role: Role::parse(item.attr("role")?)?,
            affiliation: item.attr("affiliation").and_then(Affiliation::parse).unwrap_or(Affiliation::None),
            occupant_id: None,
        })
    })
}

fn items(answer: &Element) -> impl Iterator<Item = &Element> {
    let query = answer.child(ns::MUC_ADMIN, "query");
    query.into_iter().flat_map(Element::children).filter(|item| item.is(ns::MUC_ADMIN, "item"))
}
