//! The stream parser against forbidden XML, real logs and random bytes.

use cusax_event::xmpp::DropReason;
use cusax_xmpp::stream::{Condition, Item, Limits, Refusal, StreamParser};
use cusax_xmpp::{Element, ns};
use proptest::prelude::*;

const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
                      xmlns:stream='http://etherx.jabber.org/streams' id='1' from='cusax.example.test'>";

fn items(content: &'static str, chunks: &[&[u8]]) -> (Vec<Item>, Option<Refusal>) {
    let mut parser = StreamParser::new(content, Limits::default());
    let mut all = Vec::new();
    for chunk in chunks {
        parser.push(chunk);
        loop {
            match parser.next_item() {
                Ok(Some(item)) => all.push(item),
                Ok(None) => break,
                Err(refusal) => return (all, Some(refusal)),
            }
        }
    }
    (all, None)
}

fn refusal_of(stanza: &str) -> Option<Refusal> {
    items(ns::COMPONENT, &[HEADER.as_bytes(), stanza.as_bytes()]).1
}

#[test]
fn refuses_what_rfc_6120_forbids_and_says_so() {
    let deep = "<a>".repeat(65) + &"</a>".repeat(65);
    let wide = format!("<a {}/>", (0..65).map(|n| format!("a{n}=''")).collect::<String>().replace("''", "'' "));
    let long = format!("<message><body>{}</body></message>", "x".repeat(4 * 1024 * 1024));
    let table: [(&str, Condition, DropReason); 27] = [
        ("<a><!-- c --></a>", Condition::RestrictedXml, DropReason::Restricted),
        ("<!-- c -->", Condition::RestrictedXml, DropReason::Restricted),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><a/>", Condition::RestrictedXml, DropReason::Restricted),
        ("<a><!DOCTYPE b></a>", Condition::RestrictedXml, DropReason::Restricted),
        ("<?pi?>", Condition::RestrictedXml, DropReason::Restricted),
        ("<a><?pi x?></a>", Condition::RestrictedXml, DropReason::Restricted),
        ("<a>&lol;</a>", Condition::RestrictedXml, DropReason::Restricted),
        ("<a b='&lol;'/>", Condition::RestrictedXml, DropReason::Restricted),
        ("<p:a/>", Condition::BadNamespacePrefix, DropReason::Malformed),
        ("<a p:b=''/>", Condition::BadNamespacePrefix, DropReason::Malformed),
        ("<a b='' b=''/>", Condition::NotWellFormed, DropReason::Malformed),
        ("<a xmlns:p='u' xmlns:q='u' p:b='' q:b=''/>", Condition::NotWellFormed, DropReason::Malformed),
        ("<a b='<'/>", Condition::NotWellFormed, DropReason::Malformed),
        ("<a>&#0;</a>", Condition::NotWellFormed, DropReason::Malformed),
        ("<a>&#xFFFE;</a>", Condition::NotWellFormed, DropReason::Malformed),
        ("<a b='&#1;'/>", Condition::NotWellFormed, DropReason::Malformed),
        ("<a>\0</a>", Condition::NotWellFormed, DropReason::Malformed),
        ("<a>]]></a>", Condition::NotWellFormed, DropReason::Malformed),
        ("<a></b>", Condition::NotWellFormed, DropReason::Malformed),
        ("<a b></a>", Condition::NotWellFormed, DropReason::Malformed),
        ("<a b=c/>", Condition::NotWellFormed, DropReason::Malformed),
        ("<a:b:c xmlns:a='u'/>", Condition::NotWellFormed, DropReason::Malformed),
        ("</a>", Condition::NotWellFormed, DropReason::Malformed),
        ("text", Condition::BadFormat, DropReason::Malformed),
        (&deep, Condition::PolicyViolation, DropReason::TooLarge),
        (&wide, Condition::PolicyViolation, DropReason::TooLarge),
        (&long, Condition::PolicyViolation, DropReason::TooLarge),
    ];
    for (stanza, condition, reason) in table {
        let refusal = refusal_of(stanza).map(|refusal| (refusal.condition, refusal.reason));
        assert_eq!(refusal, Some((condition, reason)), "{}", stanza.get(..80).unwrap_or(stanza));
    }
    let (_, refusal) = items(ns::COMPONENT, &[HEADER.as_bytes(), b"<a>\xff</a>"]);
    assert_eq!(refusal.unwrap().condition, Condition::UnsupportedEncoding);
}

