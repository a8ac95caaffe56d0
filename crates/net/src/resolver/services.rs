//! The records that say which servers a domain has: NAPTR (RFC 3403) and SRV (RFC 2782).

use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::time::timeout;

use super::{ResolveError, Resolver, is_absent};

/// A NAPTR record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naptr {
    /// Lower first.
    pub order: u16,
    /// Lower first among equal orders.
    pub preference: u16,
    /// What the replacement is: `s` for SRV, `a` for a host.
    pub flags: String,
    /// Such as `SIP+D2U`.
    pub services: String,
    /// Where to go on, without the root's dot.
    pub replacement: String,
}

/// An SRV record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Srv {
    /// Lower first.
    pub priority: u16,
    /// Share among equal priorities.
    pub weight: u16,
    /// Port.
    pub port: u16,
    /// Host without the root's dot; `.` alone says that there is no such service.
    pub target: String,
}

impl Resolver {
    /// Finds the NAPTR records of a domain; none where it has none.
    ///
    /// # Errors
    /// [`ResolveError`], but not `NotFound`.
    pub async fn naptr(&self, domain: &str) -> Result<Vec<Naptr>, ResolveError> {
        let records = self.records(domain, RecordType::NAPTR).await?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let naptr = |data: RData| {
            let RData::NAPTR(record) = data else { return None };
            Some(Naptr {
                order: record.order,
                preference: record.preference,
                flags: text(&record.flags),
                services: text(&record.services),
                replacement: plain(&record.replacement),
            })
        };
        Ok(records.into_iter().filter_map(naptr).collect())
    }

    /// Finds the SRV records of a name; none where it has none.
    ///
    /// # Errors
    /// [`ResolveError`], but not `NotFound`.
    pub async fn srv(&self, name: &str) -> Result<Vec<Srv>, ResolveError> {
        let records = self.records(name, RecordType::SRV).await?;
        let srv = |data: RData| {
            let RData::SRV(record) = data else { return None };
            let (priority, weight, port) = (record.priority, record.weight, record.port);
            Some(Srv { priority, weight, port, target: plain(&record.target) })
        };
        Ok(records.into_iter().filter_map(srv).collect())
    }

    async fn records(&self, text: &str, kind: RecordType) -> Result<Vec<RData>, ResolveError> {
        let mut name = Name::from_utf8(text)
            .ok()
            .filter(|name| name.num_labels() > 0)
            .ok_or_else(|| ResolveError::Invalid(text.to_owned()))?;
        // The search list of the system is for hosts that people type.
        name.set_fqdn(true);
        match timeout(self.budget, self.ask_for(name, kind)).await {
            Err(_elapsed) => Err(ResolveError::Timeout(text.to_owned())),
            Ok(Err(error)) if is_absent(&error) => Ok(Vec::new()),
            Ok(Err(error)) => Err(ResolveError::Failed { name: text.to_owned(), reason: error.to_string() }),
            Ok(Ok(records)) => Ok(records),
        }
    }

    async fn ask_for(&self, name: Name, kind: RecordType) -> Result<Vec<RData>, NetError> {
        let _permit = self.questions.acquire().await.map_err(|_| NetError::Busy)?;
        let lookup = self.servers.lookup(name, kind).await?;
        Ok(lookup.answers().iter().take(MAX_RECORDS).map(|record| record.data.clone()).collect())
    }
}

fn plain(name: &Name) -> String {
    let text = name.to_utf8();
    text.strip_suffix('.').filter(|rest| !rest.is_empty()).unwrap_or(&text).to_owned()
}

/// Records that are kept of one answer.
const MAX_RECORDS: usize = 64;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use hickory_resolver::Hosts;
    use hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
    use hickory_resolver::proto::op::{Message, ResponseCode};
    use hickory_resolver::proto::rr::Record;
    use hickory_resolver::proto::rr::rdata::{NAPTR, SRV};
    use hickory_resolver::proto::serialize::binary::{BinDecodable, BinEncodable};
    use tokio::net::UdpSocket;

    use super::*;

    /// Answers each question by its name and type; what it does not know does not exist.
    async fn serve(socket: UdpSocket) {
        let mut datagram = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut datagram).await {
            let question = Message::from_bytes(&datagram[..length]).unwrap();
            let asked = question.queries[0].clone();
            let name = |text: &str| Name::from_ascii(text).unwrap();
            let data = match (asked.name().to_ascii().as_str(), asked.query_type()) {
                ("example.com.", RecordType::NAPTR) => Some(RData::NAPTR(NAPTR::new(
                    10,
                    20,
                    Box::from(&b"s"[..]),
                    Box::from(&b"SIP+D2U"[..]),
                    Box::from(&b""[..]),
                    name("_sip._udp.example.com."),
                ))),
                ("_sip._udp.example.com.", RecordType::SRV) => {
                    Some(RData::SRV(SRV::new(1, 2, 5070, name("sip.example.com."))))
                }
                ("_sip._tcp.example.com.", RecordType::SRV) => Some(RData::SRV(SRV::new(0, 0, 0, Name::root()))),
                _ => None,
            };
            let mut answer = question.into_response();
            match data {
                Some(data) => {
                    answer.add_answer(Record::from_rdata(asked.name().clone(), 60, data));
                }
                None => answer.metadata.response_code = ResponseCode::NXDomain,
            }
            socket.send_to(&answer.to_bytes().unwrap(), from).await.unwrap();
        }
    }

    async fn resolver() -> Resolver {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut server = NameServerConfig::udp(Ipv4Addr::LOCALHOST.into());
        for connection in &mut server.connections {
            connection.port = socket.local_addr().unwrap().port();
        }
        tokio::spawn(serve(socket));
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        Resolver::with(config, ResolverOpts::default(), Hosts::default(), Duration::from_secs(5)).unwrap()
    }

    #[tokio::test]
    async fn services_are_read_as_dns_has_them() {
        let resolver = resolver().await;
        let naptr = resolver.naptr("example.com").await.unwrap();
        assert_eq!(naptr.len(), 1);
        assert_eq!((naptr[0].order, naptr[0].preference), (10, 20));
        assert_eq!((&*naptr[0].flags, &*naptr[0].services), ("s", "SIP+D2U"));
        assert_eq!(naptr[0].replacement, "_sip._udp.example.com");
        let srv = resolver.srv("_sip._udp.example.com").await.unwrap();
        assert_eq!(srv, [Srv { priority: 1, weight: 2, port: 5070, target: "sip.example.com".to_owned() }]);
        assert_eq!(resolver.srv("_sip._tcp.example.com").await.unwrap()[0].target, ".");
    }

    #[tokio::test]
    async fn a_service_that_is_not_there_is_no_error() {
        let resolver = resolver().await;
        assert_eq!(resolver.srv("_sips._tcp.example.com").await.unwrap(), []);
        assert_eq!(resolver.naptr("nowhere.example").await.unwrap(), []);
        assert!(matches!(resolver.srv("a..b").await, Err(ResolveError::Invalid(_))));
    }
}
