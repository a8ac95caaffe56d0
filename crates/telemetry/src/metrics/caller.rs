//! Families of caller identity and charge cues.

use cusax_event::sip::{CallInfoAction, CallInfoReason, CueKind, NumberClass};
use prometheus::IntCounter;

use super::children::{Children, Families, label};

pub(super) struct Caller {
    call_info: Children<IntCounter, 2>,
    classified: Children<IntCounter, 1>,
    cues: Children<IntCounter, 2>,
}

impl Caller {
    pub(super) fn new(families: &Families<'_>) -> Self {
        Self {
            call_info: families.counters(
                "callinfo_impp_total",
                "What was done to Call-Info values with purpose=impp (RFC 6993), and why.",
                &[label!("action", CallInfoAction), label!("reason", CallInfoReason)],
            ),
            classified: families.counters(
                "number_classifications_total",
                "Dialled numbers by what they are.",
                &[label!("class", NumberClass)],
            ),
            cues: families.counters(
                "pstn_cues_total",
                "Cues about charges that callers were given.",
                &[label!("kind", CueKind), label!("class", NumberClass)],
            ),
        }
    }

    pub(super) fn call_info(&self, action: CallInfoAction, reason: CallInfoReason) {
        self.call_info.at([action as usize, reason as usize]).inc();
    }

    pub(super) fn classified(&self, class: NumberClass) {
        self.classified.at([class as usize]).inc();
    }

    pub(super) fn cue(&self, kind: CueKind, class: NumberClass) {
        self.cues.at([kind as usize, class as usize]).inc();
    }
}
