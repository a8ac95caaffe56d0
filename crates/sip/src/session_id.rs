//! Session-ID (RFC 7989).

use std::fmt;

pub use cusax_event::SessionId as Uuid;

/// A `Session-ID` value as its sender means it: his own half, then the other side's. The nil UUID is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionId {
    /// The sender's UUID.
    pub local: Option<Uuid>,
    /// The UUID of the other side, where its sender knows it.
    pub remote: Option<Uuid>,
}

impl SessionId {
    /// Reads a header value; a value without `remote` is one of RFC 7329 and means the nil UUID.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let mut parts = value.split(';').map(str::trim);
        let local = uuid(parts.next()?)?;
        let remote = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim_end().eq_ignore_ascii_case("remote").then(|| uuid(value.trim_start()))
        });
        Some(Self { local, remote: remote.unwrap_or(Some(None))? })
    }

    /// The same from the other side.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self { local: self.remote, remote: self.local }
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let half = |f: &mut fmt::Formatter<'_>, uuid: Option<Uuid>| match uuid {
            Some(uuid) => uuid.fmt(f),
            None => f.write_str(NIL),
        };
        half(f, self.local)?;
        f.write_str(";remote=")?;
        half(f, self.remote)
    }
}

/// Reads 32 hex digits; upper case, which RFC 7989 §5 does not allow, is read too, for it is found on the wire.
fn uuid(text: &str) -> Option<Option<Uuid>> {
    if text == NIL {
        return Some(None);
    }
    let mut lower = [0; NIL.len()];
    if text.len() != lower.len() {
        return None;
    }
    lower.copy_from_slice(text.as_bytes());
    lower.make_ascii_lowercase();
    std::str::from_utf8(&lower).ok()?.parse().ok().map(Some)
}

const NIL: &str = "00000000000000000000000000000000";

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "ab30317f1a784dc48ff824d0d3715d86";
    const B: &str = "47755a9de7794ba387653f2099600ef2";

    #[test]
    fn reads_what_it_prints() {
        let (a, b) = (A.parse().ok(), B.parse().ok());
        let both = SessionId { local: a, remote: b };
        assert_eq!(both.to_string(), format!("{A};remote={B}"));
        for id in [both, both.reversed(), SessionId { local: a, remote: None }, SessionId::default()] {
            assert_eq!(SessionId::parse(&id.to_string()), Some(id));
        }
    }

    #[test]
    fn reads_old_and_odd_forms() {
        let half = SessionId { local: A.parse().ok(), remote: None };
        assert_eq!(SessionId::parse(A), Some(half));
        assert_eq!(SessionId::parse(&format!("{} ; x ;Remote = {NIL}", A.to_uppercase())), Some(half));
    }

    #[test]
    fn refuses_what_is_no_session_id() {
        for bad in ["", ";remote=", "x", &A[1..], &format!("{A};remote=1"), &format!("{A}{B}")] {
            assert_eq!(SessionId::parse(bad), None, "{bad}");
        }
    }
}
