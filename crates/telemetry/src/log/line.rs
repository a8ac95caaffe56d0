//! The one match that turns an event into a log line.

use cusax_event::media::{Codec, DropReason, ParticipantState};
use cusax_event::moderation::{ActionResult, ReconcileResult};
use cusax_event::service::{DirectoryState, ReloadResult, Stage};
use cusax_event::sip::{
    AuthResult, OverloadLevel, ProbeResult, ShedCause, TransactionKind, UpstreamResult, UpstreamState,
};
use cusax_event::xmpp::LinkState;
use cusax_event::{Event, Identity};
use tracing::Level;

use super::Lines;
use super::identifiers::Identifiers;

/// The level of an event's line.
pub(super) fn level(event: &Event) -> Level {
    match event {
        Event::SipMessage(message) if message.retransmission => Level::TRACE,
        Event::SipMessage(_)
        | Event::SipDropped(_)
        | Event::SipTransaction(_)
        | Event::SipConnection(_)
        | Event::TlsHandshake(_) => Level::DEBUG,
        Event::SipForwarded(_) | Event::SipReport(_) => Level::TRACE,
        Event::XmppStanza(_) | Event::XmppDropped(_) | Event::RtpDropped(_) | Event::HttpDropped(_) => Level::DEBUG,
        Event::MixerReport(_) => Level::TRACE,
        Event::SipAuth(auth) => match auth.result {
            AuthResult::Ok | AuthResult::Challenged | AuthResult::Stale => Level::DEBUG,
            AuthResult::BadCredentials | AuthResult::UnknownUser | AuthResult::Replay | AuthResult::Mismatch => {
                Level::INFO
            }
            AuthResult::BackendError => Level::WARN,
        },
        Event::SipUpstream(upstream) => match upstream.result {
            UpstreamResult::Ok => Level::TRACE,
            UpstreamResult::Error | UpstreamResult::Timeout | UpstreamResult::NoRoute => Level::WARN,
        },
        Event::SipUpstreamProbed(probed) => match probed.result {
            ProbeResult::Ok => Level::TRACE,
            ProbeResult::Unavailable | ProbeResult::Failed => Level::DEBUG,
        },
        Event::SipUpstreamChanged(changed) => match changed.state {
            UpstreamState::Up => Level::INFO,
            UpstreamState::Draining | UpstreamState::Down => Level::WARN,
        },
        Event::SipShed(shed) => match shed.cause {
            // One line for each request of a flood would be a flood.
            ShedCause::SourceRate | ShedCause::Overload => Level::DEBUG,
            ShedCause::AccountRate => Level::INFO,
            ShedCause::EmergencyLane => Level::ERROR,
        },
        Event::SipOverload(changed) => match changed.level {
            OverloadLevel::None => Level::INFO,
            OverloadLevel::Others | OverloadLevel::Registrations | OverloadLevel::Calls | OverloadLevel::Dialogs => {
                Level::WARN
            }
        },
        Event::SipCall(_) | Event::SipTimeout(_) | Event::CallInfo(_) | Event::Classified(_) | Event::Cue(_) => {
            Level::INFO
        }
        Event::XmppLink(link) => match link.state {
            LinkState::Connected => Level::INFO,
            LinkState::Lost => Level::WARN,
            LinkState::Refused => Level::ERROR,
        },
        Event::Room(_) | Event::Leg(_) | Event::Conference(_) => Level::INFO,
        Event::Moderation(moderation) => match moderation.result {
            ActionResult::Applied | ActionResult::Noop | ActionResult::Rejected | ActionResult::Unconfirmed => {
                Level::INFO
            }
            ActionResult::Failed => Level::WARN,
        },
        Event::Reconcile(reconcile) => match reconcile.result {
            ReconcileResult::InSync => Level::DEBUG,
            ReconcileResult::Repaired => Level::INFO,
            ReconcileResult::Failed => Level::WARN,
        },
        Event::Directory(directory) => match directory.state {
            DirectoryState::Loaded | DirectoryState::Refreshed => Level::INFO,
            DirectoryState::Stale
            | DirectoryState::ReadOnly
            | DirectoryState::StateReadOnly
            | DirectoryState::WriteFailed => Level::WARN,
        },
        Event::ConfigReload(reload) => match reload.result {
            ReloadResult::Applied if reload.needs_restart.is_empty() => Level::INFO,
            ReloadResult::Applied => Level::WARN,
            ReloadResult::Refused => Level::ERROR,
        },
        Event::Lifecycle(lifecycle) => match lifecycle.stage {
            Stage::Started | Stage::Draining | Stage::Stopped | Stage::Recovered => Level::INFO,
            Stage::Degraded => Level::WARN,
        },
    }
}

