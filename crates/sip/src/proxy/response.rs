//! What becomes of responses, silence and CANCEL (RFC 3261 §16.7 to §16.10).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::best::{Candidate, better};
use super::context::{BranchState, ContextId};
use super::{Alarm, Output, Proxy, TIMER_C, TIMER_C_LOOK};
use crate::flow::Transport;
use crate::name::Name;
use crate::transaction::{ServerId, T64};
use crate::{Compose, Flow, Message};
use cusax_event::sip::{DropReason, Timer};

/// How late timer C may be.
const TIMER_C_STEP: Duration = Duration::from_secs(1);

impl Proxy {
    pub(super) fn branch_response(&mut self, owner: u64, message: Arc<Message>, flow: Flow, now: Instant) {
        let (Some((id, index)), Some(status)) = (self.owner(owner), message.status()) else { return };
        let Some(context) = self.context_mut(id) else { return };
        let (invite, answered) = (context.invite, context.answered);
        let Some(branch) = context.branches.get_mut(index) else { return };
        if message.values(Name::Via).nth(1).is_none() {
            // Step 3: what has no Via left is not for those upstream.
            let (reason, detail) = (DropReason::Malformed, "a response without the Via of whom we sent for");
            // A better 2xx to INVITE may still come.
            let over = branch.is_open() && status >= if invite { 300 } else { 200 };
            let counts = !branch.minor && !branch.superseded;
            if over {
                branch.state = BranchState::Done;
            }
            self.outputs.push_back(Output::Dropped { reason, flow, detail });
            if over && counts {
                // Its transaction is over all the same, and nothing else comes of this branch.
                self.record(id, Candidate::Generated(502));
            }
            if over {
                self.conclude(id, now);
            }
            return;
        }
        match status {
            100..=199 => {
                branch.state = BranchState::Proceeding;
                let (client, cancel) = (branch.client, branch.cancel_wanted);
                let reasons = if cancel { context.reasons.clone() } else { Vec::new() };
                if status > 100 && invite && !cancel {
                    // Step 2: every provisional response but 100 starts timer C again.
                    branch.deadline = Some(now + TIMER_C);
                }
                if cancel {
                    self.layer.cancel(client, &lines(&reasons), now);
                }
                // RFC 4320 §4.1: to other than INVITE nothing but 100 is provisional, and that ends at each hop.
                if status > 100 && invite && answered.is_none() {
                    self.outputs.push_back(Output::Response { context: id, message, flow });
                }
            }
            // Step 5: a 2xx to INVITE goes up at once, also a second one; to others only the first.
            200..=299 if !branch.minor => {
                branch.state = BranchState::Done;
                if invite || answered.is_none() {
                    context.chosen = true;
                    self.outputs.push_back(Output::Response { context: id, message, flow });
                } else {
                    self.conclude(id, now);
                }
            }
            _ => {
                branch.state = BranchState::Done;
                let place = branch.flow.remote;
                if branch.minor || branch.superseded {
                    return self.conclude(id, now);
                }
                let retry = status == 503 && !context.cancelled;
                if retry && self.try_alternate(id, Some(place), now) {
                    return;
                }
                // RFC 4320 §4.2: a 408 to other than INVITE comes too late for whoever asked.
                if status == 408 && !invite {
                    return self.conclude(id, now);
                }
                // Step 6: a 503 speaks of the server that sent it; upstream it would speak of us. A user agent in
                // this very process speaks for us.
                let candidate = match status {
                    503 if flow.transport != Transport::Internal => Candidate::Generated(500),
                    _ => Candidate::Received(message, flow),
                };
                self.record(id, candidate);
                if status >= 600 {
                    self.cancel_branches(id, now);
                }
                self.conclude(id, now);
            }
        }
    }

