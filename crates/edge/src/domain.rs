//! SIP domains that lookups started from, numbered, so that a flow can carry one to where its connection is made.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use cusax_sip::DomainId;

use crate::Edge;
use crate::route::Target;

/// Domains that are known at a time. Of one that went, connections are made under a new number.
const KNOWN: usize = 4_096;

/// The domains, the oldest first. A number is never used twice.
#[derive(Default)]
pub(crate) struct Domains {
    numbers: HashMap<Arc<str>, DomainId>,
    names: VecDeque<Arc<str>>,
    /// The number of the oldest.
    first: u64,
}

impl Domains {
    /// The number of a domain, a new one where it has none.
    pub(crate) fn number(&mut self, name: &str) -> DomainId {
        let name = bare(name).to_ascii_lowercase();
        if let Some(number) = self.numbers.get(name.as_str()) {
            return *number;
        }
        if self.names.len() >= KNOWN
            && let Some(oldest) = self.names.pop_front()
        {
            self.numbers.remove(&oldest);
            self.first += 1;
        }
        let (name, number) = (Arc::<str>::from(name), DomainId(self.first + self.names.len() as u64));
        self.names.push_back(Arc::clone(&name));
        self.numbers.insert(name, number);
        number
    }

    /// The domain of a number; `None` where it went.
    pub(crate) fn name(&self, number: DomainId) -> Option<&str> {
        let index = usize::try_from(number.0.checked_sub(self.first)?).ok()?;
        self.names.get(index).map(|name| &**name)
    }
}

impl Edge {
    /// Has a flow that may take a new TLS connection say whose certificate is expected there, where nothing that is
    /// configured does.
    pub(crate) fn expect(&mut self, target: &mut Target) {
        let new = target.flow.connection.is_none();
        if let Some(domain) = target.domain.as_ref().filter(|_| new)
            && self.domains_at(&target.flow).is_empty()
        {
            target.flow.domain = Some(self.domains.number(domain));
        }
    }
}

/// A host without the brackets of an IPv6 reference, and without the dot that ends a full name.
pub(crate) fn bare(host: &str) -> &str {
    let host = host.strip_suffix('.').unwrap_or(host);
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_keeps_its_number_until_it_is_the_oldest_of_too_many() {
        let mut domains = Domains::default();
        let first = domains.number("Biloxi.example.");
        assert_eq!((domains.number("biloxi.example"), domains.name(first)), (first, Some("biloxi.example")));
        let address = domains.number("[2001:db8::1]");
        assert_eq!(domains.name(address), Some("2001:db8::1"));
        for other in 0..KNOWN - 1 {
            domains.number(&format!("{other}.example"));
        }
        assert_eq!((domains.name(first), domains.name(address)), (None, Some("2001:db8::1")));
        let again = domains.number("biloxi.example");
        assert_ne!(again, first);
        assert_eq!((domains.name(again), domains.names.len()), (Some("biloxi.example"), KNOWN));
    }
}