#[test]
fn refuses_a_header_of_another_stream() {
    for (header, condition) in [
        (
            "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
            Condition::InvalidNamespace,
        ),
        ("<stream:stream xmlns='jabber:component:accept' xmlns:stream='urn:other'>", Condition::InvalidNamespace),
        ("<stream:stream>", Condition::BadNamespacePrefix),
        ("<?xml version='1.0' encoding='latin-1'?><a>", Condition::UnsupportedEncoding),
        ("<?xml version='1.1'?><a>", Condition::NotWellFormed),
        ("<?xsl version='1.0'?><a>", Condition::RestrictedXml),
        ("HTTP/1.1 400 Bad Request\r\n", Condition::NotWellFormed),
        ("<!DOCTYPE x>", Condition::RestrictedXml),
        ("<a/>", Condition::NotWellFormed),
    ] {
        assert_eq!(
            items(ns::COMPONENT, &[header.as_bytes()]).1.map(|refusal| refusal.condition),
            Some(condition),
            "{header}"
        );
    }
}

#[test]
fn a_stanza_is_refused_before_it_is_complete_once_it_is_too_large() {
    let mut parser = StreamParser::new(ns::COMPONENT, Limits { stanza: 200, ..Limits::default() });
    parser.push(HEADER.as_bytes());
    assert!(matches!(parser.next_item(), Ok(Some(Item::Open(_)))));
    parser.push(" ".repeat(10_000).as_bytes());
    assert_eq!(parser.next_item(), Ok(None), "white space between stanzas keeps the stream alive and is not kept");
    parser.push(b"<a b='");
    assert_eq!(parser.next_item(), Ok(None));
    parser.push(&[b'x'; 200]);
    assert_eq!(parser.next_item().unwrap_err().reason, DropReason::TooLarge);
    parser.push(b"'/>");
    assert_eq!(parser.next_item(), Ok(None), "nothing follows a refusal");
}

#[test]
fn reads_entities_cdata_prefixes_and_language_as_xml_says() {
    let stanza = "<message xml:lang='en' xmlns:p='urn:p' p:x='1' a=' &lt;&#x41;\t&apos;'>\
                  <body>&amp;&#233;<![CDATA[<&]]x>]]]]>\r\n.</body><p:y/><z xmlns=''/></message></stream:stream >trailing";
    let (all, refusal) = items(ns::COMPONENT, &[HEADER.as_bytes(), stanza.as_bytes()]);
    assert_eq!(refusal, None);
    let [Item::Open(header), Item::Stanza(message), Item::Close] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!(header.attr("id"), Some("1"));
    assert_eq!(
        (message.attr("xml:lang"), message.attr("{urn:p}x"), message.attr("a")),
        (Some("en"), Some("1"), Some(" <A '"))
    );
    assert_eq!(message.child(ns::CLIENT, "body").unwrap().text(), "&é<&]]x>]]\n.");
    assert!(message.child("urn:p", "y").is_some() && message.child("", "z").is_some());
}

