//! The servers of the tour, as children on ports of their own, and the people on them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use cusax_load::phone::within;
use cusax_load::{Chat, ChatConfig, Phone, PhoneConfig};
use cusax_sip::digest::Algorithm;

use crate::interop::{KAMAILIO, PROSODY, SIPP};
use crate::ports::Port;
use crate::process::{Process, Watch};
use crate::scratch::Scratch;
use crate::server::{Cusax, DOMAIN, Gateway, Kamailio, Prosody, Settings};

/// Users of the tour, with their passwords.
pub const USERS: [(&str, &str); 3] = [("alice", "wonderland-1"), ("bob", "builder-22"), ("carol", "carillon-3")];

/// Everything that runs.
pub struct Stage {
    /// The PSTN gateway.
    pub gateway: Gateway,
    /// The existing SIP server.
    pub kamailio: Kamailio,
    /// The existing XMPP server.
    pub prosody: Prosody,
    /// cusax's files and configuration.
    pub cusax: Cusax,
    /// cusax itself.
    pub process: Process,
    phones: BTreeMap<String, Phone>,
    chats: BTreeMap<String, Chat>,
    /// Call-ID of the call that step 2 made, for the trace.
    pub call_id: Option<String>,
    /// Session of that call.
    pub session: Option<String>,
    /// The directory of all of it; last, so that it goes when nothing runs in it.
    pub scratch: Scratch,
}

impl Stage {
    /// Brings everything up; `tell` hears of each part as it runs.
    ///
    /// # Errors
    /// Says which part did not come up, and why.
    pub async fn raise(name: &str, mut tell: impl FnMut(&str, String)) -> Result<Self> {
        let missing: Vec<String> = [SIPP, KAMAILIO, PROSODY]
            .into_iter()
            .filter_map(|program| program.find().err())
            .map(|it| it.to_string())
            .collect();
        if !missing.is_empty() {
            bail!("{}", missing.join("; "));
        }
        let scratch = Scratch::new(name)?;
        let gateway = Gateway::start(&scratch, Port::free()?).await?;
        tell("SIPp, the PSTN gateway", format!("udp:{}", gateway.address()));
        let (sip_server, clients, component) = (Port::free()?, Port::free()?, Port::free()?);
        let settings = Settings::claim(sip_server.address(), component.address(), clients.address())?;
        let core = settings.core.address();
        let mut cusax = Cusax::install(&scratch, settings)?;
        for (user, password) in USERS {
            cusax.add_account(user, password, &[])?;
        }
        let kamailio = Kamailio::start(&scratch, sip_server, core, gateway.address()).await?;
        tell("Kamailio, the existing SIP server", format!("udp:{}", kamailio.address()));
        let prosody = Prosody::start(&scratch, clients, component, &cusax.directory(), &cusax.secret_file()).await?;
        tell(
            "Prosody, the existing XMPP server",
            format!("clients tcp:{}, component tcp:{}", prosody.clients(), prosody.component()),
        );
        let process = cusax.serve().await?;
        tell(
            "cusax, the edge",
            format!(
                "access udp:{}, core udp:{core}, http:{}",
                cusax.settings().access.address(),
                cusax.settings().http.address()
            ),
        );
        Ok(Self {
            gateway,
            kamailio,
            prosody,
            cusax,
            process,
            phones: BTreeMap::new(),
            chats: BTreeMap::new(),
            call_id: None,
            session: None,
            scratch,
        })
    }

    /// The servers that run.
    #[must_use]
    pub fn servers(&self) -> [Watch; 4] {
        [self.gateway.process(), self.kamailio.process(), self.prosody.process(), &self.process]
            .map(|process| process.watch().clone())
    }

    /// The frequency of a user's tone, in Hz.
    #[must_use]
    pub fn hertz(user: &str) -> f64 {
        match user {
            "alice" => 700.0,
            "bob" => 1_100.0,
            _ => 1_700.0,
        }
    }

    /// The user's phone, switched on at its first use; `algorithm` forces its digest then.
    ///
    /// # Errors
    /// Fails where its socket cannot be made.
    pub fn phone(&mut self, user: &str, algorithm: Option<Algorithm>) -> Result<&Phone> {
        if !self.phones.contains_key(user) {
            let password = USERS.iter().find(|(name, _)| *name == user).map_or("", |(_, password)| password);
            let mut config = PhoneConfig::new(user, DOMAIN, password, self.access(), Self::hertz(user));
            if let Some(login) = &mut config.login {
                login.algorithm = algorithm;
            }
            self.phones.insert(user.to_owned(), Phone::start(config)?);
        }
        self.phones.get(user).context("no such phone")
    }

    /// The user's XMPP client, logged in at its first use.
    ///
    /// # Errors
    /// Fails where Prosody does not let it in.
    pub async fn chat(&mut self, user: &str) -> Result<&Chat> {
        if !self.chats.contains_key(user) {
            let password = USERS.iter().find(|(name, _)| *name == user).map_or("", |(_, password)| password);
            let config = ChatConfig::new(format!("{user}@{DOMAIN}").parse()?, password, self.prosody.clients());
            let chat = Chat::connect(config, within(Duration::from_secs(5))).await?;
            // RFC 6121 §4.2.2: it comes back to who sent it. Before, headlines to the bare JID reach nobody.
            let own = chat.jid().to_string();
            let present =
                |stanza: &cusax_xmpp::Element| stanza.name() == "presence" && stanza.attr("from") == Some(&own);
            chat.take("presence of its own", within(Duration::from_secs(5)), present).await?;
            self.chats.insert(user.to_owned(), chat);
        }
        self.chats.get(user).context("no such client")
    }

    /// Unregisters a user's phone, and switches it and his XMPP client off.
    ///
    /// # Errors
    /// Fails where the phone hears no answer.
    pub async fn dismiss(&mut self, user: &str) -> Result<()> {
        self.chats.remove(user);
        if let Some(phone) = self.phones.remove(user) {
            phone.register(0, within(Duration::from_secs(5))).await?;
        }
        Ok(())
    }

    /// Takes the XMPP clients off, whose server has gone; each logs in anew at its next use.
    pub fn forget_chats(&mut self) {
        self.chats.clear();
    }

    /// A user's phone, for somebody else to keep.
    ///
    /// # Errors
    /// Fails where it was never switched on.
    pub fn take_phone(&mut self, user: &str) -> Result<Phone> {
        self.phones.remove(user).with_context(|| format!("{user} has no phone"))
    }

    /// A phone without an account.
    ///
    /// # Errors
    /// Fails where its socket cannot be made.
    pub fn stranger(&self, user: &str) -> Result<Phone> {
        let mut config = PhoneConfig::new(user, DOMAIN, "", self.access(), 400.0);
        config.login = None;
        Ok(Phone::start(config)?)
    }

    /// Where phones register.
    #[must_use]
    pub fn access(&self) -> SocketAddr {
        self.cusax.settings().access.address()
    }

    /// `/metrics` as it is now.
    ///
    /// # Errors
    /// Fails where cusax does not answer.
    pub async fn metrics(&self) -> Result<String> {
        Ok(crate::http::get(self.cusax.settings().http.address(), "/metrics").await?.body)
    }

    /// The value of one series now.
    ///
    /// # Errors
    /// Fails where cusax does not answer, or has no such series.
    pub async fn metric(&self, series: &str) -> Result<u64> {
        let metrics = self.metrics().await?;
        let value = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok());
        value.with_context(|| format!("no series {series}"))
    }
}
