//! What a dialled number is, country by country.

#![cfg(test)]

use std::sync::LazyLock;

use cusax_event::sip::NumberClass::{self, *};
use cusax_numbering::{Classification, Classifier, Config, ConfigError, Dialled, Extensions, Scheme};
use proptest::prelude::*;

fn config(country: &str) -> Config {
    Config {
        country: country.to_owned(),
        domains: vec!["example.com".to_owned(), "192.0.2.1".to_owned()],
        ..Config::default()
    }
}

/// A house in Atlanta: four-digit extensions, nine for an outside line.
fn atlanta() -> Classifier {
    Classifier::new(&Config {
        own: vec!["+1404555".to_owned(), "+14045560123".to_owned()],
        partner: vec!["+4420794".to_owned()],
        extensions: Some(Extensions { digits: 4, prefix: "+1404555".to_owned() }),
        access_codes: vec!["9".to_owned(), "*67".to_owned()],
        ..config("US")
    })
    .unwrap()
}

fn at_home(country: &str) -> Classifier {
    Classifier::new(&config(country)).unwrap()
}

/// Reads a URI of a test: `sip:user@host`, with `;user=phone` behind it, `tel:…`, `urn:…`.
fn classify(classifier: &Classifier, uri: &str) -> Classification {
    let (scheme, rest) = uri.split_once(':').unwrap();
    let scheme = match scheme {
        "sip" => Scheme::Sip,
        "sips" => Scheme::Sips,
        "tel" => Scheme::Tel,
        _ => Scheme::Urn,
    };
    let (user, host) = match scheme {
        Scheme::Sip | Scheme::Sips => rest.rsplit_once('@').unwrap(),
        Scheme::Tel | Scheme::Urn => (rest, ""),
    };
    let (host, user_phone) = host.strip_suffix(";user=phone").map_or((host, false), |host| (host, true));
    classifier.classify(&Dialled { scheme, user, host, user_phone, phone_context: None })
}

fn expect(classifier: &Classifier, table: &[(&str, NumberClass)]) {
    for (uri, class) in table {
        assert_eq!(classify(classifier, uri).class, Some(*class), "{uri}");
    }
}

#[test]
fn emergency_numbers_are_known_however_they_are_written() {
    expect(
        &atlanta(),
        &[
            ("sip:911@example.com", Emergency),
            ("sip:112@example.com", Emergency),
            ("sips:911@example.com", Emergency),
            ("sip:911@example.com;user=phone", Emergency),
            ("sip:112@anything.example", Emergency),
            ("sip:112@203.0.113.9", Emergency),
            ("sip:9-1-1@example.com", Emergency),
            ("sip:(911)@example.com", Emergency),
            ("sip:9%311@example.com", Emergency),
            ("sip:%39%31%31@example.com", Emergency),
            ("sip:911;phone-context=+1@example.com;user=phone", Emergency),
            ("sip:9911@example.com", Emergency),
            ("sip:9112@example.com", Emergency),
            ("sip:*67911@example.com", Emergency),
            ("sip:+911@example.com", Emergency),
            ("sip:+1911@example.com", Emergency),
            ("tel:911", Emergency),
            ("tel:9.1.1", Emergency),
            ("tel:911;phone-context=+1", Emergency),
            ("tel:112;phone-context=+44", Emergency),
            ("tel:911;phone-context=example.com", Emergency),
            ("tel:911;phone-context=elsewhere.example", Emergency),
            ("urn:service:sos", Emergency),
            ("urn:service:sos.fire", Emergency),
            ("urn:SERVICE:SOS.police", Emergency),
        ],
    );
}

#[test]
fn only_the_whole_string_is_an_emergency_number() {
    let classifier = atlanta();
    for uri in [
        "sip:9110@example.com",
        "sip:99911@example.com",
        "sip:+19115550100@example.com",
        "sip:911911@example.com",
        "sip:9*11@example.com",
        "sip:911a@example.com",
        "sip:alice911@example.com",
        "sip:999@example.com",
        "tel:+1404911",
        "urn:service:sosa",
        "urn:service:counseling",
    ] {
        assert_ne!(classify(&classifier, uri).class, Some(Emergency), "{uri}");
    }
    let without_access_codes = at_home("US");
    assert_eq!(classify(&without_access_codes, "sip:9911@example.com").class, Some(Unknown));
}

#[test]
fn every_country_has_its_own_emergency_numbers_and_those_of_everywhere() {
    for (country, numbers) in [
        ("GB", &["999", "112", "911"][..]),
        ("DE", &["110", "112", "911"]),
        ("AU", &["000", "106", "112", "911"]),
        ("FR", &["15", "17", "18", "112", "911"]),
        ("JP", &["110", "119", "112", "911"]),
        ("GN", &["112", "911"]),
    ] {
        let classifier = at_home(country);
        for number in numbers {
            assert_eq!(classify(&classifier, &format!("sip:{number}@example.com")).class, Some(Emergency), "{country}");
            assert_eq!(classify(&classifier, &format!("tel:{number}")).class, Some(Emergency), "{country} {number}");
        }
    }
    // As equipment writes it that makes everything global.
    expect(&at_home("DE"), &[("sip:+49112@example.com", Emergency), ("tel:+49110", Emergency)]);
    assert_ne!(classify(&at_home("US"), "sip:110@example.com").class, Some(Emergency));
}

