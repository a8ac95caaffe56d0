//! A SIP message as spans over the received bytes (RFC 3261 §7).
//!
//! [`Message::parse`] scans once and copies nothing. What it cannot make sense of but could still answer with a
//! 400 is kept as a [`Defect`]; only what is no SIP message at all is a [`ParseError`].

mod field;

use std::ops::Range;

use bytes::Bytes;
use memchr::memchr;

use crate::method::{Method, method_of};
use crate::name::Name;
use crate::value::{digits, has_stray_control, is_lws, is_token, length, split, trim};
use crate::{Address, Uri, Via};

pub use field::Field;

/// Most header lines that a message may have.
pub const MAX_HEADERS: usize = 128;
/// Longest header section, in bytes.
pub const MAX_HEADER_BYTES: usize = 32 * 1024;

/// Why bytes are not a SIP message that could be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at byte {offset}")]
pub struct ParseError {
    /// Where, in bytes from the start.
    pub offset: usize,
    /// What is wrong.
    pub reason: &'static str,
}

/// What is wrong with a message that can still be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defect {
    /// The status that its sender is owed.
    pub status: u16,
    /// What is wrong; becomes the reason phrase.
    pub reason: &'static str,
}

#[derive(Clone, Debug)]
enum Start {
    Request { method: Method, method_span: Range<usize>, uri: Range<usize> },
    Response { status: u16, reason: Range<usize> },
}

/// A request or response: the received bytes and where its parts are.
#[derive(Clone, Debug)]
pub struct Message {
    bytes: Bytes,
    start: Start,
    fields: Vec<Field>,
    headers_end: usize,
    body: Range<usize>,
    defect: Option<Defect>,
    stamp: Option<(Range<usize>, String)>,
}

impl Message {
    /// Scans one whole message: a datagram, or what [`crate::framing`] cut from a stream.
    ///
    /// # Errors
    /// Fails where there is no start line, no end of the header section, or more than the limits allow.
    #[expect(clippy::needless_pass_by_value, reason = "a message keeps the buffer that it is given")]
    pub fn parse(bytes: Bytes) -> Result<Self, ParseError> {
        scan(&bytes)
    }

    /// The bytes as received, from the start line to the end of the body.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// True for a request.
    #[must_use]
    pub const fn is_request(&self) -> bool {
        matches!(self.start, Start::Request { .. })
    }

    /// The method of a request, or of the request that a response answers (from CSeq).
    #[must_use]
    pub fn method(&self) -> Method {
        match &self.start {
            Start::Request { method, .. } => *method,
            Start::Response { .. } => self.cseq().map_or(Method::Other, |(_, method)| method_of(method)),
        }
    }

    /// The method's text in a request; empty in a response.
    #[must_use]
    pub fn method_text(&self) -> &str {
        match &self.start {
            Start::Request { method_span, .. } => self.text(method_span.clone()),
            Start::Response { .. } => "",
        }
    }

    /// The Request-URI's text; empty in a response.
    #[must_use]
    pub fn request_uri_text(&self) -> &str {
        self.request_uri_span().map_or("", |span| self.text(span))
    }

