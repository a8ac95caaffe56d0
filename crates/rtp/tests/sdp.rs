//! Offer and answer with descriptions as phones send them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use cusax_rtp::Codec;
use cusax_rtp::sdp::{
    Answer, Direction, Format, LocalMedia, Refusal, SdpError, Session, answer, offer, read_answer, reoffer,
};

#[test]
fn answers_a_phone_with_its_first_codec_that_we_speak() {
    let Answer { body, stream } = answer(&phone("8 0 101", "sendrecv"), &LOCAL).unwrap();
    assert_eq!(stream.codec, Codec::Pcma);
    assert_eq!(stream.payload_type, 8);
    assert_eq!(stream.telephone_event, Some(101));
    assert_eq!(stream.remote, "192.0.2.7:4000".parse().unwrap());
    assert_eq!(stream.direction, Direction::SendRecv);
    assert_eq!(stream.ptime_ms, 20);
    assert_eq!(stream.formats.format(8), Some(Format::Audio(Codec::Pcma)));
    assert_eq!(stream.formats.format(0), None);
    assert_eq!(stream.formats.format(101), Some(Format::TelephoneEvent));
    assert_eq!(
        text(body),
        "v=0\r\no=- 77 3 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n\
         m=audio 40000 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    );
}

#[test]
fn static_payload_types_need_no_rtpmap_and_dynamic_ones_do() {
    let bare = session("c=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 96 0\r\n");
    let Answer { stream, .. } = answer(&bare, &LOCAL).unwrap();
    assert_eq!((stream.codec, stream.payload_type), (Codec::Pcmu, 0));
    assert_eq!(stream.telephone_event, None);

    let mapped = session(
        "c=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 97 98\r\n\
         a=rtpmap:97 opus/48000/2\r\na=rtpmap:98 pcmu/8000/1\r\n",
    );
    let Answer { body, stream } = answer(&mapped, &LOCAL).unwrap();
    assert_eq!((stream.codec, stream.payload_type), (Codec::Pcmu, 98));
    assert!(text(body).contains("m=audio 40000 RTP/AVP 98\r\na=rtpmap:98 PCMU/8000\r\n"));
}

#[test]
fn a_telephone_event_of_another_clock_is_not_taken() {
    let offer = session(
        "c=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 101 100\r\n\
         a=rtpmap:101 telephone-event/48000\r\na=rtpmap:100 telephone-event/8000\r\n",
    );
    assert_eq!(answer(&offer, &LOCAL).unwrap().stream.telephone_event, Some(100));
}

#[test]
fn direction_is_what_both_sides_are_willing_to_do() {
    use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
    for (theirs, ours, agreed) in [
        ("sendrecv", SendRecv, SendRecv),
        ("sendonly", SendRecv, RecvOnly),
        ("recvonly", SendRecv, SendOnly),
        ("inactive", SendRecv, Inactive),
        ("sendrecv", SendOnly, SendOnly),
        ("sendonly", SendOnly, Inactive),
        ("sendrecv", Inactive, Inactive),
    ] {
        let local = LocalMedia { direction: ours, ..LOCAL };
        let Answer { body, stream } = answer(&phone("0", theirs), &local).unwrap();
        assert_eq!(stream.direction, agreed, "{theirs} {ours:?}");
        assert!(text(body).ends_with(&format!("a={}\r\n", agreed.as_str())));
    }
}

#[test]
fn direction_of_the_session_counts_where_the_media_line_has_none() {
    let offer = session("c=IN IP4 192.0.2.7\r\nt=0 0\r\na=sendonly\r\nm=audio 4000 RTP/AVP 0\r\na=ptime:30\r\n");
    let stream = answer(&offer, &LOCAL).unwrap().stream;
    assert_eq!((stream.direction, stream.ptime_ms), (Direction::RecvOnly, 30));
}

#[test]
fn the_old_hold_by_address_stops_us_from_sending() {
    let held = session("c=IN IP4 0.0.0.0\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n");
    let stream = answer(&held, &LOCAL).unwrap().stream;
    assert_eq!(stream.direction, Direction::RecvOnly);
    assert!(stream.remote.ip().is_unspecified());
}

#[test]
fn lines_that_are_not_taken_are_refused_in_their_places() {
    let offer = session(
        "c=IN IP4 192.0.2.7\r\nt=3034423619 3042462419\r\na=group:BUNDLE 0 1\r\n\
         m=video 5000 RTP/AVP 31\r\na=rtpmap:31 H261/90000\r\n\
         m=audio 4002 RTP/SAVP 0\r\n\
         m=audio 4000 RTP/AVP 0\r\nc=IN IP4 192.0.2.8\r\na=rtcp:4010\r\na=rtcp-mux\r\n\
         m=audio 4004 RTP/AVP 8\r\n\
         m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n",
    );
    let Answer { body, stream } = answer(&offer, &LOCAL).unwrap();
    assert_eq!(stream.remote, "192.0.2.8:4000".parse().unwrap());
    assert_eq!(
        lines(body, "mt"),
        [
            "t=3034423619 3042462419",
            "m=video 0 RTP/AVP 31",
            "m=audio 0 RTP/SAVP 0",
            "m=audio 40000 RTP/AVP 0",
            "m=audio 0 RTP/AVP 8",
            "m=application 0 UDP/DTLS/SCTP webrtc-datachannel",
        ]
    );
}

#[test]
fn refuses_with_the_warning_that_fits() {
    for (media, refusal, warning) in [
        ("c=IN IP4 192.0.2.7\r\nt=0 0\r\n", Refusal::NoAudio, 304),
        ("c=IN IP4 192.0.2.7\r\nt=0 0\r\nm=video 5000 RTP/AVP 31\r\n", Refusal::NoAudio, 304),
        ("c=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\n", Refusal::NoAudio, 304),
        ("c=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 9 18\r\n", Refusal::Format, 305),
        ("c=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0\r\n", Refusal::Transport, 302),
        ("c=IN IP4 phone.example\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n", Refusal::Address, 301),
        ("c=IN IP4 233.252.0.1/127\r\nt=0 0\r\nm=audio 4 RTP/AVP 0\r\n", Refusal::Address, 301),
        ("c=IN IP4 233.252.0.1\r\nt=0 0\r\nm=audio 4 RTP/AVP 0\r\n", Refusal::Address, 301),
        ("c=IN IP6 2001:db8::7\r\nt=0 0\r\nm=audio 4 RTP/AVP 0\r\n", Refusal::Address, 301),
        ("t=0 0\r\nm=audio 4000 RTP/AVP 0\r\n", Refusal::Address, 301),
    ] {
        let refused = answer(&session(media), &LOCAL).unwrap_err();
        assert_eq!((refused, refused.warning()), (refusal, warning), "{media}");
    }
}

#[test]
fn answers_over_ipv6() {
    let local = LocalMedia { address: IpAddr::V6(Ipv6Addr::LOCALHOST), ..LOCAL };
    let offer = session("c=IN IP6 2001:db8::7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n");
    let Answer { body, stream } = answer(&offer, &local).unwrap();
    assert_eq!(stream.remote, "[2001:db8::7]:4000".parse::<SocketAddr>().unwrap());
    assert_eq!(lines(body, "c"), ["c=IN IP6 ::1"]);
}

#[test]
fn a_phone_reads_our_answer_and_we_read_the_answer_to_our_offer() {
    let phone = LocalMedia { address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), port: 4000, ..LOCAL };
    let offered = Session::parse(&offer(&phone)).unwrap();
    let Answer { body, stream } = answer(&offered, &LOCAL).unwrap();
    assert_eq!(stream.codec, Codec::Pcmu);
    let theirs = read_answer(&phone, &Session::parse(&body).unwrap()).unwrap();
    assert_eq!(theirs.codec, Codec::Pcmu);
    assert_eq!(theirs.remote, "198.51.100.1:40000".parse().unwrap());
    assert_eq!(theirs.telephone_event, Some(101));
    assert_eq!(theirs.direction, Direction::SendRecv);
}

