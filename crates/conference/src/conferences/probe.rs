//! Is there still anybody? A phone that lost its power or its network says no BYE: where nothing is heard of a leg for
//! long, it is asked by OPTIONS within its dialog (RFC 3261 §11, §12.2).

use std::time::Instant;

use cusax_event::LegId;
use cusax_sip::Method;
use cusax_sip::ua::{CallHandle, SentHandle};

use super::{Conferences, Place};

impl Conferences {
    /// Nothing came from a leg for long.
    pub(super) fn probe(&mut self, id: LegId, now: Instant) {
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| !leg.is_leaving() && leg.probe.is_none()) else { return };
        // Where too much is open it is asked when its silence is told once more.
        leg.probe = self.agent.send_within(leg.call, Method::Options.as_str(), &[], None, now);
    }

    /// The answer to a probe, or that none came.
    pub(super) fn probed(&mut self, request: SentHandle, call: CallHandle, status: u16, now: Instant) {
        let Some(Place::In(id)) = self.calls.get(&call) else { return };
        let Some(leg) = self.legs.get_mut(id).filter(|leg| leg.probe == Some(request)) else { return };
        leg.probe = None;
        if !leg.is_leaving() && GONE.contains(&status) {
            leg.gone = Some(status);
            let id = leg.id;
            self.hang_up(id, status, "There is nobody", now);
        }
    }
}

/// No answer, no flow to him any more (RFC 5626 §5.3), no such dialog, nobody reached. Any other answer is somebody's.
const GONE: [u16; 4] = [408, 430, 481, 503];
