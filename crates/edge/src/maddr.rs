//! `maddr` in a Request-URI (RFC 3261 §16.4): it says where a request is sent to, and where that is here it has done so.

use std::sync::Arc;

use cusax_sip::{Edit, Flow, Message, Scheme, Uri};

use crate::config::{Config, default_port};

/// Takes `maddr` off the Request-URI where it names us and the request came by the port and transport that it asks for,
/// and with it what else says how to come here.
pub(crate) fn arrived(config: &Config, message: Message, flow: &Flow) -> Message {
    let Some(uri) = message.request_uri().and_then(|uri| without(config, &uri, flow)) else { return message };
    let message = Arc::new(message);
    let mut edit = Edit::new(Arc::clone(&message));
    edit.set_request_uri(&uri);
    Message::parse(edit.finish()).unwrap_or_else(|_| Arc::unwrap_or_clone(message))
}

fn without(config: &Config, uri: &Uri<'_>, flow: &Flow) -> Option<String> {
    let place = Uri { host: uri.params.find("maddr")?, ..*uri };
    let listener = config.listener(flow.listener)?;
    let usual = if uri.scheme == Scheme::Sips { "tls" } else { "udp" };
    let transport = uri.params.find("transport").unwrap_or(usual);
    let came_by = cusax_sip::flow::via_name(flow.transport);
    let here = config.is_us(&place) || config.is_own_domain(place.host);
    let port = uri.port.unwrap_or(default_port(uri));
    if !here || port != listener.address.port() || !transport.eq_ignore_ascii_case(came_by) {
        return None;
    }
    let user = uri.text.find('@').map_or(0, |at| at + 1);
    let end = uri.text[user..].find([';', '?']).map_or(uri.text.len(), |at| user + at);
    let head = &uri.text[..end];
    let head = match uri.port {
        Some(port) if port != default_port(uri) => head.rsplit_once(':').map_or(head, |(head, _)| head),
        _ => head,
    };
    let mut text = head.to_owned();
    for (name, value) in uri.params.iter() {
        let goes = name.eq_ignore_ascii_case("maddr")
            || (name.eq_ignore_ascii_case("transport") && !transport.eq_ignore_ascii_case(usual));
        if !goes {
            text.push(';');
            text.push_str(name);
            text.extend(value.into_iter().flat_map(|value| ["=", value]));
        }
    }
    let headers = if uri.headers.is_empty() { String::new() } else { format!("?{}", uri.headers) };
    Some(text + &headers)
}
