//! A SIP phone: a user agent on a UDP socket of its own, with an account, a tone and ears.

mod call;
mod driver;
mod ears;
mod media;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use cusax_net::{clock, random};
use cusax_sip::digest::Algorithm;
use cusax_sip::ua::{Body, EndReason, Headers, Login, Outgoing};
use cusax_sip::{Flow, ListenerId, Message, Transport};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout_at;

pub use call::{Call, Ended, Incoming, Side};
pub use ears::{Heard, PRESENT_DBFS};
pub use media::Tone;

use call::Line;
use driver::Shared;

/// Whose phone it is, and what it sounds like.
#[derive(Clone, Debug)]
pub struct PhoneConfig {
    /// User part of its address of record.
    pub user: String,
    /// Domain of its address of record.
    pub domain: String,
    /// What answers challenges.
    pub login: Option<Login>,
    /// Where everything that begins something is sent: its outbound proxy.
    pub proxy: SocketAddr,
    /// The address that it has its sockets on, and tells others; never an unspecified one.
    pub bind: IpAddr,
    /// What it says all the time.
    pub tone: Tone,
}

impl PhoneConfig {
    /// A phone on the machine of its proxy (else set `bind`), whose digest username is its user part, with a tone at
    /// -20 dBFS.
    #[must_use]
    pub fn new(user: &str, domain: &str, password: &str, proxy: SocketAddr, hertz: f64) -> Self {
        let login = Login { username: user.to_owned(), password: password.to_owned(), algorithm: None };
        Self {
            user: user.to_owned(),
            domain: domain.to_owned(),
            login: Some(login),
            proxy,
            bind: proxy.ip(),
            tone: Tone { hertz, dbfs: -20.0 },
        }
    }

    /// Its address of record.
    #[must_use]
    pub fn address_of_record(&self) -> String {
        format!("sip:{}@{}", self.user, self.domain)
    }
}

/// Why a phone could not do something.
#[derive(Debug, thiserror::Error)]
pub enum PhoneError {
    /// It did not happen in time.
    #[error("{who}: no {what} in time")]
    Deadline {
        /// The phone.
        who: String,
        /// What was waited for.
        what: String,
    },
    /// The call was refused, or nobody answered it.
    #[error("{who}: the call failed with {status} {reason}")]
    Failed {
        /// The phone.
        who: String,
        /// The status.
        status: u16,
        /// The reason phrase; empty where no response came.
        reason: String,
        /// The response, where one came.
        response: Option<Received>,
    },
    /// The call is over.
    #[error("{who}: the call is over ({reason})")]
    Over {
        /// The phone.
        who: String,
        /// Why.
        reason: EndReason,
    },
    /// Too much is open in the phone, or an offer is.
    #[error("{who}: busy")]
    Busy {
        /// The phone.
        who: String,
    },
    /// The socket.
    #[error("{who}: {error}")]
    Socket {
        /// The phone.
        who: String,
        /// What the system says.
        error: io::Error,
    },
}

/// A message and when it was received.
#[derive(Clone, Debug)]
pub struct Received {
    /// When.
    pub at: Instant,
    /// The message.
    pub message: Arc<Message>,
}

/// What a request came to.
#[derive(Clone, Debug)]
pub struct Response {
    /// When.
    pub at: Instant,
    /// The final status; 408 where nobody answered.
    pub status: u16,
    /// The algorithm of the credentials that were given in the end.
    pub algorithm: Option<Algorithm>,
    /// The response, where one came.
    pub message: Option<Arc<Message>>,
}

/// A phone; it falls silent when dropped.
pub struct Phone {
    shared: Arc<Shared>,
    driver: JoinHandle<()>,
}

impl Phone {
    /// Switches a phone on, in a tokio runtime.
    ///
    /// # Errors
    /// [`PhoneError::Socket`] where its socket cannot be made.
    pub fn start(config: PhoneConfig) -> Result<Self, PhoneError> {
        let who = config.user.clone();
        let shared = Shared::new(config).map_err(|error| PhoneError::Socket { who, error })?;
        let driver = tokio::spawn(driver::run(Arc::clone(&shared)));
        Ok(Self { shared, driver })
    }

