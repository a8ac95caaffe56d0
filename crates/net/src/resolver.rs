//! Names to addresses and services, by the system's configuration.

mod services;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use hickory_resolver::config::{LookupIpStrategy, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{Hosts, TokioResolver};
use tokio::sync::Semaphore;
use tokio::time::timeout;

pub use services::{Naptr, Srv};

/// A cache in front of the system's name servers (`/etc/resolv.conf`) and `/etc/hosts`, both as they were at the start.
#[derive(Debug)]
pub struct Resolver {
    servers: TokioResolver,
    hosts: Hosts,
    questions: Semaphore,
    budget: Duration,
}

/// Why a name has no addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// It is no name of DNS.
    #[error("`{0}` is not a host name")]
    Invalid(String),
    /// There is no such name, or it has no address.
    #[error("`{0}` has no address")]
    NotFound(String),
    /// The time budget was used up, be it by the name servers or by other questions in front of this one.
    #[error("no name server answered for `{0}` in time")]
    Timeout(String),
    /// The name servers could not be asked, or did not answer sense.
    #[error("looking up `{name}`: {reason}")]
    Failed {
        /// The name.
        name: String,
        /// What went wrong.
        reason: String,
    },
}

impl Resolver {
    /// Reads the system's configuration; without name servers, literals, `localhost` and `/etc/hosts` still work.
    ///
    /// `budget` is what one question may take.
    ///
    /// # Errors
    /// [`ResolveError::Failed`] for a configuration that cannot be used.
    pub fn new(budget: Duration) -> Result<Self, ResolveError> {
        let (config, options) = read_system_conf().unwrap_or_else(|_| {
            let none = ResolverConfig::from_parts(None, Vec::new(), Vec::new());
            (none, ResolverOpts::default())
        });
        Self::with(config, options, Hosts::from_system().unwrap_or_default(), budget)
    }

    fn with(
        config: ResolverConfig,
        mut options: ResolverOpts,
        hosts: Hosts,
        budget: Duration,
    ) -> Result<Self, ResolveError> {
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.use_hosts_file = ResolveHosts::Never;
        options.cache_size = CACHED_ANSWERS;
        options.positive_max_ttl = Some(LONGEST_CACHED);
        options.negative_max_ttl = Some(LONGEST_CACHED_FAILURE);
        let servers = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(options)
            .build()
            .map_err(|error| ResolveError::Failed { name: "/etc/resolv.conf".to_owned(), reason: error.to_string() })?;
        Ok(Self { servers, hosts, questions: Semaphore::new(MAX_QUESTIONS), budget })
    }

    /// Finds the addresses of `host`, which may be a literal (IPv6 with or without brackets); IPv4 first.
    ///
    /// # Errors
    /// [`ResolveError`]; the list is never empty.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
        if let Some(literal) = literal(host) {
            return Ok(vec![literal]);
        }
        let name = Name::from_utf8(host)
            .ok()
            .filter(|name| name.num_labels() > 0)
            .ok_or_else(|| ResolveError::Invalid(host.to_owned()))?;
        // The system's file is asked before the servers, for both families: a server that does not answer for the
        // family that the file lacks must not hold up the address that it has.
        let local = self.local(&name);
        if !local.is_empty() {
            return Ok(local);
        }
        match timeout(self.budget, self.ask(name)).await {
            Err(_elapsed) => Err(ResolveError::Timeout(host.to_owned())),
            Ok(Err(error)) if is_absent(&error) => Err(ResolveError::NotFound(host.to_owned())),
            Ok(Err(error)) => Err(ResolveError::Failed { name: host.to_owned(), reason: error.to_string() }),
            Ok(Ok(addresses)) if addresses.is_empty() => Err(ResolveError::NotFound(host.to_owned())),
            Ok(Ok(addresses)) => Ok(addresses),
        }
    }

    fn local(&self, name: &Name) -> Vec<IpAddr> {
        let mut found = Vec::new();
        for family in [RecordType::A, RecordType::AAAA] {
            let query = Query::query(name.clone(), family);
            if let Some(lookup) = self.hosts.lookup_static_host(&query) {
                let addresses = lookup.answers().iter().filter_map(|record| record.data.ip_addr());
                found.extend(addresses.take(MAX_ADDRESSES));
            }
        }
        // RFC 6761 §6.3: names under `localhost` are the loopback addresses, and no server is asked for them.
        if found.is_empty() && is_localhost(name) {
            found.extend([IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]);
        }
        found
    }

    async fn ask(&self, name: Name) -> Result<Vec<IpAddr>, NetError> {
        let _permit = self.questions.acquire().await.map_err(|_| NetError::Busy)?;
        let lookup = self.servers.lookup_ip(name).await?;
        Ok(lookup.iter().take(MAX_ADDRESSES).collect())
    }
}

