//! A core server that keeps nothing: it says yes to everything, and remembers only which calls it was asked about.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cusax_sip::{Compose, Message, Method, Name};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// A method and a Call-ID.
type Seen = Arc<Mutex<Vec<(Method, String)>>>;

pub(crate) struct Stub {
    address: SocketAddr,
    socket: Arc<UdpSocket>,
    task: JoinHandle<()>,
    seen: Seen,
}

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Its socket is gone, as the sender learns by ICMP.
    Killed,
    /// It takes everything and says nothing.
    Hung,
}

impl Stub {
    pub(crate) async fn start(address: SocketAddr) -> Self {
        let socket = Arc::new(UdpSocket::bind(address).await.unwrap());
        let address = socket.local_addr().unwrap();
        let seen = Seen::default();
        let task = tokio::spawn(serve(Arc::clone(&socket), Arc::clone(&seen)));
        Self { address, socket, task, seen }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it at once. What is left of it, if anything is, keeps its address until it is dropped.
    pub(crate) async fn end(self, end: End) -> Option<Arc<UdpSocket>> {
        self.task.abort();
        // It was cancelled, and that is all that it can say.
        let _ = self.task.await;
        (end == End::Hung).then_some(self.socket)
    }

    /// Whether it was asked this about this call.
    pub(crate) fn saw(&self, method: Method, call: &str) -> bool {
        self.seen.lock().unwrap().iter().any(|(seen, of)| *seen == method && of == call)
    }
}

async fn serve(socket: Arc<UdpSocket>, seen: Seen) {
    let own = socket.local_addr().unwrap();
    let mut buffer = vec![0; 65_535];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        let Ok(request) = Message::parse(Bytes::copy_from_slice(&buffer[..length])) else { continue };
        if !request.is_request() || request.method() == Method::Ack {
            continue;
        }
        if matches!(request.method(), Method::Invite | Method::Bye) {
            seen.lock().unwrap().push((request.method(), request.call_id().to_owned()));
        }
        let contact = if request.method() == Method::Register {
            request.first(Name::Contact).unwrap_or("").to_owned() + ";expires=600"
        } else {
            format!("<sip:core@{own}>")
        };
        let answer = Compose::response(&request, 200, None, Some("core"))
            .copy(&request, Name::RecordRoute)
            .header("Contact", &contact)
            .empty();
        // Who has gone hears nothing.
        let _ = socket.send_to(&answer, from).await;
    }
}
