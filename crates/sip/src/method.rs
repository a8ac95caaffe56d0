//! Request methods (RFC 3261 §7.1): case-sensitive; an unknown one is forwarded by its bytes.

pub use cusax_event::sip::Method;

/// Reads a method; what is not known is [`Method::Other`].
#[must_use]
pub fn method_of(text: &str) -> Method {
    Method::ALL
        .iter()
        .copied()
        .find(|method| *method != Method::Other && method.as_str() == text)
        .unwrap_or(Method::Other)
}
