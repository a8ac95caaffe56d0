//! A request that is being sent, in the parts that stay when it is sent again with credentials (RFC 3261 §22.2).

use bytes::Bytes;

use crate::dialog::{Destination, Dialog};
use crate::flow::Transport;
use crate::{Address, Compose, Flow};

/// A message body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Its Content-Type.
    pub content_type: String,
    /// Its bytes.
    pub bytes: Bytes,
}

impl Body {
    /// A session description.
    #[must_use]
    pub fn sdp(bytes: impl Into<Bytes>) -> Self {
        Self { content_type: "application/sdp".to_owned(), bytes: bytes.into() }
    }
}

/// Header lines that a user adds to a message: names and values.
pub type Headers<'a> = &'a [(&'a str, &'a str)];

#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) method: String,
    pub(super) uri: String,
    pub(super) routes: Vec<String>,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) call_id: String,
    pub(super) cseq: u32,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<Body>,
}

impl Draft {
    /// The next request within a dialog.
    pub(super) fn within(dialog: &mut Dialog, method: &str, headers: Headers<'_>, body: Option<&Body>) -> Self {
        let cseq = dialog.next_seq();
        Self::numbered(dialog, method, cseq, headers, body)
    }

    /// The ACK to a 2xx with this CSeq number (RFC 3261 §13.2.2.4).
    pub(super) fn ack(dialog: &Dialog, cseq: u32, headers: Headers<'_>) -> Self {
        Self::numbered(dialog, "ACK", cseq, headers, None)
    }

    fn numbered(dialog: &Dialog, method: &str, cseq: u32, headers: Headers<'_>, body: Option<&Body>) -> Self {
        let Destination { uri, routes } = dialog.destination();
        Self {
            method: method.to_owned(),
            uri,
            routes,
            from: dialog.local().to_owned(),
            to: dialog.remote().to_owned(),
            call_id: dialog.call_id().to_owned(),
            cseq,
            headers: owned(headers),
            body: body.cloned(),
        }
    }

    pub(super) fn print(&self, via: &str, credentials: &[(&'static str, String)]) -> Bytes {
        let mut compose = Compose::request(&self.method, &self.uri).header("Via", via).header("Max-Forwards", "70");
        for route in &self.routes {
            compose = compose.header("Route", route);
        }
        compose = compose
            .header("From", &self.from)
            .header("To", &self.to)
            .header("Call-ID", &self.call_id)
            .header("CSeq", &format!("{} {}", self.cseq, self.method));
        for (name, value) in credentials {
            compose = compose.header(name, value);
        }
        for (name, value) in &self.headers {
            compose = compose.header(name, value);
        }
        finish(compose, self.body.as_ref())
    }

    /// Where it goes: the first hop of its route set, where that is an address that the flow's socket can send to;
    /// else the flow that its dialog began on, which stands for the outbound proxy.
    pub(super) fn flow(&self, flow: Flow) -> Flow {
        if flow.transport != Transport::Udp {
            return flow;
        }
        let hop = self
            .routes
            .first()
            .and_then(|route| Address::parse(route))
            .map_or(Some(&*self.uri), |route| Some(route.uri_text));
        let uri = hop.and_then(crate::Uri::parse);
        let address = uri.and_then(|uri| Some(std::net::SocketAddr::new(uri.address()?, uri.port.unwrap_or(5060))));
        match address {
            Some(remote) if remote.is_ipv4() == flow.remote.is_ipv4() && !remote.ip().is_unspecified() => {
                Flow { remote, ..flow }
            }
            Some(_) | None => flow,
        }
    }
}

pub(super) fn finish(compose: Compose, body: Option<&Body>) -> Bytes {
    match body {
        Some(body) => compose.body(&body.content_type, &body.bytes),
        None => compose.empty(),
    }
}

pub(super) fn owned(headers: Headers<'_>) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub(super) fn borrowed(headers: &[(String, String)]) -> Vec<(&str, &str)> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}
