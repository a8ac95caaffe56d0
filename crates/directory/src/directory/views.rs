//! What other servers find of an account, each in its own view (`migrations/directory/0002_views.sql`).

use sqlx::SqliteConnection;

use crate::account::Account;

/// A view, and whether a server that looks for the account finds it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// The view's name.
    pub name: &'static str,
    /// Whose it is.
    pub servers: &'static str,
    /// Whether the account is in it.
    pub shown: bool,
}

/// Looks an account up as each server does.
pub(super) async fn of(connection: &mut SqliteConnection, account: &Account) -> Result<Vec<View>, sqlx::Error> {
    let mut views = Vec::with_capacity(VIEWS.len());
    for (name, servers, question) in VIEWS {
        let rows: i64 = sqlx::query_scalar(question)
            .bind(&account.sip_user)
            .bind(&account.sip_domain)
            .bind(&account.xmpp_user)
            .bind(&account.xmpp_domain)
            .fetch_one(&mut *connection)
            .await?;
        views.push(View { name, servers, shown: rows > 0 });
    }
    Ok(views)
}

/// Name, servers, and the question: ?1 and ?2 are the SIP user and domain, ?3 and ?4 those of XMPP.
const VIEWS: [(&str, &str, &str); 4] = [
    ("prosody", "Prosody", "SELECT count(*) FROM prosody WHERE \"user\" = ?3 AND \"host\" = ?4"),
    ("users", "ejabberd", "SELECT count(*) FROM users WHERE username = ?3 AND server_host = ?4"),
    ("subscriber", "Kamailio, OpenSIPS", "SELECT count(*) FROM subscriber WHERE username = ?1 AND domain = ?2"),
    ("ps_auths", "Asterisk", "SELECT count(*) FROM ps_auths WHERE username = ?1 AND realm = ?2"),
];