    /// A branch got no answer at all (timer B or F), or its transport failed.
    pub(super) fn branch_failed(&mut self, owner: u64, timer: Option<Timer>, now: Instant) {
        let Some((id, index)) = self.owner(owner) else { return };
        let Some(context) = self.context_mut(id) else { return };
        let (invite, cancelled) = (context.invite, context.cancelled);
        let Some(branch) = context.branches.get_mut(index) else { return };
        branch.state = BranchState::Done;
        let (flow, minor, unreachable) = (branch.flow, branch.minor || branch.superseded, branch.unreachable);
        self.outputs.push_back(Output::BranchFailed { context: id, flow, timer });
        if !minor {
            // After timer F the client of a request other than INVITE has given up as well.
            let waits = invite || timer.is_none();
            // Who is silent by one transport is silent by the others; who is not reached by one may be by another.
            if waits && !cancelled && self.try_alternate(id, timer.map(|_| flow.remote), now) {
                return;
            }
            // Timer B counts as 408, a transport error as what its hop says (§16.7, §16.9). RFC 4320 §4.2: no 408 to
            // other than INVITE, the client has given up by now.
            match (timer, invite) {
                (Some(_), false) => {}
                (Some(_), true) => self.record(id, Candidate::Generated(408)),
                (None, _) => self.record(id, Candidate::Generated(unreachable)),
            }
        }
        self.conclude(id, now);
    }

    /// Timer C, or a cancelled branch that never ended.
    pub(super) fn branch_alarm(&mut self, id: ContextId, index: usize, now: Instant) {
        let Some(context) = self.context_mut(id) else { return };
        let Some(branch) = context.branches.get_mut(index) else { return };
        let Some(left) = branch.deadline.map(|deadline| deadline.saturating_duration_since(now)) else { return };
        if !branch.is_open() {
            return;
        }
        if !left.is_zero() {
            // A cancelled one has an alarm of its own.
            if !branch.cancel_wanted {
                let look = if left >= TIMER_C_LOOK { TIMER_C_LOOK } else { TIMER_C_STEP };
                self.timers.arm(look, Alarm::Branch(id, index), now);
            }
            return;
        }
        if branch.state == BranchState::Proceeding && !branch.cancel_wanted {
            branch.cancel_wanted = true;
            branch.deadline = Some(now + T64);
            let (client, flow) = (branch.client, branch.flow);
            self.layer.cancel(client, &[], now);
            self.timers.arm(T64, Alarm::Branch(id, index), now);
            self.outputs.push_back(Output::BranchFailed { context: id, flow, timer: Some(Timer::C) });
        } else {
            branch.state = BranchState::Done;
            let (client, minor) = (branch.client, branch.minor || branch.superseded);
            self.layer.abandon(client);
            if !minor {
                self.record(id, Candidate::Generated(408));
            }
            self.conclude(id, now);
        }
    }

    pub(super) fn handle_cancel(
        &mut self,
        server: ServerId,
        message: &Message,
        cancels: Option<(ServerId, u64)>,
        now: Instant,
    ) {
        let found = cancels.and_then(|(about, owner)| {
            let (id, _) = self.owner(owner)?;
            // RFC 3261 §9.2: other methods it does not touch.
            self.context(id).filter(|context| context.server == about && context.invite)?;
            Some(id)
        });
        let tag = self.tag();
        if cancels.is_none() {
            // Nothing is kept for it: it may come from anybody.
            let tag = self.layer.stateless_tag(message);
            return self.layer.respond_once(server, Compose::response(message, 481, None, Some(&tag)).empty());
        }
        // One that comes too late is as good as any (RFC 3261 §9.2): its INVITE has been answered.
        self.layer.respond(server, 200, Compose::response(message, 200, None, Some(&tag)).empty(), now);
        let Some(id) = found else { return };
        let reasons = message.values(Name::Reason).map(str::to_owned).collect();
        let Some(context) = self.context_mut(id) else { return };
        context.reasons = reasons;
        context.cancelled = true;
        context.alternates.clear();
        let (idle, answered) = (context.branches.is_empty(), context.answered.is_some());
        self.cancel_branches(id, now);
        if idle && !answered {
            self.record(id, Candidate::Generated(487));
            self.conclude(id, now);
        }
    }

