//! Calls through the proxy core over a link that loses, repeats and reorders: every INVITE ends, and nothing stays
//! behind. A failure names its seed; `CUSAX_SEED=n` runs that one alone.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cusax_sip::proxy::{self, Hop, Proxy};
use cusax_sip::ua::{self, Body, CallHandle, Outgoing, UserAgent};
use cusax_sip::{Edit, Flow, ListenerId, Message, Name, Transport, Uri};
use cusax_tests::link::Link;

const ALICE: usize = 0;
const BOB: usize = 1;
const CONTACTS: [&str; 2] = ["<sip:alice@10.0.0.1:5060>", "<sip:bob@10.0.0.3:5060>"];
const PROXY: &str = "10.0.0.2:5060";

struct World {
    link: Link,
    agents: [UserAgent; 2],
    proxy: Proxy,
    /// How often each call of each agent has ended.
    ends: BTreeMap<(usize, CallHandle), u32>,
    answered: u32,
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn place(agent: usize) -> SocketAddr {
    address(["10.0.0.1:5060", "10.0.0.3:5060"][agent])
}

fn flow(remote: SocketAddr) -> Flow {
    Flow { listener: ListenerId(0), transport: Transport::Udp, remote, connection: None, domain: None }
}

impl World {
    fn new(seed: u64) -> Self {
        let agent = |agent: usize| {
            let config = ua::Config { sent_by: place(agent).to_string(), ..ua::Config::default() };
            UserAgent::new(config, [seed, agent as u64], 1_000)
        };
        Self {
            link: Link::new(seed),
            agents: [agent(ALICE), agent(BOB)],
            proxy: Proxy::new([seed, 7], 1_000),
            ends: BTreeMap::new(),
            answered: 0,
        }
    }

    /// One random deed of one random person.
    fn act(&mut self) {
        let now = self.link.now;
        let live: Vec<_> = self.ends.iter().filter(|(_, count)| **count == 0).map(|(key, _)| *key).collect();
        if live.is_empty() || self.link.random(3) == 0 {
            let offer = Body::sdp("v=0");
            let to = "<sip:bob@10.0.0.3:5060>";
            let outgoing = Outgoing {
                contact: Some(CONTACTS[ALICE]),
                body: Some(&offer),
                ..Outgoing::new("sip:bob@10.0.0.3:5060", "<sip:alice@10.0.0.1>", to, flow(address(PROXY)))
            };
            if let Some(call) = self.agents[ALICE].invite(&outgoing, now) {
                self.ends.insert((ALICE, call), 0);
            }
            return;
        }
        let (agent, call) = live[usize::try_from(self.link.random(live.len() as u64)).expect("below a length")];
        let deed = self.link.random(6);
        let phone = &mut self.agents[agent];
        match deed {
            0 => phone.progress(call, 180, CONTACTS[agent], &[], None, now),
            1 | 2 => phone.accept(call, CONTACTS[agent], &[], Some(&Body::sdp("v=0")), now),
            3 => phone.reject(call, 486, &[], now),
            _ => phone.hang_up(call, &[], now),
        }
    }

    /// Carries everything to where it goes until nobody has more to say now.
    fn settle(&mut self) {
        loop {
            let mut any = false;
            for agent in [ALICE, BOB] {
                while let Some(output) = self.agents[agent].poll_output() {
                    any = true;
                    self.agent_says(agent, output);
                }
            }
            while let Some(output) = self.proxy.poll_output() {
                any = true;
                self.proxy_says(output);
            }
            if !any {
                return;
            }
        }
    }

    fn agent_says(&mut self, agent: usize, output: ua::Output) {
        match output {
            ua::Output::Transmit(transmit) => self.link.send(place(agent), transmit.flow.remote, &transmit.bytes),
            ua::Output::Invited { call, .. } => {
                self.ends.insert((agent, call), 0);
            }
            ua::Output::Answered { .. } => self.answered += 1,
            ua::Output::Failed { call, .. } | ua::Output::Ended { call, .. } => {
                *self.ends.get_mut(&(agent, call)).expect("the end of a call that never was") += 1;
            }
            ua::Output::Reoffered { call, .. } => {
                let now = self.link.now;
                self.agents[agent].answer_offer(call, &[], None, now);
            }
            ua::Output::Progress { .. }
            | ua::Output::Acked { .. }
            | ua::Output::Agreed { .. }
            | ua::Output::Refused { .. }
            | ua::Output::Request { .. }
            | ua::Output::Response { .. }
            | ua::Output::Dropped { .. } => {}
        }
    }

