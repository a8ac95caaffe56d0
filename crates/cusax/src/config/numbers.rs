//! `[numbers]`: what dialled numbers are, and what callers are told about charges (RFC 7081 §5).

use std::path::PathBuf;

use cusax_event::sip::NumberClass;
use cusax_numbering::{Classifier, ConfigError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::name::{AccessCode, Country, Number};

/// The number plan and the policy for charges.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Numbers {
    /// Country by whose plan national numbers are read (ISO 3166).
    #[schemars(example = &"US")]
    pub(crate) country: Country,
    /// Numbers of our own: prefixes and exact numbers.
    #[serde(default)]
    #[schemars(example = ["+1404555"])]
    pub(crate) own: Vec<Number>,
    /// Prefixes of partners that are reached by SIP.
    #[serde(default)]
    #[schemars(example = ["+493055501"])]
    pub(crate) partner: Vec<Number>,
    /// What is dialled before a number for an outside line or a service.
    #[serde(default)]
    #[schemars(example = ["*67"])]
    pub(crate) access_codes: Vec<AccessCode>,
    /// Short numbers of the house.
    pub(crate) extensions: Option<Extensions>,
    /// Whether the caller is told over XMPP as well, where there is an xmpp section.
    #[serde(default = "yes")]
    pub(crate) message: bool,
    /// Folder of prompts, with one folder in it for each language. Default: the built-in ones.
    #[schemars(example = &"/usr/share/cusax/prompts")]
    pub(crate) prompts: Option<PathBuf>,
    /// What a caller gets for each class of number.
    #[serde(default)]
    pub(crate) policy: Policy,
}

impl Numbers {
    /// Makes what tells the class of a number; at `domains`, a user part may be a local number.
    ///
    /// # Errors
    ///
    /// The value that cannot be.
    pub(crate) fn classifier(&self, domains: Vec<String>) -> Result<Classifier, ConfigError> {
        Classifier::new(&cusax_numbering::Config {
            country: self.country.to_string(),
            domains,
            own: self.own.iter().map(ToString::to_string).collect(),
            partner: self.partner.iter().map(ToString::to_string).collect(),
            extensions: self.extensions.as_ref().map(|extensions| cusax_numbering::Extensions {
                digits: extensions.digits,
                prefix: extensions.prefix.to_string(),
            }),
            access_codes: self.access_codes.iter().map(ToString::to_string).collect(),
        })
    }
}

const fn yes() -> bool {
    true
}

/// Short numbers of the house.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Extensions {
    /// How many digits they have.
    #[schemars(example = 4)]
    pub(crate) digits: u8,
    /// What stands before them in international form.
    #[schemars(example = &"+1404555")]
    pub(crate) prefix: Number,
}

/// What a caller gets for each class of number; emergency calls always go through untouched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Policy {
    /// Short numbers of the house.
    pub(crate) extension: Action,
    /// Numbers of our own.
    pub(crate) on_net: Action,
    /// Numbers of a partner reached by SIP.
    pub(crate) partner: Action,
    /// Free for the caller.
    pub(crate) toll_free: Action,
    /// National, fixed (or not told apart from mobile).
    pub(crate) national: Action,
    /// National, mobile.
    pub(crate) mobile: Action,
    /// Premium rate.
    pub(crate) premium: Action,
    /// Satellite.
    pub(crate) satellite: Action,
    /// Another country, and numbers of no known kind.
    pub(crate) international: Action,
    /// No number: an address of another domain.
    pub(crate) foreign_domain: Action,
    /// A number that a contact of another domain publishes.
    pub(crate) foreign_contact: Action,
}

impl Policy {
    /// Each class as it is written in the file, with what its callers get.
    pub(crate) fn classes(&self) -> [(&'static str, Action); 11] {
        [
            ("extension", self.extension),
            ("on-net", self.on_net),
            ("partner", self.partner),
            ("toll-free", self.toll_free),
            ("national", self.national),
            ("mobile", self.mobile),
            ("premium", self.premium),
            ("satellite", self.satellite),
            ("international", self.international),
            ("foreign-domain", self.foreign_domain),
            ("foreign-contact", self.foreign_contact),
        ]
    }

    /// What a caller of such a number gets. Emergency calls pass; what is unknown counts as international.
    pub(crate) const fn of(&self, class: NumberClass) -> Action {
        match class {
            NumberClass::Emergency => Action::Allow,
            NumberClass::Extension => self.extension,
            NumberClass::OnNet => self.on_net,
            NumberClass::Partner => self.partner,
            NumberClass::TollFree => self.toll_free,
            NumberClass::National => self.national,
            NumberClass::Mobile => self.mobile,
            NumberClass::Premium => self.premium,
            NumberClass::Satellite => self.satellite,
            NumberClass::International | NumberClass::Unknown => self.international,
            NumberClass::ForeignDomain => self.foreign_domain,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            extension: Action::Allow,
            on_net: Action::Allow,
            partner: Action::Allow,
            toll_free: Action::Allow,
            national: Action::Text,
            mobile: Action::Text,
            premium: Action::Text,
            satellite: Action::Text,
            international: Action::Text,
            foreign_domain: Action::Allow,
            foreign_contact: Action::Allow,
        }
    }
}

/// What a caller gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Action {
    /// nothing
    Allow,
    /// 183 with Warning, and the message
    Text,
    /// a tone in early media
    Tone,
    /// a spoken prompt in early media
    Announce,
    /// as announce, and the call goes on only after the key 1
    Confirm,
    /// 403 with the reason
    Block,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emergency_calls_pass_and_unknown_numbers_count_as_international() {
        let every = toml::from_str::<Policy>("international = 'block'\nextension = 'block'").unwrap();
        assert_eq!(every.of(NumberClass::Emergency), Action::Allow);
        assert_eq!(every.of(NumberClass::Unknown), Action::Block);
        assert_eq!(every.of(NumberClass::International), Action::Block);
        assert_eq!(every.of(NumberClass::National), Action::Text);
        assert!(toml::from_str::<Policy>("emergency = 'block'").is_err());
    }
}
