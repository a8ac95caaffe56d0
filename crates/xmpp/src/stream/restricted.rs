//! Parses one framed unit with quick-xml and refuses what that accepts but RFC 6120 §11.1 forbids.

use std::borrow::Cow;

use quick_xml::escape::{EscapeError, resolve_predefined_entity};
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::{Namespace, PrefixDeclaration, QName, ResolveResult};
use quick_xml::{NsReader, XmlVersion};

use super::{Condition, Limits, Refusal};
use crate::element::is_xml_char;
use crate::{Element, ns};

/// The namespace bindings that the header leaves to the stanzas.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    bindings: Vec<(Option<String>, String)>,
    tag: String,
}

impl Scope {
    /// Tells whether this end tag is that of the stream.
    pub(super) fn is_ended_by(&self, tag: &str) -> bool {
        let name = tag.strip_prefix("</").and_then(|tag| tag.strip_suffix('>'));
        name.is_some_and(|name| name.trim_end() == self.tag)
    }
}

/// A parsed stream header.
pub(super) struct Header {
    pub(super) element: Element,
    pub(super) scope: Scope,
}

/// Parses the XML declaration, if any, and the stream header.
pub(super) fn header(text: &str, content: &str, limits: &Limits) -> Result<Header, Refusal> {
    let mut reader = NsReader::from_str(text);
    loop {
        match reader.read_event().map_err(malformed)? {
            Event::Decl(declaration) => {
                let encoding = declaration
                    .encoding()
                    .transpose()
                    .map_err(|_| Refusal::malformed("a malformed XML declaration"))?;
                if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case("utf-8")) {
                    return Err(Refusal {
                        condition: Condition::UnsupportedEncoding,
                        ..Refusal::malformed("an encoding other than UTF-8")
                    });
                }
                if declaration.version().map_err(malformed)? != "1.0" {
                    return Err(Refusal::malformed("an XML version other than 1.0"));
                }
            }
            Event::Text(space) if space.trim().is_empty() => {}
            Event::Start(start) => {
                let element = open(&reader, &start, limits)?;
                let scope = Scope { bindings: bindings(&reader), tag: start.name().0.to_owned() };
                let bound = scope.bindings.iter().rev().find(|(prefix, _)| prefix.is_none()).map(|(_, ns)| ns.as_str());
                if !element.is(ns::STREAM, "stream") || bound != Some(content) {
                    return Err(Refusal {
                        condition: Condition::InvalidNamespace,
                        ..Refusal::malformed("a header of another kind of stream")
                    });
                }
                return Ok(Header { element, scope });
            }
            Event::PI(_) | Event::Comment(_) | Event::DocType(_) => {
                return Err(Refusal::restricted("no XML declaration"));
            }
            Event::Empty(_) | Event::End(_) | Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) | Event::Eof => {
                return Err(Refusal::malformed("no stream header"));
            }
        }
    }
}

fn bindings(reader: &NsReader<&[u8]>) -> Vec<(Option<String>, String)> {
    let owned = |(prefix, namespace): (PrefixDeclaration<'_>, Namespace<'_>)| match prefix {
        PrefixDeclaration::Default => (None, namespace.0.to_owned()),
        PrefixDeclaration::Named(name) => (Some(name.to_owned()), namespace.0.to_owned()),
    };
    reader.resolver().bindings().map(owned).collect()
}

/// Parses one complete top-level element.
pub(super) fn stanza(text: &str, scope: &Scope, limits: &Limits) -> Result<Element, Refusal> {
    let mut reader = NsReader::from_str(text);
    for (prefix, namespace) in &scope.bindings {
        let prefix = prefix.as_deref().map_or(PrefixDeclaration::Default, PrefixDeclaration::Named);
        reader.resolver_mut().add(prefix, Namespace(namespace)).map_err(malformed)?;
    }
    let mut above: Vec<Element> = Vec::new();
    let mut whole = None;
    loop {
        let done = match reader.read_event().map_err(malformed)? {
            Event::Start(start) => {
                above.push(open(&reader, &start, limits)?);
                None
            }
            Event::Empty(start) => Some(open(&reader, &start, limits)?),
            Event::End(_) => above.pop(),
            Event::Text(text) => {
                if text.contains("]]>") {
                    return Err(Refusal::malformed("']]>' in text"));
                }
                push_text(&mut above, &text.xml10_content())?;
                None
            }
            Event::CData(text) => {
                push_text(&mut above, &text.xml10_content())?;
                None
            }
            Event::GeneralRef(reference) => {
                push_text(&mut above, resolve(&reference)?.encode_utf8(&mut [0; 4]))?;
                None
            }
            Event::Eof => return whole.ok_or(Refusal::malformed("an element without its end")),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {
                return Err(Refusal::restricted("a comment, processing instruction or document type"));
            }
        };
        if let Some(element) = done {
            match above.last_mut() {
                Some(parent) => parent.push_child(element),
                None if whole.is_none() => whole = Some(element),
                None => return Err(Refusal::malformed("two elements where one was framed")),
            }
        }
    }
}

