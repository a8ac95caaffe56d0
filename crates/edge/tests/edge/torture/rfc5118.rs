//! RFC 5118: IPv6 in SIP messages.

use super::play::Stream::Waits;
use super::play::Verdict::{Answered, Forwarded};
use super::play::{From, Row, row};

const TARGET: &str = "[2001:db8::10]:5060";

pub(super) const ROWS: &[Row] = &[
    row("ipv6-good", "RFC 5118 §4.1", From::Phone, Forwarded),
    row("ipv6-good", "RFC 5118 §4.1", From::Core, Forwarded).to(TARGET),
    row("ipv6-bad", "RFC 5118 §4.2", From::Phone, Answered(400)),
    // What looks like a port within the brackets is none.
    row("port-ambiguous", "RFC 5118 §4.3", From::Core, Forwarded).to("[2001:db8::10:5070]:5060"),
    row("port-unambiguous", "RFC 5118 §4.4", From::Core, Forwarded).to("[2001:db8::10]:5070"),
    row("via-received-param-with-delim", "RFC 5118 §4.5", From::Core, Forwarded).to(TARGET),
    row("via-received-param-no-delim", "RFC 5118 §4.5", From::Core, Forwarded).to(TARGET),
    // As printed its Content-Length is more than its body (RFC 3261 §18.3).
    row("ipv6-in-sdp", "RFC 3261 §18.3", From::Core, Answered(400)).stream(Waits(&[])),
    row("ipv6-in-sdp", "RFC 5118 §4.6", From::Core, Forwarded).to(TARGET).measured(),
    row("mult-ip-in-header", "RFC 5118 §4.7", From::Core, Forwarded),
    // As printed its Content-Length is less than its body: a datagram's rest is nothing, a stream's the next message.
    row("mult-ip-in-sdp", "RFC 3261 §18.3", From::Core, Forwarded).to(TARGET).stream(Waits(&[Forwarded])),
    row("mult-ip-in-sdp", "RFC 5118 §4.8", From::Core, Forwarded).to(TARGET).measured(),
    row("ipv4-mapped-ipv6", "RFC 3261 §18.3", From::Core, Forwarded).stream(Waits(&[Forwarded])),
    row("ipv4-mapped-ipv6", "RFC 5118 §4.9", From::Core, Forwarded).measured(),
    // RFC 5118 would have it tolerated; RFC 5954 §4.1 took it out of the grammar.
    row("ipv6-bug-abnf-3-colons", "RFC 5954 §4.1", From::Core, Answered(400)),
    row("ipv6-correct-abnf-2-colons", "RFC 5118 §4.10", From::Core, Forwarded).to("[2001:db8::c000:201]:5060"),
];
