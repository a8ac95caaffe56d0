//! Families of the SIP side.

use cusax_event::sip::{
    Algorithm, AuthResult, CallOutcome, Connection, ConnectionResult, Direction, DropReason, Dropped, Forwarded, Leg,
    Message, Method, Outcome, OverloadChanged, Report, Role, Shed, ShedCause, Timer, TransactionEnded, TransactionKind,
    Transport, Urgency,
};
use prometheus::{Histogram, IntCounter, IntGauge};

use super::children::{Children, Families, label};
use super::status;

pub(super) struct Sip {
    requests: Children<IntCounter, 4>,
    responses: Children<IntCounter, 3>,
    retransmissions: Children<IntCounter, 3>,
    final_responses: Children<IntCounter, 2>,
    transactions: Children<IntGauge, 2>,
    durations: Children<Histogram, 2>,
    delay: Children<Histogram, 0>,
    connections: Children<IntGauge, 2>,
    connection_results: Children<IntCounter, 3>,
    dropped: Children<IntCounter, 1>,
    shed: Children<IntCounter, 2>,
    overload: Children<IntGauge, 0>,
    calls: Children<IntCounter, 1>,
    auth: Children<IntCounter, 2>,
    timeouts: Children<IntCounter, 1>,
}

impl Sip {
    pub(super) fn new(families: &Families<'_>) -> Self {
        let leg = || label!("leg", Leg);
        let dir = || label!("dir", Direction);
        let method_class = || ("method", METHOD_CLASSES.to_vec());
        let outer = || ("leg", LEGS.map(Leg::as_str).to_vec());
        let stream = || ("transport", STREAMS.map(Transport::as_str).to_vec());
        Self {
            requests: families.counters(
                "sip_requests_total",
                "SIP requests that passed a listener, retransmissions not among them.",
                &[leg(), dir(), label!("method", Method), label!("transport", Transport)],
            ),
            responses: families.counters(
                "sip_responses_total",
                "SIP responses that passed a listener, retransmissions not among them.",
                &[leg(), dir(), ("class", status::CLASSES.to_vec())],
            ),
            retransmissions: families.counters(
                "sip_retransmissions_total",
                "SIP messages that had been sent or received before.",
                &[leg(), dir(), ("kind", vec!["request", "response"])],
            ),
            final_responses: families.counters(
                "sip_final_responses_total",
                "Final responses that ended server transactions.",
                &[method_class(), ("code", status::CODES.to_vec())],
            ),
            transactions: families.gauges(
                "sip_transactions",
                "Transactions that live now.",
                &[label!("role", Role), label!("kind", TransactionKind)],
            ),
            delay: families.histograms(
                "sip_proxy_delay_seconds",
                "Time from receiving a request to sending it on.",
                &[0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5],
                &[],
            ),
            connections: families.gauges("sip_connections", "SIP connections that are open now.", &[outer(), stream()]),
            connection_results: families.counters(
                "sip_connections_total",
                "SIP connections by what became of them.",
                &[outer(), stream(), label!("result", ConnectionResult)],
            ),
            durations: families.histograms(
                "sip_transaction_duration_seconds",
                "Time from a request to its final response.",
                &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 32.0],
                &[method_class(), label!("outcome", Outcome)],
            ),
            dropped: families.counters(
                "sip_dropped_total",
                "SIP datagrams, messages and connections that were dropped.",
                &[label!("reason", DropReason)],
            ),
            shed: families.counters(
                "sip_shed_total",
                "SIP requests that were turned away because there were too many of them.",
                &[label!("urgency", Urgency), label!("cause", ShedCause)],
            ),
            overload: families.gauges(
                "sip_overload_level",
                "What is turned away for overload: 0 nothing, 1 what is no call, 2 registrations too, 3 new calls too, 4 all \
                 but calls for help and the ends of calls.",
                &[],
            ),
            calls: families.counters("sip_calls_total", "Calls whose set-up ended.", &[label!("outcome", CallOutcome)]),
            auth: families.counters(
                "sip_auth_total",
                "Digest challenges and the answers to them.",
                &[label!("result", AuthResult), label!("algorithm", Algorithm)],
            ),
            timeouts: families.counters(
                "sip_timeouts_total",
                "Transactions that a timer of RFC 3261 ended.",
                &[label!("timer", Timer)],
            ),
        }
    }

    pub(super) fn message(&self, message: &Message) {
        let (leg, dir) = (message.leg as usize, message.direction as usize);
        if message.retransmission {
            self.retransmissions.at([leg, dir, usize::from(message.status.is_some())]).inc();
            return;
        }
        match message.status {
            None => self.requests.at([leg, dir, message.method as usize, message.transport as usize]).inc(),
            Some(status) => self.responses.at([leg, dir, status::class(status)]).inc(),
        }
    }

    pub(super) fn dropped(&self, dropped: &Dropped) {
        self.dropped.at([dropped.reason as usize]).inc_by(dropped.count.into());
    }

    pub(super) fn shed(&self, shed: &Shed) {
        self.shed.at([shed.urgency as usize, shed.cause as usize]).inc();
    }

    pub(super) fn overload_changed(&self, changed: OverloadChanged) {
        self.overload.at([]).set(changed.level as i64);
    }

    pub(super) fn transaction(&self, ended: &TransactionEnded) {
        let method = method_class(ended.method);
        self.final_responses.at([method, status::place(ended.status)]).inc();
        self.durations.at([method, ended.outcome as usize]).observe(ended.duration.as_secs_f64());
    }

    pub(super) fn report(&self, report: &Report) {
        for (role, kinds) in report.transactions.iter().enumerate() {
            for (kind, count) in kinds.iter().enumerate() {
                self.transactions.at([role, kind]).set(i64::try_from(*count).unwrap_or(i64::MAX));
            }
        }
    }

    pub(super) fn forwarded(&self, forwarded: &Forwarded) {
        let delay = forwarded.delay.as_secs_f64();
        (0..forwarded.requests).for_each(|_| self.delay.at([]).observe(delay));
    }

    pub(super) fn connection(&self, connection: &Connection) {
        let leg = LEGS.iter().position(|leg| *leg == connection.leg);
        let transport = STREAMS.iter().position(|transport| *transport == connection.transport);
        let (Some(leg), Some(transport)) = (leg, transport) else { return };
        self.connection_results.at([leg, transport, connection.result as usize]).inc();
        match connection.result {
            ConnectionResult::Accepted | ConnectionResult::Connected => self.connections.at([leg, transport]).inc(),
            ConnectionResult::Closed => self.connections.at([leg, transport]).dec(),
            ConnectionResult::Refused | ConnectionResult::Failed => {}
        }
    }

    pub(super) fn call(&self, outcome: CallOutcome) {
        self.calls.at([outcome as usize]).inc();
    }

    pub(super) fn auth(&self, result: AuthResult, algorithm: Algorithm) {
        self.auth.at([result as usize, algorithm as usize]).inc();
    }

    pub(super) fn timeout(&self, timer: Timer) {
        self.timeouts.at([timer as usize]).inc();
    }
}

/// The sides that connections are on: what is inside this process has none.
const LEGS: [Leg; 3] = [Leg::Client, Leg::Upstream, Leg::Peer];

/// The transports that have connections.
const STREAMS: [Transport; 4] = [Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];

/// Methods as far as histograms and codes tell them apart: every label value costs fifteen series there.
const METHOD_CLASSES: [&str; 3] = ["INVITE", "REGISTER", "other"];

fn method_class(method: Method) -> usize {
    let place = METHOD_CLASSES.iter().position(|class| *class == method.as_str());
    place.unwrap_or(METHOD_CLASSES.len() - 1)
}
