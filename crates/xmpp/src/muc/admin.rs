//! What moderators and admins send (XEP-0045 §8, §9): IQs to the room, without `from`.

use super::{Affiliation, Role};
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
    let query = answer.child(ns::MUC_ADMIN, "query");
    let items = query.into_iter().flat_map(Element::children).filter(|item| item.is(ns::MUC_ADMIN, "item"));
    items.filter_map(|item| {
        let jid: crate::Jid = item.attr("jid")?.parse().ok()?;
        Some((jid.bare(), Affiliation::parse(item.attr("affiliation")?)?))
    })
}
