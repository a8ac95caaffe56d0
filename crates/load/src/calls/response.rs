//! Responses of ours: a request's own headers, and what callees add (RFC 3261 §8.2.6).

use std::io::Write;
use std::ops::Range;

use cusax_sip::status::reason_phrase;
use cusax_sip::{Flow, Message, Name as Header, Transport, Via};

use super::common::{Common, put};
use super::number::{Name, Number, Purpose};
use super::request::EMPTY;

/// A final response, and where in it is what others to the same request have as well.
#[derive(Debug, Default)]
pub(super) struct Response {
    pub(super) bytes: Vec<u8>,
    /// Via, From, To, Call-ID and CSeq.
    own: Range<usize>,
    /// Where Record-Route and Contact end, which follow.
    dialog: usize,
}

impl Response {
    /// Makes the response to a request anew; `tag` names the call.
    pub(super) fn make(&mut self, status: u16, request: &Message, flow: Flow, tag: Number, common: &Common) {
        let out = &mut self.bytes;
        out.clear();
        status_line(status, out);
        let begin = out.len();
        own_headers(request, flow, Some((common, tag)), out);
        self.own = begin..out.len();
        let Some(callee) = common.callee.as_ref().or(common.callers.first()) else { return };
        for field in request.lines(Header::RecordRoute) {
            out.extend_from_slice(&request.bytes()[field.line()]);
        }
        out.extend_from_slice(&callee.contact);
        self.dialog = out.len();
        out.extend_from_slice(if status < 300 { &callee.offer } else { EMPTY });
    }

    /// Another response to the same request, without a body.
    pub(super) fn write_other(&self, status: u16, out: &mut Vec<u8>) {
        status_line(status, out);
        let end = if status < 300 { self.dialog } else { self.own.end };
        put(out, &[&self.bytes[self.own.start..end], EMPTY]);
    }
}

/// Writes a response without a body and without a memory of it.
pub(super) fn write(status: u16, request: &Message, flow: Flow, out: &mut Vec<u8>) {
    status_line(status, out);
    own_headers(request, flow, None, out);
    out.extend_from_slice(EMPTY);
}

/// The way of a response: that of the request, but for the address over UDP (RFC 3261 §18.2.2, RFC 3581 §4).
pub(super) fn way(request: &Message, flow: Flow) -> Flow {
    match (flow.transport, request.top_via()) {
        (Transport::Udp, Some(via)) => Flow { remote: via.reply_address(flow.remote), ..flow },
        _ => flow,
    }
}

fn status_line(status: u16, out: &mut Vec<u8>) {
    match status {
        200 => out.extend_from_slice(b"SIP/2.0 200 OK\r\n"),
        180 => out.extend_from_slice(b"SIP/2.0 180 Ringing\r\n"),
        // Writing to memory cannot fail.
        _ => drop(write!(out, "SIP/2.0 {status} {}\r\n", reason_phrase(status))),
    }
}

fn own_headers(request: &Message, flow: Flow, tag: Option<(&Common, Number)>, out: &mut Vec<u8>) {
    let bytes = request.bytes();
    let mut first = request.value_spans(Header::Via).next();
    for field in request.fields() {
        let line = &bytes[field.line()];
        if field.name == Header::Via
            && let Some(top) = first.take()
        {
            out.extend_from_slice(&bytes[field.line().start..top.start]);
            stamped(&bytes[top.clone()], flow, out);
            out.extend_from_slice(&bytes[top.end..field.line().end]);
        } else if field.name == Header::To
            && let Some((common, number)) = tag.filter(|_| request.to_tag().is_empty())
        {
            put(out, &[&bytes[field.line().start..field.value().end], b";tag="]);
            common.names.write(Name { purpose: Purpose::Answer, attempt: 0, number }, out);
            out.extend_from_slice(b"\r\n");
        } else if [Header::Via, Header::To, Header::From, Header::CallId, Header::CSeq].contains(&field.name) {
            out.extend_from_slice(line);
        }
    }
}

/// The topmost Via with where the request really came from (RFC 3261 §18.2.1, RFC 3581 §4).
fn stamped(value: &[u8], flow: Flow, out: &mut Vec<u8>) {
    let asks = b";rport";
    let at = value.windows(asks.len()).position(|window| window.eq_ignore_ascii_case(asks)).map(|at| at + asks.len());
    let asked = at.filter(|at| matches!(value.get(*at), None | Some(b';' | b' ')));
    // Writing to memory cannot fail.
    match asked {
        Some(at) => {
            out.extend_from_slice(&value[..at]);
            drop(write!(out, "={};received={}", flow.remote.port(), flow.remote.ip()));
            out.extend_from_slice(&value[at..]);
        }
        None => {
            out.extend_from_slice(value);
            let via = std::str::from_utf8(value).ok().and_then(Via::parse);
            if via.is_some_and(|via| !via.host_is(flow.remote.ip()) && !via.params.has("received")) {
                drop(write!(out, ";received={}", flow.remote.ip()));
            }
        }
    }
}
