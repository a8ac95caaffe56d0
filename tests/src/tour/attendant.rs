//! What stays when the tour is over: bob's phone, which answers every call, and bob in the meeting.
//!
//! Nobody else's phone may stay registered: it would take the calls that are for the visitor's own.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::{Context as _, Result};
use cusax_load::phone::within;
use cusax_load::{Phone, PhoneError};

use super::Stage;
use super::meeting;
use super::stage::USERS;

const SOON: Duration = Duration::from_secs(5);
/// What Kamailio gives at most.
const EXPIRES: u32 = 3600;
const REFRESH: Duration = Duration::from_secs(1800);
/// After a registration that failed.
const AGAIN: Duration = Duration::from_secs(30);

/// Bob, who is there for visitors.
pub struct Attendant {
    phone: Phone,
}

impl Attendant {
    /// Who it is.
    pub const USER: &str = "bob";

    /// Takes the others off the stage, and bob's phone into the meeting, in whose room he is since it was held.
    ///
    /// # Errors
    /// Fails where a phone cannot be unregistered, or bob is not let in.
    pub async fn stay(stage: &mut Stage) -> Result<Self> {
        for (user, _) in USERS.iter().filter(|(user, _)| *user != Self::USER) {
            stage.dismiss(user).await.with_context(|| format!("{user} leaves"))?;
        }
        // The call goes on without whoever made it, until the room puts him out.
        let _ = meeting::dial(stage, Self::USER).await?;
        let attendant = Self { phone: stage.take_phone(Self::USER)? };
        attendant.register().await.context("bob's phone registers")?;
        Ok(attendant)
    }

    /// Answers every call at once with the phone's tone, and keeps the phone registered, for as long as this is polled.
    pub async fn answer(&self) -> Infallible {
        let mut refresh = within(REFRESH);
        loop {
            match self.phone.incoming(refresh).await {
                Ok(incoming) => {
                    incoming.ring(&[]);
                    // Without a codec in common it has refused the call, and told the caller why.
                    let _ = incoming.accept(&[]);
                }
                Err(_) => {
                    let next = if self.register().await.is_ok() { REFRESH } else { AGAIN };
                    refresh = within(next);
                }
            }
        }
    }

    async fn register(&self) -> Result<u16, PhoneError> {
        Ok(self.phone.register(EXPIRES, within(SOON)).await?.status)
    }
}
