//! STUN as a keep-alive of a UDP flow (RFC 5626 §4.4.2, RFC 5389): a binding request is answered with where it came from.

use std::net::{IpAddr, SocketAddr};

const COOKIE: [u8; 4] = 0x2112_a442_u32.to_be_bytes();
const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
const BINDING_SUCCESS: [u8; 2] = [0x01, 0x01];
const BINDING_ERROR: [u8; 2] = [0x01, 0x11];
const ERROR_CODE: [u8; 2] = [0x00, 0x09];
const UNKNOWN_ATTRIBUTES: [u8; 2] = [0x00, 0x0a];
const XOR_MAPPED_ADDRESS: [u8; 2] = [0x00, 0x20];
/// Bytes before the first attribute.
const HEADER: usize = 20;
/// Unknown attributes that an error names, at most: an answer is not much larger than its request.
const NAMED: usize = 8;

/// True where a datagram can be no SIP message but a STUN one: SIP begins with a letter (RFC 5626 §8).
#[must_use]
pub fn is_stun(datagram: &[u8]) -> bool {
    datagram.len() >= HEADER && datagram[0] < 4 && datagram[4..8] == COOKIE
}

/// The answer to a binding request from `source`; none to anything else.
#[must_use]
pub fn answer(datagram: &[u8], source: SocketAddr) -> Option<Vec<u8>> {
    let (header, rest) = datagram.split_at_checked(HEADER)?;
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if !is_stun(datagram) || header[..2] != BINDING_REQUEST || length != rest.len() || length % 4 != 0 {
        return None;
    }
    let transaction = &header[8..HEADER];
    let unknown = unknown_attributes(rest)?;
    if !unknown.is_empty() {
        let mut attributes = [&ERROR_CODE[..], &[0, 4, 0, 0, 4, 20]].concat();
        let names = unknown.concat();
        attributes.extend(UNKNOWN_ATTRIBUTES);
        attributes.extend(u16::try_from(names.len()).ok()?.to_be_bytes());
        attributes.extend(&names);
        attributes.resize(attributes.len().next_multiple_of(4), 0);
        return message(BINDING_ERROR, transaction, &attributes);
    }
    let [high, low] = source.port().to_be_bytes();
    let port = [high ^ COOKIE[0], low ^ COOKIE[1]];
    let mask = [&COOKIE[..], transaction].concat();
    let masked = |octets: &[u8]| octets.iter().zip(&mask).map(|(octet, mask)| octet ^ mask).collect::<Vec<_>>();
    let (family, address) = match source.ip() {
        IpAddr::V4(address) => (1, masked(&address.octets())),
        IpAddr::V6(address) => (2, masked(&address.octets())),
    };
    let value = [&[0, family][..], &port, &address].concat();
    let attribute = [&XOR_MAPPED_ADDRESS[..], &u16::try_from(value.len()).ok()?.to_be_bytes(), &value].concat();
    message(BINDING_SUCCESS, transaction, &attribute)
}

fn message(kind: [u8; 2], transaction: &[u8], attributes: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(attributes.len()).ok()?.to_be_bytes();
    Some([&kind[..], &length, &COOKIE, transaction, attributes].concat())
}

/// Attributes that have to be understood (RFC 5389 §15: below 0x8000) and are not; `None` where they overrun the message.
fn unknown_attributes(mut rest: &[u8]) -> Option<Vec<[u8; 2]>> {
    let mut unknown = Vec::new();
    while !rest.is_empty() {
        let (head, after) = rest.split_first_chunk::<4>()?;
        let length = usize::from(u16::from_be_bytes([head[2], head[3]])).next_multiple_of(4);
        rest = after.get(length..)?;
        if head[0] < 0x80 && unknown.len() < NAMED {
            unknown.push([head[0], head[1]]);
        }
    }
    Some(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5769 §2.2 has this answer, apart from its SOFTWARE and MESSAGE-INTEGRITY.
    const TRANSACTION: [u8; 12] = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];

    fn request(attributes: &[u8]) -> Vec<u8> {
        message(BINDING_REQUEST, &TRANSACTION, attributes).unwrap()
    }

    #[test]
    fn tells_where_a_request_came_from() {
        let answered = answer(&request(&[]), "192.0.2.1:32853".parse().unwrap()).unwrap();
        assert_eq!(answered[..2], BINDING_SUCCESS);
        assert_eq!(answered[8..20], TRANSACTION);
        assert_eq!(answered[20..], [0, 0x20, 0, 8, 0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]);
        let v6 = answer(&request(&[]), "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap()).unwrap();
        assert_eq!(
            v6[20..],
            [
                0, 0x20, 0, 20, 0, 2, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25, 0xf4,
                0xb5, 0xbe, 0xd2, 0xb9, 0xd9
            ]
        );
    }

    #[test]
    fn refuses_what_it_would_have_to_understand() {
        let source = "192.0.2.1:5060".parse().unwrap();
        let answered = answer(&request(&[0x00, 0x06, 0, 1, b'x', 0, 0, 0]), source).unwrap();
        assert_eq!(answered[..2], BINDING_ERROR);
        assert_eq!(answered[20..], [0, 9, 0, 4, 0, 0, 4, 20, 0, 0x0a, 0, 2, 0, 6, 0, 0]);
        let optional = answer(&request(&[0x80, 0x22, 0, 4, 1, 2, 3, 4]), source).unwrap();
        assert_eq!(optional[..2], BINDING_SUCCESS);
    }

    #[test]
    fn answers_nothing_else() {
        let source = "192.0.2.1:5060".parse().unwrap();
        let mut short = request(&[]);
        short.pop();
        let mut overrun = request(&[0x80, 0x22, 0, 9, 1, 2, 3, 4]);
        let mut success = request(&[]);
        success[0] = 1;
        for bytes in [&short[..], &overrun, &success, b"OPTIONS sip:a SIP/2.0\r\n\r\n", &[]] {
            assert_eq!(answer(bytes, source), None, "{bytes:?}");
        }
        overrun[3] = 0xff;
        assert_eq!(answer(&overrun, source), None);
        assert!(is_stun(&success) && !is_stun(b"\r\n\r\n") && !is_stun(b"OPTIONS sip:a SIP/2.0\r\n\r\n"));
    }
}