    /// The Request-URI, where it is one.
    #[must_use]
    pub fn request_uri(&self) -> Option<Uri<'_>> {
        Uri::parse(self.request_uri_text())
    }

    pub(crate) fn request_uri_span(&self) -> Option<Range<usize>> {
        match &self.start {
            Start::Request { uri, .. } => Some(uri.clone()),
            Start::Response { .. } => None,
        }
    }

    /// The status code of a response.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self.start {
            Start::Request { .. } => None,
            Start::Response { status, .. } => Some(status),
        }
    }

    /// The reason phrase of a response; empty in a request.
    #[must_use]
    pub fn reason(&self) -> &str {
        match &self.start {
            Start::Request { .. } => "",
            Start::Response { reason, .. } => self.text(reason.clone()),
        }
    }

    /// Request line or status line, without CRLF.
    #[must_use]
    pub fn first_line(&self) -> &str {
        let end = memchr(b'\r', &self.bytes).or_else(|| memchr(b'\n', &self.bytes)).unwrap_or(self.bytes.len());
        self.text(0..end)
    }

    /// All header lines in their order.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The lines of one name, in their order.
    pub fn lines(&self, name: Name) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(move |field| field.name == name)
    }

    /// The value of the first line of a name.
    #[must_use]
    pub fn first(&self, name: Name) -> Option<&str> {
        self.lines(name).next().map(|field| self.text(field.value()))
    }

    /// The value of the first line of a name that is not in [`Name`], in any case.
    #[must_use]
    pub fn first_other(&self, name: &str) -> Option<&str> {
        self.lines(Name::Other)
            .find(|field| self.bytes[field.name_span()].eq_ignore_ascii_case(name.as_bytes()))
            .map(|field| self.text(field.value()))
    }

    /// The spans of each value of a name, comma lists split.
    pub fn value_spans(&self, name: Name) -> impl Iterator<Item = Range<usize>> + '_ {
        self.lines(name).flat_map(move |field| self.values_of(field))
    }

    pub(crate) fn values_of(&self, field: &Field) -> impl Iterator<Item = Range<usize>> + '_ {
        let list = field.name.is_list();
        let value = field.value();
        let whole = (!list).then_some(value.clone()).into_iter();
        let pieces = list.then(|| split(&self.bytes, value, b',')).into_iter().flatten();
        whole.chain(pieces)
    }

    /// Each value of a name, comma lists split.
    pub fn values(&self, name: Name) -> impl Iterator<Item = &str> + '_ {
        self.value_spans(name).map(|span| self.text(span))
    }

    /// The topmost Via.
    #[must_use]
    pub fn top_via(&self) -> Option<Via<'_>> {
        self.values(Name::Via).next().and_then(Via::parse)
    }

    /// A name-addr or addr-spec header: From, To, Contact, Refer-To and their like.
    #[must_use]
    pub fn address(&self, name: Name) -> Option<Address<'_>> {
        let span = self.value_spans(name).next()?;
        let bytes = &self.bytes[span];
        // A display name may be in any charset (many gateways write Latin-1): the address behind it counts.
        let text = std::str::from_utf8(bytes).or_else(|_| std::str::from_utf8(&bytes[after_display_name(bytes)..]));
        text.ok().and_then(Address::parse)
    }

    /// The From tag; empty where there is none.
    #[must_use]
    pub fn from_tag(&self) -> &str {
        self.address(Name::From).and_then(|from| from.params.find("tag")).unwrap_or("")
    }

    /// The To tag; empty where there is none.
    #[must_use]
    pub fn to_tag(&self) -> &str {
        self.address(Name::To).and_then(|to| to.params.find("tag")).unwrap_or("")
    }

    /// The Call-ID; empty where there is none.
    #[must_use]
    pub fn call_id(&self) -> &str {
        self.first(Name::CallId).unwrap_or("")
    }

    /// Number and method of CSeq.
    #[must_use]
    pub fn cseq(&self) -> Option<(u32, &str)> {
        let (number, method) = self.first(Name::CSeq)?.split_once(|c: char| c.is_ascii_whitespace())?;
        let number: u32 = digits(number)?.parse().ok()?;
        let method = method.trim();
        (number < 1 << 31 && !method.is_empty()).then_some((number, method))
    }

    /// Max-Forwards, where it is a number of at most 255.
    #[must_use]
    pub fn max_forwards(&self) -> Option<u8> {
        digits(self.first(Name::MaxForwards)?)?.parse().ok()
    }

    /// True where a comma list of option tags has this one.
    #[must_use]
    pub fn has_option(&self, name: Name, tag: &str) -> bool {
        self.values(name).any(|value| value.eq_ignore_ascii_case(tag))
    }

    /// The body, as long as Content-Length says.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.bytes[self.body.clone()]
    }

    /// The first thing wrong with the headers, if any.
    #[must_use]
    pub const fn defect(&self) -> Option<Defect> {
        self.defect
    }

    /// Where the header section ends, in bytes: before its closing empty line.
    #[must_use]
    pub const fn headers_end(&self) -> usize {
        self.headers_end
    }

    /// The bytes of a span as text; what is not UTF-8 reads as empty, so that no decision rests on it.
    #[must_use]
    pub(crate) fn text(&self, span: Range<usize>) -> &str {
        std::str::from_utf8(&self.bytes[span]).unwrap_or("")
    }

    /// Notes where the request really came from, to be written to its topmost Via whenever that is printed
    /// (`received` and `rport`, RFC 3261 §18.2.1, RFC 3581 §4).
    pub fn stamp(&mut self, source: std::net::SocketAddr) {
        let Some(span) = self.value_spans(Name::Via).next() else { return };
        let text = self.text(span.clone());
        let Some(via) = Via::parse(text) else { return };
        let mut kept = String::new();
        for (index, (name, value)) in via.params.iter().enumerate() {
            let ours = name.eq_ignore_ascii_case("received") || name.eq_ignore_ascii_case("rport");
            if index == 0 && !via.has_params() {
                break;
            }
            if !ours {
                kept.push(';');
                kept.push_str(name);
                if let Some(value) = value {
                    kept.push('=');
                    kept.push_str(value);
                }
            }
        }
        let asks_rport = via.params.has("rport");
        if via.host_is(source.ip()) && !asks_rport && !via.params.has("received") {
            return;
        }
        let mut stamped = text[..via.params_offset].trim_end().to_owned();
        stamped.push_str(&kept);
        if asks_rport {
            stamped.push_str(&format!(";rport={}", source.port()));
        }
        if asks_rport || !via.host_is(source.ip()) {
            stamped.push_str(&format!(";received={}", source.ip()));
        }
        self.stamp = Some((span, stamped));
    }

    pub(crate) fn stamped_via(&self) -> Option<(Range<usize>, &str)> {
        self.stamp.as_ref().map(|(span, text)| (span.clone(), text.as_str()))
    }
}