    pub(super) fn cancel_branches(&mut self, id: ContextId, now: Instant) {
        let Some(context) = self.context_mut(id) else { return };
        if !context.invite {
            return;
        }
        if context.reasons.is_empty() && context.answered.is_some_and(|status| (200..300).contains(&status)) {
            // RFC 3326 §2: the others need not count it as a missed call.
            context.reasons.push("SIP;cause=200;text=\"Call completed elsewhere\"".to_owned());
        }
        let mut due = Vec::new();
        for (index, branch) in context.branches.iter_mut().enumerate() {
            if branch.is_open() && !branch.cancel_wanted {
                branch.cancel_wanted = true;
                branch.deadline = Some(now + T64);
                due.push((index, branch.client, branch.state));
            }
        }
        let reasons = context.reasons.clone();
        for (index, client, state) in due {
            self.timers.arm(T64, Alarm::Branch(id, index), now);
            if state == BranchState::Proceeding {
                self.layer.cancel(client, &lines(&reasons), now);
            }
        }
    }

    /// Asks the next server instead, and waits no more for one that may be dead.
    pub(super) fn supersede(&mut self, id: ContextId, index: usize, now: Instant) {
        let Some(context) = self.context_mut(id) else { return };
        let invite = context.invite;
        let Some(branch) = context.branches.get_mut(index) else { return };
        let (client, flow) = (branch.client, branch.flow);
        if invite {
            (branch.superseded, branch.cancel_wanted, branch.deadline) = (true, true, Some(now + T64));
            self.timers.arm(T64, Alarm::Branch(id, index), now);
        } else {
            branch.state = BranchState::Done;
            self.layer.abandon(client);
        }
        self.outputs.push_back(Output::BranchFailed { context: id, flow, timer: None });
        if !self.try_alternate(id, Some(flow.remote), now) {
            self.record(id, Candidate::Generated(503));
            self.conclude(id, now);
        }
    }

    /// Starts the next alternate; `except` names a server that need not be asked again.
    fn try_alternate(&mut self, id: ContextId, except: Option<SocketAddr>, now: Instant) -> bool {
        let Some(context) = self.context_mut(id) else { return false };
        if context.answered.is_some() {
            return false;
        }
        let next = std::iter::from_fn(|| context.alternates.pop_front())
            .find(|hop| except.is_none_or(|place| hop.flow.remote != place));
        let Some(hop) = next else { return false };
        let breadth = context.breadth;
        self.start_branch(id, hop, breadth, now)
    }

    pub(super) fn record(&mut self, id: ContextId, candidate: Candidate) {
        let Some(context) = self.context_mut(id) else { return };
        if let Candidate::Received(message, _) = &candidate
            && matches!(message.status(), Some(401 | 407))
        {
            context.challenges.push(Arc::clone(message));
        }
        context.best = Some(better(context.best.take(), candidate));
    }

    /// Concludes a request none of whose branches could be started.
    pub(super) fn conclude_idle(&mut self, id: ContextId, now: Instant) {
        if self.context(id).is_some_and(|context| context.best.is_some() && !context.has_open_branches()) {
            self.conclude(id, now);
        }
    }

    /// Sends the best final response when no branch can bring a better one (§16.7 step 6).
    pub(super) fn conclude(&mut self, id: ContextId, now: Instant) {
        let Some(context) = self.context_mut(id) else { return };
        if context.has_open_branches() {
            return;
        }
        if context.answered.is_some() {
            return self.settle(id, now);
        }
        if context.chosen {
            return;
        }
        let over = context.cancelled || context.best.as_ref().is_some_and(|best| best.status() >= 600);
        if let Some(hops) = context.later.pop_front().filter(|_| !over) {
            return self.fork(id, hops, now);
        }
        match context.best.take() {
            Some(Candidate::Received(message, flow)) => {
                context.chosen = true;
                self.outputs.push_back(Output::Response { context: id, message, flow });
            }
            Some(Candidate::Generated(status)) => {
                // Whatever became of it: the caller had given up.
                let status = if context.cancelled && context.invite { 487 } else { status };
                let request = Arc::clone(&context.request);
                let tag = self.tag();
                let bytes = Compose::response(&request, status, None, Some(&tag)).empty();
                self.respond(id, status, bytes, now);
            }
            // Nothing to say (RFC 4320 §4.2): the transaction dies with its client's.
            None => self.close(id),
        }
    }
}

fn lines(reasons: &[String]) -> Vec<(&str, &str)> {
    reasons.iter().map(|reason| (Name::Reason.as_str(), reason.as_str())).collect()
}
