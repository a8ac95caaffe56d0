//! What may be written in a configuration but is not built in this version: refused, never ignored.

use super::Config;
use super::diagnostic::Finding;
use super::directory::StoreUrl;
use super::document::{Document, Step, at};
use super::media::Codec;
use super::numbers::{Action, Numbers};

/// Everything in the file that this version cannot do.
pub(super) fn check(config: &Config, document: &Document<'_>) -> Vec<Finding> {
    let mut report = Report { document, findings: Vec::new() };
    sections(config, &mut report);
    if let Some(numbers) = &config.numbers {
        cues(numbers, &mut report);
    }
    for (index, codec) in config.media.codecs.iter().enumerate() {
        if matches!(codec, Codec::Opus | Codec::G722) {
            let what = serde_json::json!(codec).to_string();
            report.refuse(at!["media", "codecs", index], &what, "write codecs = [\"PCMU\", \"PCMA\"]");
        }
    }
    report.findings
}

struct Report<'a, 'i> {
    document: &'a Document<'i>,
    findings: Vec<Finding>,
}

impl Report<'_, '_> {
    fn refuse(&mut self, path: &[Step<'_>], what: &str, advice: &str) {
        let problem = format!("not built yet in this version: {what}");
        self.findings.push(Finding::new(self.document.place(path), problem, Some(advice.to_owned())));
    }
}

fn sections(config: &Config, report: &mut Report<'_, '_>) {
    if matches!(config.directory.url, StoreUrl::Postgres(_)) {
        report.refuse(at!["directory", "url"], "PostgreSQL", "write \"sqlite:cusax.db\"");
    }
    if config.provisioning.is_some() {
        report.refuse(at!["provisioning"], "provisioning", "take [provisioning] out");
    }
    if config.telemetry.hep.is_some() {
        report.refuse(at!["telemetry", "hep"], "HEP", "take the key out; `cusax trace` shows what happened");
    }
    if config.xmpp.as_ref().is_some_and(|xmpp| xmpp.puppets > 0) {
        report.refuse(at!["xmpp", "puppets"], "puppets", "write puppets = 0");
    }
}

fn cues(numbers: &Numbers, report: &mut Report<'_, '_>) {
    for (class, action) in numbers.policy.classes() {
        let what = match action {
            Action::Allow | Action::Text | Action::Block => continue,
            Action::Tone => "the cue \"tone\"",
            Action::Announce => "the cue \"announce\"",
            Action::Confirm => "the cue \"confirm\"",
        };
        report.refuse(at!["numbers", "policy", class], what, "write \"allow\", \"text\" or \"block\"");
    }
    if matches!(numbers.policy.foreign_contact, Action::Text | Action::Block) {
        report.refuse(at!["numbers", "policy", "foreign-contact"], "contacts' numbers", "take the key out");
    }
    if numbers.prompts.is_some() {
        report.refuse(at!["numbers", "prompts"], "prompts", "take the key out");
    }
}