    /// The address of its SIP socket.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.shared.socket.local_addr()
    }

    /// Whose phone it is.
    #[must_use]
    pub fn config(&self) -> &PhoneConfig {
        &self.shared.config
    }

    /// Registers for so many seconds (0: no longer), with the strongest algorithm that is offered or the one that its
    /// login forces.
    ///
    /// # Errors
    /// [`PhoneError::Deadline`]; any status is a result.
    pub async fn register(&self, expires: u32, deadline: Instant) -> Result<Response, PhoneError> {
        let registrar = format!("sip:{}", self.shared.config.domain);
        let to = format!("<{}>", self.shared.config.address_of_record());
        let expires = expires.to_string();
        let (call_id, cseq) = self.shared.next_registration();
        let outgoing = Outgoing {
            contact: Some(&self.shared.contact),
            call_id: Some(&call_id),
            cseq,
            headers: &[("Expires", &expires)],
            ..self.shared.outgoing(&registrar, &to)
        };
        let response = self.transact("REGISTER", &outgoing, deadline).await?;
        let used = response.message.as_ref().and_then(|message| message.cseq()).map_or(cseq, |(number, _)| number);
        self.shared.registered(used);
        Ok(response)
    }

    /// Sends a request outside of calls, such as OPTIONS or MESSAGE.
    ///
    /// # Errors
    /// [`PhoneError::Deadline`]; any status is a result.
    pub async fn request(
        &self,
        method: &str,
        target: &str,
        headers: Headers<'_>,
        body: Option<&Body>,
        deadline: Instant,
    ) -> Result<Response, PhoneError> {
        let to = format!("<{target}>");
        let contact = Some(self.shared.contact.as_str());
        let outgoing = Outgoing { contact, headers, body, ..self.shared.outgoing(target, &to) };
        self.transact(method, &outgoing, deadline).await
    }

    async fn transact(&self, method: &str, outgoing: &Outgoing<'_>, deadline: Instant) -> Result<Response, PhoneError> {
        let (reply, response) = oneshot::channel();
        let sent = self.shared.with(|core, now| {
            let sent = core.agent.send(method, outgoing, now)?;
            core.sent.insert(sent, reply);
            Some(())
        });
        sent.ok_or_else(|| self.shared.busy())?;
        match timeout_at(deadline.into(), response).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(_)) | Err(_) => Err(self.shared.late(&format!("response to {method}"))),
        }
    }

    /// Calls somebody with a tone and these headers besides; the call goes on while its [`Call`] is awaited or not.
    ///
    /// # Errors
    /// [`PhoneError::Socket`], [`PhoneError::Busy`].
    pub fn call(&self, target: &str, headers: Headers<'_>) -> Result<Call, PhoneError> {
        let line = Line::new(&self.shared.config).map_err(|error| self.shared.socket_error(error))?;
        let line = Arc::new(line);
        let offer = Body::sdp(line.offer());
        let to = format!("<{target}>");
        let outgoing = Outgoing {
            contact: Some(&self.shared.contact),
            session: Some(line.session),
            headers,
            body: Some(&offer),
            ..self.shared.outgoing(target, &to)
        };
        let call = self.shared.with(|core, now| {
            let call = core.agent.invite(&outgoing, now)?;
            core.lines.insert(call, Arc::clone(&line));
            Some(call)
        });
        let handle = call.ok_or_else(|| self.shared.busy())?;
        Ok(Call::new(Arc::clone(&self.shared), line, handle))
    }

    /// Waits for a call.
    ///
    /// # Errors
    /// [`PhoneError::Deadline`].
    pub async fn incoming(&self, deadline: Instant) -> Result<Incoming, PhoneError> {
        let next = async { self.shared.incoming.lock().await.recv().await };
        match timeout_at(deadline.into(), next).await {
            Ok(Some(ringing)) => Ok(Incoming::new(Arc::clone(&self.shared), ringing)),
            Ok(None) | Err(_) => Err(self.shared.late("incoming call")),
        }
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Shared {
    fn outgoing<'a>(&'a self, uri: &'a str, to: &'a str) -> Outgoing<'a> {
        Outgoing { login: self.config.login.as_ref(), ..Outgoing::new(uri, &self.from, to, self.flow()) }
    }

    fn flow(&self) -> Flow {
        Flow {
            listener: ListenerId(0),
            transport: Transport::Udp,
            remote: self.config.proxy,
            connection: None,
            domain: None,
        }
    }

    fn late(&self, what: &str) -> PhoneError {
        PhoneError::Deadline { who: self.config.user.clone(), what: what.to_owned() }
    }

    fn busy(&self) -> PhoneError {
        PhoneError::Busy { who: self.config.user.clone() }
    }

    fn socket_error(&self, error: io::Error) -> PhoneError {
        PhoneError::Socket { who: self.config.user.clone(), error }
    }
}

/// A deadline so far from now.
#[must_use]
pub fn within(time: std::time::Duration) -> Instant {
    clock::now() + time
}

fn seed() -> [u64; 2] {
    [random::seed(), random::seed()]
}
