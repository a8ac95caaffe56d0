//! What the edge asks of the directory, answered from its snapshot.

use cusax_directory::{Account as Entry, Ha1, Snapshot};
use cusax_edge::{Account, AccountKey};
use cusax_sip::digest::Algorithm;

/// The account that a key names.
pub(super) fn find(snapshot: &Snapshot, domain: &str, key: &AccountKey) -> Option<Account> {
    match key {
        AccountKey::Digest { username, algorithm } => {
            let entry = snapshot.by_digest_user(domain, username)?;
            Some(Account { ha1: of_algorithm(entry.ha1(username), *algorithm).to_owned(), ..account(entry) })
        }
        AccountKey::User(user) => snapshot.by_aor(user, domain).map(account),
        AccountKey::Number(number) => {
            snapshot.by_number(number).or_else(|| snapshot.by_aor(number, domain)).map(account)
        }
        AccountKey::Id(id) => snapshot.by_id(*id).map(account),
    }
}

fn account(entry: &Entry) -> Account {
    Account {
        id: entry.id,
        user: entry.sip_user.clone(),
        jid: Some(entry.jid()),
        numbers: entry.numbers.clone(),
        ha1: String::new(),
    }
}

fn of_algorithm(ha1: &Ha1, algorithm: Algorithm) -> &str {
    match algorithm {
        Algorithm::Md5 => ha1.md5(),
        Algorithm::Sha256 => ha1.sha256(),
        Algorithm::Sha512_256 => ha1.sha512_256(),
    }
}
