//! What cannot change while the service runs: it is bound, open or known to others by it.

use super::Config;
use super::check;
use super::conference::Conference;
use super::document::Document;
use super::sip::Listener;

/// Keys that stay as they were.
#[derive(Debug, Default)]
struct Kept(Vec<&'static str>);

impl Kept {
    /// Keeps a value; notes its key where another one was wanted.
    fn key<T: Clone + PartialEq>(&mut self, key: &'static str, running: &T, next: &mut T) {
        if running != next {
            next.clone_from(running);
            self.note(key);
        }
    }

    fn note(&mut self, key: &'static str) {
        if !self.0.contains(&key) {
            self.0.push(key);
        }
    }
}

/// Puts into `next` what stays until a restart as it is in `running`; returns the keys for which it wanted otherwise.
///
/// # Errors
///
/// Why what stays and the rest of `next` cannot be together.
pub(crate) fn keep(running: &Config, next: &mut Config) -> Result<Vec<&'static str>, String> {
    let mut kept = Kept::default();
    kept.key("service.domain", &running.service.domain, &mut next.service.domain);
    kept.key("service.node", &running.service.node, &mut next.service.node);
    kept.key("directory.url", &running.directory.url, &mut next.directory.url);
    kept.key("directory.state", &running.directory.state, &mut next.directory.state);
    listeners(&running.sip.listener, &mut next.sip.listener, &mut kept);
    match (&running.xmpp, &mut next.xmpp) {
        (Some(running), Some(next)) => {
            kept.key("xmpp.domain", &running.domain, &mut next.domain);
            kept.key("xmpp.server", &running.server, &mut next.server);
            kept.key("xmpp.component", &running.component, &mut next.component);
            kept.key("xmpp.secret_file", &running.secret_file, &mut next.secret_file);
            kept.key("xmpp.focus", &running.focus, &mut next.focus);
        }
        (running, next) => kept.key("xmpp", running, next),
    }
    conferences(&running.conference, &mut next.conference, &mut kept);
    kept.key("media.bind", &running.media.bind, &mut next.media.bind);
    kept.key("media.address", &running.media.address, &mut next.media.address);
    kept.key("media.ports", &running.media.ports, &mut next.media.ports);
    kept.key("media.codecs", &running.media.codecs, &mut next.media.codecs);
    kept.key("media.latch", &running.media.latch, &mut next.media.latch);
    kept.key("http.listen", &running.http.listen, &mut next.http.listen);
    kept.key("telemetry.trace", &running.telemetry.trace, &mut next.telemetry.trace);
    if kept.0.is_empty() {
        return Ok(kept.0);
    }
    // Places are those of the file, which by itself is right.
    let nowhere = Document::parse("").unwrap_or_else(|_| unreachable!("an empty document is one"));
    match check::check(next, &nowhere).first() {
        Some(finding) => Err(format!("with what needs a restart ({}): {finding}", kept.0.join(", "))),
        None => Ok(kept.0),
    }
}

/// Sockets stay; who may connect to them, and how, may change.
fn listeners(running: &[Listener], next: &mut Vec<Listener>, kept: &mut Kept) {
    let mut wanted = std::mem::take(next);
    for listener in running {
        let Some(index) = wanted.iter().position(|other| other.address == listener.address) else {
            kept.note("sip.listener.address");
            next.push(listener.clone());
            continue;
        };
        let mut other = wanted.remove(index);
        kept.key("sip.listener.zone", &listener.zone, &mut other.zone);
        kept.key("sip.listener.advertise", &listener.advertise, &mut other.advertise);
        next.push(other);
    }
    if !wanted.is_empty() {
        kept.note("sip.listener.address");
    }
}

