//! What the trace store saw last of somebody.

use cusax_event::sip::AuthResult;
use cusax_telemetry::trace::{Lane, Record};
use serde::Serialize;

/// The last of each kind.
#[derive(Default, Serialize)]
pub(super) struct Seen {
    /// The final answer to the last REGISTER, a challenge among them.
    pub(super) registration: Option<Record>,
    /// The last login, where it failed and none has succeeded since.
    pub(super) login: Option<Record>,
    /// The final answer to the last INVITE, either way.
    pub(super) call: Option<Record>,
    /// The last request, registration or call that was refused.
    pub(super) refusal: Option<Record>,
}

impl Seen {
    /// Looks through the story of all the names, which is in the order of time.
    pub(super) fn of(mut records: Vec<Record>, names: &[String]) -> Self {
        records.retain(|record| names.iter().any(|name| record.entry.names(name)));
        let mut seen = Self::default();
        for record in records {
            seen.note(record);
        }
        seen
    }

    fn note(&mut self, record: Record) {
        let entry = &record.entry;
        if entry.event == "sip.auth" {
            match login_result(&record) {
                Some(AuthResult::Ok) => self.login = None,
                // The beginning of a login, not its end.
                Some(AuthResult::Challenged | AuthResult::Stale) | None => {}
                Some(
                    AuthResult::BadCredentials
                    | AuthResult::UnknownUser
                    | AuthResult::Replay
                    | AuthResult::BackendError
                    | AuthResult::Mismatch,
                ) => self.login = Some(record),
            }
            return;
        }
        let phone = [entry.from, entry.to].contains(&Lane::Client);
        let answered = entry.status.filter(|status| *status >= 200 && phone && !entry.retransmission);
        let Some(status) = answered else { return };
        let asked = matches!(status, 401 | 407);
        match entry.method.as_deref() {
            Some("REGISTER") => self.registration = Some(record.clone()),
            Some("INVITE") if !asked => self.call = Some(record.clone()),
            Some(_) | None => {}
        }
        if status >= 400 && !asked {
            self.refusal = Some(record);
        }
    }

    /// One line for each, as in the list of what an account is.
    pub(super) fn lines(&self) -> String {
        let said = [
            ("register", &self.registration),
            ("login", &self.login),
            ("call", &self.call),
            ("refused", &self.refusal),
        ];
        let lines = said.iter().filter_map(|(what, record)| Some(format!("{what:<10}{}\n", line((*record).as_ref()?))));
        let lines = lines.collect::<String>();
        if lines.is_empty() { "seen      nothing while the trace was kept\n".to_owned() } else { lines }
    }
}

/// When, what, and between whom.
fn line(record: &Record) -> String {
    let entry = &record.entry;
    let method = entry.method.as_deref().map(|method| format!("{method} ")).unwrap_or_default();
    let parties = match entry.participants.as_slice() {
        [from, to, ..] if from != to => format!(", from {from} to {to}"),
        _ => String::new(),
    };
    let notes = entry.notes.iter().filter(|note| note.starts_with("Warning:") || note.starts_with("Reason:"));
    let notes = notes.map(|note| format!(", {note}")).collect::<String>();
    let text = entry.text.strip_prefix("SIP/2.0 ").unwrap_or(&entry.text);
    format!("{} {method}{text}{parties}{notes}", at(record))
}

/// What came of a login.
pub(super) fn login_result(record: &Record) -> Option<AuthResult> {
    let word = record.entry.text.rsplit(' ').next()?;
    AuthResult::ALL.iter().copied().find(|result| result.as_str() == word)
}

/// When it happened, to the second.
pub(super) fn at(record: &Record) -> String {
    let at = record.time();
    at.split('.').next().unwrap_or_default().to_owned() + "Z"
}
