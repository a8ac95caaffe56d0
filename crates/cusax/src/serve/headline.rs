//! The headline that tells a caller about charges over XMPP (RFC 7081 §5).

use cusax_edge::Headline;
use cusax_xmpp::Element;

/// Namespace of the machine-readable part.
const CHARGE: &str = "urn:cusax:charge:0";
const CLIENT: &str = "jabber:client";

/// The message: text for people, number, class and session for clients.
pub(super) fn stanza(headline: &Headline) -> Element {
    let mut charge = Element::new(CHARGE, "charge")
        .with_attr("number", headline.number.as_str())
        .with_attr("class", headline.class.as_str());
    if let Some(session) = headline.session {
        charge = charge.with_attr("session", session.to_string());
    }
    let text = |name: &'static str, text: &str| Element::new(CLIENT, name).with_text(text);
    Element::message("headline")
        .with_attr("to", headline.to.as_str())
        .with_child(text("subject", "Charged call"))
        .with_child(text("body", &headline.text))
        .with_child(charge)
}
