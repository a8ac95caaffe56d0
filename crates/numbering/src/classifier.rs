//! The order in which a number's class is found; the first that fits wins.

use std::collections::BTreeSet;

use cusax_event::sip::NumberClass;

use crate::config::{Config, ConfigError, access_code, prefix_digits};
use crate::dialled::{Dialled, Scheme, Subscriber, begins_like_a_number, is_sos};
use crate::emergency;
use crate::plan::{Kind, NO_COUNTRY, Plans, Reading};

/// Says what was dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classification {
    /// Its class; `None` where it is no number but a name of our own, which is nothing to charge or cue.
    pub class: Option<NumberClass>,
    /// The number in E.164 with plus sign, where it could be read.
    pub e164: Option<String>,
    /// ISO 3166 code of the territory whose number it is, where its plan knows it.
    pub territory: Option<&'static str>,
}

/// Says that an extension can never be called, for it is an emergency number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// What would be dialled for both.
    pub dialled: String,
    /// The emergency number in it.
    pub emergency: &'static str,
}

/// Finds the class of dialled numbers.
pub struct Classifier {
    plans: Plans,
    emergency: Vec<&'static str>,
    domains: BTreeSet<String>,
    own: BTreeSet<String>,
    partner: BTreeSet<String>,
    /// Digits of an extension, and what stands before them.
    extensions: Option<(usize, String)>,
    access_codes: Vec<String>,
}

