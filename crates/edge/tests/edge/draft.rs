//! Requests as phones and servers write them.

use bytes::Bytes;

/// A request that is being written.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) method: &'static str,
    pub(crate) uri: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) call_id: String,
    pub(crate) cseq: u32,
    pub(crate) via: String,
    headers: Vec<String>,
    body: String,
}

impl Draft {
    /// A request of alice's phone.
    pub(crate) fn new(method: &'static str, uri: &str) -> Self {
        Self {
            method,
            uri: uri.to_owned(),
            from: "<sip:alice@example.com>;tag=alice1".to_owned(),
            to: format!("<{uri}>"),
            call_id: "call-1".to_owned(),
            cseq: 1,
            via: "SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bK-a".to_owned(),
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// An INVITE of alice with an offer.
    pub(crate) fn invite(uri: &str) -> Self {
        let mut draft = Self::new("INVITE", uri).header("Contact: <sip:alice@198.51.100.1:5060>");
        draft.body = "v=0\r\n".to_owned();
        draft
    }

    pub(crate) fn from(mut self, value: &str) -> Self {
        self.from = value.to_owned();
        self
    }

    pub(crate) fn to(mut self, value: &str) -> Self {
        self.to = value.to_owned();
        self
    }

    pub(crate) fn call_id(mut self, value: &str) -> Self {
        self.call_id = value.to_owned();
        self
    }

    /// A header line without its CRLF.
    pub(crate) fn header(mut self, line: &str) -> Self {
        self.headers.push(line.to_owned());
        self
    }

    pub(crate) fn body(mut self, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self
    }

    /// The route set of a dialog, nearest first.
    pub(crate) fn routes<'a>(mut self, values: impl Iterator<Item = &'a str>) -> Self {
        self.headers.extend(values.map(|value| format!("Route: {value}")));
        self
    }

    /// The next request on the same call: CSeq and branch are new.
    pub(crate) fn next(mut self) -> Self {
        self.cseq += 1;
        self.via = format!("{}{}", self.via, self.cseq);
        self
    }

    pub(crate) fn bytes(&self) -> Bytes {
        let mut text = format!(
            "{} {} SIP/2.0\r\nVia: {}\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {} {}\r\n",
            self.method, self.uri, self.via, self.from, self.to, self.call_id, self.cseq, self.method
        );
        if self.headers.iter().any(|line| line.starts_with("Max-Forwards")) {
            text = text.replace("Max-Forwards: 70\r\n", "");
        }
        for line in &self.headers {
            text.push_str(line);
            text.push_str("\r\n");
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n{}", self.body.len(), self.body));
        Bytes::from(text)
    }
}
