//! A SIP server behind the edge or of another provider, by script: it is reached by TLS, answers probes, and hands on what
//! else comes on its one connection.

use cusax_sip::{Message, Name};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::authority::Authority;
use crate::wire::{SOON, next, parse, response};

pub(crate) struct Core {
    pub(crate) port: u16,
    heard: mpsc::Receiver<Message>,
    say: mpsc::Sender<String>,
    _task: JoinSet<()>,
}

impl Core {
    pub(crate) async fn start(authority: &Authority, names: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = TlsAcceptor::from(authority.server(names));
        let (report, heard) = mpsc::channel(16);
        let (say, mut said) = mpsc::channel::<String>(16);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            // Who finds its name wrong goes away.
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let (mut reader, mut writer) = tokio::io::split(stream);
            let (answer, mut answers) = mpsc::channel::<String>(16);
            let reading = async {
                while let Some(bytes) = next(&mut reader).await {
                    let message = parse(bytes);
                    if message.first(Name::CSeq).is_some_and(|cseq| cseq.ends_with("OPTIONS")) {
                        answer.send(response(&message, "200 OK")).await.unwrap();
                    } else {
                        report.send(message).await.unwrap();
                    }
                }
            };
            let writing = async {
                loop {
                    let bytes = tokio::select! {
                        Some(bytes) = answers.recv() => bytes,
                        Some(bytes) = said.recv() => bytes,
                        else => return,
                    };
                    writer.write_all(bytes.as_bytes()).await.unwrap();
                    writer.flush().await.unwrap();
                }
            };
            tokio::join!(reading, writing);
        });
        Self { port, heard, say, _task: task }
    }

    /// The next request, which is of this method.
    pub(crate) async fn request(&mut self, method: &str) -> Message {
        let message = timeout(SOON, self.heard.recv()).await.unwrap().unwrap();
        let line = String::from_utf8_lossy(message.bytes()).into_owned();
        assert!(line.starts_with(method), "{line}");
        message
    }

    /// The next response.
    pub(crate) async fn response(&mut self) -> Message {
        let message = timeout(SOON, self.heard.recv()).await.unwrap().unwrap();
        assert!(message.status().is_some());
        message
    }

    pub(crate) async fn answer(&self, request: &Message, status: &str) {
        self.say.send(response(request, status)).await.unwrap();
    }

    /// Sends a request to a contact by its Path.
    pub(crate) async fn call(&self, method: &str, contact: &str, path: &str, cseq: u32) {
        self.send(method, contact, &format!("Route: {path}\r\n"), cseq).await;
    }

    pub(crate) async fn send(&self, method: &str, uri: &str, more: &str, cseq: u32) {
        let request = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/TLS localhost:{};branch=z9hG4bKcore{cseq}\r\n\
             Max-Forwards: 70\r\n{more}From: <sip:bob@example.com>;tag=b\r\n\
             To: <sip:alice@example.com>\r\nCall-ID: calls\r\nCSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n",
            self.port
        );
        self.say.send(request).await.unwrap();
    }
}