#[test]
fn the_house_comes_before_the_world() {
    expect(
        &atlanta(),
        &[
            ("sip:0100@example.com", Extension),
            ("sip:0100@EXAMPLE.com.", Extension),
            ("sip:01-00@192.0.2.1", Extension),
            ("tel:0100;phone-context=example.com", Extension),
            ("sip:*98@example.com", Extension),
            ("sip:+14045550100@example.com", OnNet),
            ("sip:4045550100@example.com", OnNet),
            ("sip:914045550100@example.com", OnNet),
            ("tel:+1-404-555-0100", OnNet),
            ("tel:0100;phone-context=+1404555", OnNet),
            ("sip:+14045560123@example.com", OnNet),
            ("sip:+14045560124@example.com", National),
            ("sip:+442079460000@example.com", Partner),
            ("sip:011442079460000@example.com", Partner),
            ("sip:+442089460000@example.com", International),
            // Five digits are no extension here.
            ("sip:01000@example.com", Unknown),
        ],
    );
    let extension = classify(&atlanta(), "sip:0100@example.com");
    assert_eq!(extension.e164.as_deref(), Some("+14045550100"));
}

#[test]
fn names_are_no_numbers() {
    let classifier = atlanta();
    for uri in [
        "sip:alice@example.com",
        "sip:1-800-FLOWERS@example.com",
        "sip:alice@example.com;user=phone",
        "sip:@example.com",
    ] {
        assert_eq!(classify(&classifier, uri).class, None, "{uri}");
    }
    expect(
        &classifier,
        &[
            ("sip:bob@biloxi.example", ForeignDomain),
            ("sip:4045550100@biloxi.example", ForeignDomain),
            ("sip:+19005551234@biloxi.example", ForeignDomain),
            // Of somebody else's plan, which our core may well read by its own.
            ("tel:7042;phone-context=biloxi.example", Unknown),
            // user=phone says that it is a number after all; at another host none of it is ours.
            ("sip:+19005551234@biloxi.example;user=phone", Premium),
            ("sip:+14045550100@biloxi.example;user=phone", National),
            ("sip:0100@biloxi.example;user=phone", Unknown),
            ("tel:alice", Unknown),
        ],
    );
}

#[test]
fn classes_as_seen_from_the_united_states() {
    expect(
        &at_home("US"),
        &[
            ("sip:+1 (404) 555-0100@example.com", National),
            ("sip:4045550100@example.com;user=phone", National),
            ("sip:1-404-555-0100@example.com", National),
            ("tel:404-555-0100;phone-context=+1", National),
            ("tel:555-0100;phone-context=+1-404", National),
            ("sip:5550100@example.com", National),
            ("sip:+1-800-723-3456@example.com", TollFree),
            ("sip:18887233456@example.com", TollFree),
            ("sip:1-900-555-1234@example.com", Premium),
            ("tel:+1-900-555-1234", Premium),
            // Personal numbers cost what their owner's route costs.
            ("sip:+15005551234@example.com", Premium),
            ("sip:+17875551234@example.com", National),
            // Canada and the Caribbean share +1 and are other countries.
            ("sip:+16135551234@example.com", International),
            ("sip:18765551234@example.com", International),
            ("sip:+12423456789@example.com", International),
            ("sip:+442079460000@example.com", International),
            ("sip:011442079460000@example.com", International),
            ("tel:+44-20-7946-0000", International),
            ("sip:+44 (0)20 7946 0000@example.com", International),
            ("tel:020 7946 0000;phone-context=+44", International),
            ("sip:+447911123456@example.com", International),
            ("sip:+448081570192@example.com", International),
            ("sip:+449098790000@example.com", Premium),
            ("sip:+870773111632@example.com", Satellite),
            ("sip:+881612345678@example.com", Satellite),
            ("sip:0118816123456789@example.com", Satellite),
            ("tel:+88216 1234 5678", Satellite),
            ("sip:+80012345678@example.com", TollFree),
            ("sip:+979123456789@example.com", Premium),
            ("sip:411@example.com", Unknown),
            ("sip:+999123456789@example.com", Unknown),
            ("sip:+10005551234@example.com", Unknown),
            ("sip:*6714045550100@example.com", Unknown),
            ("sip:1234567890123456789012345@example.com", Unknown),
        ],
    );
}

#[test]
fn classes_as_seen_from_the_united_kingdom() {
    expect(
        &at_home("GB"),
        &[
            ("sip:02079460000@example.com", National),
            ("sip:+442079460000@example.com", National),
            ("sip:+441481722233@example.com", National),
            ("sip:03001231234@example.com", National),
            ("sip:07911123456@example.com", Mobile),
            ("sip:08081570192@example.com", TollFree),
            ("sip:09098790000@example.com", Premium),
            ("sip:08431234567@example.com", Premium),
            // 070 looks like a mobile and is the classic of toll fraud.
            ("sip:07012345678@example.com", Premium),
            ("sip:0014045550100@example.com", International),
            ("sip:+18007233456@example.com", International),
            ("sip:79460000@example.com", National),
            ("sip:118500@example.com", Unknown),
        ],
    );
}

