//! The PROXY protocol, version 2: a load balancer says for whom it connects. Version 1, which is text, is not taken.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt};

use super::handshake::Cause;

/// §2.2 of the protocol's description.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const FIXED: usize = 16;
/// Bytes of addresses and extensions after that; the longest that balancers send (a certificate's name) are some hundred.
const LONGEST: usize = 4_096;

/// Reads a header to its last byte; `None` where it speaks for itself (LOCAL: a health check).
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<SocketAddr>, Cause> {
    let mut fixed = [0; FIXED];
    stream.read_exact(&mut fixed).await.map_err(|_| Cause::Closed)?;
    let length = length(&fixed).map_err(Cause::Invalid)?;
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).await.map_err(|_| Cause::Closed)?;
    source(&fixed, &rest).map_err(Cause::Invalid)
}

/// How many bytes follow.
fn length(fixed: &[u8; FIXED]) -> Result<usize, &'static str> {
    if fixed[..12] != SIGNATURE {
        return Err("no PROXY header of version 2");
    }
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if length > LONGEST { Err("PROXY header too long") } else { Ok(length) }
}

/// Who is connected for.
fn source(fixed: &[u8; FIXED], rest: &[u8]) -> Result<Option<SocketAddr>, &'static str> {
    match (fixed[12], fixed[13]) {
        // LOCAL: what follows is to be ignored. An unspecified family is the same.
        (0x20, _) | (0x21, 0x00) => Ok(None),
        (0x21, 0x11) => {
            let Some((block, _)) = rest.split_first_chunk::<12>() else { return Err("PROXY header too short") };
            let [a, b, c, d, _, _, _, _, high, low, _, _] = *block;
            Ok(Some(address(Ipv4Addr::new(a, b, c, d).into(), [high, low])))
        }
        (0x21, 0x21) => {
            let Some((block, _)) = rest.split_first_chunk::<36>() else { return Err("PROXY header too short") };
            let Some((octets, _)) = block.split_first_chunk::<16>() else { return Err("PROXY header too short") };
            Ok(Some(address(Ipv6Addr::from(*octets).into(), [block[32], block[33]])))
        }
        (0x21, _) => Err("PROXY header of another transport"),
        _ => Err("PROXY header of another version or command"),
    }
}

fn address(ip: IpAddr, port: [u8; 2]) -> SocketAddr {
    SocketAddr::new(ip.to_canonical(), u16::from_be_bytes(port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap();
        [&SIGNATURE[..], &[command, family], &length.to_be_bytes(), rest].concat()
    }

    async fn parse(mut bytes: &[u8]) -> Result<Option<SocketAddr>, Cause> {
        let read = read(&mut bytes).await?;
        assert_eq!(bytes, b"", "what follows is not the header's");
        Ok(read)
    }

    #[tokio::test]
    async fn names_the_client_of_either_family_and_passes_over_extensions() {
        let v4 = [192, 0, 2, 7, 192, 0, 2, 1, 0x13, 0xc5, 0x13, 0xc4];
        assert_eq!(parse(&header(0x21, 0x11, &v4)).await, Ok(Some("192.0.2.7:5061".parse().unwrap())));
        let extended = [&v4[..], &[0x03, 0, 1, 9]].concat();
        assert_eq!(parse(&header(0x21, 0x11, &extended)).await, Ok(Some("192.0.2.7:5061".parse().unwrap())));
        let v6: Ipv6Addr = "2001:db8::7".parse().unwrap();
        let rest = [&v6.octets()[..], &[0; 16], &[0x13, 0xc4, 0, 0]].concat();
        assert_eq!(parse(&header(0x21, 0x21, &rest)).await, Ok(Some("[2001:db8::7]:5060".parse().unwrap())));
    }

    #[tokio::test]
    async fn local_and_unspecified_speak_for_themselves() {
        assert_eq!(parse(&header(0x20, 0, b"")).await, Ok(None));
        assert_eq!(parse(&header(0x20, 0x11, b"whatever")).await, Ok(None));
        assert_eq!(parse(&header(0x21, 0, b"")).await, Ok(None));
    }

    #[tokio::test]
    async fn all_else_is_refused() {
        let short = header(0x21, 0x11, &[0; 11]);
        let too_long = header(0x20, 0, &[0; LONGEST + 1]);
        for bad in [
            b"PROXY TCP4 192.0.2.7 192.0.2.1 5061 5060\r\n".to_vec(),
            short,
            too_long,
            header(0x21, 0x12, &[0; 12]),
            header(0x21, 0x31, &[0; 216]),
            header(0x22, 0x11, &[0; 12]),
            header(0x11, 0x11, &[0; 12]),
        ] {
            let parsed = read(&mut bad.as_slice()).await;
            assert!(matches!(parsed, Err(Cause::Invalid(_))), "{parsed:?}");
        }
        assert_eq!(parse(&header(0x21, 0x11, &[0; 12])[..20]).await, Err(Cause::Closed));
    }
}
