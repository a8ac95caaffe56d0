//! A Prosody of our own, in a temporary directory, and blocking shells around the cores.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cusax_xmpp::client::{self, Client};
use cusax_xmpp::component::{self, Component};
use cusax_xmpp::muc::{self, Link, Room, RoomEvent};
use cusax_xmpp::sasl::PlainPolicy;
use cusax_xmpp::stream::Limits;
use cusax_xmpp::{Element, Jid, Secret};

#[expect(clippy::disallowed_methods, reason = "a real server keeps real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// A running Prosody with users alice, bob and carol; killed when dropped.
pub(crate) struct Prosody {
    child: Child,
    directory: PathBuf,
    pub(crate) clients: u16,
    pub(crate) component: u16,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Prosody {
    pub(crate) fn start(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("cusax-xmpp-{name}-{}", std::process::id()));
        let accounts = directory.join("data/example%2etest/accounts");
        fs::create_dir_all(&accounts).unwrap();
        for user in ["alice", "bob", "carol"] {
            fs::write(accounts.join(format!("{user}.dat")), format!("return {{ [\"password\"] = \"pw-{user}\"; }};\n"))
                .unwrap();
        }
        let (clients, component) = (free_port(), free_port());
        let path = directory.display();
        let config = format!(
            "run_as_root = true\npidfile = '{path}/pid'\ndata_path = '{path}/data'\ninterfaces = {{ '127.0.0.1' }}\n\
             c2s_ports = {{ {clients} }}\ncomponent_ports = {{ {component} }}\nmodules_disabled = {{ 's2s' }}\n\
             modules_enabled = {{ 'saslauth', 'disco', 'ping' }}\nauthentication = 'internal_plain'\n\
             c2s_require_encryption = false\nallow_unencrypted_plain_auth = true\nlog = {{ {{ levels = {{ min = 'info' }}, to = 'file', \
             filename = '{path}/log' }} }}\nVirtualHost 'example.test'\nComponent 'conference.example.test' 'muc'\n\
             admins = {{ 'focus@cusax.example.test' }}\nComponent 'cusax.example.test'\ncomponent_secret = 's3cret'\n"
        );
        fs::write(directory.join("prosody.cfg.lua"), config).unwrap();
        Self { child: spawn(&directory), directory, clients, component }
    }

    pub(crate) fn restart(&mut self) {
        self.stop();
        self.child = spawn(&self.directory);
    }

    fn stop(&mut self) {
        let terminated =
            Command::new("kill").arg(self.child.id().to_string()).status().is_ok_and(|status| status.success());
        assert!(terminated);
        self.child.wait().unwrap();
    }
}

fn spawn(directory: &std::path::Path) -> Child {
    let config = directory.join("prosody.cfg.lua");
    let output = fs::File::create(directory.join("output")).unwrap();
    Command::new("prosody").arg("-F").arg("--config").arg(config).stdout(output).stderr(Stdio::null()).spawn().unwrap()
}

impl Drop for Prosody {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // A failed test leaves the server's log to be read.
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

struct Wire(TcpStream);

impl Wire {
    fn open(port: u16) -> Option<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        stream.set_nodelay(true).unwrap();
        Some(Self(stream))
    }

    /// Bytes, `None` where there are none yet, nothing at all at the end.
    fn read(&mut self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 65536];
        match self.0.read(&mut buffer) {
            Ok(read) => Some(buffer[..read].to_vec()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
            Err(_) => Some(Vec::new()),
        }
    }
}

/// A user's client.
pub(crate) struct User {
    core: Client,
    wire: Wire,
    pub(crate) jid: Option<Jid>,
    pub(crate) mechanism: Option<&'static str>,
    pub(crate) failed: Option<String>,
    pub(crate) stanzas: Vec<Element>,
}

/// Everything in one thread: component, the view of a room, users.
pub(crate) struct World {
    pub(crate) prosody: Prosody,
    component: Component,
    wire: Option<Wire>,
    pub(crate) room: Option<Room>,
    pub(crate) events: Vec<RoomEvent>,
    pub(crate) links: Vec<String>,
    pub(crate) users: Vec<User>,
}

impl World {
    pub(crate) fn start(name: &str) -> Self {
        let prosody = Prosody::start(name);
        let config = component::Config {
            domain: "cusax.example.test".parse().unwrap(),
            secret: Secret::new("s3cret"),
            server_domain: "example.test".parse().unwrap(),
            limits: Limits::default(),
        };
        let component = Component::new(config, 1, now());
        Self { prosody, component, wire: None, room: None, events: Vec::new(), links: Vec::new(), users: Vec::new() }
    }

