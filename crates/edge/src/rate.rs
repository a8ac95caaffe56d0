//! How often somebody may ask: a bucket for each source and each account, in a table of fixed size.
//!
//! A bucket is the time at which it will be empty again (the generic cell rate algorithm), so that one that is idle is
//! worth nothing and may be overwritten: the table forgets whom it can afford to forget. Random sources by the million push
//! each other out, which lets them through; what they cost then is bounded by what a stranger's request costs.

use std::hash::{Hash, Hasher as _};
use std::net::IpAddr;
use std::num::NonZeroU32;

use siphasher::sip::SipHasher13;

/// Buckets; 24 bytes each.
const BUCKETS: usize = 1 << 16;
/// Buckets that one key may be in.
const WAYS: usize = 4;
/// A bucket holds what is allowed in so many seconds: phones come in crowds after a power cut.
const BURST: u64 = 2;
const SECOND: u64 = 1_000_000_000;

/// Whose requests are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// An IPv4 address or an IPv6 /64.
    Source([u8; 8]),
    /// The calls that stand of one of these.
    Dialogs([u8; 8]),
    /// An account.
    Account(i64),
}

impl Key {
    /// The key of a source address; of IPv6 a customer has a /64 (RFC 6177).
    pub(crate) fn source(address: IpAddr) -> Self {
        let mut bytes = [0; 8];
        match address.to_canonical() {
            // No /64 of the Internet begins with 0.
            IpAddr::V4(address) => bytes[4..].copy_from_slice(&address.octets()),
            IpAddr::V6(address) => bytes.copy_from_slice(&address.octets()[..8]),
        }
        Self::Source(bytes)
    }

    /// The key of the calls that stand of a source.
    pub(crate) const fn of_dialogs(self) -> Self {
        match self {
            Self::Source(source) => Self::Dialogs(source),
            Self::Dialogs(_) | Self::Account(_) => self,
        }
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is within the rate.
    Within,
    /// It is beyond it, and is told so.
    Beyond,
    /// So are too many: it is told nothing.
    FarBeyond,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    /// The key's hash; 0 for none.
    key: u64,
    /// When it is empty, in ns since the start.
    empty: u64,
    /// The same of the answers that say that it was too much.
    told: u64,
}

/// All buckets.
pub(crate) struct Rates {
    hasher: SipHasher13,
    buckets: Box<[Bucket]>,
}

impl Rates {
    /// `seed` keeps anybody from choosing whom he pushes out.
    pub(crate) fn new(seed: [u64; 2]) -> Self {
        let hasher = SipHasher13::new_with_keys(seed[0], seed[1]);
        Self { hasher, buckets: vec![Bucket::default(); BUCKETS].into_boxed_slice() }
    }

    /// Counts one request at a time in ns since the start.
    pub(crate) fn take(&mut self, key: Key, per_second: NonZeroU32, now: u64) -> Verdict {
        let interval = SECOND / u64::from(per_second.get());
        let depth = BURST * SECOND;
        let bucket = self.bucket(key, now);
        let fits = |at: &mut u64| {
            let next = (*at).max(now) + interval;
            let fits = next <= now + depth;
            if fits {
                *at = next;
            }
            fits
        };
        if fits(&mut bucket.empty) {
            Verdict::Within
        } else if fits(&mut bucket.told) {
            Verdict::Beyond
        } else {
            Verdict::FarBeyond
        }
    }

    /// A number below a bound that is the same for the same text, for what should not happen to all at once.
    pub(crate) fn spread(&self, text: &str, below: u64) -> u64 {
        self.hash(text) % below.max(1)
    }

    fn hash(&self, what: impl Hash) -> u64 {
        let mut hasher = self.hasher;
        what.hash(&mut hasher);
        hasher.finish()
    }

    /// The bucket of a key, in place of the one that is nearest to empty if there is none yet.
    fn bucket(&mut self, key: Key, now: u64) -> &mut Bucket {
        let hash = self.hash(key).max(1);
        let set = usize::try_from(hash).unwrap_or(usize::MAX) % (BUCKETS / WAYS) * WAYS;
        let ways = &mut self.buckets[set..set + WAYS];
        let found = ways.iter().position(|bucket| bucket.key == hash);
        let emptiest = || ways.iter().enumerate().min_by_key(|(_, bucket)| bucket.empty.max(now)).map(|(way, _)| way);
        let way = found.or_else(emptiest).unwrap_or(0);
        if found.is_none() {
            ways[way] = Bucket { key: hash, empty: now, told: now };
        }
        &mut ways[way]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: NonZeroU32 = NonZeroU32::new(10).unwrap();

    fn rates() -> Rates {
        Rates::new([1, 2])
    }

    fn source(text: &str) -> Key {
        Key::source(text.parse().unwrap())
    }

    #[test]
    fn a_burst_is_let_through_then_the_rate_then_answers_then_silence() {
        let mut rates = rates();
        let mut verdicts = |now| {
            let mut counts = [0; 3];
            for _ in 0..100 {
                counts[rates.take(source("192.0.2.1"), TEN, now) as usize] += 1;
            }
            counts
        };
        assert_eq!(verdicts(0), [20, 20, 60]);
        assert_eq!(verdicts(SECOND), [10, 10, 80]);
        assert_eq!(verdicts(SECOND + SECOND / 10), [1, 1, 98]);
        assert_eq!(verdicts(100 * SECOND), [20, 20, 60]);
    }

    #[test]
    fn sources_and_accounts_do_not_share_a_bucket() {
        let mut rates = rates();
        let keys = [
            source("192.0.2.1"),
            source("192.0.2.2"),
            source("2001:db8::1"),
            source("2001:db8:0:1::1"),
            Key::Account(1),
            Key::Account(2),
        ];
        for key in keys {
            let within = (0..50).filter(|_| rates.take(key, TEN, 0) == Verdict::Within).count();
            assert_eq!(within, 20, "{key:?}");
        }
    }

    #[test]
    fn a_slash_64_is_one_source_and_so_is_a_mapped_address() {
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:1"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
    }

    #[test]
    fn who_is_beyond_his_rate_is_not_forgotten_for_idle_ones() {
        let mut rates = rates();
        for _ in 0..40 {
            rates.take(source("192.0.2.1"), TEN, 0);
        }
        for other in 0..u32::try_from(BUCKETS).unwrap() {
            rates.take(Key::source(std::net::Ipv4Addr::from(0x0a00_0000 + other).into()), TEN, 0);
        }
        assert_ne!(rates.take(source("192.0.2.1"), TEN, 0), Verdict::Within);
    }
}
