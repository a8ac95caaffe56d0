//! The component and the conferences.

use super::Report;
use crate::config::Config;
use crate::config::conference::Conference;
use crate::config::document::at;

pub(super) fn check(config: &Config, report: &mut Report<'_, '_>) {
    if let Some(xmpp) = &config.xmpp {
        let users = config.xmpp_domain();
        if xmpp.component == *users {
            let advice = format!("write a domain of its own, such as \"cusax.{users}\"");
            report.refuse(at!["xmpp", "component"], format!("{users} is the domain of the users' JIDs"), advice);
        }
    }
    for (index, conference) in config.conference.iter().enumerate() {
        service(config, index, conference, report);
        twins(&config.conference[..index], index, conference, report);
    }
}

fn service(config: &Config, index: usize, conference: &Conference, report: &mut Report<'_, '_>) {
    let rooms = at!["conference", index, "rooms"];
    match &config.xmpp {
        None => {
            let advice = "add [xmpp] with server, component and secret_file, or take the [[conference]] out";
            report.refuse(
                rooms,
                format!("the rooms of {} are reached over XMPP, and there is no [xmpp]", conference.rooms),
                advice,
            );
        }
        Some(xmpp) if xmpp.component == conference.rooms => {
            let problem = format!("{} is the component itself, not a MUC service", conference.rooms);
            report.refuse(
                rooms,
                problem,
                format!("write the server's MUC service, such as \"conference.{}\"", config.xmpp_domain()),
            );
        }
        Some(_) if conference.rooms == *config.xmpp_domain() => {
            let problem = format!("{} is the domain of the users' JIDs, not a MUC service", conference.rooms);
            report.refuse(
                rooms,
                problem,
                format!("write the server's MUC service, such as \"conference.{}\"", config.xmpp_domain()),
            );
        }
        Some(_) => {}
    }
    if conference.domain == config.service.domain {
        let problem = format!("{} is service.domain: every address of record would be a conference", conference.domain);
        let advice = format!("write a domain of its own, such as \"conference.{}\"", config.service.domain);
        report.refuse(at!["conference", index, "domain"], problem, advice);
    }
}

fn twins(before: &[Conference], index: usize, conference: &Conference, report: &mut Report<'_, '_>) {
    if before.iter().any(|other| other.domain == conference.domain) {
        let problem = format!("{} is there twice", conference.domain);
        report.refuse(at!["conference", index, "domain"], problem, "give each [[conference]] a domain of its own");
    }
    if before.iter().any(|other| other.rooms == conference.rooms) {
        let problem = format!("the rooms of {} have a conference domain already", conference.rooms);
        report.refuse(at!["conference", index, "rooms"], problem, "one conference domain is one MUC service");
    }
    for number in
        conference.numbers.keys().filter(|number| before.iter().any(|other| other.numbers.contains_key(*number)))
    {
        let problem = format!("{number} dials in to another conference already");
        report.refuse(at!["conference", index, "numbers", number.as_str()], problem, "take one out");
    }
}
