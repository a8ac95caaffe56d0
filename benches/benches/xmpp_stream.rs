//! Parsing what a busy room sends: one presence with voice revoked, framed, checked and turned into an element.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use cusax_xmpp::ns;
use cusax_xmpp::stream::{Item, Limits, StreamParser};

const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
                      xmlns:stream='http://etherx.jabber.org/streams' id='1' from='cusax.example.test'>";

/// As Prosody 0.12 sends it to the focus.
const PRESENCE: &str = "<presence to='focus@cusax.example.test/mixer' xml:lang='en' from='room1@conference.example.test/Bob'>\
     <x xmlns='vcard-temp:x:update'><photo/></x>\
     <occupant-id id='ZVK/w8PjQWdsk/ffDvHNv79a/XXJtVIMA1Nm/B58B9w=' xmlns='urn:xmpp:occupant-id:0'/>\
     <x xmlns='http://jabber.org/protocol/muc#user'><item jid='bob@example.test/phone' affiliation='none' role='visitor'>\
     <actor nick='Alice' jid='alice@example.test/desk'/><reason>too noisy</reason></item></x></presence>";

fn stanzas(parser: &mut StreamParser) -> usize {
    let mut count = 0;
    while let Ok(Some(item)) = parser.next_item() {
        count += usize::from(matches!(item, Item::Stanza(_)));
    }
    count
}

fn xmpp_stream(criterion: &mut Criterion) {
    let mut parser = StreamParser::new(ns::COMPONENT, Limits::default());
    parser.push(HEADER.as_bytes());
    assert_eq!(stanzas(&mut parser), 0);
    let mut group = criterion.benchmark_group("xmpp_stream");
    group.throughput(Throughput::Elements(1));
    group.bench_function("presence", |bencher| {
        bencher.iter(|| {
            parser.push(PRESENCE.as_bytes());
            assert_eq!(stanzas(&mut parser), 1);
        });
    });
    let burst = PRESENCE.repeat(100);
    group.throughput(Throughput::Elements(100));
    group.bench_function("presence_burst_of_100", |bencher| {
        bencher.iter(|| {
            parser.push(burst.as_bytes());
            assert_eq!(stanzas(&mut parser), 100);
        });
    });
    group.finish();
}

criterion_group!(benches, xmpp_stream);
criterion_main!(benches);