#[test]
fn an_answer_with_several_codecs_lets_the_other_side_send_any_of_them() {
    let answered = session(
        "c=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 98 0 96\r\n\
         a=rtpmap:98 PCMA/8000\r\na=rtpmap:96 telephone-event/8000\r\na=sendonly\r\n",
    );
    let stream = read_answer(&LOCAL, &answered).unwrap();
    assert_eq!((stream.codec, stream.payload_type), (Codec::Pcma, 98));
    assert_eq!(stream.telephone_event, Some(96));
    assert_eq!(stream.direction, Direction::RecvOnly);
    let format = |payload_type| stream.formats.format(payload_type);
    assert_eq!(format(8), Some(Format::Audio(Codec::Pcma)));
    assert_eq!(format(0), Some(Format::Audio(Codec::Pcmu)));
    assert_eq!(format(101), Some(Format::TelephoneEvent));
    assert_eq!((format(98), format(96)), (None, None));
}

#[test]
fn an_answer_that_refuses_the_audio_agrees_nothing() {
    let answered = session("c=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\n");
    assert_eq!(read_answer(&LOCAL, &answered), Err(Refusal::NoAudio));
}

#[test]
fn a_later_offer_keeps_every_line_in_its_place() {
    let theirs = session("c=IN IP4 192.0.2.7\r\nt=0 0\r\nm=video 5000 RTP/AVP 31\r\nm=audio 4000 RTP/AVP 8\r\n");
    let body = reoffer(&theirs, &LOCAL);
    assert_eq!(lines(body, "m"), ["m=video 0 RTP/AVP 31", "m=audio 40000 RTP/AVP 0 8 101"]);
}

