//! The response context of a request that is proxied (RFC 3261 §16, "response context").

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::transaction::{ClientId, ServerId};
use crate::{Edit, Flow, Message, Name};

use super::best::Candidate;

/// A request that is being proxied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ContextId {
    pub(super) slot: u32,
    pub(super) generation: u32,
}

/// One place that a request is sent to.
#[derive(Clone, Debug)]
pub struct Hop {
    /// Where to.
    pub flow: Flow,
    /// The request with the changes that this hop needs; Via and Max-Forwards are the proxy's own.
    pub edit: Edit,
    /// `host[:port]` for our Via.
    pub sent_by: String,
    /// True for a branch whose final response must never be chosen: the virtual UAS that gives a cue.
    pub minor: bool,
    /// What it counts as where nobody can be reached there: 503 (RFC 3261 §16.9), or 430 where the flow is the only way (RFC
    /// 5626 §5.3.1).
    pub unreachable: u16,
}

impl Hop {
    /// How long the request is when it leaves, in bytes, with what the proxy itself adds.
    #[must_use]
    pub fn length(&self) -> usize {
        self.edit.length() + self.sent_by.len() + OWN_LINES
    }
}

/// Our Via without sent-by, Max-Forwards, Max-Breadth and Content-Length at their longest.
const OWN_LINES: usize = 160;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BranchState {
    Calling,
    Proceeding,
    Done,
}

#[derive(Debug)]
pub(super) struct Branch {
    pub(super) client: ClientId,
    pub(super) flow: Flow,
    pub(super) state: BranchState,
    pub(super) minor: bool,
    /// What it counts as where its transport fails.
    pub(super) unreachable: u16,
    /// Its share of the request's breadth (RFC 5393 §5.3.3).
    pub(super) breadth: u32,
    /// A CANCEL is owed as soon as a provisional response allows it (§9.1).
    pub(super) cancel_wanted: bool,
    /// Another server was asked instead: a late provisional response is answered with CANCEL, a late 2xx goes up, and
    /// nobody waits for it.
    pub(super) superseded: bool,
    /// Timer C, or the end of waiting for a cancelled branch.
    pub(super) deadline: Option<Instant>,
}

impl Branch {
    pub(super) fn is_open(&self) -> bool {
        self.state != BranchState::Done
    }
}

#[derive(Debug)]
pub(super) struct Context {
    pub(super) generation: u32,
    pub(super) server: ServerId,
    pub(super) request: Arc<Message>,
    /// Where it came from.
    pub(super) flow: Flow,
    /// What its routing rests on, for the Via of its branches (RFC 5393 §4.2).
    pub(super) decided: u32,
    /// How many branches may be open at a time, here and below (RFC 5393 §5).
    pub(super) breadth: u32,
    /// Reason lines of the CANCEL that came, for the CANCELs that go (RFC 3326).
    pub(super) reasons: Vec<String>,
    pub(super) invite: bool,
    pub(super) started: Instant,
    pub(super) branches: Vec<Branch>,
    /// Places to try one after the other when the last one could not be reached.
    pub(super) alternates: VecDeque<Hop>,
    /// Groups of branches that are tried one after the other when all before them have failed.
    pub(super) later: VecDeque<Vec<Hop>>,
    pub(super) best: Option<Candidate>,
    /// The 401 and 407 that came, one a branch at most, for whichever of them is chosen.
    pub(super) challenges: Vec<Arc<Message>>,
    /// True once a final response was put out for [`super::Proxy::relay`]: nothing is concluded until it comes back.
    pub(super) chosen: bool,
    /// The status of the final response that was sent upstream.
    pub(super) answered: Option<u16>,
    pub(super) cancelled: bool,
}

impl Context {
    pub(super) fn has_open_branches(&self) -> bool {
        self.branches.iter().any(|branch| !branch.minor && !branch.superseded && branch.is_open())
    }

    /// Nothing else is tried any more: what is kept until the last 2xx has come takes as little room as it can.
    pub(super) fn forget_the_search(&mut self) {
        self.best = None;
        self.alternates = VecDeque::new();
        self.later = VecDeque::new();
        self.challenges = Vec::new();
        self.branches.shrink_to_fit();
    }

    /// Adds to a challenge those of the other branches, as they came: the caller answers all of them at once (§16.7 step 7).
    pub(super) fn add_challenges(&self, edit: &mut Edit) {
        let chosen = Arc::clone(edit.message());
        for other in self.challenges.iter().filter(|other| !Arc::ptr_eq(other, &chosen)) {
            for name in [Name::WwwAuthenticate, Name::ProxyAuthenticate] {
                other.values(name).for_each(|value| edit.append(name.as_str(), value));
            }
        }
    }
}