/// Where the `<` of a name-addr is; 0 where there is none.
fn after_display_name(value: &[u8]) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    let found = value.iter().position(|byte| {
        let here = !quoted && *byte == b'<';
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
        here
    });
    found.unwrap_or(0)
}

fn scan(bytes: &Bytes) -> Result<Message, ParseError> {
    let data: &[u8] = bytes;
    let refuse = |offset, reason| Err(ParseError { offset, reason });
    // RFC 3261 §7.5: empty lines before the start line are ignored.
    let leading = data.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let Some(line_end) = memchr(b'\n', &data[leading..]).map(|at| leading + at) else {
        return refuse(leading, "no start line");
    };
    let line = trim(data, leading..line_end);
    let Some((start, mut defect)) = start_line(data, line.clone()) else {
        return refuse(leading, "not a SIP start line");
    };
    if has_stray_control(&data[leading..=line_end]) || memchr(0, &data[leading..line_end]).is_some() {
        defect.get_or_insert(STRAY_CONTROL);
    }
    let blanks = line.start > leading || line_end - line.end > 1;
    if blanks && matches!(start, Start::Request { .. }) {
        // RFC 4475 §3.1.2.10: a proxy must not pass them on, and what it changes it does not sign.
        defect.get_or_insert(Defect { status: 400, reason: "White space around the request line" });
    }
    let mut fields: Vec<Field> = Vec::with_capacity(24);
    let mut at = line_end + 1;
    let headers_end = loop {
        if at - leading > MAX_HEADER_BYTES {
            return refuse(at, "header section too long");
        }
        match data.get(at) {
            None => return refuse(at, "header section has no end"),
            Some(b'\n') => break at,
            Some(b'\r') if data.get(at + 1) == Some(&b'\n') => break at,
            Some(_) => {}
        }
        let begin = at;
        loop {
            let Some(end) = memchr(b'\n', &data[at..]) else {
                return refuse(begin, "header section has no end");
            };
            at += end + 1;
            if !matches!(data.get(at), Some(b' ' | b'\t')) {
                break;
            }
        }
        if fields.len() == MAX_HEADERS {
            return refuse(begin, "too many headers");
        }
        match field(data, begin..at) {
            Ok(field) => fields.push(field),
            Err(found) => {
                defect.get_or_insert(found);
            }
        }
    };
    if data[headers_end] == b'\n' {
        defect.get_or_insert(STRAY_CONTROL);
    }
    let body_start = headers_end + if data[headers_end] == b'\r' { 2 } else { 1 };
    let mut message =
        Message { start, fields, headers_end, body: body_start..data.len(), defect, stamp: None, bytes: bytes.clone() };
    if leading > 0 {
        // Spans count from the first byte of `bytes`; what precedes the start line is cut off by scanning again.
        return scan(&bytes.slice(leading..));
    }
    match content_length(&message) {
        Ok(Some(length)) if body_start + length <= data.len() => message.body = body_start..body_start + length,
        Ok(None) => {}
        Ok(Some(_)) => {
            message.defect.get_or_insert(Defect { status: 400, reason: "Body shorter than Content-Length" });
        }
        Err(found) => {
            message.defect.get_or_insert(found);
        }
    }
    message.bytes = bytes.slice(..message.body.end);
    Ok(message)
}

