//! What a client says where it cannot get online. What it does online is tried on real servers, in `tests/`.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

use std::net::SocketAddr;
use std::time::Duration;

use cusax_load::phone::within;
use cusax_load::{Chat, ChatConfig, ChatError};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

fn config(server: SocketAddr) -> ChatConfig {
    ChatConfig::new("alice@example.com".parse().unwrap(), "secret", server)
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let connected = Chat::connect(config(address), within(Duration::from_secs(10))).await;
    assert!(matches!(connected, Err(ChatError::Connect { .. })));
}

#[tokio::test]
async fn a_server_that_says_nothing_runs_into_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connected = Chat::connect(config(address), within(Duration::from_millis(100))).await;
    let error = connected.err().unwrap();
    assert_eq!(error.to_string(), "alice@example.com: no login in time");
}

#[tokio::test]
async fn a_server_that_closes_ends_the_login() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut header = [0; 64];
        stream.read_exact(&mut header).await.unwrap();
        String::from_utf8_lossy(&header).into_owned()
    });
    let connected = Chat::connect(config(address), within(Duration::from_secs(10))).await;
    assert!(matches!(connected, Err(ChatError::Closed { .. })), "{:?}", connected.err());
    assert!(server.await.unwrap().contains("<stream:stream"));
}
