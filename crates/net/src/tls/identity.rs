//! Which SIP domains a certificate speaks for (RFC 5922 §7.1), and which users.

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

/// The domains in lower case: those of `sip` URIs in subjectAltName, and DNS names only where there is none of these.
/// A common name is no identity, and neither is a wildcard (§7.2).
pub(crate) fn identities(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else { return Vec::new() };
    let uris: Vec<String> = certificate.valid_uri_names().filter_map(domain_of).collect();
    if !uris.is_empty() {
        return uris;
    }
    certificate.valid_dns_names().filter(|name| !name.contains('*')).map(normal).collect()
}

/// The `sip` and `sips` URIs with a user part in subjectAltName (RFC 3261 §26.1.3: a user's certificate names his address).
pub(crate) fn user_uris(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else { return Vec::new() };
    certificate.valid_uri_names().filter(|uri| names_user(uri)).map(str::to_owned).collect()
}

fn names_user(uri: &str) -> bool {
    let is_sip = |scheme: &str| ["sip", "sips"].iter().any(|sip| scheme.eq_ignore_ascii_case(sip));
    uri.split_once(':').is_some_and(|(scheme, rest)| is_sip(scheme) && rest.contains('@'))
}

/// The domain of a `sip` URI without user part; any other URI says nothing about domains.
fn domain_of(uri: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once(':')?;
    let end = rest.find([';', '?']).unwrap_or(rest.len());
    let (host, _) = rest.split_at_checked(end)?;
    // An IPv6 reference has colons of its own, and is no domain.
    let host = host.split_once(':').map_or(host, |(host, _port)| host);
    let is_domain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    (scheme.eq_ignore_ascii_case("sip") && !host.is_empty() && is_domain).then(|| normal(host))
}

fn normal(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sip_uris_without_a_user_name_domains() {
        assert_eq!(domain_of("sip:Example.COM").as_deref(), Some("example.com"));
        assert_eq!(domain_of("SIP:example.com:5061;transport=tls").as_deref(), Some("example.com"));
        for other in
            ["sips:example.com", "sip:alice@example.com", "sip:", "sip:[2001:db8::1]", "sip:*.example.com", "im:a.b"]
        {
            assert_eq!(domain_of(other), None, "{other}");
        }
    }

    #[test]
    fn sip_uris_with_a_user_name_users() {
        for (uri, is_user) in [
            ("sip:alice@example.com", true),
            ("SIPS:alice@example.com", true),
            ("sip:example.com", false),
            ("im:alice@example.com", false),
            ("mailto:alice@example.com", false),
            ("sip", false),
        ] {
            assert_eq!(names_user(uri), is_user, "{uri}");
        }
    }
}
