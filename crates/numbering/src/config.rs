//! What an operator says about numbers.

/// Says how the house dials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// ISO 3166 code of the country whose plan local numbers are read by, such as `US`.
    pub country: String,
    /// Domains, and addresses of ours, at which a user part may be a local number.
    pub domains: Vec<String>,
    /// On-net prefixes and whole numbers, in E.164 with plus sign; a whole number is a prefix of nothing else.
    pub own: Vec<String>,
    /// Prefixes of partners that are reached by SIP, in E.164 with plus sign.
    pub partner: Vec<String>,
    /// Short numbers of the house.
    pub extensions: Option<Extensions>,
    /// What is dialled before a number for an outside line or a service: `9`, `*67`.
    pub access_codes: Vec<String>,
}

/// Says how short numbers map to whole ones: `0100` is `+14045550100`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extensions {
    /// How many digits an extension has.
    pub digits: u8,
    /// What stands before them in E.164, with plus sign.
    pub prefix: String,
}

/// Says which value of a [`Config`] cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No numbering plan is known for the country.
    #[error("{0:?} is no country with a numbering plan: write its ISO 3166 code, such as \"US\"")]
    Country(String),
    /// A prefix is not in E.164.
    #[error("{0:?} is no prefix of E.164 numbers: write + and 1 to 15 digits")]
    Prefix(String),
    /// An extension has too few or too many digits, alone or with its prefix.
    #[error("extensions of {digits} digits after {prefix:?} are none: 2 to 10 digits, 15 at most with the prefix")]
    Extensions {
        /// Digits of the extension.
        digits: u8,
        /// What stands before them.
        prefix: String,
    },
    /// An access code is not made of what a phone can dial.
    #[error("{0:?} is no access code: write 1 to 8 of the digits, * and #")]
    AccessCode(String),
}

/// Checks a prefix and returns its digits.
pub(crate) fn prefix_digits(prefix: &str) -> Result<&str, ConfigError> {
    prefix
        .strip_prefix('+')
        .filter(|digits| (1..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()))
        .ok_or_else(|| ConfigError::Prefix(prefix.to_owned()))
}

impl Extensions {
    /// Checks the lengths and returns the digits before an extension.
    pub(crate) fn prefix_digits(&self) -> Result<&str, ConfigError> {
        let before = prefix_digits(&self.prefix)?;
        if (2..=10).contains(&self.digits) && before.len() + usize::from(self.digits) <= 15 {
            return Ok(before);
        }
        Err(ConfigError::Extensions { digits: self.digits, prefix: self.prefix.clone() })
    }
}

/// Checks an access code.
pub(crate) fn access_code(code: &str) -> Result<String, ConfigError> {
    if (1..=8).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_digit() || b == b'*' || b == b'#') {
        return Ok(code.to_owned());
    }
    Err(ConfigError::AccessCode(code.to_owned()))
}