#[test]
fn reads_what_it_need_not_understand_and_refuses_what_is_no_description() {
    let odd = session(
        "c=IN IP4 192.0.2.7\r\nb=AS:64\r\nt=0 0\r\nx=unknown\r\na=ice-ufrag:abc\r\n\
         m=audio 4000 RTP/AVP 0 nonsense 300\r\na=rtpmap:nonsense\r\na=rtpmap:0\r\na=crypto:1\r\n",
    );
    assert_eq!(answer(&odd, &LOCAL).unwrap().stream.codec, Codec::Pcmu);
    assert!(matches!(Session::parse(b""), Err(SdpError::Syntax(_))));
    assert!(matches!(Session::parse(b"\xff\xfe"), Err(SdpError::Syntax(_))));
    assert!(matches!(Session::parse(b"v=0\r\nm=audio 99999 RTP/AVP 0\r\n"), Err(SdpError::Syntax(_))));
    assert_eq!(Session::parse(&[b' '; 20_000]), Err(SdpError::TooLarge));
    let many = format!("v=0\r\n{}", "m=audio 0 RTP/AVP 0\r\n".repeat(17));
    assert_eq!(Session::parse(many.as_bytes()), Err(SdpError::TooLarge));
}

const LOCAL: LocalMedia<'static> = LocalMedia {
    address: IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)),
    port: 40_000,
    session_id: 77,
    version: 3,
    codecs: &Codec::ALL,
    direction: Direction::SendRecv,
};

fn phone(formats: &str, direction: &str) -> Session {
    session(&format!(
        "c=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP {formats}\r\n\
         a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
         a=fmtp:101 0-16\r\na=maxptime:150\r\na={direction}\r\n"
    ))
}

fn session(rest: &str) -> Session {
    let head = "v=0\r\no=alice 2890844526 2890844526 IN IP4 192.0.2.7\r\ns=phone\r\n";
    Session::parse(format!("{head}{rest}").as_bytes()).expect("a description")
}

fn text(body: Vec<u8>) -> String {
    String::from_utf8(body).expect("text")
}

fn lines(body: Vec<u8>, kinds: &str) -> Vec<String> {
    let kept = |line: &&str| line.starts_with(|kind| kinds.contains(kind));
    text(body).lines().filter(kept).map(Into::into).collect()
}
