//! `cusax account explain`: from what is kept and what was seen to one sentence and the next thing to do.

mod seen;

use std::process::ExitCode;

use cusax_directory::{Account, DirectoryError, Key, Mode, View};
use cusax_event::sip::AuthResult;
use cusax_telemetry::trace::find;
use serde_json::{Value, json};

use super::{details, open, to_json};
use crate::cli::output;
use crate::config::Config;
use seen::{Seen, at, login_result};

/// What there is to say of an account that exists.
struct Known {
    account: Account,
    views: Vec<View>,
    scram_iterations: u32,
}

/// The judgement: how it is, and what to do about it.
struct Verdict {
    well: bool,
    says: String,
    next: String,
}

/// Explains whom the key names, also where no account has it; exit code 1 where something is wrong.
pub(super) async fn run(key: &Key, config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let directory = open(config, Mode::ReadOnly).await?;
    let known = match directory.show(key).await {
        Ok(account) => {
            let (views, scram_iterations) = directory.shown(&account).await?;
            Some(Known { account, views, scram_iterations })
        }
        Err(DirectoryError::NoSuchAccount(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let names = match &known {
        Some(Known { account, .. }) => {
            [account.aor(), account.jid()].into_iter().chain(account.numbers.iter().cloned()).collect()
        }
        None => vec![key.to_string()],
    };
    let seen = look(config, &names);
    let verdict = match &known {
        None => unknown(key, config),
        Some(known) => judge(known, &seen, config),
    };
    if json {
        output::print_json(&data(known.as_ref(), &seen, &verdict))?;
    } else {
        output::print(&page(known.as_ref(), &seen, &verdict, config))?;
    }
    Ok(if verdict.well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the trace store has of any of the names; an error where there is none to ask.
fn look(config: &Config, names: &[String]) -> Result<Seen, String> {
    let records = find(&config.telemetry.trace, names).map_err(|error| error.to_string())?;
    Ok(Seen::of(records, names))
}

fn unknown(key: &Key, config: &Config) -> Verdict {
    let domain = config.service.domain.as_str();
    let says = format!("no account has {key}");
    let next = match key {
        Key::Sip(user, of) | Key::Address(user, of) if of == domain => format!("make it: cusax account add {user}"),
        Key::Number(number) => format!("give it to an account: cusax account add USER --number {number}"),
        Key::Sip(..) | Key::Address(..) | Key::Xmpp(..) | Key::Id(_) => {
            format!("look for it with cusax account list; SIP addresses here are of the domain {domain}")
        }
    };
    Verdict { well: false, says, next }
}

/// The first thing that keeps somebody from being reached, else what was seen last.
fn judge(known: &Known, seen: &Result<Seen, String>, config: &Config) -> Verdict {
    let account = &known.account;
    let (aor, user) = (account.aor(), &account.sip_user);
    let wrong = |says: String, next: String| Verdict { well: false, says, next };
    let domain = config.service.domain.as_str();
    if !account.enabled {
        return wrong(
            "the account is disabled: it can log in nowhere".to_owned(),
            format!("set enabled = 1 for id {} in the table cusax_account", account.id),
        );
    }
    if account.sip_domain != domain {
        return wrong(
            format!("its SIP domain is not this service's, {domain}: no phone can register as it"),
            format!("write [service] domain = {:?}, or remove the account and add {user}@{domain}", account.sip_domain),
        );
    }
    let seen = match seen {
        Ok(seen) => seen,
        Err(error) => {
            return Verdict {
                well: true,
                says: format!("the account is in order; what it did is not known ({error})"),
                next: "let cusax serve run, and a phone register; then ask again".to_owned(),
            };
        }
    };
    let set_password = || format!("cusax account set-password {user}, and the same password in the phone");
    match (&seen.login, &seen.registration) {
        (Some(failed), _) => {
            let (says, next) = match login_result(failed) {
                Some(AuthResult::UnknownUser) => (
                    "the last login was by a user name that no account has",
                    format!("write {user} or {aor} as authentication name in the phone"),
                ),
                Some(AuthResult::Mismatch) => (
                    "the last login was right, and From was not this account's address",
                    format!("write sip:{aor} as address in the phone"),
                ),
                Some(AuthResult::Replay) => (
                    "the last login repeated a nonce count that had been used",
                    "look whether another program speaks for the phone".to_owned(),
                ),
                Some(AuthResult::BackendError) => {
                    ("the directory could not be asked at the last login", "look at the log of cusax serve".to_owned())
                }
                Some(AuthResult::BadCredentials | AuthResult::Ok | AuthResult::Challenged | AuthResult::Stale)
                | None => {
                    ("the last login was with a wrong password, or an algorithm that is not offered", set_password())
                }
            };
            wrong(format!("{says} ({})", at(failed)), next)
        }
        (None, Some(last)) => match last.entry.status {
            Some(200..=299) => Verdict {
                well: true,
                says: format!("a phone registered, or unregistered, last at {}", at(last)),
                next: format!("nothing; cusax trace sip:{aor} shows all of it"),
            },
            Some(401 | 407) => {
                wrong(format!("a phone was asked for its password at {} and never gave it", at(last)), set_password())
            }
            _ => wrong(
                format!("the last registration was refused at {}: {}", at(last), last.entry.text),
                format!("cusax trace {}", last.entry.call_id.as_deref().unwrap_or(&aor)),
            ),
        },
        (None, None) => Verdict {
            well: true,
            says: "the account is in order, and no phone has registered as it while the trace was kept".to_owned(),
            next: format!(
                "let a phone register as sip:{aor} at {}",
                config.sip.listener.first().map_or_else(String::new, |listener| listener.address.to_string())
            ),
        },
    }
}

fn data(known: Option<&Known>, seen: &Result<Seen, String>, verdict: &Verdict) -> Value {
    let derived = known.map(|known| {
        json!({ "usernames": usernames(&known.account), "digest": DIGEST, "scram": SCRAM, "scram_iterations": known.scram_iterations })
    });
    let views = known.map(|known| {
        let views = known.views.iter();
        views.map(|view| json!({ "view": view.name, "servers": view.servers, "shown": view.shown })).collect::<Vec<_>>()
    });
    let (seen, not_seen) = match seen {
        Ok(seen) => (json!(seen), None),
        Err(error) => (Value::Null, Some(error)),
    };
    json!({
        "account": known.map(|known| to_json(&known.account)),
        "derived": derived,
        "views": views,
        "seen": seen,
        "trace_error": not_seen,
        "well": verdict.well,
        "verdict": verdict.says,
        "next": verdict.next,
    })
}

fn page(known: Option<&Known>, seen: &Result<Seen, String>, verdict: &Verdict, config: &Config) -> String {
    let mut page = String::new();
    if let Some(known) = known {
        let Known { account, views, scram_iterations } = known;
        page.push_str(&details(account));
        let names = usernames(account).join(" and ");
        page.push_str(&format!("digest    {} for the user names {names}\n", DIGEST.join(", ")));
        let offered = config.sip.auth.algorithms.iter().map(|algorithm| json!(algorithm).to_string());
        let offered = offered.collect::<Vec<_>>().join(", ").replace('"', "");
        let asks =
            if config.sip.auth.challenge { format!("offers {offered}") } else { "does not challenge".to_owned() };
        page.push_str(&format!("          (the edge {asks})\n"));
        page.push_str(&format!("SCRAM     {}, {scram_iterations} iterations\n", SCRAM.join(", ")));
        for (index, view) in views.iter().enumerate() {
            let head = if index == 0 { "views" } else { "" };
            let shown = if view.shown { "shows it" } else { "does not show it" };
            page.push_str(&format!("{head:<10}{} ({}) {shown}\n", view.name, view.servers));
        }
    }
    match seen {
        Err(error) => page.push_str(&format!("seen      nothing: {error}\n")),
        Ok(seen) => page.push_str(&seen.lines()),
    }
    page.push_str(&format!("\n{}\nnext: {}\n", verdict.says, verdict.next));
    page
}

fn usernames(account: &Account) -> [String; 2] {
    [account.sip_user.clone(), account.aor()]
}

/// What every account has: the directory refuses one without.
const DIGEST: [&str; 3] = ["SHA-512-256", "SHA-256", "MD5"];
const SCRAM: [&str; 2] = ["SCRAM-SHA-256", "SCRAM-SHA-1"];

pub(super) const EXAMPLES: &str = "\
Examples:
  cusax account explain alice                      a user of the service's domain
  cusax account explain +14045550100 --json        whoever has the number, for another program

What an account did is read from the trace store (telemetry.trace), which holds a day at most.
Exit code: 0 it is in order, 1 something is wrong, 2 usage.";
