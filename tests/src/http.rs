//! As much HTTP as it takes to read a page of a server on this machine.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer to a GET.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The status code.
    pub status: u16,
    /// What follows the header.
    pub body: String,
}

/// Reads `http://address/path`; HTTP/1.0, so that the body comes as it is and ends with the connection.
///
/// # Errors
/// When nobody answers there, or not with HTTP.
pub async fn get(address: SocketAddr, path: &str) -> Result<Page> {
    let mut stream = TcpStream::connect(address).await.with_context(|| format!("nobody answers on tcp:{address}"))?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    parse(&String::from_utf8_lossy(&answer)).with_context(|| format!("http://{address}{path} is no HTTP"))
}

fn parse(answer: &str) -> Option<Page> {
    let (header, body) = answer.split_once("\r\n\r\n")?;
    let status = header.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some(Page { status, body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_status_and_body() {
        let page = parse("HTTP/1.0 503 Service Unavailable\r\nContent-Length: 5\r\n\r\nxmpp\n").unwrap();
        assert_eq!(page, Page { status: 503, body: "xmpp\n".to_owned() });
        assert_eq!(parse("SIP/2.0 200 OK\r\n\r\n"), None);
    }
}