#[test]
fn every_stanza_of_the_recorded_logs_parses_and_survives_being_written_again() {
    let mut stanzas = 0;
    for (log, content) in [
        (include_str!("../../../tests/corpora/xmpp/prosody-0.12.3.log"), ns::COMPONENT),
        (include_str!("../../../tests/corpora/xmpp/ejabberd-23.01.log"), ns::COMPONENT),
        (include_str!("../../../tests/corpora/xmpp/auth-prosody.log"), ns::CLIENT),
        (include_str!("../../../tests/corpora/xmpp/auth-ejabberd.log"), ns::CLIENT),
    ] {
        for received in log
            .lines()
            .filter_map(|line| line.split_once(" << "))
            .map(|(_, xml)| xml)
            .filter(|xml| xml.starts_with('<'))
        {
            let header = received.starts_with("<?xml") || received.starts_with("<stream:stream");
            let open = HEADER.replace("jabber:component:accept", content);
            let mut parser = StreamParser::new(content, Limits::default());
            if !header {
                parser.push(open.as_bytes());
            }
            parser.push(received.as_bytes());
            while let Some(item) = parser.next_item().unwrap_or_else(|refusal| panic!("{refusal:?} {received}")) {
                if let Item::Stanza(stanza) = item {
                    stanzas += 1;
                    assert_eq!(reread(&stanza, content), stanza);
                }
            }
        }
    }
    assert!(stanzas > 700, "{stanzas}");
}

fn reread(stanza: &Element, content: &'static str) -> Element {
    let open = HEADER.replace("jabber:component:accept", content);
    let (mut all, refusal) = items(content, &[open.as_bytes(), stanza.to_xml(content).as_bytes()]);
    assert_eq!(refusal, None, "{stanza:?}");
    match all.pop() {
        Some(Item::Stanza(again)) => again,
        other => panic!("{other:?}"),
    }
}

/// Something like a stream: fragments that meet every state of the scanner, some of them forbidden.
fn fragments() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => Just(&b"<presence to='a' from=\"b>/\"><x xmlns='urn:x'/></presence>"[..]),
        4 => Just(&b" \n"[..]),
        4 => Just(&b"<a><b>t&amp;&#65;<![CDATA[</a>]]></b></a>"[..]),
        1 => Just(&b"<a>"[..]),
        1 => Just(&b"</a>"[..]),
        1 => Just(&b"<a b='"[..]),
        1 => Just(&b"<!--x-->"[..]),
        1 => Just(&b"&bad;"[..]),
        1 => Just(&b"\xc3\xa9"[..]),
        1 => Just(&b"\xff"[..]),
        1 => Just(&b"</stream:stream>"[..]),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| [HEADER.as_bytes(), &pieces.concat()].concat())
}

fn cases() -> ProptestConfig {
    ProptestConfig::with_cases(if std::env::var_os("CUSAX_LONG").is_some() { 100_000 } else { 256 })
}

proptest! {
    #![proptest_config(cases())]
    #[test]
    fn any_chunking_gives_the_same_items(bytes in fragments(), cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..8)) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        let mut chunks = Vec::new();
        let mut rest = bytes.as_slice();
        let mut taken = 0;
        for cut in cuts {
            let (head, tail) = rest.split_at(cut - taken);
            chunks.push(head);
            rest = tail;
            taken = cut;
        }
        chunks.push(rest);
        let whole = items(ns::COMPONENT, &[&bytes]);
        prop_assert_eq!(&items(ns::COMPONENT, &chunks), &whole);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(items(ns::COMPONENT, &single), whole);
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), header in any::<bool>()) {
        let head = if header { HEADER.as_bytes() } else { b"" };
        let _ = items(ns::COMPONENT, &[head, &bytes]);
    }

    #[test]
    fn random_markup_never_panics_and_what_is_read_can_be_written(text in "[<>/a-c:='\" &;#x!\\[\\]?-]{0,80}") {
        let (all, _) = items(ns::COMPONENT, &[HEADER.as_bytes(), text.as_bytes()]);
        for item in all {
            if let Item::Stanza(stanza) = item {
                prop_assert_eq!(reread(&stanza, ns::COMPONENT), stanza);
            }
        }
    }

    #[test]
    fn any_text_and_value_can_be_sent(text in any::<String>(), value in any::<String>()) {
        let stanza = Element::message("chat").with_attr("id", value).with_text(text);
        let (all, refusal) = items(ns::COMPONENT, &[HEADER.as_bytes(), stanza.to_xml(ns::COMPONENT).as_bytes()]);
        prop_assert_eq!(refusal, None);
        prop_assert_eq!(all.len(), 2);
    }
}
