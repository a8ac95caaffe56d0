//! An XML element as a value: what a stanza is made of.

use std::borrow::Cow;

use crate::ns;

/// An element with its attributes and children.
///
/// Stanzas are namespace-neutral: `jabber:client` and `jabber:component:accept` both read as [`ns::CLIENT`], and
/// [`Element::to_xml`] writes them in the namespace of the stream that they leave by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    ns: Cow<'static, str>,
    name: Cow<'static, str>,
    attributes: Vec<(Cow<'static, str>, String)>,
    children: Vec<Node>,
}

/// What is inside an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A child element.
    Element(Element),
    /// Character data.
    Text(String),
}

impl Element {
    /// Creates an empty element.
    #[must_use]
    pub fn new(ns: impl Into<Cow<'static, str>>, name: impl Into<Cow<'static, str>>) -> Self {
        Self { ns: ns.into(), name: name.into(), attributes: Vec::new(), children: Vec::new() }
    }

    /// Creates an empty `<message/>`.
    #[must_use]
    pub fn message(kind: &'static str) -> Self {
        Self::new(ns::CLIENT, "message").with_attr("type", kind)
    }

    /// Creates an empty, available `<presence/>`.
    #[must_use]
    pub fn presence() -> Self {
        Self::new(ns::CLIENT, "presence")
    }

    /// Creates an `<iq/>` with its payload.
    #[must_use]
    pub fn iq(kind: &'static str, id: &str, payload: Self) -> Self {
        Self::new(ns::CLIENT, "iq").with_attr("type", kind).with_attr("id", id).with_child(payload)
    }

    /// Sets an attribute and returns the element.
    #[must_use]
    pub fn with_attr(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.set_attr(name, value);
        self
    }

    /// Appends a child and returns the element.
    #[must_use]
    pub fn with_child(mut self, child: Self) -> Self {
        self.children.push(Node::Element(child));
        self
    }

    /// Appends character data and returns the element.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.push_text(text.into());
        self
    }

    /// Sets an attribute, replacing one of that name.
    pub fn set_attr(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        match self.attributes.iter_mut().find(|(known, _)| *known == name) {
            Some(slot) => slot.1 = value,
            None => self.attributes.push((name, value)),
        }
    }

    pub(crate) fn push_child(&mut self, child: Self) {
        self.children.push(Node::Element(child));
    }

    pub(crate) fn push_text(&mut self, text: impl AsRef<str> + Into<String>) {
        if let Some(Node::Text(last)) = self.children.last_mut() {
            last.push_str(text.as_ref());
        } else {
            self.children.push(Node::Text(text.into()));
        }
    }

    pub(crate) fn push_attr(&mut self, name: Cow<'static, str>, value: String) {
        self.attributes.push((name, value));
    }

    /// The namespace; [`ns::CLIENT`] for stanzas of every kind of stream.
    #[must_use]
    pub fn ns(&self) -> &str {
        &self.ns
    }

    /// The local name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Tells whether it has this namespace and name.
    #[must_use]
    pub fn is(&self, ns: &str, name: &str) -> bool {
        self.name == name && self.ns == ns
    }

    /// The value of an attribute; `xml:lang` by that name, other prefixed ones as `{namespace}name`.
    #[must_use]
    pub fn attr(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The child elements, in order.
    pub fn children(&self) -> impl Iterator<Item = &Self> {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The first child with this namespace and name.
    #[must_use]
    pub fn child(&self, ns: &str, name: &str) -> Option<&Self> {
        self.children().find(|child| child.is(ns, name))
    }

    /// The character data directly inside.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        let mut texts = self.children.iter().filter_map(|node| match node {
            Node::Element(_) => None,
            Node::Text(text) => Some(text.as_str()),
        });
        let first = texts.next().unwrap_or_default();
        texts.fold(Cow::Borrowed(first), |all, next| Cow::Owned(all.into_owned() + next))
    }

    /// Writes it as it travels on a stream whose content namespace is `stream`
    /// ([`ns::CLIENT`] or [`ns::COMPONENT`]).
    #[must_use]
    pub fn to_xml(&self, stream: &str) -> String {
        let mut out = String::with_capacity(256);
        self.write(&mut out, stream, stream);
        out
    }

    fn write(&self, out: &mut String, stream: &str, scope: &str) {
        // Stanzas and their own children take the stream's namespace; a stanza inside another namespace (a forwarded
        // one) is `jabber:client` by itself.
        let ns = if self.ns == ns::CLIENT && scope == stream { stream } else { &*self.ns };
        let (prefix, inner) = if ns == ns::STREAM { ("stream:", scope) } else { ("", ns) };
        out.push('<');
        out.push_str(prefix);
        out.push_str(&self.name);
        if inner != scope {
            write_attribute(out, "xmlns", ns);
        }
        for (index, (name, value)) in self.attributes.iter().enumerate() {
            match name.strip_prefix('{').and_then(|name| name.split_once('}')) {
                Some((ns, local)) => {
                    write_attribute(out, &format!("xmlns:a{index}"), ns);
                    write_attribute(out, &format!("a{index}:{local}"), value);
                }
                None => write_attribute(out, name, value),
            }
        }
        if self.children.is_empty() {
            out.push_str("/>");
            return;
        }
        out.push('>');
        for node in &self.children {
            match node {
                Node::Element(element) => element.write(out, stream, inner),
                Node::Text(text) => escape(out, text, false),
            }
        }
        out.push_str("</");
        out.push_str(prefix);
        out.push_str(&self.name);
        out.push('>');
    }
}

