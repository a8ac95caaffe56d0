//! Dialogs (RFC 3261 §12): what two user agents know of their relation.

use crate::name::Name;
use crate::{Address, Message, Uri};

/// One side of a dialog, early or confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialog {
    call_id: String,
    local_tag: String,
    remote_tag: String,
    /// From of our requests, with its tag.
    local: String,
    /// To of our requests, with its tag.
    remote: String,
    local_seq: u32,
    remote_seq: Option<u32>,
    target: String,
    routes: Vec<String>,
}

/// Where a request within a dialog goes (RFC 3261 §12.2.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Its Request-URI.
    pub uri: String,
    /// Its Route values.
    pub routes: Vec<String>,
}

impl Dialog {
    /// The dialog that a response with `local_tag` to this request makes on the server's side (§12.1.1); `None` where
    /// the request has no Contact that could be sent to, or too long a route.
    #[must_use]
    pub fn of_request(request: &Message, local_tag: &str) -> Option<Self> {
        let to = request.first(Name::To)?;
        Some(Self {
            call_id: request.call_id().to_owned(),
            local_tag: local_tag.to_owned(),
            remote_tag: request.from_tag().to_owned(),
            local: if request.to_tag().is_empty() { format!("{to};tag={local_tag}") } else { to.to_owned() },
            remote: request.first(Name::From)?.to_owned(),
            local_seq: 0,
            remote_seq: request.cseq().map(|(number, _)| number),
            target: contact(request)?,
            routes: record_route(request)?,
        })
    }

    /// The dialog that a response makes on the client's side (§12.1.2); `sent` is where the request went, which stands
    /// for the Contact that many provisional responses lack. `None` where there is no To tag, or too long a route.
    #[must_use]
    pub fn of_response(response: &Message, sent: &str) -> Option<Self> {
        if response.to_tag().is_empty() {
            return None;
        }
        let mut routes = record_route(response)?;
        routes.reverse();
        Some(Self {
            call_id: response.call_id().to_owned(),
            local_tag: response.from_tag().to_owned(),
            remote_tag: response.to_tag().to_owned(),
            local: response.first(Name::From)?.to_owned(),
            remote: response.first(Name::To)?.to_owned(),
            local_seq: response.cseq()?.0,
            remote_seq: None,
            target: contact(response).unwrap_or_else(|| sent.to_owned()),
            routes,
        })
    }

    /// The Call-ID.
    #[must_use]
    pub fn call_id(&self) -> &str {
        &self.call_id
    }

    /// Our tag.
    #[must_use]
    pub fn local_tag(&self) -> &str {
        &self.local_tag
    }

    /// The other side's tag.
    #[must_use]
    pub fn remote_tag(&self) -> &str {
        &self.remote_tag
    }

    /// Our address with its tag: From of our requests.
    #[must_use]
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The other side's address with its tag: To of our requests.
    #[must_use]
    pub fn remote(&self) -> &str {
        &self.remote
    }

    /// The other side's Contact.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// True where a message of the other side belongs to it.
    #[must_use]
    pub fn owns_request(&self, request: &Message) -> bool {
        self.call_id == request.call_id() && self.local_tag == request.to_tag() && self.remote_tag == request.from_tag()
    }

    /// Request-URI and Route of our next request (§12.2.1.1), with a strict router as first hop too.
    #[must_use]
    pub fn destination(&self) -> Destination {
        let loose = |route: &String| Address::parse(route)?.uri().map(|uri| uri.params.has("lr"));
        match self.routes.split_first() {
            Some((strict, rest)) if loose(strict) == Some(false) => {
                let uri = Address::parse(strict).map_or("", |route| route.uri_text).to_owned();
                let mut routes = rest.to_vec();
                routes.push(format!("<{}>", self.target));
                Destination { uri, routes }
            }
            Some(_) | None => Destination { uri: self.target.clone(), routes: self.routes.clone() },
        }
    }

    /// The CSeq number of our next request other than ACK.
    pub fn next_seq(&mut self) -> u32 {
        self.local_seq += 1;
        self.local_seq
    }

    /// The CSeq number of our last request.
    #[must_use]
    pub const fn local_seq(&self) -> u32 {
        self.local_seq
    }

    /// Counts on to a CSeq number that was used in this dialog otherwise: again after a challenge, or while it was early.
    pub fn advance_seq(&mut self, used: u32) {
        self.local_seq = self.local_seq.max(used);
    }

