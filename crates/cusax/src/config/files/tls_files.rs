//! The files of `[tls]`: our certificate and key, the authorities that are believed, and what they took back.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use cusax_net::clock;
use cusax_net::tls::{Authorities, Certificate, CertificateError, Revoked, Validity};

use super::private;
use crate::config::diagnostic::Finding;
use crate::config::document::{Document, at};
use crate::config::text::Bad;
use crate::config::tls::Tls;

/// Looks whether they are there and good for something.
pub(super) fn check(tls: &Tls, document: &Document<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let refused = |key: &str, bad: Bad| {
        let (problem, advice) = bad.into_parts();
        Finding::new(document.place(at!["tls", key]), problem, Some(advice))
    };
    match certificate(tls) {
        Err((key, bad)) => findings.push(refused(key, bad)),
        Ok(certificate) => {
            let file = tls.certificate.display();
            let problem = match certificate.validity(clock::wall()) {
                Validity::Valid if certificate.identities().is_empty() => Some(format!(
                    "{file} names no SIP domain (subjectAltName, RFC 5922): who looks at names does not accept it"
                )),
                Validity::Valid if certificate.validity(clock::wall() + SOON) == Validity::Expired => {
                    Some(format!("{file} expires in less than 14 days: nobody who looks at it accepts it then"))
                }
                Validity::Valid => None,
                Validity::Expired => Some(format!("{file} has expired: nobody who looks at it accepts it")),
                Validity::NotYet => Some(format!("{file} is not valid yet: nobody who looks at it accepts it")),
            };
            let advice = "have a new one issued, to the domain and the name of this host";
            findings.extend(
                problem.map(|problem| Finding::warning(document.place(at!["tls", "certificate"]), problem, advice)),
            );
        }
    }
    for (key, file) in [("client_ca", &tls.client_ca), ("user_ca", &tls.user_ca), ("server_ca", &tls.server_ca)] {
        if let Some(Err(bad)) = file.as_deref().map(authorities) {
            findings.push(refused(key, bad));
        }
    }
    if let Some(Err(bad)) = tls.user_crl.as_deref().map(revoked) {
        findings.push(refused("user_crl", bad));
    }
    findings
}

/// Reads our certificate and key.
///
/// # Errors
///
/// The key of `[tls]` whose file is no good, and why.
pub(crate) fn certificate(tls: &Tls) -> Result<Certificate, (&'static str, Bad)> {
    let chain = read(&tls.certificate).map_err(|bad| ("certificate", bad))?;
    let key = key(&tls.private_key).map_err(|bad| ("private_key", bad))?;
    Certificate::from_pem(&chain, &key).map_err(|error| match error {
        CertificateError::Chain | CertificateError::NoCertificate | CertificateError::Certificate => {
            let problem = format!("{} is of no use: {error}", tls.certificate.display());
            (
                "certificate",
                Bad::new(problem, "name a PEM file with this host's certificate and those that lead to its authority"),
            )
        }
        CertificateError::NoKey | CertificateError::Key => {
            let problem = format!("{} is of no use: {error}", tls.private_key.display());
            ("private_key", Bad::new(problem, "name the PEM file with the key that the certificate was asked for with"))
        }
        CertificateError::Mismatch => {
            let (key, certificate) = (tls.private_key.display(), tls.certificate.display());
            let problem = format!("{key} is not the key of the first certificate in {certificate}");
            ("private_key", Bad::new(problem, "name the two that were made together, the host's own certificate first"))
        }
    })
}

/// Reads authorities.
///
/// # Errors
///
/// Why the file names none.
pub(crate) fn authorities(file: &Path) -> Result<Authorities, Bad> {
    Authorities::from_pem(&read(file)?).map_err(|error| {
        let problem = format!("{} is of no use: {error}", file.display());
        Bad::new(problem, "name a PEM file with the certificates of the authorities")
    })
}

/// Reads revocation lists.
///
/// # Errors
///
/// Why the file has none.
pub(crate) fn revoked(file: &Path) -> Result<Revoked, Bad> {
    Revoked::from_pem(&read(file)?).map_err(|error| {
        let problem = format!("{} is of no use: {error}", file.display());
        Bad::new(problem, "name a PEM file with a revocation list (X509 CRL) of each authority of user_ca")
    })
}

fn read(file: &Path) -> Result<Vec<u8>, Bad> {
    File::open(file).and_then(contents).map_err(|error| unreadable(file, &error))
}

fn key(file: &Path) -> Result<Vec<u8>, Bad> {
    let opened = File::open(file).map_err(|error| unreadable(file, &error))?;
    private(&opened, file).map_err(|error| unreadable(file, &error))??;
    contents(opened).map_err(|error| unreadable(file, &error))
}

fn contents(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(file: &Path, error: &io::Error) -> Bad {
    let problem = format!("cannot read {}: {error}", file.display());
    Bad::new(problem, "name a file that the service's user can read")
}

/// Renewal was due long ago: those who renew by a program do so a month before.
const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// All the authorities of a host are a 40th of it; a list of 100,000 certificates that were revoked is half.
const LONGEST: u64 = 10 * 1024 * 1024;
