//! An XMPP client that waits for what it is told to wait for, and moderates rooms.

mod driver;
mod inbox;
mod room;

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use cusax_net::random;
use cusax_xmpp::client::Config;
use cusax_xmpp::sasl::{Mechanism, PlainPolicy};
use cusax_xmpp::stream::Limits;
use cusax_xmpp::{BareJid, Element, Jid, Secret, ns, stanza};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout_at;

pub use inbox::Received;
pub use room::{Entered, Moderated};

use inbox::{Inbox, Stage};

/// Who logs in, and where.
#[derive(Clone)]
pub struct ChatConfig {
    /// The account.
    pub jid: BareJid,
    /// The password.
    pub password: Secret,
    /// The resource to ask for.
    pub resource: Option<String>,
    /// The server's port for clients.
    pub server: SocketAddr,
}

impl ChatConfig {
    /// A login without a resource of its own choice; SCRAM only.
    #[must_use]
    pub fn new(jid: BareJid, password: &str, server: SocketAddr) -> Self {
        Self { jid, password: Secret::new(password), resource: None, server }
    }
}

/// Why a client could not do something.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// The connection could not be made.
    #[error("{jid}: {error}")]
    Connect {
        /// Who.
        jid: BareJid,
        /// What the system says.
        error: io::Error,
    },
    /// The server did not let us in.
    #[error("{jid}: not let in: {condition}")]
    Refused {
        /// Who.
        jid: BareJid,
        /// The SASL failure condition, `not-authorized` for a wrong password.
        condition: String,
        /// The server's words.
        text: Option<String>,
    },
    /// The stream is over.
    #[error("{jid}: the stream is over: {detail}")]
    Closed {
        /// Who.
        jid: BareJid,
        /// Why.
        detail: String,
    },
    /// It did not happen in time.
    #[error("{jid}: no {what} in time")]
    Deadline {
        /// Who.
        jid: BareJid,
        /// What was waited for.
        what: String,
    },
    /// A request was refused.
    #[error("{jid}: {what} was refused: {condition}")]
    Stanza {
        /// Who.
        jid: BareJid,
        /// What was asked for.
        what: String,
        /// The condition of the error stanza, such as `forbidden`.
        condition: String,
    },
}

/// A client that is online; it goes offline when dropped.
pub struct Chat {
    account: BareJid,
    jid: Jid,
    mechanism: Mechanism,
    inbox: watch::Sender<Inbox>,
    stanzas: mpsc::Sender<Element>,
    driver: JoinHandle<()>,
}

impl Chat {
    /// Connects, proves who it is, binds a resource and becomes available.
    ///
    /// # Errors
    /// [`ChatError::Connect`], [`ChatError::Refused`], [`ChatError::Closed`], [`ChatError::Deadline`].
    pub async fn connect(config: ChatConfig, deadline: Instant) -> Result<Self, ChatError> {
        let ChatConfig { jid: account, password, resource, server } = config;
        let connect = cusax_net::link::TcpLink::connect(server, deadline).await;
        let link = connect.map_err(|error| ChatError::Connect { jid: account.clone(), error })?;
        let (jid, limits) = (account.clone(), Limits::default());
        let config = Config { jid, resource, password, plain: PlainPolicy::Refused, limits };
        let inbox = watch::Sender::new(Inbox::default());
        let (stanzas, outgoing) = mpsc::channel(QUEUE);
        let mut stage = inbox.subscribe();
        let driver = tokio::spawn(driver::run(link, config, inbox.clone(), outgoing));
        let decided = timeout_at(deadline.into(), stage.wait_for(|inbox| inbox.stage != Stage::LoggingIn)).await;
        let stage = match decided {
            Ok(Ok(inbox)) => inbox.stage.clone(),
            Ok(Err(_)) | Err(_) => Stage::LoggingIn,
        };
        let failed = match stage {
            Stage::Online { jid, mechanism } => return Ok(Self { account, jid, mechanism, inbox, stanzas, driver }),
            Stage::Refused { condition, text } => ChatError::Refused { jid: account, condition, text },
            Stage::Closed { detail } => ChatError::Closed { jid: account, detail },
            Stage::LoggingIn => ChatError::Deadline { jid: account, what: "login".to_owned() },
        };
        driver.abort();
        Err(failed)
    }