    fn proxy_says(&mut self, output: proxy::Output) {
        let now = self.link.now;
        match output {
            proxy::Output::Transmit { transmit, .. } => {
                self.link.send(address(PROXY), transmit.flow.remote, &transmit.bytes);
            }
            proxy::Output::Request { context, message, .. } => self.proxy.forward(context, hop(&message), now),
            proxy::Output::Ack { message, .. } => self.proxy.forward_stateless(hop(&message), now),
            proxy::Output::Response { context, message, .. } => self.proxy.relay(context, Edit::new(message), now),
            proxy::Output::Answered { .. }
            | proxy::Output::BranchFailed { .. }
            | proxy::Output::Closed { .. }
            | proxy::Output::Absorbed { .. }
            | proxy::Output::Unacknowledged { .. }
            | proxy::Output::Dropped { .. } => {}
        }
    }

    /// Runs until a time, jumping from one event to the next.
    fn run(&mut self, until: Instant) {
        loop {
            self.settle();
            let timers = self.agents.iter().map(UserAgent::poll_timeout).chain([self.proxy.poll_timeout()]);
            let next = timers.chain([self.link.next()]).flatten().min().filter(|next| *next <= until);
            let Some(next) = next else { break };
            self.link.now = self.link.now.max(next);
            let now = self.link.now;
            while let Some(datagram) = self.link.arrived() {
                let message = Message::parse(datagram.bytes).expect("what an agent or the proxy sent");
                let from = flow(datagram.from);
                match [ALICE, BOB].into_iter().find(|agent| place(*agent) == datagram.to) {
                    Some(agent) => self.agents[agent].handle_message(message, from, now),
                    None => self.proxy.handle_message(message, from, now),
                }
            }
            self.agents.iter_mut().for_each(|agent| agent.handle_timeout(now));
            self.proxy.handle_timeout(now);
        }
        self.link.now = self.link.now.max(until);
    }
}

/// To where the Request-URI says, with our Route taken off and, on a new call, our Record-Route put on.
fn hop(message: &Arc<Message>) -> Hop {
    let mut edit = Edit::new(Arc::clone(message));
    edit.pop(Name::Route, 1);
    if message.to_tag().is_empty() {
        edit.push_above(Name::RecordRoute, &format!("<sip:{PROXY};lr>"));
    }
    let uri = Uri::parse(message.request_uri_text()).expect("the Request-URI of an agent");
    let remote = SocketAddr::new(uri.address().expect("an agent is known by its address"), uri.port.unwrap_or(5060));
    Hop { flow: flow(remote), edit, sent_by: PROXY.to_owned(), minor: false, unreachable: 503 }
}

fn simulate(seed: u64) -> u32 {
    let mut world = World::new(seed);
    for _ in 0..60 {
        world.act();
        let pause = Duration::from_millis(world.link.random(3_000));
        world.run(world.link.now + pause);
    }
    // Everybody hangs up, and the longest timer (C, and what follows it) runs out.
    let live: Vec<_> = world.ends.iter().filter(|(_, count)| **count == 0).map(|(key, _)| *key).collect();
    for (agent, call) in live {
        let now = world.link.now;
        world.agents[agent].hang_up(call, &[], now);
    }
    world.run(world.link.now + Duration::from_secs(600));
    for ((agent, call), count) in &world.ends {
        assert_eq!(*count, 1, "seed {seed}: call {call} of agent {agent} ended {count} times");
    }
    assert_eq!(world.proxy.counts(), (0, 0, 0), "seed {seed}: the proxy's tables are not empty");
    assert!(world.agents.iter().all(UserAgent::is_idle), "seed {seed}: an agent's tables are not empty");
    world.answered
}

#[test]
fn every_invite_ends_and_nothing_stays_behind_on_a_lossy_link() {
    if let Some(seed) = std::env::var("CUSAX_SEED").ok().and_then(|seed| seed.parse().ok()) {
        simulate(seed);
        return;
    }
    let seeds = if std::env::var_os("CUSAX_LONG").is_some() { 3_000 } else { 64 };
    let answered: u32 = (0..seeds).map(simulate).sum();
    assert!(answered > u32::try_from(seeds).unwrap(), "only {answered} calls were answered at all");
}
