//! The conferences in the SIP thread: their core, and its ring to the media thread.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use cusax_conference::{Account, AccountKey as Asked, Conferences, Output};
use cusax_edge::AccountKey;
use cusax_event::Event;
use cusax_event::service::{Lifecycle, Stage};
use cusax_mixer::{Command, Event as MixerEvent};
use cusax_net::clock;
use cusax_net::wait::Waker;
use tokio::sync::{Notify, mpsc};

use super::{Core, Shared};
use crate::config::Config;
use crate::serve::accounts;
use crate::serve::conference;
use crate::serve::media::Media;
use crate::serve::stores::{Keep, Restricted};

/// The conferences, and where their decisions go.
pub(super) struct Meetings {
    pub(super) core: Conferences,
    commands: rtrb::Producer<Command>,
    events: rtrb::Consumer<MixerEvent>,
    waker: Waker,
    told: Arc<Notify>,
    keep: mpsc::Sender<Keep>,
}

impl Meetings {
    /// Makes the conferences; without any in the configuration there are none.
    pub(super) fn open(
        config: &Config,
        media: Option<Media>,
        restrictions: Vec<Restricted>,
        keep: mpsc::Sender<Keep>,
    ) -> anyhow::Result<Option<Self>> {
        let Some(media) = media else { return Ok(None) };
        let Media { commands, events, waker, told, ports } = media;
        let core = conference::open(config, ports, restrictions)?;
        Ok(Some(Self { core, commands, events, waker, told, keep }))
    }
}

/// Hears what the mixer confirms.
pub(super) async fn listen(core: Shared, rearm: Rc<Notify>) {
    let told = core.borrow().meetings.as_ref().map(|meetings| Arc::clone(&meetings.told));
    let Some(told) = told else { return };
    loop {
        told.notified().await;
        let now = clock::now();
        let mut core = core.borrow_mut();
        if let Some(meetings) = &mut core.meetings {
            while let Ok(event) = meetings.events.pop() {
                meetings.core.handle_mixer_event(event, now);
            }
        }
        core.settle(now);
        rearm.notify_one();
    }
}

impl Core {
    /// Does what the conferences want done; true where there was anything.
    pub(super) fn pump_meetings(&mut self, now: Instant) -> bool {
        let mut any = false;
        while let Some(output) = self.meetings.as_mut().and_then(|meetings| meetings.core.poll_output()) {
            any = true;
            match output {
                Output::Sip(transmit) => self.edge.handle_message(transmit.bytes, transmit.flow, now),
                Output::Stanza(stanza) => self.say(stanza),
                Output::Mixer(command) => self.command(command),
                Output::Account { query, key } => {
                    let snapshot = self.directory.snapshot();
                    let key = match key {
                        Asked::User(user) => AccountKey::User(user),
                        Asked::Number(number) => AccountKey::Number(number),
                    };
                    let account = accounts::find(&snapshot, &self.domain, &key);
                    let account = account.map(|found| self.account(found.id, found.jid.as_deref()));
                    if let Some(meetings) = &mut self.meetings {
                        meetings.core.handle_account(query, account, now);
                    }
                }
                Output::Restrict(entry) => self.keep(conference::restrict(&entry)),
                Output::Lift { room, jid, restriction } => {
                    self.keep(conference::lift(&room, jid.as_ref(), restriction))
                }
                Output::Event(event) => self.telemetry.emit(&event),
            }
        }
        any
    }

    /// What the focus is told of an account. One whose JID is none is nobody in a room, so that no moderator reaches him.
    fn account(&self, id: i64, jid: Option<&str>) -> Account {
        let read = jid.map(str::parse);
        if let Some(Err(_)) = read {
            let detail = format!("the JID of account {id} is none: no moderator reaches him");
            self.telemetry.emit(&Event::Lifecycle(Lifecycle { stage: Stage::Degraded, detail }));
        }
        Account { id, jid: read.and_then(Result::ok) }
    }

    fn command(&mut self, command: Command) {
        let Some(meetings) = &mut self.meetings else { return };
        if meetings.commands.push(command).is_err() {
            let detail = String::from("the media thread does not keep up: a command was lost");
            self.telemetry.emit(&Event::Lifecycle(Lifecycle { stage: Stage::Degraded, detail }));
            return;
        }
        meetings.waker.wake();
    }

    fn keep(&mut self, keep: Keep) {
        let Some(meetings) = &self.meetings else { return };
        if meetings.keep.try_send(keep).is_err() {
            let detail = String::from("a restriction was not kept: the state file does not keep up");
            self.telemetry.emit(&Event::Lifecycle(Lifecycle { stage: Stage::Degraded, detail }));
        }
    }
}
