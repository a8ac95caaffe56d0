//! The configuration file: one TOML document whose values are valid once they exist.
//!
//! Reading has three steps, each of which reports all that it finds: the text becomes a document, the document
//! becomes a [`Config`] (unknown keys, wrong types, bad values), and the whole is checked for what cannot be
//! together or is not built in this version. A file that fails one step is not read further. Of one that passes them
//! all, what its writer may not have meant is said as a warning.

pub(crate) mod address;
mod built;
pub(crate) mod caller;
mod check;
pub(crate) mod conference;
pub(crate) mod default;
pub(crate) mod diagnostic;
pub(crate) mod directory;
mod document;
pub(crate) mod files;
pub(crate) mod http;
pub(crate) mod limits;
pub(crate) mod media;
pub(crate) mod name;
pub(crate) mod network;
pub(crate) mod numbers;
pub(crate) mod origin;
pub(crate) mod restart;
pub(crate) mod schema;
pub(crate) mod service;
mod shape;
pub(crate) mod sip;
pub(crate) mod telemetry;
pub(crate) mod text;
pub(crate) mod tls;
mod warning;
pub(crate) mod xmpp;

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use caller::Caller;
use conference::Conference;
use diagnostic::{Diagnosis, Finding};
use directory::Directory;
use document::Document;
use http::{Http, Provisioning};
use media::Media;
use name::Domain;
use numbers::Numbers;
use service::Service;
use sip::Sip;
use telemetry::Telemetry;
use tls::Tls;
use xmpp::Xmpp;

/// Everything that can be configured; sections that are absent keep their defaults or stay off.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// What this service is called. Changes need a restart.
    pub(crate) service: Service,
    /// Where accounts and our own state are kept. Changes need a restart.
    pub(crate) directory: Directory,
    /// One TLS policy for SIP and HTTPS, and what is expected of the XMPP server.
    pub(crate) tls: Option<Tls>,
    /// The SIP edge.
    pub(crate) sip: Sip,
    /// Who is told whose JID, in Call-Info purpose=impp (RFC 7081 §3.5, RFC 6993).
    pub(crate) caller: Caller,
    /// What dialled numbers are, and what callers are told about charges (RFC 7081 §5). Absent: nothing.
    pub(crate) numbers: Option<Numbers>,
    /// The component beside the existing XMPP server (XEP-0114). Absent: no messages and no conferences.
    /// Changes need a restart.
    pub(crate) xmpp: Option<Xmpp>,
    /// Conferences: one conference domain is one MUC service, sip:room@domain is xmpp:room@rooms. Changes need a restart, but
    /// of numbers.
    pub(crate) conference: Vec<Conference>,
    /// The mixer's sockets and codecs. Changes need a restart.
    pub(crate) media: Media,
    /// Metrics, health and the API, for operators.
    pub(crate) http: Http,
    /// Accounts for users' devices, over HTTPS.
    pub(crate) provisioning: Option<Provisioning>,
    /// Logs, traces and who is named in them.
    pub(crate) telemetry: Telemetry,
}

impl Config {
    /// Reads a file, or takes the defaults where there is none.
    ///
    /// # Errors
    ///
    /// All that is wrong in the file, each finding with its place.
    pub(crate) fn load(file: Option<&Path>) -> Result<Self, Diagnosis> {
        Ok(read(file, |_, _| Vec::new())?.0)
    }

    /// Reads a file as [`Config::load`] does, and looks at the files that it names as well; also says what is valid
    /// and may not be meant.
    ///
    /// # Errors
    ///
    /// All that is wrong in the file or in those that it names, each finding with its place.
    pub(crate) fn load_to_serve(file: Option<&Path>) -> Result<(Self, Diagnosis), Diagnosis> {
        read(file, files::check)
    }

    /// The domain of the users' JIDs.
    pub(crate) fn xmpp_domain(&self) -> &Domain {
        self.xmpp.as_ref().and_then(|xmpp| xmpp.domain.as_ref()).unwrap_or(&self.service.domain)
    }
}

fn read(
    file: Option<&Path>,
    check_files: impl Fn(&Config, &Document<'_>) -> Vec<Finding>,
) -> Result<(Config, Diagnosis), Diagnosis> {
    let (name, text) = match file {
        // An empty file has every default.
        None => ("the default configuration".to_owned(), String::new()),
        Some(file) => {
            let name = file.display().to_string();
            match std::fs::read_to_string(file) {
                Ok(text) => (name, text),
                Err(error) => return Err(Diagnosis::unreadable(name, &error)),
            }
        }
    };
    let folder = file.and_then(Path::parent).unwrap_or(Path::new(""));
    match parse(&text, folder, check_files) {
        Ok((config, warnings)) => Ok((config, Diagnosis::new(name, &text, warnings))),
        Err(findings) => Err(Diagnosis::new(name, &text, findings)),
    }
}

/// Reads a text whose file is in `folder`; comes with warnings where it succeeds.
fn parse(
    text: &str,
    folder: &Path,
    check_files: impl Fn(&Config, &Document<'_>) -> Vec<Finding>,
) -> Result<(Config, Vec<Finding>), Vec<Finding>> {
    let document = Document::parse(text)?;
    let mut config = shape::read(&document)?;
    files::resolve(&mut config, folder);
    let mut findings = check::check(&config, &document);
    findings.extend(built::check(&config, &document));
    findings.extend(check_files(&config, &document));
    if findings.iter().any(|finding| !finding.is_warning()) {
        return Err(findings);
    }
    findings.extend(warning::of(&config, &document));
    Ok((config, findings))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutilated_file_is_read_or_refused_with_its_place() {
        let page = default::documented_default();
        let lines = page.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>();
        for (index, line) in lines.iter().enumerate() {
            let half: String = line.chars().take(line.chars().count() / 2).collect();
            for instead in ["", &half, "x = { y = [1, \"é"] {
                let mut mutilated = lines.clone();
                mutilated[index] = instead;
                let text = mutilated.join("\n");
                let Err(findings) = parse(&text, Path::new(""), |_, _| Vec::new()) else { continue };
                let refused = Diagnosis::new("cusax.toml".to_owned(), &text, findings);
                assert_ne!(refused.len(), 0, "{text}");
                assert!(refused.places().all(|place| place.line <= lines.len()));
                assert!(refused.render(false).contains("cusax.toml:"), "{text}");
            }
        }
    }
}