/// True where the servers say that there is nothing, and not only that they do not know (`SERVFAIL`, `REFUSED`).
fn is_absent(error: &NetError) -> bool {
    let NetError::Dns(DnsError::NoRecordsFound(absent)) = error else {
        return false;
    };
    [ResponseCode::NXDomain, ResponseCode::NoError].contains(&absent.response_code)
}

fn is_localhost(name: &Name) -> bool {
    name.iter().next_back().is_some_and(|label| label.eq_ignore_ascii_case(b"localhost"))
}

fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match bare {
        Some(address) => address.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => host.parse().ok(),
    }
}

/// Questions that may be with the name servers at the same time.
const MAX_QUESTIONS: usize = 128;

/// Addresses that are kept of one answer.
const MAX_ADDRESSES: usize = 16;

/// Answers that are kept.
const CACHED_ANSWERS: u64 = 4096;

/// Servers move; an operator who moves one waits no longer than this for an edge to follow.
const LONGEST_CACHED: Duration = Duration::from_secs(3600);

/// A name that was just made should not be missing for long.
const LONGEST_CACHED_FAILURE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::config::NameServerConfig;

    #[tokio::test]
    async fn literals_and_localhost_need_no_name_server() {
        let resolver = without_servers("");
        let v4: IpAddr = Ipv4Addr::LOCALHOST.into();
        let v6: IpAddr = Ipv6Addr::LOCALHOST.into();
        assert_eq!(resolver.addresses("127.0.0.1").await.unwrap(), [v4]);
        assert_eq!(resolver.addresses("::1").await.unwrap(), [v6]);
        assert_eq!(resolver.addresses("[::1]").await.unwrap(), [v6]);
        assert_eq!(resolver.addresses("localhost").await.unwrap(), [v4, v6]);
        assert_eq!(resolver.addresses("Core.LocalHost.").await.unwrap(), [v4, v6]);
    }

    #[tokio::test]
    async fn hosts_file_answers_before_any_name_server() {
        let resolver = without_servers("192.0.2.7 core.example.com\n");
        let expected: IpAddr = "192.0.2.7".parse().unwrap();
        assert_eq!(resolver.addresses("core.example.com").await.unwrap(), [expected]);
    }

    #[tokio::test]
    async fn what_is_no_name_is_refused() {
        let resolver = without_servers("");
        for host in ["", ".", "[127.0.0.1]", "a..b", &"a".repeat(64)] {
            let error = resolver.addresses(host).await.unwrap_err();
            assert_eq!(error, ResolveError::Invalid(host.to_owned()));
        }
    }

    #[tokio::test]
    async fn name_without_name_servers_fails_within_the_budget() {
        let error = without_servers("").addresses("sip.example.com").await.unwrap_err();
        assert!(matches!(error, ResolveError::Failed { .. }), "{error:?}");
    }

    #[tokio::test]
    async fn name_server_that_never_answers_uses_up_the_budget() {
        let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let resolver = with_server(silent.local_addr().unwrap().port());
        let error = resolver.addresses("sip.example.com").await.unwrap_err();
        assert_eq!(error, ResolveError::Timeout("sip.example.com".to_owned()));
    }

    fn without_servers(hosts_file: &str) -> Resolver {
        resolver(Vec::new(), hosts_file, Duration::from_secs(10))
    }

    fn with_server(port: u16) -> Resolver {
        let mut server = NameServerConfig::udp(Ipv4Addr::LOCALHOST.into());
        for connection in &mut server.connections {
            connection.port = port;
        }
        resolver(vec![server], "", Duration::from_millis(50))
    }

    fn resolver(servers: Vec<NameServerConfig>, hosts_file: &str, budget: Duration) -> Resolver {
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        let mut hosts = Hosts::default();
        hosts.read_hosts_conf(hosts_file.as_bytes()).unwrap();
        Resolver::with(config, ResolverOpts::default(), hosts, budget).unwrap()
    }
}
