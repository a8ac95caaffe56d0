//! An XMPP client as small as a test of a server's configuration needs it.

use std::net::SocketAddr;
use std::time::Duration;

use cusax_net::clock::now;
use cusax_tests::server::DOMAIN;
use cusax_xmpp::client::{self, Client};
use cusax_xmpp::sasl::PlainPolicy;
use cusax_xmpp::stream::Limits;
use cusax_xmpp::{Element, Secret};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);

/// A client of alice over a stream of its own.
pub(crate) struct Session<S> {
    pub(crate) core: Client,
    stream: S,
}

impl Session<TcpStream> {
    /// Logs in over TCP, and tells what that came to.
    pub(crate) async fn login(address: SocketAddr, password: &str) -> (Self, client::Output) {
        Self::login_over(TcpStream::connect(address).await.unwrap(), password).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// Logs in over such a stream, and tells what that came to.
    pub(crate) async fn login_over(stream: S, password: &str) -> (Self, client::Output) {
        let config = client::Config {
            jid: format!("alice@{DOMAIN}").parse().unwrap(),
            resource: None,
            password: Secret::new(password),
            plain: PlainPolicy::Refused,
            limits: Limits::default(),
        };
        let mut core = Client::new(config, [7; 16]);
        core.handle_connected(now());
        let mut session = Self { core, stream };
        let outcome = session
            .wait(|output| {
                matches!(
                    output,
                    client::Output::Online { .. } | client::Output::AuthFailed { .. } | client::Output::Closed { .. }
                )
            })
            .await;
        (session, outcome)
    }

    /// Carries bytes both ways until such an output comes.
    async fn wait(&mut self, wanted: impl Fn(&client::Output) -> bool) -> client::Output {
        let found = async {
            let mut buffer = [0; 4096];
            loop {
                while let Some(output) = self.core.poll_output() {
                    if wanted(&output) {
                        return output;
                    }
                    if let client::Output::Send(bytes) = output {
                        self.stream.write_all(&bytes).await.unwrap();
                    }
                }
                let length = self.stream.read(&mut buffer).await.unwrap();
                assert_ne!(length, 0, "the server closed the connection");
                self.core.handle_bytes(&buffer[..length], now());
            }
        };
        timeout(PATIENCE, found).await.expect("an answer in time")
    }

    /// Waits for such a stanza.
    pub(crate) async fn stanza(&mut self, wanted: impl Fn(&Element) -> bool) -> Element {
        let output =
            self.wait(|output| matches!(output, client::Output::Stanza { element, .. } if wanted(element))).await;
        let client::Output::Stanza { element, .. } = output else { unreachable!() };
        element
    }
}