    /// Takes the CSeq number of a request of the other side; false where it is out of order (§12.2.2: a 500).
    #[must_use]
    pub fn accept_seq(&mut self, request: &Message) -> bool {
        let Some((number, _)) = request.cseq() else { return false };
        let in_order = self.remote_seq.is_none_or(|last| number > last);
        if in_order {
            self.remote_seq = Some(number);
        }
        in_order
    }

    /// Takes the Contact of a target refresh request or of its 2xx (§12.2.1.2, §12.2.2).
    pub fn refresh_target(&mut self, message: &Message) {
        if let Some(target) = contact(message) {
            self.target = target;
        }
    }
}

/// A Contact that can become a Request-URI.
fn contact(message: &Message) -> Option<String> {
    let contact = message.address(Name::Contact)?.uri_text;
    let clean = !contact.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"'));
    (clean && Uri::parse(contact).is_some()).then(|| contact.to_owned())
}

fn record_route(message: &Message) -> Option<Vec<String>> {
    let routes: Vec<_> = message.values(Name::RecordRoute).take(MAX_ROUTES + 1).map(str::to_owned).collect();
    (routes.len() <= MAX_ROUTES).then_some(routes)
}

/// Most hops of a route set; Max-Forwards allows 70, no network has 32.
const MAX_ROUTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn message(head: &str, extra: &str) -> Message {
        let text = format!(
            "{head}\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: \"A\" <sip:a@x>;tag=a1\r\nCall-ID: c\r\n{extra}\r\n"
        );
        Message::parse(Bytes::from(text)).unwrap()
    }

    const ROUTES: &str = "Record-Route: <sip:p2;lr>, <sip:p1;lr>\r\n";

    fn invite(extra: &str) -> Message {
        message("INVITE sip:b@x SIP/2.0", &format!("To: <sip:b@x>\r\nCSeq: 7 INVITE\r\n{extra}"))
    }

    #[test]
    fn both_sides_of_a_dialog_mirror_each_other() {
        let request = invite(&format!("Contact: <sip:a@host;x=1>;q=1\r\n{ROUTES}"));
        let server = Dialog::of_request(&request, "b1").unwrap();
        let response = message(
            "SIP/2.0 200 OK",
            &format!("To: <sip:b@x>;tag=b1\r\nCSeq: 7 INVITE\r\nContact: <sip:b@host>\r\n{ROUTES}"),
        );
        let client = Dialog::of_response(&response, "sip:b@x").unwrap();
        assert_eq!((server.local(), server.remote()), (client.remote(), client.local()));
        assert_eq!((server.local_tag(), server.remote_tag()), (client.remote_tag(), client.local_tag()));
        let destination = server.destination();
        assert_eq!(destination.uri, "sip:a@host;x=1");
        assert_eq!(destination.routes, ["<sip:p2;lr>", "<sip:p1;lr>"]);
        assert_eq!(client.destination().routes, ["<sip:p1;lr>", "<sip:p2;lr>"]);
    }

    #[test]
    fn a_strict_router_gets_the_request_uri_and_the_target_goes_last() {
        let request = invite("Contact: <sip:a@host>\r\nRecord-Route: <sip:strict>, <sip:p1;lr>\r\n");
        let destination = Dialog::of_request(&request, "b1").unwrap().destination();
        assert_eq!(destination.uri, "sip:strict");
        assert_eq!(destination.routes, ["<sip:p1;lr>", "<sip:a@host>"]);
    }

    #[test]
    fn refuses_what_it_could_not_send_to() {
        for bad in ["", "Contact: *\r\n", "Contact: <sip:a b@host>\r\n", "Contact: \"x\r\n"] {
            assert_eq!(Dialog::of_request(&invite(bad), "b1"), None, "{bad}");
        }
        let long = format!("Contact: <sip:a@h>\r\nRecord-Route: {}\r\n", "<sip:p;lr>,".repeat(33));
        assert_eq!(Dialog::of_request(&invite(&long), "b1"), None);
        let untagged = message("SIP/2.0 180 Ringing", "To: <sip:b@x>\r\nCSeq: 7 INVITE\r\n");
        assert_eq!(Dialog::of_response(&untagged, "sip:b@x"), None);
    }

    #[test]
    fn takes_requests_in_order_only() {
        let mut dialog = Dialog::of_request(&invite("Contact: <sip:a@h>\r\n"), "b1").unwrap();
        let bye = |number| message("BYE sip:b SIP/2.0", &format!("To: <sip:b@x>;tag=b1\r\nCSeq: {number} BYE\r\n"));
        assert!(dialog.owns_request(&bye(8)));
        assert!(!dialog.accept_seq(&bye(7)));
        assert!(dialog.accept_seq(&bye(10)));
        assert!(!dialog.accept_seq(&bye(9)));
    }
}
