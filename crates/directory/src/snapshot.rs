//! The accounts as hot paths read them: immutable, without a lock, without waiting.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::account::Account;
use crate::credential::Ha1;

/// Holds every enabled account at one moment; a disabled one is as if it were not there.
pub struct Snapshot {
    accounts: Box<[Account]>,
    /// Domain, then user, to the index in `accounts`.
    sip: Addresses,
    xmpp: Addresses,
    numbers: HashMap<Box<str>, usize>,
    ids: HashMap<i64, usize>,
    /// Keys that no password has.
    nobody: Ha1,
}

type Addresses = HashMap<Box<str>, HashMap<Box<str>, usize>>;

impl Snapshot {
    pub(crate) fn new(accounts: Vec<Account>, nobody: Ha1) -> Self {
        let accounts: Box<[Account]> = accounts.into_iter().filter(|account| account.enabled).collect();
        let (mut sip, mut xmpp, mut numbers) = (Addresses::new(), Addresses::new(), HashMap::new());
        for (index, account) in accounts.iter().enumerate() {
            sip.entry(account.sip_domain.as_str().into()).or_default().insert(account.sip_user.as_str().into(), index);
            xmpp.entry(account.xmpp_domain.as_str().into())
                .or_default()
                .insert(account.xmpp_user.as_str().into(), index);
            for number in &account.numbers {
                numbers.insert(number.as_str().into(), index);
            }
        }
        let ids = accounts.iter().enumerate().map(|(index, account)| (account.id, index)).collect();
        Self { accounts, sip, xmpp, numbers, ids, nobody }
    }

    /// Finds who logs in to `realm` as `username`, which is `alice` or `alice@example.com` (then the domain must be the realm).
    ///
    /// Its keys are `account.ha1(username)`; for nobody, go on with [`Snapshot::nobody`], so that an unknown user costs the same time.
    #[must_use]
    pub fn by_digest_user(&self, realm: &str, username: &str) -> Option<&Account> {
        let user = match username.rsplit_once('@') {
            // HA1 was made of the domain as stored: another spelling of it is another username.
            Some((user, domain)) => (domain == realm).then_some(user)?,
            None => username,
        };
        self.at(*self.sip.get(realm)?.get(user)?)
    }

    /// Keys to compute an expected response with when there is no account: no password makes them.
    #[must_use]
    pub const fn nobody(&self) -> &Ha1 {
        &self.nobody
    }

    /// Finds the account with an address of record; `user` is unescaped, `domain` in any case.
    #[must_use]
    pub fn by_aor(&self, user: &str, domain: &str) -> Option<&Account> {
        self.at(*self.sip.get(lower(domain).as_ref())?.get(user)?)
    }

    /// Finds the account with a bare JID, prepared as servers send it; ASCII in any case.
    #[must_use]
    pub fn by_jid(&self, bare: &str) -> Option<&Account> {
        let (user, domain) = bare.split_once('@')?;
        self.at(*self.xmpp.get(lower(domain).as_ref())?.get(lower(user).as_ref())?)
    }

    /// Finds the account with a number in E.164, plus sign included.
    #[must_use]
    pub fn by_number(&self, e164: &str) -> Option<&Account> {
        self.at(*self.numbers.get(e164)?)
    }

    /// Finds the account with this id.
    #[must_use]
    pub fn by_id(&self, id: i64) -> Option<&Account> {
        self.at(*self.ids.get(&id)?)
    }

    /// Every enabled account by ascending id.
    #[must_use]
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    fn at(&self, index: usize) -> Option<&Account> {
        self.accounts.get(index)
    }
}

/// Lower case, copied only where it is not.
fn lower(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}
