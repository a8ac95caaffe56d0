//! The identifiers of an event as log fields.

use cusax_event::{Correlation, Identity};
use tracing::Level;

use crate::identities::Names;

/// The fields of a [`Correlation`]; the node is the log's own.
#[derive(Default)]
pub(super) struct Identifiers<'a> {
    pub(super) account: Option<i64>,
    pub(super) session: Option<String>,
    pub(super) remote_session: Option<String>,
    pub(super) call_id: Option<&'a str>,
    pub(super) conference: Option<String>,
    pub(super) room: Option<String>,
    pub(super) occupant: Option<String>,
    pub(super) leg: Option<u64>,
    pub(super) ssrc: Option<u32>,
}

impl<'a> Identifiers<'a> {
    /// Those that apply, with identities as a line of `level` may show them.
    ///
    /// A Call-ID is shown as it is: it is what other servers' logs have in common with ours.
    pub(super) fn of(correlation: &'a Correlation, names: &Names, level: Level) -> Self {
        let show = |identity: &Option<Identity>| identity.as_ref().map(|identity| names.show(identity, level));
        Self {
            account: correlation.account,
            session: correlation.session.map(|session| session.to_string()),
            remote_session: correlation.remote_session.map(|session| session.to_string()),
            call_id: correlation.call_id.as_deref(),
            conference: show(&correlation.conference),
            room: show(&correlation.room),
            occupant: show(&correlation.occupant),
            leg: correlation.leg.map(|leg| leg.0),
            ssrc: correlation.ssrc,
        }
    }

    /// Those of an event that knows its room only.
    pub(super) fn of_room(room: &Identity, names: &Names, level: Level) -> Self {
        Self { room: Some(names.show(room, level)), ..Self::default() }
    }
}
