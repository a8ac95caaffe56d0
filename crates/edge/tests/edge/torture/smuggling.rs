//! Messages that a filter and the server behind it may read in two ways, from a phone that is not trusted.

use cusax_event::sip::DropReason::Malformed;

use super::play::Stream::{Closed, Each, Waits};
use super::play::Verdict::{Answered, CallInfo, Dropped, Forwarded, Without};
use super::play::{From, Row, Verdict, row};

const fn phone(file: &'static str, section: &'static str, verdict: Verdict) -> Row {
    row(file, section, From::Phone, verdict)
}

const ICON: &str = "<http://a.example/i.png>;purpose=icon";
const CARD: &str = "<http://a.example/c>;purpose=card";
const ASSERTED: &[&str] = &["p-asserted-identity"];
const TRUSTED: &[&str] =
    &["p-asserted-identity", "remote-party-id", "p-access-network-info", "p-charging-vector", "alert-info"];

pub(super) const ROWS: &[Row] = &[
    // Header names are tokens, with white space before the colon at most (RFC 3261 §25.1 HCOLON).
    phone("name-control", "RFC 3261 §25.1", Answered(400)),
    phone("name-nul", "RFC 3261 §25.1", Answered(400)),
    phone("name-high", "RFC 3261 §25.1", Answered(400)),
    phone("name-empty", "RFC 3261 §25.1", Answered(400)),
    phone("name-alone", "RFC 3261 §25.1", Answered(400)),
    phone("name-indented", "RFC 3261 §7.3.1", Answered(400)),
    phone("name-folded", "RFC 3261 §25.1", Answered(400)),
    phone("name-space", "RFC 3261 §7.3.1", CallInfo(&[])),
    phone("name-tab", "RFC 3261 §7.3.1", Without(ASSERTED)),
    phone("asserted", "RFC 3325 §5", Without(TRUSTED)),
    // A folded line belongs to the one before it, whatever it looks like.
    phone("fold-look-alike", "RFC 3261 §7.3.1", Forwarded),
    phone("fold-blank", "RFC 3261 §7.3.1", Forwarded),
    // A line ends in CRLF, and NUL is in no header but behind a backslash in quotes.
    phone("bare-cr", "RFC 3261 §7", Answered(400)),
    phone("bare-lf", "RFC 3261 §7", Answered(400)),
    phone("double-cr", "RFC 3261 §7", Answered(400)),
    phone("lf-only", "RFC 3261 §7", Dropped(Malformed)).stream(Waits(&[])),
    phone("end-lf", "RFC 3261 §7", Answered(400)).stream(Waits(&[])),
    phone("nul-value", "RFC 3261 §25.1", Answered(400)),
    phone("nul-quoted", "RFC 3261 §25.1", Answered(400)),
    phone("nul-escaped", "RFC 3261 §25.1", Forwarded),
    phone("nul-escaped-twice", "RFC 3261 §25.1", Answered(400)),
    phone("nul-uri", "RFC 3261 §25.1", Answered(400)),
    // A quote that is not closed ends with its line.
    phone("quote-open", "RFC 3261 §25.1", Without(ASSERTED)),
    // One length, digits only, however often it is said.
    phone("length-twice", "RFC 3261 §20.14", Forwarded),
    phone("length-compact-twice", "RFC 3261 §7.3.3", Forwarded),
    phone("length-contradiction", "RFC 3261 §20.14", Answered(400)).stream(Closed(&[])),
    phone("length-compact", "RFC 3261 §7.3.3", Answered(400)).stream(Closed(&[])),
    phone("length-look-alike", "RFC 3261 §7.3.1", Forwarded),
    phone("length-folded", "RFC 3261 §7.3.1", Forwarded),
    phone("length-folded-more", "RFC 3261 §20.14", Answered(400)).stream(Closed(&[])),
    phone("length-sign", "RFC 3261 §20.14", Answered(400)).stream(Closed(&[])),
    phone("length-list", "RFC 3261 §20.14", Answered(400)).stream(Closed(&[])),
    phone("length-hex", "RFC 3261 §20.14", Answered(400)).stream(Closed(&[])),
    phone("length-huge", "RFC 3261 §20.14", Answered(400)).stream(Closed(&[])),
    phone("length-empty", "RFC 3261 §20.14", Answered(400)).stream(Closed(&[])),
    phone("length-name", "RFC 3261 §25.1", Answered(400)),
    phone("length-missing", "RFC 3261 §20.14", Forwarded).stream(Closed(&[])),
    phone("pipelined", "RFC 3261 §18.3", Forwarded).stream(Each(&[Forwarded, Without(ASSERTED)])),
    phone("body-look-alike", "RFC 3261 §18.3", Forwarded),
    // One host, one caller.
    phone("uri-second-at", "RFC 3261 §25.1", Answered(400)),
    phone("uri-space", "RFC 3261 §25.1", Answered(400)),
    phone("uri-tab", "RFC 3261 §25.1", Answered(400)),
    phone("uri-headers", "RFC 3261 §19.1.1", Answered(400)),
    phone("uri-escaped-line", "RFC 3261 §19.1.2", Forwarded),
    phone("from-two-addresses", "RFC 3261 §20.20", Answered(400)),
    phone("from-list", "RFC 3261 §20.20", Answered(400)),
    phone("from-comma", "RFC 3261 §20.20", Answered(400)),
    phone("from-twice", "RFC 3261 §7.3.1", Answered(400)),
    phone("via-second", "RFC 3261 §16.3 step 1", Answered(400)),
    phone("route-elsewhere", "RFC 3261 §26.2.2", Answered(403)),
    // Who calls is not the caller's to say (RFC 7081 §3.5); all else of Call-Info is.
    phone("impp-list", "RFC 7081 §3.5", CallInfo(&[ICON, CARD])),
    phone("impp-case", "RFC 7081 §3.5", CallInfo(&[])),
    phone("impp-comma", "RFC 7081 §3.5", CallInfo(&["<http://a.example/i,j.png>;purpose=icon"])),
    phone("impp-quoted", "RFC 7081 §3.5", Forwarded),
    phone("impp-unterminated", "RFC 7081 §3.5", CallInfo(&[])),
    phone("impp-bare", "RFC 7081 §3.5", CallInfo(&[])),
    phone("impp-folded", "RFC 7081 §3.5", CallInfo(&[ICON])),
    phone(
        "impp-lines",
        "RFC 7852 §4",
        CallInfo(&["<sip:example.com>;appearance-index=1", "<urn:x>;purpose=EmergencyCallData.ProviderInfo"]),
    ),
    phone("impp-high", "RFC 7081 §3.5", CallInfo(&["<http://a.example/\u{fffd}.png>;purpose=icon"])),
];