impl Classifier {
    /// Takes what the operator says.
    ///
    /// # Errors
    /// The value that cannot be.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        let plans = Plans::seen_from(&config.country.to_ascii_uppercase())
            .ok_or_else(|| ConfigError::Country(config.country.clone()))?;
        let prefixes = |prefixes: &[String]| {
            prefixes.iter().map(|prefix| prefix_digits(prefix).map(str::to_owned)).collect::<Result<_, _>>()
        };
        let extensions = config.extensions.as_ref();
        Ok(Self {
            emergency: emergency::numbers(plans.home()),
            domains: config.domains.iter().map(|domain| host(domain)).collect(),
            own: prefixes(&config.own)?,
            partner: prefixes(&config.partner)?,
            extensions: extensions
                .map(|extensions| Ok((usize::from(extensions.digits), extensions.prefix_digits()?.to_owned())))
                .transpose()?,
            access_codes: config.access_codes.iter().map(|code| access_code(code)).collect::<Result<_, _>>()?,
            plans,
        })
    }

    /// Finds the class of what was dialled.
    #[must_use]
    pub fn classify(&self, dialled: &Dialled<'_>) -> Classification {
        if dialled.scheme == Scheme::Urn {
            return is_sos(dialled.user).then_some(NumberClass::Emergency).into();
        }
        let ours = dialled.scheme == Scheme::Tel || self.domains.contains(&host(dialled.host));
        let foreign = || Classification::from(NumberClass::ForeignDomain);
        let Some(number) = Subscriber::of(dialled) else {
            // A tel URI has no host that could be foreign: what is no number there is one of no known kind.
            return match dialled.scheme {
                Scheme::Tel => NumberClass::Unknown.into(),
                // What begins like a number is dialled as one by whoever reads only its beginning: too many digits, pauses.
                Scheme::Sip | Scheme::Sips | Scheme::Urn if ours && begins_like_a_number(dialled.user) => {
                    NumberClass::Unknown.into()
                }
                Scheme::Sip | Scheme::Sips | Scheme::Urn if ours => Classification::from(None),
                Scheme::Sip | Scheme::Sips | Scheme::Urn => foreign(),
            };
        };
        // Whatever host is named with it: a call for help goes to our core.
        if self.is_emergency(&number) {
            return NumberClass::Emergency.into();
        }
        if !ours {
            // Without user=phone, digits at another domain are a name there (RFC 3261 §19.1.6); with it, a number, but none of ours.
            return if dialled.user_phone { self.charged(self.read(&number)) } else { foreign() };
        }
        if let Some(context) = number.context.as_deref().filter(|context| !number.global && !context.starts_with('+'))
            && !self.domains.contains(&host(context))
        {
            // A number of somebody else's plan, which our core may well read by its own.
            return NumberClass::Unknown.into();
        }
        self.of_ours(&number)
    }

    /// The extensions that are emergency numbers, alone or behind an access code.
    #[must_use]
    pub fn conflicts(&self) -> Vec<Conflict> {
        let Some((length, _)) = &self.extensions else { return Vec::new() };
        let behind = |access: &str| {
            self.emergency
                .iter()
                .map(|emergency| Conflict { dialled: format!("{access}{emergency}"), emergency })
                .filter(|conflict| conflict.dialled.len() == *length)
                .collect::<Vec<_>>()
        };
        behind("").into_iter().chain(self.access_codes.iter().flat_map(|code| behind(code))).collect()
    }

    /// The whole string, with or without an access code, and the ways in which equipment makes a global number of it (`+112`, `+49112`): no
    /// plan has numbers that short.
    fn is_emergency(&self, number: &Subscriber) -> bool {
        let listed = |digits: &str| self.emergency.binary_search(&digits).is_ok();
        if listed(&number.digits) {
            return true;
        }
        if number.global {
            return number.digits.strip_prefix(&self.plans.home_code().to_string()).is_some_and(listed);
        }
        self.access_codes.iter().any(|code| number.digits.strip_prefix(code.as_str()).is_some_and(listed))
    }

    fn of_ours(&self, number: &Subscriber) -> Classification {
        let is_local = !number.global && !number.context.as_deref().is_some_and(|context| context.starts_with('+'));
        if let Some((length, before)) = self.extensions.as_ref().filter(|_| is_local)
            && number.digits.len() == *length
            && number.digits.bytes().all(|b| b.is_ascii_digit())
        {
            return Classification {
                class: Some(NumberClass::Extension),
                e164: Some(format!("+{before}{}", number.digits)),
                territory: None,
            };
        }
        let whole = self.priced(self.read(number));
        if !is_local || whole.class != Some(NumberClass::Unknown) {
            return whole;
        }
        let behind_access_code = self.access_codes.iter().find_map(|code| {
            let digits = number.digits.strip_prefix(code.as_str())?.to_owned();
            let outside = Subscriber { digits, global: false, context: None };
            let found = self.priced(self.read(&outside));
            (found.class != Some(NumberClass::Unknown)).then_some(found)
        });
        if let Some(found) = behind_access_code {
            return found;
        }
        if self.plans.is_local_subscriber(&number.digits) {
            let territory = Some(self.plans.home());
            return Classification { class: Some(NumberClass::National), e164: None, territory };
        }
        // Feature codes such as *98 stay in the house.
        if number.digits.starts_with(['*', '#']) && number.digits.len() <= MAX_FEATURE_CODE {
            return NumberClass::Extension.into();
        }
        whole
    }

    /// Makes E.164 of a number (RFC 3966 §5.1.5 for its context).
    fn read(&self, number: &Subscriber) -> Option<Reading> {
        if number.global {
            return self.plans.global(&number.digits);
        }
        if number.digits.contains(['*', '#']) {
            return None;
        }
        let Some(context) = number.context.as_deref().and_then(|context| context.strip_prefix('+')) else {
            return self.plans.local(&number.digits);
        };
        let context: String = context.chars().filter(char::is_ascii_digit).collect();
        // A bare country code: the number may have its trunk prefix before it.
        let national = context.parse().ok().and_then(|code| self.plans.national(code, &number.digits));
        national.or_else(|| self.plans.global(&format!("{context}{}", number.digits)))
    }

    /// On-net and partner first, then what the plans say.
    fn priced(&self, reading: Option<Reading>) -> Classification {
        let begins = |prefixes: &BTreeSet<String>| {
            reading.as_ref().is_some_and(|reading| {
                (1..=reading.e164.len())
                    .any(|end| reading.e164.get(..end).is_some_and(|start| prefixes.contains(start)))
            })
        };
        let class = if begins(&self.own) {
            NumberClass::OnNet
        } else if begins(&self.partner) {
            NumberClass::Partner
        } else {
            return self.charged(reading);
        };
        Classification { class: Some(class), ..self.charged(reading) }
    }

    /// What the plans say.
    fn charged(&self, reading: Option<Reading>) -> Classification {
        let Some(reading) = reading else { return NumberClass::Unknown.into() };
        let class = match (reading.kind, reading.territory) {
            _ if SATELLITE.iter().any(|code| reading.e164.starts_with(code)) => NumberClass::Satellite,
            (Some(Kind::TollFree), territory) if self.is_national(&reading.e164, territory) => NumberClass::TollFree,
            // +800: free from everywhere.
            (Some(Kind::TollFree), Some(NO_COUNTRY)) => NumberClass::TollFree,
            (Some(Kind::Premium), _) => NumberClass::Premium,
            (Some(Kind::Mobile), territory) if self.is_national(&reading.e164, territory) => NumberClass::Mobile,
            (Some(Kind::Fixed), territory) if self.is_national(&reading.e164, territory) => NumberClass::National,
            (Some(_), _) => NumberClass::International,
            (None, _) => NumberClass::Unknown,
        };
        Classification {
            class: Some(class),
            e164: Some(format!("+{}", reading.e164)),
            territory: reading.territory.filter(|territory| *territory != NO_COUNTRY),
        }
    }

    /// Whether a territory's numbers are charged as the home country's. Most territories that share a country code are one country's; +1 and
    /// +7 are shared by many, and calls between those are the classic surprise on a bill.
    fn is_national(&self, e164: &str, territory: Option<&'static str>) -> bool {
        let home = self.plans.home();
        let Some(territory) = territory else { return false };
        match self.plans.home_code() {
            1 => territory == home || (is_united_states(territory) && is_united_states(home)),
            7 => territory == home,
            code => e164.starts_with(&code.to_string()),
        }
    }
}

/// The states and the territories that the same domestic rates reach.
fn is_united_states(territory: &str) -> bool {
    ["US", "PR", "VI", "GU", "MP", "AS"].contains(&territory)
}

/// A host for comparison: lower case, without the root's dot.
fn host(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

impl From<Option<NumberClass>> for Classification {
    fn from(class: Option<NumberClass>) -> Self {
        Self { class, e164: None, territory: None }
    }
}

impl From<NumberClass> for Classification {
    fn from(class: NumberClass) -> Self {
        Some(class).into()
    }
}

/// Inmarsat, the global mobile satellite system (Iridium, Globalstar), Thuraya.
const SATELLITE: [&str; 3] = ["870", "881", "88216"];

/// `*`, and up to three digits.
const MAX_FEATURE_CODE: usize = 4;