/// The stable name of an event: the `event` field of its line and its trace record.
pub(crate) const fn name(event: &Event) -> &'static str {
    match event {
        Event::SipMessage(_) => "sip.message",
        Event::SipDropped(_) => "sip.dropped",
        Event::SipConnection(_) => "sip.connection",
        Event::TlsHandshake(_) => "tls.handshake",
        Event::SipForwarded(_) => "sip.forwarded",
        Event::SipReport(_) => "sip.report",
        Event::SipTransaction(_) => "sip.transaction",
        Event::SipCall(_) => "sip.call",
        Event::SipAuth(_) => "sip.auth",
        Event::SipTimeout(_) => "sip.timeout",
        Event::SipUpstream(_) => "sip.upstream",
        Event::SipUpstreamProbed(_) => "sip.upstream.probed",
        Event::SipUpstreamChanged(_) => "sip.upstream.changed",
        Event::SipShed(_) => "sip.shed",
        Event::SipOverload(_) => "sip.overload",
        Event::CallInfo(_) => "caller.call_info",
        Event::Classified(_) => "number.classified",
        Event::Cue(_) => "number.cue",
        Event::XmppLink(_) => "xmpp.link",
        Event::XmppStanza(_) => "xmpp.stanza",
        Event::XmppDropped(_) => "xmpp.dropped",
        Event::Room(_) => "muc.room",
        Event::Moderation(_) => "moderation.mirrored",
        Event::Reconcile(_) => "moderation.reconciled",
        Event::Leg(_) => "media.leg",
        Event::Conference(_) => "media.conference",
        Event::RtpDropped(_) => "media.rtp_dropped",
        Event::MixerReport(_) => "mixer.report",
        Event::Directory(_) => "directory.snapshot",
        Event::HttpDropped(_) => "http.dropped",
        Event::ConfigReload(_) => "config.reload",
        Event::Lifecycle(_) => "service.lifecycle",
    }
}

/// Every name that the `event` field can have.
pub const EVENT_NAMES: [&str; 32] = [
    "sip.message",
    "sip.dropped",
    "sip.connection",
    "tls.handshake",
    "sip.forwarded",
    "sip.report",
    "sip.transaction",
    "sip.call",
    "sip.auth",
    "sip.timeout",
    "sip.upstream",
    "sip.upstream.probed",
    "sip.upstream.changed",
    "sip.shed",
    "sip.overload",
    "caller.call_info",
    "number.classified",
    "number.cue",
    "xmpp.link",
    "xmpp.stanza",
    "xmpp.dropped",
    "muc.room",
    "moderation.mirrored",
    "moderation.reconciled",
    "media.leg",
    "media.conference",
    "media.rtp_dropped",
    "mixer.report",
    "directory.snapshot",
    "http.dropped",
    "config.reload",
    "service.lifecycle",
];

/// Writes one line at `$level` with the event's name, the identifiers and the fields given. `tracing` wants its levels
/// at compile time: hence five call sites.
macro_rules! line {
    ($log:ident, $level:ident, $event:ident, $ids:expr, $($field:ident = $value:expr),+ $(,)?) => {{
        let ids: Identifiers<'_> = $ids;
        macro_rules! at {
            ($at:ident) => {
                tracing::$at!(
                    target: "cusax",
                    event = name($event),
                    node = $log.node.as_str(),
                    $($field = $value,)+
                    account = ids.account,
                    session = ids.session.as_deref(),
                    remote_session = ids.remote_session.as_deref(),
                    call_id = ids.call_id,
                    conference = ids.conference.as_deref(),
                    room = ids.room.as_deref(),
                    occupant = ids.occupant.as_deref(),
                    leg = ids.leg,
                    ssrc = ids.ssrc,
                )
            };
        }
        match $level {
            Level::ERROR => at!(error),
            Level::WARN => at!(warn),
            Level::INFO => at!(info),
            Level::DEBUG => at!(debug),
            Level::TRACE => at!(trace),
        }
    }};
}