#[test]
fn classes_as_seen_from_elsewhere() {
    expect(
        &at_home("DE"),
        &[
            ("sip:030123456@example.com", National),
            ("tel:+49 30 123456", National),
            ("sip:01711234567@example.com", Mobile),
            ("sip:08001234567@example.com", TollFree),
            ("sip:09001234567@example.com", Premium),
            ("sip:0043123456789@example.com", International),
        ],
    );
    expect(
        &at_home("IT"),
        &[
            ("sip:0236618300@example.com", National),
            ("sip:3123456789@example.com", Mobile),
            ("sip:800123456@example.com", TollFree),
        ],
    );
    expect(
        &at_home("CA"),
        &[
            ("sip:6135551234@example.com", National),
            ("sip:+14045550100@example.com", International),
            ("sip:18007233456@example.com", TollFree),
        ],
    );
    expect(&at_home("RU"), &[("sip:89161234567@example.com", Mobile), ("sip:+77710009998@example.com", International)]);
    expect(&at_home("BR"), &[("sip:0151123456789@example.com", National), ("sip:0011961234567@example.com", Unknown)]);
}

#[test]
fn numbers_are_told_in_e164_with_their_territory() {
    for (uri, e164, territory) in [
        ("sip:(404) 555-0100@example.com", Some("+14045550100"), Some("US")),
        ("sip:011442079460000@example.com", Some("+442079460000"), Some("GB")),
        ("sip:+44 (0)20 7946 0000@example.com", Some("+442079460000"), Some("GB")),
        ("sip:+18765551234@example.com", Some("+18765551234"), Some("JM")),
        ("sip:+881612345678@example.com", Some("+881612345678"), None),
        ("sip:5550100@example.com", None, Some("US")),
        ("sip:911@example.com", None, None),
        ("sip:alice@example.com", None, None),
    ] {
        let found = classify(&at_home("US"), uri);
        assert_eq!((found.e164.as_deref(), found.territory), (e164, territory), "{uri}");
    }
}

#[test]
fn extensions_that_hide_emergency_numbers_are_told() {
    let conflicts: Vec<_> =
        atlanta().conflicts().into_iter().map(|conflict| (conflict.dialled, conflict.emergency)).collect();
    assert_eq!(conflicts, [("9112".to_owned(), "112"), ("9911".to_owned(), "911")]);
    let digits = |digits| {
        let extensions = Some(Extensions { digits, prefix: "+4930".to_owned() });
        Classifier::new(&Config { extensions, ..config("DE") }).unwrap().conflicts().len()
    };
    assert_eq!((digits(3), digits(4)), (3, 0));
    assert!(at_home("US").conflicts().is_empty());
}

#[test]
fn configurations_that_cannot_be_are_refused() {
    let refused = |config: Config| Classifier::new(&config).err();
    assert_eq!(refused(config("XX")), Some(ConfigError::Country("XX".to_owned())));
    assert_eq!(refused(config("001")), Some(ConfigError::Country("001".to_owned())));
    assert_eq!(refused(config("us")), None);
    for prefix in ["1404555", "+", "+1-404", "+1404x", "+1234567890123456"] {
        let error = Some(ConfigError::Prefix(prefix.to_owned()));
        assert_eq!(refused(Config { own: vec![prefix.to_owned()], ..config("US") }), error);
        assert_eq!(refused(Config { partner: vec![prefix.to_owned()], ..config("US") }), error);
    }
    for (digits, prefix) in [(1, "+1404"), (11, "+1404"), (8, "+14045550")] {
        let extensions = Some(Extensions { digits, prefix: prefix.to_owned() });
        assert!(matches!(refused(Config { extensions, ..config("US") }), Some(ConfigError::Extensions { .. })));
    }
    for code in ["", "a", "123456789"] {
        let error = Some(ConfigError::AccessCode(code.to_owned()));
        assert_eq!(refused(Config { access_codes: vec![code.to_owned()], ..config("US") }), error);
    }
}

static ATLANTA: LazyLock<Classifier> = LazyLock::new(atlanta);

proptest! {
    #[test]
    fn whatever_is_dialled_has_an_answer(user in "\\PC{0,60}", dialled in "[+]?[0-9*#%;=. ()-]{0,50}", context in "[+]?\\PC{0,12}") {
        for user in [user.as_str(), dialled.as_str()] {
            for scheme in [Scheme::Sip, Scheme::Tel, Scheme::Urn] {
                for phone_context in [None, Some(context.as_str())] {
                    let dialled = Dialled { scheme, user, host: "example.com", user_phone: true, phone_context };
                    let found = ATLANTA.classify(&dialled);
                    let e164 = found.e164.unwrap_or("+1".to_owned());
                    prop_assert!(e164.len() <= 16 && e164.starts_with('+'), "{e164}");
                }
            }
        }
    }
}