fn write_attribute(out: &mut String, name: &str, value: &str) {
    out.push(' ');
    out.push_str(name);
    out.push_str("='");
    escape(out, value, true);
    out.push('\'');
}

/// Escapes character data, or the value of an attribute in apostrophes. What XML cannot carry becomes U+FFFD: text
/// from SIP must not be able to end an XMPP stream.
pub(crate) fn escape(out: &mut String, text: &str, attribute: bool) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\r' => out.push_str("&#13;"),
            '\'' if attribute => out.push_str("&apos;"),
            '\n' if attribute => out.push_str("&#10;"),
            '\t' if attribute => out.push_str("&#9;"),
            c if is_xml_char(c) => out.push(c),
            _ => out.push('\u{FFFD}'),
        }
    }
}

/// `Char` of XML 1.0 §2.2.
pub(crate) const fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_a_stanza_in_the_namespace_of_its_stream() {
        let stanza = Element::presence().with_attr("to", "room@muc/n'<").with_child(Element::new(ns::MUC, "x"));
        let xml = "<presence to='room@muc/n&apos;&lt;'><x xmlns='http://jabber.org/protocol/muc'/></presence>";
        assert_eq!(stanza.to_xml(ns::COMPONENT), xml);
        assert_eq!(stanza.to_xml(ns::CLIENT), xml);
        assert_eq!(stanza.to_xml("other"), xml, "whatever the content namespace");
    }

    #[test]
    fn declares_a_namespace_where_it_changes_and_a_forwarded_stanza_is_of_a_client() {
        let inner = Element::message("chat").with_child(Element::new(ns::CLIENT, "body").with_text("a & b"));
        let stanza =
            Element::message("normal").with_child(Element::new("urn:xmpp:forward:0", "forwarded").with_child(inner));
        assert_eq!(
            stanza.to_xml(ns::COMPONENT),
            "<message type='normal'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' type='chat'>\
             <body>a &amp; b</body></message></forwarded></message>"
        );
    }

    #[test]
    fn replaces_what_xml_cannot_carry() {
        let stanza = Element::message("chat").with_attr("id", "a\n\t\u{1}").with_text("\0\u{FFFE}\r ok");
        assert_eq!(
            stanza.to_xml(ns::CLIENT),
            "<message type='chat' id='a&#10;&#9;\u{FFFD}'>\u{FFFD}\u{FFFD}&#13; ok</message>"
        );
    }

    #[test]
    fn joins_text_around_children_and_replaces_attributes() {
        let element =
            Element::new("urn:x", "a").with_text("one").with_child(Element::new("urn:x", "b")).with_text(" two");
        assert_eq!(element.text(), "one two");
        assert_eq!(element.with_attr("k", "1").with_attr("k", "2").attr("k"), Some("2"));
    }
}