/// Writes the line of an event at the level that [`level`] gave.
pub(super) fn write(log: &Lines, level: Level, event: &Event) {
    let show = |identity: &Option<Identity>| identity.as_ref().map(|identity| log.names.show(identity, level));
    let text = |text: &str| log.names.free_text(text, level);
    match event {
        Event::SipMessage(it) => line!(
            log,
            level,
            event,
            Identifiers::of(&it.correlation, &log.names, level),
            side = it.leg.as_str(), // `leg` is the focus' leg
            dir = it.direction.as_str(),
            transport = it.transport.as_str(),
            method = it.method.as_str(),
            status = it.status,
            retransmission = it.retransmission,
            local = tracing::field::display(it.local),
            remote = log.names.address(it.remote, level),
            first_line = it.summary.as_ref().map(|summary| &*summary.first_line),
        ),
        Event::SipDropped(it) => line!(
            log,
            level,
            event,
            Identifiers::default(),
            reason = it.reason.as_str(),
            transport = it.transport.as_str(),
            remote = it.remote.map(|remote| log.names.address(remote, level)),
            count = it.count,
            detail = text(it.detail),
        ),
        Event::SipConnection(it) => line!(
            log,
            level,
            event,
            Identifiers::default(),
            side = it.leg.as_str(),
            transport = it.transport.as_str(),
            result = it.result.as_str(),
            remote = log.names.address(it.remote, level),
        ),
        Event::TlsHandshake(it) => line!(
            log,
            level,
            event,
            Identifiers::default(),
            aspect = it.aspect.as_str(),
            side = it.side.as_str(),
            result = it.result.as_str(),
            version = it.version.as_str(),
            remote = log.names.address(it.remote, level),
            detail = it.detail,
        ),
        Event::SipForwarded(it) => {
            line!(log, level, event, Identifiers::default(), requests = it.requests, seconds = it.delay.as_secs_f64(),)
        }
        Event::SipReport(it) => {
            let [server, client] = it.transactions.map(|kinds| {
                counts(&TransactionKind::ALL.iter().map(|kind| kind.as_str()).zip(kinds).collect::<Vec<_>>())
            });
            line!(log, level, event, Identifiers::default(), server_transactions = server, client_transactions = client,)
        }
        Event::SipTransaction(it) => line!(
            log,
            level,
            event,
            Identifiers::of(&it.correlation, &log.names, level),
            method = it.method.as_str(),
            status = it.status,
            outcome = it.outcome.as_str(),
            seconds = it.duration.as_secs_f64(),
        ),
        Event::SipCall(it) => line!(
            log,
            level,
            event,
            Identifiers::of(&it.correlation, &log.names, level),
            outcome = it.outcome.as_str(),
            status = it.status,
            caller = show(&it.caller),
        ),
        Event::SipAuth(it) => line!(
            log,
            level,
            event,
            Identifiers::of(&it.correlation, &log.names, level),
            result = it.result.as_str(),
            algorithm = it.algorithm.as_str(),
            user = show(&it.user),
            remote = log.names.address(it.remote, level),
        ),
        Event::SipTimeout(it) => {
            line!(log, level, event, Identifiers::of(&it.correlation, &log.names, level), timer = it.timer.as_str(),)
        }
        Event::SipUpstreamProbed(it) => line!(
            log,
            level,
            event,
            Identifiers::default(),
            upstream = &*it.upstream,
            result = it.result.as_str(),
            seconds = it.duration.as_secs_f64(),
        ),
        Event::SipUpstreamChanged(it) => {
            line!(log, level, event, Identifiers::default(), upstream = &*it.upstream, state = it.state.as_str(),)
        }
        Event::SipShed(it) => line!(
            log,
            level,
            event,
            Identifiers::of(&it.correlation, &log.names, level),
            urgency = it.urgency.as_str(),
            cause = it.cause.as_str(),
            answered = it.answered,
            remote = log.names.address(it.remote, level),
        ),
        Event::SipOverload(it) => {
            line!(log, level, event, Identifiers::default(), level_of_overload = it.level.as_str(),)
        }
        Event::SipUpstream(it) => line!(
            log,
            level,
            event,
            Identifiers::default(),
            upstream = &*it.upstream, // configured by the operator: names nobody
            result = it.result.as_str(),
        ),
        Event::CallInfo(it) => line!(
            log,
            level,
            event,
            Identifiers::of(&it.correlation, &log.names, level),
            action = it.action.as_str(),
            reason = it.reason.as_str(),
        ),
        Event::Classified(it) => line!(
            log,
            level,
            event,
            Identifiers::of(&it.correlation, &log.names, level),
            class = it.class.as_str(),
            number = log.names.show(&it.number, level),
        ),
        Event::Cue(it) => line!(
            log,
            level,
            event,
            Identifiers::of(&it.correlation, &log.names, level),
            kind = it.kind.as_str(),
            class = it.class.as_str(),
            number = log.names.show(&it.number, level),
            caller = show(&it.caller),
        ),
        Event::XmppLink(it) => line!(
            log,
            level,
            event,
            Identifiers::default(),
            state = it.state.as_str(),
            component = it.component.as_str(),
            detail = text(&it.detail),
            retry_seconds = it.retry_in.map(|retry| retry.as_secs_f64()),
        ),
        Event::XmppStanza(it) => line!(
            log,
            level,
            event,
            Identifiers::of(&it.correlation, &log.names, level),
            dir = it.direction.as_str(),
            kind = it.kind.as_str(),
            error = it.error.as_deref(),
            summary = it.summary.as_deref(),
        ),
        Event::XmppDropped(it) => {
            line!(log, level, event, Identifiers::default(), reason = it.reason.as_str(), detail = text(&it.detail),)
        }
        Event::Room(it) => line!(
            log,
            level,
            event,
            Identifiers::of_room(&it.room, &log.names, level),
            mirrored = it.mirrored,
            detail = text(it.detail),
        ),
        Event::Moderation(it) => line!(
            log,
            level,
            event,
            Identifiers::of(&it.correlation, &log.names, level),
            action = it.action.as_str(),
            origin = it.origin.as_str(),
            result = it.result.as_str(),
            actor = show(&it.actor),
            reason = it.reason.as_deref().map(text),
            seconds = it.delay.map(|delay| delay.as_secs_f64()),
        ),
        Event::Reconcile(it) => {
            line!(log, level, event, Identifiers::of_room(&it.room, &log.names, level), result = it.result.as_str(),)
        }
        Event::Leg(it) => line!(
            log,
            level,
            event,
            Identifiers::of(&it.correlation, &log.names, level),
            state = it.state.as_str(),
            status = it.status,
            participant = show(&it.participant),
            codec = it.codec,
        ),
        Event::Conference(it) => {
            line!(log, level, event, Identifiers::of(&it.correlation, &log.names, level), active = it.active,)
        }
        Event::RtpDropped(it) => {
            line!(log, level, event, Identifiers::default(), reason = it.reason.as_str(), packets = it.packets,)
        }
        Event::MixerReport(it) => line!(
            log,
            level,
            event,
            Identifiers::default(),
            thread = it.thread,
            conferences = it.conferences,
            participants = counts(
                &ParticipantState::ALL.iter().map(|state| state.as_str()).zip(it.participants).collect::<Vec<_>>()
            ),
            received = counts(&Codec::ALL.iter().map(|codec| codec.as_str()).zip(it.received).collect::<Vec<_>>()),
            sent = counts(&Codec::ALL.iter().map(|codec| codec.as_str()).zip(it.sent).collect::<Vec<_>>()),
            dropped = counts(&DropReason::ALL.iter().map(|reason| reason.as_str()).zip(it.dropped).collect::<Vec<_>>()),
            lost = it.lost,
            concealed = it.concealed,
            ticks = it.ticks.count,
            overran_ticks = it.ticks.overran,
            late_ticks = it.ticks.late,
            longest_tick_seconds = it.ticks.longest.as_secs_f64(),
        ),
        Event::Directory(it) => line!(
            log,
            level,
            event,
            Identifiers::default(),
            state = it.state.as_str(),
            accounts = it.accounts,
            detail = text(&it.detail),
        ),
        Event::HttpDropped(it) => {
            line!(log, level, event, Identifiers::default(), reason = it.reason.as_str(), detail = text(&it.detail),)
        }
        Event::ConfigReload(it) => line!(
            log,
            level,
            event,
            Identifiers::default(),
            result = it.result.as_str(),
            needs_restart = (!it.needs_restart.is_empty()).then(|| it.needs_restart.join(", ")),
            detail = it.detail.as_str(), // the operator's own file: whom it names he knows
        ),
        Event::Lifecycle(it) => {
            line!(log, level, event, Identifiers::default(), stage = it.stage.as_str(), detail = text(&it.detail),)
        }
    }
}

/// `PCMU:50 opus:100`, without what is zero.
fn counts(of: &[(&str, u64)]) -> String {
    of.iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{name}:{count}"))
        .collect::<Vec<_>>()
        .join(" ")
}