    /// The full JID that the server gave.
    #[must_use]
    pub fn jid(&self) -> &Jid {
        &self.jid
    }

    /// How it proved who it is.
    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Sends a stanza.
    ///
    /// # Errors
    /// [`ChatError::Closed`].
    pub async fn send(&self, stanza: Element) -> Result<(), ChatError> {
        self.stanzas.send(stanza).await.map_err(|_| self.closed())
    }

    /// Waits for the first stanza, received already or to come, that is what is asked for, and takes it.
    ///
    /// # Errors
    /// [`ChatError::Deadline`] naming `what`, [`ChatError::Closed`].
    pub async fn take(
        &self,
        what: &str,
        deadline: Instant,
        wanted: impl Fn(&Element) -> bool,
    ) -> Result<Received, ChatError> {
        self.take_received(what, deadline, |received| wanted(&received.element)).await
    }

    async fn take_received(
        &self,
        what: &str,
        deadline: Instant,
        wanted: impl Fn(&Received) -> bool,
    ) -> Result<Received, ChatError> {
        let mut changes = self.inbox.subscribe();
        loop {
            // Before looking: what comes in between is a change then, and not one that was seen.
            let over = matches!(changes.borrow_and_update().stage, Stage::Closed { .. });
            let mut taken = None;
            self.inbox.send_if_modified(|inbox| {
                taken = inbox.take(&wanted);
                false
            });
            if let Some(taken) = taken {
                return Ok(taken);
            }
            if over {
                return Err(self.closed());
            }
            match timeout_at(deadline.into(), changes.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(self.closed()),
                Err(_) => {
                    return Err(ChatError::Deadline { jid: self.account.clone(), what: what.to_owned() });
                }
            }
        }
    }

    /// Waits for a message whose body has a text in it.
    ///
    /// # Errors
    /// As [`Chat::take`].
    pub async fn message(&self, text: &str, deadline: Instant) -> Result<Received, ChatError> {
        let wanted = |stanza: &Element| {
            let body = stanza.child(ns::CLIENT, "body").map(Element::text);
            stanza.name() == "message" && body.is_some_and(|body| body.contains(text))
        };
        self.take(&format!("message with {text:?}"), deadline, wanted).await
    }

    /// Forgets what was received and not taken.
    pub fn forget(&self) {
        self.inbox.send_if_modified(|inbox| {
            inbox.forget();
            false
        });
    }

    /// Sends an IQ, which `build` makes with the id that it is given, and waits for its result.
    ///
    /// # Errors
    /// [`ChatError::Stanza`] where it was refused; [`ChatError::Deadline`], [`ChatError::Closed`].
    pub async fn ask(
        &self,
        what: &str,
        deadline: Instant,
        build: impl FnOnce(&str) -> Element,
    ) -> Result<Received, ChatError> {
        let id = format!("{:016x}", random::seed());
        self.send(build(&id)).await?;
        let answer = self.take(&format!("answer to {what}"), deadline, |stanza| is_answer(stanza, &id)).await?;
        match stanza::error_condition(&answer.element) {
            None => Ok(answer),
            Some(condition) => Err(ChatError::Stanza {
                jid: self.account.clone(),
                what: what.to_owned(),
                condition: condition.to_owned(),
            }),
        }
    }

    fn closed(&self) -> ChatError {
        let detail = match &self.inbox.borrow().stage {
            Stage::Closed { detail } => detail.clone(),
            Stage::LoggingIn | Stage::Online { .. } | Stage::Refused { .. } => "the client ended".to_owned(),
        };
        ChatError::Closed { jid: self.account.clone(), detail }
    }
}

impl Drop for Chat {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn is_answer(stanza: &Element, id: &str) -> bool {
    stanza.name() == "iq" && stanza.attr("id") == Some(id) && matches!(stanza.attr("type"), Some("result" | "error"))
}

/// Stanzas that wait to be sent.
const QUEUE: usize = 64;
