//! The files that a configuration names.

pub(crate) mod tls_files;

use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::Config;
use super::diagnostic::Finding;
use super::directory::StoreUrl;
use super::document::{Document, Step, at};
use super::text::Bad;

/// A secret, read from its file; it cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// The secret in clear, for the handshake only.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

/// Reads a secret: the first line of a file that others cannot read.
///
/// # Errors
///
/// Why the file is no secret, and what to do.
pub(crate) fn read_secret(file: &Path) -> Result<Secret, Bad> {
    let shown = file.display();
    let advice = |what: &str| format!("{what}, for example: umask 077; openssl rand -hex 32 > {shown}");
    let refused =
        |error: &io::Error| Bad::new(format!("cannot read {shown}: {error}"), advice("write the secret into it"));
    let opened = std::fs::File::open(file).map_err(|error| refused(&error))?;
    private(&opened, file).map_err(|error| refused(&error))??;
    let mut text = String::new();
    opened.take(LONGEST_SECRET).read_to_string(&mut text).map_err(|error| refused(&error))?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() || line.chars().any(char::is_control) {
        return Err(Bad::new(format!("{shown} holds no secret in its first line"), advice("write one")));
    }
    Ok(Secret(line.to_owned()))
}

/// Refuses a file that others can read.
fn private(opened: &std::fs::File, file: &Path) -> io::Result<Result<(), Bad>> {
    let shown = file.display();
    let private = opened.metadata()?.mode() & OTHERS == 0;
    let bad = || Bad::new(format!("everybody on this host can read {shown}"), format!("run: chmod o= {shown}"));
    Ok(if private { Ok(()) } else { Err(bad()) })
}

/// Makes the files that the configuration names relative to the folder that it is in itself.
pub(super) fn resolve(config: &mut Config, folder: &Path) {
    let Config { directory, tls, numbers, xmpp, telemetry, .. } = config;
    let accounts = match &mut directory.url {
        StoreUrl::Sqlite(file) => Some(file),
        StoreUrl::Postgres(_) => None,
    };
    let tls = tls.iter_mut().flat_map(|tls| {
        let authorities = tls.client_ca.iter_mut().chain(&mut tls.user_ca).chain(&mut tls.user_crl);
        let authorities = authorities.chain(&mut tls.server_ca);
        [&mut tls.certificate, &mut tls.private_key].into_iter().chain(authorities)
    });
    let prompts = numbers.iter_mut().filter_map(|numbers| numbers.prompts.as_mut());
    let secret = xmpp.iter_mut().map(|xmpp| &mut xmpp.secret_file);
    let stores = accounts.into_iter().chain([&mut directory.state, &mut telemetry.trace]);
    for file in stores.chain(tls).chain(prompts).chain(secret) {
        *file = folder.join(&*file);
    }
}

/// Looks whether the files that the service needs are there.
pub(super) fn check(config: &Config, document: &Document<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(xmpp) = &config.xmpp
        && let Err(bad) = read_secret(&xmpp.secret_file)
    {
        let (problem, advice) = bad.into_parts();
        findings.push(Finding::new(document.place(at!["xmpp", "secret_file"]), problem, Some(advice)));
    }
    if let Some(tls) = &config.tls {
        findings.extend(tls_files::check(tls, document));
    }
    let stores: [(&[Step<'_>], Option<&Path>); 3] = [
        (at!["directory", "url"], config.directory.url.file()),
        (at!["directory", "state"], Some(&config.directory.state)),
        (at!["telemetry", "trace"], Some(&config.telemetry.trace)),
    ];
    for (place, file) in stores {
        if let Some(folder) = file.and_then(missing_folder) {
            let problem = format!("there is no directory {}", folder.display());
            findings.push(Finding::new(
                document.place(place),
                problem,
                Some(format!("make it: mkdir -p {}", folder.display())),
            ));
        }
    }
    findings
}

fn missing_folder(file: &Path) -> Option<&Path> {
    file.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir())
}

/// Read, write and execute bits of those who are neither owner nor group.
const OTHERS: u32 = 0o007;
/// A longer file is no secret.
const LONGEST_SECRET: u64 = 4096;
