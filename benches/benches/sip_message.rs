//! Scanning an INVITE and forwarding it, beside rsip doing what a proxy would have to do with it.

use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use cusax_sip::{Edit, Message, Name};

/// As a softphone sends it through an outbound proxy: 16 header lines and an SDP offer.
const INVITE: &str = "INVITE sip:bob@example.com SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKnashds8;rport\r\n\
    Max-Forwards: 70\r\n\
    From: \"Alice\" <sip:alice@example.com>;tag=9fxced76sl\r\n\
    To: <sip:bob@example.com>\r\n\
    Call-ID: 3848276298220188511@192.0.2.7\r\n\
    CSeq: 2 INVITE\r\n\
    Contact: <sip:alice@192.0.2.7:5060;transport=udp>\r\n\
    Route: <sip:edge.example.com;lr>\r\n\
    Call-Info: <http://example.com/alice.png>;purpose=icon\r\n\
    Session-ID: ab30317f1a784dc48ff824d0d3715d86;remote=00000000000000000000000000000000\r\n\
    Allow: INVITE, ACK, CANCEL, BYE, UPDATE, PRACK, INFO, OPTIONS\r\n\
    Supported: 100rel, replaces, timer\r\n\
    User-Agent: phone/1.0\r\n\
    Expires: 180\r\n\
    Content-Type: application/sdp\r\n\
    Content-Length: 139\r\n\r\n\
    v=0\r\no=alice 53655765 2353687637 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n\
    m=audio 3456 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\n\r\n";

const RECORD_ROUTE: &str = "<sip:192.0.2.1:5070;lr>";
const VIA: &str = "SIP/2.0/UDP 192.0.2.1:5070;rport;branch=z9hG4bK-1-2-3";
const CALL_INFO: &str = "<xmpp:alice@example.com>;purpose=impp";

fn forwarded(bytes: &Bytes) -> Bytes {
    let message = Message::parse(bytes.clone()).expect("the INVITE above");
    let mut edit = Edit::new(Arc::new(message));
    edit.pop(Name::Route, 1);
    edit.set(Name::MaxForwards, "69");
    edit.push_top(Name::CallInfo, CALL_INFO);
    edit.push_above(Name::RecordRoute, RECORD_ROUTE);
    edit.push_above(Name::Via, VIA);
    edit.finish()
}

/// The same by rsip, which reads a message into strings and prints it anew.
fn forwarded_by_rsip(bytes: &[u8]) -> Vec<u8> {
    use rsip::Header;
    let mut message = rsip::Request::try_from(bytes).expect("the INVITE above");
    let mut headers: Vec<Header> = std::mem::take(&mut message.headers).into_iter().collect();
    headers.retain(|header| !matches!(header, Header::Route(_) | Header::MaxForwards(_)));
    headers.insert(0, Header::Via(VIA.into()));
    headers.insert(1, Header::RecordRoute(RECORD_ROUTE.into()));
    headers.insert(2, Header::CallInfo(CALL_INFO.into()));
    headers.push(Header::MaxForwards("69".into()));
    message.headers = headers.into();
    message.into()
}

fn sip_message(criterion: &mut Criterion) {
    let bytes = Bytes::from_static(INVITE.as_bytes());
    let mut group = criterion.benchmark_group("sip_message");
    group.throughput(Throughput::Elements(1));
    group.bench_function("parse", |bencher| {
        bencher.iter(|| Message::parse(bytes.clone()).expect("the INVITE above"));
    });
    group.bench_function("parse_rsip", |bencher| {
        bencher.iter(|| rsip::Request::try_from(&bytes[..]).expect("the INVITE above"));
    });
    group.bench_function("forward", |bencher| bencher.iter(|| forwarded(&bytes)));
    group.bench_function("forward_rsip", |bencher| bencher.iter(|| forwarded_by_rsip(&bytes)));
    group.finish();
}

criterion_group!(benches, sip_message);
criterion_main!(benches);
