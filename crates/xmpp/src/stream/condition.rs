//! Why a stream is refused, and the stream error that says so (RFC 6120 §4.9.3).

use cusax_event::xmpp::DropReason;

use crate::{Element, ns};

cusax_event::closed_enum! {
    /// A stream error condition that we send.
    Condition {
        /// Text where only stanzas may be.
        BadFormat = "bad-format",
        /// A prefix that is not bound.
        BadNamespacePrefix = "bad-namespace-prefix",
        /// The peer did not answer in time.
        ConnectionTimeout = "connection-timeout",
        /// A stream or content namespace that is not the agreed one.
        InvalidNamespace = "invalid-namespace",
        /// Not well-formed XML.
        NotWellFormed = "not-well-formed",
        /// Larger or deeper than allowed.
        PolicyViolation = "policy-violation",
        /// A comment, DTD, processing instruction or entity (§11.1).
        RestrictedXml = "restricted-xml",
        /// Not UTF-8 (§11.6).
        UnsupportedEncoding = "unsupported-encoding",
    }
}

impl Condition {
    /// The `<stream:error/>` that tells the peer.
    #[must_use]
    pub fn to_element(self) -> Element {
        Element::new(ns::STREAM, "error").with_child(Element::new(ns::STREAM_ERRORS, self.as_str()))
    }
}

/// What a peer sent that ends its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The stream error that the peer is owed.
    pub condition: Condition,
    /// The reason under which it is counted.
    pub reason: DropReason,
    /// What was wrong, in words.
    pub detail: &'static str,
}

impl Refusal {
    pub(super) const fn malformed(detail: &'static str) -> Self {
        Self { condition: Condition::NotWellFormed, reason: DropReason::Malformed, detail }
    }

    pub(super) const fn restricted(detail: &'static str) -> Self {
        Self { condition: Condition::RestrictedXml, reason: DropReason::Restricted, detail }
    }

    pub(super) const fn too_large(detail: &'static str) -> Self {
        Self { condition: Condition::PolicyViolation, reason: DropReason::TooLarge, detail }
    }
}

/// The condition and text of a `<stream:error/>` that a peer sent.
pub(crate) fn describe(error: &Element) -> String {
    let condition = error.children().find(|child| child.ns() == ns::STREAM_ERRORS && child.name() != "text");
    let text = error.child(ns::STREAM_ERRORS, "text").map(Element::text).unwrap_or_default();
    let condition = condition.map_or("undefined-condition", Element::name);
    if text.is_empty() { condition.to_owned() } else { format!("{condition}: {text}") }
}
