//! The number plan, and the policy for charges.

use cusax_numbering::ConfigError;

use super::Report;
use crate::config::Config;
use crate::config::document::at;
use crate::config::numbers::{Action, Numbers};

pub(super) fn check(config: &Config, report: &mut Report<'_, '_>) {
    let Some(numbers) = &config.numbers else { return };
    let message = at!["numbers", "message"];
    if numbers.message && config.xmpp.is_none() && report.document.has(message) {
        let advice = "add [xmpp], or write message = false";
        report.refuse(message, "messages to callers go over XMPP, and there is no [xmpp]", advice);
    }
    if numbers.policy.foreign_contact != Action::Allow && config.xmpp.is_none() {
        let advice = "add [xmpp], or take the key out";
        let place = at!["numbers", "policy", "foreign-contact"];
        report.refuse(place, "contacts are known from rosters, and there is no [xmpp]", advice);
    }
    plan(numbers, report);
}

fn plan(numbers: &Numbers, report: &mut Report<'_, '_>) {
    let digits = at!["numbers", "extensions", "digits"];
    match numbers.classifier(Vec::new()) {
        Ok(classifier) => {
            let conflicts = classifier.conflicts();
            let dialled = conflicts.iter().map(|conflict| conflict.dialled.as_str()).collect::<Vec<_>>();
            if !dialled.is_empty() {
                let problem = format!("extensions of this length collide with emergency calls: {}", dialled.join(", "));
                report.refuse(digits, problem, "write another number of digits");
            }
        }
        Err(ConfigError::Extensions { .. }) => {
            let advice = "write 2 to 10 digits, and at most 15 together with the prefix";
            report.refuse(digits, "extensions of this length are none", advice);
        }
        Err(ConfigError::Country(country)) => {
            let problem = format!("{country:?} is no country with a numbering plan");
            report.refuse(at!["numbers", "country"], problem, "write its ISO 3166 code, such as \"US\"");
        }
        Err(error) => report.refuse(at!["numbers"], error.to_string(), "see `cusax config default`"),
    }
}
