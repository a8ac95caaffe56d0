//! What runs a client: its stream between the connection, the clock and those who wait.

use std::time::Duration;

use cusax_net::link::TcpLink;
use cusax_net::{clock, random};
use cusax_xmpp::Element;
use cusax_xmpp::client::{Client, Config, Output};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep_until;

use super::inbox::{Inbox, Received, Stage};

/// Runs a client until its stream is over.
pub(super) async fn run(
    mut link: TcpLink,
    config: Config,
    inbox: watch::Sender<Inbox>,
    mut outgoing: mpsc::Receiver<Element>,
) {
    let mut nonce = [0; 16];
    random::fill(&mut nonce);
    let mut client = Client::new(config, nonce);
    client.handle_connected(clock::now());
    loop {
        if !settle(&mut client, &mut link, &inbox).await {
            return;
        }
        let due = client.poll_timeout();
        let alarm = async {
            match due {
                Some(due) => sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            bytes = link.read() => match bytes {
                Ok(bytes) if !bytes.is_empty() => client.handle_bytes(&bytes, clock::now()),
                Ok(_) | Err(_) => client.handle_closed(),
            },
            stanza = outgoing.recv() => match stanza {
                Some(stanza) => client.send(&stanza),
                None => client.close(),
            },
            () = alarm => client.handle_timeout(clock::now()),
        }
    }
}

/// Does what the client wants done; false where its stream is over.
async fn settle(client: &mut Client, link: &mut TcpLink, inbox: &watch::Sender<Inbox>) -> bool {
    while let Some(output) = client.poll_output() {
        match output {
            Output::Send(bytes) => {
                if link.write_all(&bytes, clock::now() + WRITE).await.is_err() {
                    client.handle_closed();
                }
            }
            Output::Online { jid, mechanism } => {
                inbox.send_modify(|inbox| inbox.stage = Stage::Online { jid, mechanism });
            }
            Output::AuthFailed { condition, text } => {
                inbox.send_modify(|inbox| inbox.stage = Stage::Refused { condition, text });
            }
            Output::Stanza { element, received } => {
                inbox.send_modify(|inbox| inbox.push(Received { at: received, element }));
            }
            Output::Closed { detail } => {
                inbox.send_modify(|inbox| {
                    if !matches!(inbox.stage, Stage::Refused { .. }) {
                        inbox.stage = Stage::Closed { detail };
                    }
                });
                return false;
            }
            Output::Close | Output::Event(_) => {}
        }
    }
    true
}

/// How long the server may take no bytes.
const WRITE: Duration = Duration::from_secs(10);