fn start_line(data: &[u8], line: Range<usize>) -> Option<(Start, Option<Defect>)> {
    let text = &data[line.clone()];
    let first_space = memchr(b' ', text)?;
    if text[..first_space].eq_ignore_ascii_case(b"SIP/2.0") {
        let rest = &text[first_space + 1..];
        let digits = rest.get(..3)?;
        let status: u16 = std::str::from_utf8(digits).ok()?.parse().ok()?;
        if !(100..700).contains(&status) || !matches!(rest.get(3), None | Some(b' ')) {
            return None;
        }
        let reason = (line.start + first_space + 5).min(line.end)..line.end;
        return Some((Start::Response { status, reason }, None));
    }
    let method_span = line.start..line.start + first_space;
    if method_span.is_empty() || !text[..first_space].iter().copied().all(is_token) {
        return None;
    }
    let last_space = text.iter().rposition(|byte| *byte == b' ')?;
    let version = &text[last_space + 1..];
    if last_space <= first_space || !version.get(..4)?.eq_ignore_ascii_case(b"SIP/") {
        return None;
    }
    let uri = line.start + first_space + 1..line.start + last_space;
    let mut defect = None;
    if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        defect = Some(Defect { status: 505, reason: "Version Not Supported" });
    } else if uri.is_empty() || data[uri.clone()].iter().any(|byte| is_lws(*byte) || matches!(byte, b'<' | b'>')) {
        defect = Some(Defect { status: 400, reason: "Malformed Request-URI" });
    }
    let method = method_of(std::str::from_utf8(&data[method_span.clone()]).ok()?);
    Some((Start::Request { method, method_span, uri }, defect))
}

fn field(data: &[u8], line: Range<usize>) -> Result<Field, Defect> {
    let text = &data[line.clone()];
    let malformed = |reason| Defect { status: 400, reason };
    let colon = memchr(b':', text).ok_or(malformed("Header line without a colon"))?;
    let name_span = trim(data, line.start..line.start + colon);
    // A name with bytes that no name may have would slip past whoever filters by name (header smuggling).
    let folded = memchr(b'\n', &text[..colon]).is_some();
    let token = !name_span.is_empty() && data[name_span.clone()].iter().copied().all(is_token);
    if name_span.start != line.start || folded || !token {
        return Err(malformed("Malformed header name"));
    }
    if has_stray_control(text) {
        return Err(STRAY_CONTROL);
    }
    let value = trim(data, line.start + colon + 1..line.end);
    Ok(Field::new(Name::of(&data[name_span.clone()]), name_span.len(), &line, &value))
}

const STRAY_CONTROL: Defect = Defect { status: 400, reason: "Control character in a header" };

fn content_length(message: &Message) -> Result<Option<usize>, Defect> {
    let mut found = None;
    for field in message.lines(Name::ContentLength) {
        let text = message.text(field.value());
        let length = length(text).ok_or(Defect { status: 400, reason: "Malformed Content-Length" })?;
        if found.is_some_and(|other| other != length) {
            return Err(Defect { status: 400, reason: "Content-Length given twice" });
        }
        found = Some(length);
    }
    Ok(found)
}