    pub(crate) fn log_in(&mut self, user: &str, resource: &str, password: &str) -> usize {
        let config = client::Config {
            jid: format!("{user}@example.test").parse().unwrap(),
            resource: Some(resource.to_owned()),
            password: Secret::new(password),
            plain: PlainPolicy::Refused,
            limits: Limits::default(),
        };
        let mut core = Client::new(config, [self.users.len() as u8 + 1; 16]);
        core.handle_connected(now());
        let wire = Wire::open(self.prosody.clients).unwrap();
        self.users.push(User { core, wire, jid: None, mechanism: None, failed: None, stanzas: Vec::new() });
        self.users.len() - 1
    }

    pub(crate) fn send(&mut self, user: usize, stanza: &Element) {
        self.users[user].core.send(stanza);
    }

    /// Sends a stanza of the component's.
    pub(crate) fn say(&mut self, stanza: Element) {
        self.component.send(stanza);
    }

    pub(crate) fn watch(&mut self, room: &str) {
        let config = muc::Config {
            patience: Duration::from_secs(2),
            room: room.parse().unwrap(),
            focus: "focus@cusax.example.test/mixer".parse().unwrap(),
            nick: "conference-bridge".to_owned(),
            limits: muc::Limits::default(),
        };
        self.room = Some(Room::new(config, 2, now()));
    }

    pub(crate) fn is_up(&self) -> bool {
        self.component.is_ready()
    }

    /// Cuts the component's connection as a network would.
    pub(crate) fn cut(&mut self) {
        self.wire = None;
        self.component.handle_closed(now());
    }

    /// Runs until something holds, and tells how long that took.
    pub(crate) fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) -> Duration {
        let began = now();
        while !holds(self) {
            assert!(began.elapsed() < Duration::from_secs(20), "{what}: {:?}", self.events);
            self.turn();
        }
        began.elapsed()
    }

    /// Runs for a while.
    pub(crate) fn run(&mut self, time: Duration) {
        let began = now();
        while began.elapsed() < time {
            self.turn();
        }
    }

    fn turn(&mut self) {
        for user in &mut self.users {
            user.turn();
        }
        if let Some(bytes) = self.wire.as_mut().and_then(Wire::read) {
            if bytes.is_empty() {
                self.cut();
            } else {
                self.component.handle_bytes(&bytes, now());
            }
        }
        self.component.handle_timeout(now());
        if let Some(room) = &mut self.room {
            room.handle_timeout(now());
        }
        while self.drain() {}
    }

    /// Does what the cores want next; what is to be sent is written at once, as small segments would wait for the
    /// server's acknowledgements.
    fn drain(&mut self) -> bool {
        let mut written = Vec::new();
        while let Some(output) = self.component.poll_output() {
            match output {
                component::Output::Connect => {
                    self.wire = Wire::open(self.prosody.component);
                    if self.wire.is_some() {
                        self.component.handle_connected(now());
                    } else {
                        self.component.handle_closed(now());
                    }
                }
                component::Output::Send(bytes) => written.extend(bytes),
                component::Output::Close => self.wire = None,
                component::Output::Stanza { element, received } => {
                    if let Some(room) = &mut self.room {
                        room.handle_stanza(&element, received);
                    }
                }
                component::Output::Ready => self.link(Link::Up),
                component::Output::Down => self.link(Link::Down),
                component::Output::Event(event) => {
                    if let cusax_event::Event::XmppLink(link) = *event {
                        self.links.push(format!("{} {}", link.state, link.detail));
                    }
                }
            }
        }
        if let Some(wire) = self.wire.as_mut().filter(|_| !written.is_empty()) {
            let _ = wire.0.write_all(&written);
        }
        let mut progress = !written.is_empty();
        while let Some(output) = self.room.as_mut().and_then(Room::poll_output) {
            progress = true;
            match output {
                muc::Output::Send(stanza) => self.component.send(stanza),
                muc::Output::Event(event) => self.events.push(event),
                muc::Output::Dropped(dropped) => panic!("{dropped:?}"),
            }
        }
        progress
    }

    fn link(&mut self, link: Link) {
        if let Some(room) = &mut self.room {
            room.handle_link(link, now());
        }
    }
}

impl User {
    fn turn(&mut self) {
        if let Some(bytes) = self.wire.read() {
            if bytes.is_empty() {
                self.core.handle_closed();
            } else {
                self.core.handle_bytes(&bytes, now());
            }
        }
        while let Some(output) = self.core.poll_output() {
            match output {
                client::Output::Send(bytes) => {
                    let _ = self.wire.0.write_all(&bytes);
                }
                client::Output::Online { jid, mechanism } => {
                    self.jid = Some(jid);
                    self.mechanism = Some(mechanism.as_str());
                }
                client::Output::AuthFailed { condition, .. } => self.failed = Some(condition),
                client::Output::Stanza { element, .. } => self.stanzas.push(element),
                client::Output::Close | client::Output::Closed { .. } => {}
                client::Output::Event(event) => panic!("{event:?}"),
            }
        }
    }
}