/// Conferences stay; the numbers that lead there may change.
fn conferences(running: &[Conference], next: &mut Vec<Conference>, kept: &mut Kept) {
    let mut wanted = std::mem::take(next);
    for conference in running {
        let Some(index) = wanted.iter().position(|other| other.domain == conference.domain) else {
            kept.note("conference.domain");
            next.push(conference.clone());
            continue;
        };
        let mut other = wanted.remove(index);
        let key = "conference.mute_visitors_in_unmoderated_rooms";
        let (mute, muted) =
            (&conference.mute_visitors_in_unmoderated_rooms, &mut other.mute_visitors_in_unmoderated_rooms);
        kept.key(key, mute, muted);
        kept.key("conference.rooms", &conference.rooms, &mut other.rooms);
        kept.key("conference.create", &conference.create, &mut other.create);
        next.push(other);
    }
    if !wanted.is_empty() {
        kept.note("conference.domain");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::schema;

    fn read(text: &str) -> Config {
        toml::from_str(text).unwrap()
    }

    const RUNNING: &str = r#"
        [service]
        domain = "example.com"
        [[sip.listener]]
        address = "udp:127.0.0.1:5060"
        zone = "access"
        [[sip.listener]]
        address = "ws:127.0.0.1:5080"
        zone = "access"
        [xmpp]
        server = "127.0.0.1:5347"
        component = "cusax.example.com"
        secret_file = "secret"
        [[conference]]
        domain = "conference.example.com"
        rooms = "conference.example.com"
    "#;

    #[test]
    fn what_may_change_changes_and_needs_no_restart() {
        let running = read(RUNNING);
        let text = RUNNING.replace("\"ws:127.0.0.1:5080\"", "\"ws:127.0.0.1:5080\"\norigins = [\"https://a.example\"]");
        let text = text + "numbers = { \"+14045550900\" = \"standup\" }\n[sip.auth]\nchallenge = false\n";
        let mut next = read(&text);
        next.sip.listener.reverse();
        assert_eq!(keep(&running, &mut next), Ok(Vec::new()));
        assert_eq!(next.sip.listener[0].address, running.sip.listener[0].address, "the order is that of the sockets");
        assert_eq!(next.sip.listener[1].origins.len(), 1);
        assert_eq!(next.conference[0].numbers.len(), 1);
        assert!(!next.sip.auth.challenge);
    }

    #[test]
    fn what_needs_a_restart_stays_is_named_and_says_so_in_the_default_file() {
        let running = read(RUNNING);
        let mut next = read(
            r#"
            [service]
            domain = "example.org"
            node = "edge-2"
            [directory]
            url = "sqlite:other.db"
            state = "other-state.db"
            [[sip.listener]]
            address = "udp:127.0.0.1:5060"
            zone = "core"
            advertise = "sip.example.org"
            [[sip.listener]]
            address = "tcp:127.0.0.1:5060"
            zone = "access"
            [xmpp]
            domain = "example.org"
            server = "127.0.0.1:5348"
            component = "cusax.example.org"
            secret_file = "other"
            focus = "other"
            [[conference]]
            domain = "conference.example.com"
            rooms = "rooms.example.com"
            create = "always"
            mute_visitors_in_unmoderated_rooms = false
            [[conference]]
            domain = "other.example.com"
            rooms = "other.example.com"
            [media]
            bind = "127.0.0.2"
            address = "127.0.0.3"
            ports = "50000-50127"
            codecs = ["PCMA"]
            latch = "relaxed"
            [http]
            listen = "127.0.0.1:8081"
            [telemetry]
            trace = "other-trace.db"
            "#,
        );
        let keys = keep(&running, &mut next).unwrap();
        assert_eq!(next, running, "all of it stays");
        assert_eq!(keys.len(), 23, "{keys:?}");
        let schema = schema().to_value();
        for key in keys {
            let mut described = String::new();
            let mut place = &schema;
            for word in key.split('.') {
                let inner = place.get("items").unwrap_or(place);
                place = inner.pointer(&format!("/properties/{word}")).unwrap();
                described.push_str(place["description"].as_str().unwrap_or_default());
            }
            assert!(
                described.contains("needs a restart") || described.contains("need a restart"),
                "{key}: {described}"
            );
        }
    }

    #[test]
    fn what_stays_and_what_is_new_must_go_together() {
        let running = read("[[sip.listener]]\naddress = \"tls:127.0.0.1:5061\"\nzone = \"access\"\n");
        let error = keep(&running, &mut Config::default()).unwrap_err();
        assert!(error.starts_with("with what needs a restart (sip.listener.address): a tls listener"), "{error}");
        let core = "[[sip.listener]]\naddress = \"udp:127.0.0.1:5070\"\nzone = \"core\"\n";
        let mut next = read(&format!("{core}[sip.core]\ntargets = [\"sip:127.0.0.1:5080\"]\n"));
        let error = keep(&Config::default(), &mut next).unwrap_err();
        assert!(error.contains("there is no listener for what the core sends"), "{error}");
    }
}