fn push_text(above: &mut [Element], text: &str) -> Result<(), Refusal> {
    if !text.chars().all(is_xml_char) {
        return Err(Refusal::malformed("a character that XML forbids"));
    }
    above.last_mut().ok_or(Refusal::malformed("text outside a stanza"))?.push_text(text);
    Ok(())
}

/// Opens an element: name, namespace and attributes, each checked.
fn open(reader: &NsReader<&[u8]>, start: &BytesStart<'_>, limits: &Limits) -> Result<Element, Refusal> {
    check_name(start.name())?;
    let (resolved, local) = reader.resolver().resolve_element(start.name());
    let ns = match resolved {
        ResolveResult::Bound(Namespace(ns::COMPONENT)) => Cow::Borrowed(ns::CLIENT),
        ResolveResult::Bound(Namespace(namespace)) => ns::intern(namespace),
        ResolveResult::Unbound => Cow::Borrowed(""),
        ResolveResult::Unknown(_) => return Err(UNBOUND),
    };
    let mut element = Element::new(ns, local.into_inner().to_owned());
    for (count, attribute) in start.attributes().enumerate() {
        if count >= limits.attributes {
            return Err(Refusal::too_large("more attributes than allowed"));
        }
        let attribute = attribute.map_err(|_| Refusal::malformed("a malformed or repeated attribute"))?;
        check_name(attribute.key)?;
        let value = attribute.normalized_value(XmlVersion::Explicit1_0).map_err(escape)?;
        if !value.chars().all(is_xml_char) {
            return Err(Refusal::malformed("a character that XML forbids"));
        }
        if attribute.key.as_namespace_binding().is_some() {
            continue;
        }
        let key = match reader.resolver().resolve_attribute(attribute.key) {
            (ResolveResult::Unbound, local) => Cow::Owned(local.into_inner().to_owned()),
            (ResolveResult::Bound(_), local) if attribute.key.0.starts_with("xml:") => {
                Cow::Owned(format!("xml:{}", local.into_inner()))
            }
            (ResolveResult::Bound(Namespace(namespace)), local) => {
                Cow::Owned(format!("{{{namespace}}}{}", local.into_inner()))
            }
            (ResolveResult::Unknown(_), _) => return Err(UNBOUND),
        };
        if element.attr(&key).is_some() {
            return Err(Refusal::malformed("a repeated attribute"));
        }
        element.push_attr(key, value.into_owned());
    }
    Ok(element)
}

const UNBOUND: Refusal =
    Refusal { condition: Condition::BadNamespacePrefix, ..Refusal::malformed("a prefix that is not bound") };

/// Checks a qualified name (Namespaces in XML 1.0 §4), in ASCII; other letters pass.
fn check_name(name: QName<'_>) -> Result<(), Refusal> {
    let part = |part: &str| {
        let first = part.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii());
        first
            && part
                .chars()
                .all(|c| (c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') || !c.is_ascii()) && is_xml_char(c))
    };
    let valid = name.0.split_once(':').map_or_else(|| part(name.0), |(prefix, local)| part(prefix) && part(local));
    if valid { Ok(()) } else { Err(Refusal::malformed("a malformed name")) }
}

/// Resolves one of the five predefined entities or a character reference; RFC 6120 §11.1 allows no other.
fn resolve(reference: &BytesRef<'_>) -> Result<char, Refusal> {
    if let Some(character) =
        reference.resolve_char_ref().map_err(|_| Refusal::malformed("a malformed character reference"))?
    {
        return Ok(character);
    }
    let predefined = resolve_predefined_entity(reference).and_then(|text| text.chars().next());
    predefined.ok_or(Refusal::restricted("an entity that is not predefined"))
}

fn malformed<E>(_: E) -> Refusal {
    Refusal::malformed("not well-formed")
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn escape(error: quick_xml::Error) -> Refusal {
    if let quick_xml::Error::Escape(EscapeError::UnrecognizedEntity(..)) = error {
        Refusal::restricted("an entity that is not predefined")
    } else {
        Refusal::malformed("a malformed reference")
    }
}
