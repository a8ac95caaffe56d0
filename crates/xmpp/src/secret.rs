//! A secret that cannot be printed.

/// A password or shared secret: no `Debug`, no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps it.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret, for the one place that proves knowledge of it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}
