//! Where next hops are (RFC 3263): each lookup is a task of its own, so that no other message waits for it.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use cusax_edge::LocateId;
use cusax_event::Event;
use cusax_event::service::{Lifecycle, Stage};
use cusax_net::resolver::{ResolveError, Resolver};
use cusax_net::{clock, random};
use cusax_sip::Transport;
use cusax_sip::location::{LocateError, Lookup, Naptr, Place, Question, Records, Srv, Target};
use tokio::sync::{Notify, mpsc};

use super::Shared;

/// Lookups that wait to be begun.
pub(super) const WAITING: usize = 4_096;

/// A next hop that is to be located.
pub(super) type Wanted = (LocateId, Target, Vec<Transport>);

/// Locates what the edge wants located.
pub(super) async fn run(core: Shared, rearm: Rc<Notify>, mut wanted: mpsc::Receiver<Wanted>, resolver: Arc<Resolver>) {
    while let Some((query, target, spoken)) = wanted.recv().await {
        let (core, rearm, resolver) = (Rc::clone(&core), Rc::clone(&rearm), Arc::clone(&resolver));
        tokio::task::spawn_local(async move {
            let places = find(&resolver, target, &spoken).await.map(|found| found.places);
            let now = clock::now();
            {
                let mut core = core.borrow_mut();
                core.edge.handle_located(query, places, now);
                core.settle(now);
            }
            rearm.notify_one();
        });
    }
}

/// Follows the core targets that are configured by name to where they are now.
pub(super) async fn follow(core: Shared, rearm: Rc<Notify>, resolver: Arc<Resolver>) {
    let mut lost = false;
    loop {
        tokio::time::sleep(FOLLOW).await;
        let targets = Arc::clone(&core.borrow().targets);
        if !targets.have_names() {
            continue;
        }
        match targets.locate(&resolver).await {
            // Others are configured meanwhile.
            _ if !Arc::ptr_eq(&targets, &core.borrow().targets) => {}
            // What did not answer may still be where it was.
            Ok((_, false)) => {}
            Ok((found, true)) => {
                lost = false;
                let now = clock::now();
                let mut core = core.borrow_mut();
                core.edge.handle_core(found, now);
                core.settle(now);
            }
            // What was found last may still be there.
            Err(error) if !lost => {
                lost = true;
                let detail = format!("{error:#}; going on with the addresses that were found last");
                core.borrow().telemetry.emit(&Event::Lifecycle(Lifecycle { stage: Stage::Degraded, detail }));
            }
            Err(_) => {}
        }
        rearm.notify_one();
    }
}

/// Between two looks at where the core is; answers are cached as long as DNS says.
const FOLLOW: Duration = Duration::from_secs(30);

/// Asks DNS what a lookup wants to know.
pub(crate) async fn find(resolver: &Resolver, target: Target, spoken: &[Transport]) -> Result<Found, LocateError> {
    let mut lookup = Lookup::new(target, spoken, random::seed())?;
    while let Some(question) = lookup.poll_question() {
        let records = ask(resolver, &question).await;
        lookup.handle_records(records);
    }
    let whole = lookup.is_whole();
    lookup.finish().map(|places| Found { places, whole })
}

/// What came of a lookup.
pub(crate) struct Found {
    pub(crate) places: Vec<Place>,
    /// False where DNS did not answer for all of it.
    pub(crate) whole: bool,
}

async fn ask(resolver: &Resolver, question: &Question) -> Result<Records, LocateError> {
    match question {
        Question::Naptr(domain) => resolver.naptr(domain).await.map_err(unanswered).map(|records| {
            let naptr = |record: cusax_net::resolver::Naptr| Naptr {
                order: record.order,
                preference: record.preference,
                flags: record.flags,
                services: record.services,
                replacement: record.replacement,
            };
            Records::Naptr(records.into_iter().map(naptr).collect())
        }),
        Question::Srv(name) => resolver.srv(name).await.map_err(unanswered).map(|records| {
            let srv = |record: cusax_net::resolver::Srv| Srv {
                priority: record.priority,
                weight: record.weight,
                port: record.port,
                target: record.target,
            };
            Records::Srv(records.into_iter().map(srv).collect())
        }),
        Question::Addresses(host) => resolver.addresses(host).await.map_err(unanswered).map(Records::Addresses),
    }
}

/// What is not there is an answer; that nobody answers is none.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
fn unanswered(error: ResolveError) -> LocateError {
    if matches!(error, ResolveError::Invalid(_) | ResolveError::NotFound(_)) {
        LocateError::NotFound
    } else {
        LocateError::Unanswered
    }
}
