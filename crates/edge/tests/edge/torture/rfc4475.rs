//! RFC 4475: what a proxy owes each message.
//!
//! RFC 3261 §16.3 step 1 has the last word where RFC 4475 leaves a choice: what a proxy needs must be well-formed, all else
//! stays as it is.

use cusax_event::sip::DropReason::{Malformed, Unmatched};

use super::play::Stream::{Closed, Waits};
use super::play::Verdict::{Answered, AnsweredWith, Consumed, Dropped, Forwarded};
use super::play::{From, Row, row};

const UNSUPPORTED: &str = "Unsupported: noProxiesSupportThis, norDoAnyProxiesSupportThis";

pub(super) const ROWS: &[Row] = &[
    // Valid messages. The Route of wsinv is somebody else's, and followed.
    row("wsinv", "RFC 4475 §3.1.1.1", From::Core, Forwarded),
    row("intmeth", "RFC 4475 §3.1.1.2", From::Core, Forwarded),
    row("esc01", "RFC 4475 §3.1.1.3", From::Core, Forwarded),
    row("escnull", "RFC 4475 §3.1.1.4", From::Phone, Forwarded),
    row("esc02", "RFC 4475 §3.1.1.5", From::Core, Forwarded),
    row("lwsdisp", "RFC 4475 §3.1.1.6", From::Core, Forwarded),
    row("longreq", "RFC 4475 §3.1.1.7", From::Core, Forwarded),
    // A datagram is one message. On a stream the octets behind it are the next, whose Content-Length is a few octets short.
    row("dblreq", "RFC 4475 §3.1.1.8", From::Phone, Forwarded).stream(Closed(&[Forwarded, Forwarded])),
    row("semiuri", "RFC 4475 §3.1.1.9", From::Core, Forwarded),
    row("transports", "RFC 4475 §3.1.1.10", From::Core, Forwarded),
    row("mpart01", "RFC 4475 §3.1.1.11", From::Core, Forwarded).to("127.0.0.1:5080").strict(),
    row("unreason", "RFC 4475 §3.1.1.12", From::Answer("INVITE"), Forwarded),
    row("unreason", "RFC 3261 §18.1.2", From::Nobody, Dropped(Unmatched)),
    // A 100 ends at each hop (RFC 3261 §16.7 step 4).
    row("noreason", "RFC 4475 §3.1.1.13", From::Answer("INVITE"), Consumed),
    row("noreason", "RFC 3261 §18.1.2", From::Nobody, Dropped(Unmatched)),
    // Invalid messages.
    row("badinv01", "RFC 4475 §3.1.2.1", From::Core, Answered(400)),
    row("clerr", "RFC 4475 §3.1.2.2", From::Core, Answered(400)).stream(Waits(&[])),
    row("ncl", "RFC 4475 §3.1.2.3", From::Core, Answered(400)).stream(Closed(&[])),
    row("scalar02", "RFC 4475 §3.1.2.4", From::Phone, Answered(400)),
    row("scalarlg", "RFC 4475 §3.1.2.5", From::Answer("OPTIONS"), Dropped(Unmatched)),
    row("scalarlg", "RFC 3261 §18.1.2", From::Nobody, Dropped(Unmatched)),
    row("quotbal", "RFC 4475 §3.1.2.6", From::Core, Answered(400)),
    row("ltgtruri", "RFC 4475 §3.1.2.7", From::Core, Answered(400)),
    row("lwsruri", "RFC 4475 §3.1.2.8", From::Core, Answered(400)),
    row("lwsstart", "RFC 4475 §3.1.2.9", From::Core, Answered(400)),
    row("trws", "RFC 4475 §3.1.2.10", From::Core, Answered(400)),
    row("escruri", "RFC 4475 §3.1.2.11", From::Core, Answered(400)),
    // A proxy needs no Date and no Contact (RFC 3261 §16.3 step 1).
    row("baddate", "RFC 4475 §3.1.2.12", From::Core, Forwarded),
    row("regbadct", "RFC 4475 §3.1.2.13", From::Phone, Forwarded),
    row("badaspec", "RFC 4475 §3.1.2.14", From::Core, Answered(400)),
    row("baddn", "RFC 4475 §3.1.2.15", From::Core, Answered(400)),
    row("badvers", "RFC 4475 §3.1.2.16", From::Core, Answered(505)),
    row("mismatch01", "RFC 4475 §3.1.2.17", From::Core, Answered(400)),
    row("mismatch02", "RFC 4475 §3.1.2.18", From::Core, Answered(400)),
    row("bigcode", "RFC 4475 §3.1.2.19", From::Answer("INVITE"), Dropped(Malformed)),
    row("bigcode", "RFC 4475 §3.1.2.19", From::Nobody, Dropped(Malformed)),
    // Transactions. That two such requests are two transactions is the business of tests/tests/transactions.
    row("badbranch", "RFC 4475 §3.2.1", From::Core, Forwarded),
    // What lies above transactions.
    row("insuf", "RFC 4475 §3.3.1", From::Core, Answered(400)),
    row("unkscm", "RFC 4475 §3.3.2", From::Core, Answered(416)),
    row("novelsc", "RFC 4475 §3.3.3", From::Core, Answered(416)),
    row("unksm2", "RFC 4475 §3.3.4", From::Phone, Forwarded),
    row("bext01", "RFC 4475 §3.3.5", From::Core, AnsweredWith(420, UNSUPPORTED)),
    row("invut", "RFC 4475 §3.3.6", From::Core, Forwarded),
    row("regaut01", "RFC 4475 §3.3.7", From::Phone, Forwarded),
    row("regaut01", "RFC 4475 §3.3.7", From::Challenged, Answered(401)),
    row("multi01", "RFC 4475 §3.3.8", From::Core, Answered(400)),
    row("mcl01", "RFC 4475 §3.3.9", From::Core, Answered(400)).stream(Closed(&[])),
    // It goes to whoever asked, never to the broadcast address of the Via beneath ours.
    row("bcast", "RFC 4475 §3.3.10", From::Answer("INVITE"), Forwarded),
    row("bcast", "RFC 4475 §3.3.10", From::Nobody, Dropped(Unmatched)),
    row("zeromf", "RFC 4475 §3.3.11", From::Core, Answered(483)),
    row("cparam01", "RFC 4475 §3.3.12", From::Phone, Forwarded),
    row("cparam02", "RFC 4475 §3.3.13", From::Phone, Forwarded),
    row("regescrt", "RFC 4475 §3.3.14", From::Phone, Forwarded),
    row("sdp01", "RFC 4475 §3.3.15", From::Core, Forwarded),
    // Without a Content-Length a stream has no next message (RFC 3261 §20.14).
    row("inv2543", "RFC 4475 §3.4.1", From::Core, Forwarded).stream(Closed(&[])),
    // In the archive of Appendix A only: a request line without a version is none.
    row("test", "RFC 3261 §7.1", From::Core, Dropped(Malformed)),
];
