//! What owners send (XEP-0045 §10): IQs to the room, without `from`.

use crate::{BareJid, Element, form, ns};

/// Submits room configuration, as `muc#roomconfig_…` fields and values. With no field it accepts the defaults of a new
/// room (§10.1.2, "instant room"), which stays locked until then.
#[must_use]
pub fn configure(id: &str, room: &BareJid, fields: &[(&str, &str)]) -> Element {
    query("set", id, room, Some(form::submit(ns::MUC_ROOMCONFIG, fields)))
}

/// Asks for the room configuration form.
#[must_use]
pub fn configuration(id: &str, room: &BareJid) -> Element {
    query("get", id, room, None)
}

/// Destroys the room (§10.9).
#[must_use]
pub fn destroy(id: &str, room: &BareJid, reason: Option<&str>) -> Element {
    let destroy = Element::new(ns::MUC_OWNER, "destroy");
    let destroy = match reason {
        Some(reason) => destroy.with_child(Element::new(ns::MUC_OWNER, "reason").with_text(reason)),
        None => destroy,
    };
    query("set", id, room, Some(destroy))
}

fn query(kind: &'static str, id: &str, room: &BareJid, payload: Option<Element>) -> Element {
    let query = Element::new(ns::MUC_OWNER, "query");
    let query = payload.map_or(query.clone(), |payload| query.with_child(payload));
    Element::iq(kind, id, query).with_attr("to", room.as_str())
}
