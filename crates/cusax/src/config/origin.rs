//! Web origins (RFC 6454).

use std::fmt;
use std::str::FromStr;

use super::address::HostPort;
use super::text::{Bad, text_value};

/// Where a page comes from, as browsers write it: scheme, host and port in lower case, without the scheme's usual port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin(String);

impl FromStr for Origin {
    type Err = Bad;

    fn from_str(text: &str) -> Result<Self, Bad> {
        let advice = "write scheme and host of the page, such as \"https://phone.example.com\"";
        let bad = |problem: &str| Bad::new(format!("{text:?} {problem}"), advice);
        let lower = text.to_ascii_lowercase();
        let Some((scheme, host)) = lower.split_once("://") else { return Err(bad("is no origin")) };
        let usual = match scheme {
            "https" => 443,
            "http" => 80,
            _ => return Err(bad("is of no web page")),
        };
        if host.contains(['/', '?', '#']) {
            return Err(bad("has a path, and pages are not told apart by that"));
        }
        let host: HostPort = host.parse().map_err(|_| bad("names no host"))?;
        let port = host.port.filter(|port| *port != usual).map_or_else(String::new, |port| format!(":{port}"));
        Ok(Self(format!("{scheme}://{}{port}", host.host)))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_value!(Origin, "an origin of web pages", "https://phone.example.com");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_kept_as_browsers_send_them() {
        for (text, sent) in [
            ("https://phone.example.com", "https://phone.example.com"),
            ("HTTPS://Phone.Example.com:443", "https://phone.example.com"),
            ("http://localhost:8080", "http://localhost:8080"),
            ("http://127.0.0.1:80", "http://127.0.0.1"),
            ("https://[2001:DB8::1]:8443", "https://[2001:db8::1]:8443"),
        ] {
            assert_eq!(text.parse::<Origin>().unwrap().to_string(), sent);
        }
        for bad in [
            "",
            "null",
            "*",
            "phone.example.com",
            "wss://example.com",
            "https://",
            "https://a.example/",
            "https://*.example",
        ] {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
    }
}
