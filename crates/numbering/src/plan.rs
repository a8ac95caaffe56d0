//! Numbering plans: how a territory's subscribers dial, and what kind a number of its is.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use phonenumber::Metadata;
use phonenumber::metadata::{DATABASE, Descriptor};
use regex::Regex;

/// What a territory's plan says of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    TollFree,
    /// Costs more than other numbers of the plan: premium rate, shared cost, personal numbers, pagers.
    Premium,
    /// Mobile, and known not to be fixed.
    Mobile,
    Fixed,
}

/// A number in E.164, and what plans say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Country code and national number, without plus sign.
    pub(crate) e164: String,
    /// `None`: no plan has such a number.
    pub(crate) kind: Option<Kind>,
    /// ISO 3166 code; `001` where the country code belongs to no country.
    pub(crate) territory: Option<&'static str>,
}

/// Every plan by country code, each compiled when the first number of it comes.
pub(crate) struct Plans {
    by_code: BTreeMap<u16, Vec<Territory>>,
    home: &'static Metadata,
}

struct Territory {
    metadata: &'static Metadata,
    plan: OnceLock<Plan>,
}

impl Plans {
    /// Plans as seen from a country; `None` where there is none of that name.
    pub(crate) fn seen_from(country: &str) -> Option<Self> {
        let home = DATABASE.by_id(country).filter(|metadata| metadata.id() != NO_COUNTRY)?;
        let by_code = (1..=999).filter_map(|code| {
            let mut territories = DATABASE.by_code(&code)?;
            // Territories that share a code share numbers too (toll-free in North America): home first, then the code's main country.
            territories.sort_by_key(|of| (of.id() != home.id(), !of.is_main_country_for_code(), of.id()));
            let territory = |metadata| Territory { metadata, plan: OnceLock::new() };
            Some((code, territories.into_iter().map(territory).collect()))
        });
        let plans = Self { by_code: by_code.collect(), home };
        // The one that every call needs, so that no call waits for it.
        plans.by_code.get(&home.country_code())?.first()?.plan();
        Some(plans)
    }

    pub(crate) fn home(&self) -> &'static str {
        self.home.id()
    }

    pub(crate) fn home_code(&self) -> u16 {
        self.home.country_code()
    }

    /// Reads digits that begin with a country code.
    pub(crate) fn global(&self, digits: &str) -> Option<Reading> {
        // Country codes are prefix-free.
        let (code, territories, national) = (1..=3).find_map(|len| {
            let (code, national) = digits.split_at_checked(len)?;
            let code = code.parse().ok()?;
            Some((code, self.by_code.get(&code)?, national))
        })?;
        // People write `+44 (0)20 …`.
        let trunk = territories.first()?.metadata.national_prefix();
        let without_trunk = trunk.and_then(|prefix| national.strip_prefix(prefix)).map(str::to_owned);
        read(code, territories, &[Some(national.to_owned()), without_trunk])
    }

    /// Reads digits as dialled at home: international prefix, trunk prefix, or the national number itself.
    pub(crate) fn local(&self, digits: &str) -> Option<Reading> {
        let plan = self.by_code.get(&self.home_code())?.first()?.plan();
        match plan.without_international_prefix(digits) {
            Some(global) => self.global(global),
            None => self.national(self.home_code(), digits),
        }
    }

    /// Reads digits as dialled in the (main) country of a code, without an international prefix.
    pub(crate) fn national(&self, code: u16, digits: &str) -> Option<Reading> {
        let territories = self.by_code.get(&code)?;
        // Only that country's way to dial: others of the code complete short numbers with area codes of their own.
        let without_trunk = territories.first()?.plan().without_trunk_prefix(digits);
        read(code, territories, &[without_trunk, Some(digits.to_owned())])
    }

    /// Whether the digits can be a subscriber's number at home without its area code. What begins with 0 or 1 is a service (directory
    /// enquiries are dear in many countries), what is shorter than six digits may be one.
    pub(crate) fn is_local_subscriber(&self, digits: &str) -> bool {
        let length = u16::try_from(digits.len()).unwrap_or(u16::MAX);
        digits.len() >= 6
            && !digits.starts_with(['0', '1'])
            && [
                self.home.descriptors().general(),
                self.home.descriptors().fixed_line().unwrap_or(self.home.descriptors().general()),
            ]
            .iter()
            .any(|descriptor| descriptor.possible_local_length().contains(&length))
    }
}

/// The metadata's name for country codes that belong to no country.
pub(crate) const NO_COUNTRY: &str = "001";

/// Finds the first reading that some territory knows the kind of, else the first that looks like a number of the code.
fn read(code: u16, territories: &[Territory], readings: &[Option<String>; 2]) -> Option<Reading> {
    let mut possible = None;
    for territory in territories {
        let plan = territory.plan();
        for national in readings.iter().flatten() {
            let e164 = format!("{code}{national}");
            if e164.len() > MAX_E164 {
                continue;
            }
            let kind = plan.kind(national);
            if kind.is_some() {
                return Some(Reading { e164, kind, territory: Some(territory.metadata.id()) });
            }
            if possible.is_none() && plan.general.matches(national) {
                possible = Some(Reading { e164, kind, territory: None });
            }
        }
    }
    possible
}

/// ITU-T E.164 §6.2.1.
const MAX_E164: usize = 15;

impl Territory {
    fn plan(&self) -> &Plan {
        self.plan.get_or_init(|| Plan::new(self.metadata))
    }
}

/// One territory's plan, compiled.
struct Plan {
    international_prefix: Option<Regex>,
    trunk_prefix: Option<Regex>,
    /// What the trunk prefix is replaced by, with groups of its pattern.
    transform: Option<&'static str>,
    general: Pattern,
    /// In the order in which they are tried; the first that matches says the kind.
    kinds: Vec<(Pattern, Kind)>,
    mobile: Option<Pattern>,
}

impl Plan {
    fn new(metadata: &'static Metadata) -> Self {
        let of = metadata.descriptors();
        let kinds = [
            (of.premium_rate(), Kind::Premium),
            (of.toll_free(), Kind::TollFree),
            (of.shared_cost(), Kind::Premium),
            (of.voip(), Kind::Fixed),
            (of.personal_number(), Kind::Premium),
            (of.pager(), Kind::Premium),
            (of.uan(), Kind::Fixed),
            (of.voicemail(), Kind::Fixed),
            // Where a number may be fixed or mobile, as in North America, it is taken for fixed: its class is national.
            (of.fixed_line(), Kind::Fixed),
        ];
        let trunk_prefix = metadata
            .national_prefix_for_parsing()
            .map(|pattern| pattern.as_str().to_owned())
            .or_else(|| metadata.national_prefix().map(str::to_owned));
        Self {
            international_prefix: metadata.international_prefix().map(|pattern| start(pattern.as_str())),
            trunk_prefix: trunk_prefix.map(|pattern| start(&pattern)),
            transform: metadata.national_prefix_transform_rule(),
            general: Pattern::new(of.general()),
            kinds: kinds.into_iter().filter_map(|(descriptor, kind)| Some((Pattern::new(descriptor?), kind))).collect(),
            mobile: of.mobile().map(Pattern::new),
        }
    }

    fn kind(&self, national: &str) -> Option<Kind> {
        if !self.general.matches(national) {
            return None;
        }
        let listed = self.kinds.iter().find(|(pattern, _)| pattern.matches(national)).map(|(_, kind)| *kind);
        listed.or_else(|| self.mobile.as_ref()?.matches(national).then_some(Kind::Mobile))
    }

    fn without_international_prefix<'d>(&self, digits: &'d str) -> Option<&'d str> {
        let prefix = self.international_prefix.as_ref()?.find(digits)?;
        digits.get(prefix.end()..).filter(|rest| !rest.is_empty())
    }

    /// The national number behind a trunk prefix, a carrier code, or what else the plan puts there.
    fn without_trunk_prefix(&self, digits: &str) -> Option<String> {
        let prefix = self.trunk_prefix.as_ref()?;
        let captures = prefix.captures(digits)?;
        let whole = captures.get(0)?;
        let rest = digits.get(whole.end()..)?;
        let last_group = captures.iter().skip(1).last().flatten();
        match (self.transform, last_group) {
            (Some(transform), Some(_)) => {
                let mut national = String::new();
                captures.expand(transform, &mut national);
                Some(national + rest)
            }
            _ => (!whole.is_empty()).then(|| rest.to_owned()),
        }
    }
}

/// A pattern that a whole national number matches or not.
struct Pattern {
    regex: Regex,
    lengths: &'static [u16],
}

impl Pattern {
    fn new(descriptor: &'static Descriptor) -> Self {
        let pattern = descriptor.national_number();
        let regex = Regex::new(&format!("(?x)^(?:{})$", pattern.as_str())).expect(COMPILES);
        Self { regex, lengths: descriptor.possible_length() }
    }

    fn matches(&self, national: &str) -> bool {
        let length = u16::try_from(national.len()).unwrap_or(u16::MAX);
        (self.lengths.is_empty() || self.lengths.contains(&length)) && self.regex.is_match(national)
    }
}

fn start(pattern: &str) -> Regex {
    Regex::new(&format!("(?x)^(?:{pattern})")).expect(COMPILES)
}

const COMPILES: &str = "the metadata is compiled in, and a test compiles all of it";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plan_compiles_and_knows_its_own_examples() {
        let plans = Plans::seen_from("US").unwrap();
        let mut examples = 0;
        for (code, territories) in &plans.by_code {
            for territory in territories {
                let plan = territory.plan();
                let of = territory.metadata.descriptors();
                for (descriptor, kinds) in [
                    (of.premium_rate(), &[Kind::Premium][..]),
                    (of.toll_free(), &[Kind::TollFree]),
                    (of.fixed_line(), &[Kind::Fixed]),
                    (of.mobile(), &[Kind::Mobile, Kind::Fixed]),
                ] {
                    let Some(example) = descriptor.and_then(Descriptor::example) else { continue };
                    let kind = plan.kind(example);
                    assert!(kind.is_some_and(|kind| kinds.contains(&kind)), "+{code} {example}: {kind:?}");
                    examples += 1;
                }
            }
        }
        assert!(examples > 500, "{examples}");
    }

    #[test]
    fn reads_what_is_dialled_at_home() {
        for (country, dialled, expected) in [
            ("US", "4045550100", Some("14045550100")),
            ("US", "14045550100", Some("14045550100")),
            ("US", "011442079460000", Some("442079460000")),
            ("GB", "02079460000", Some("442079460000")),
            ("GB", "0014045550100", Some("14045550100")),
            ("DE", "030123456", Some("4930123456")),
            ("IT", "0236618300", Some("390236618300")),
            ("BR", "0151131231234", Some("551131231234")),
            ("RU", "88001234567", Some("78001234567")),
            ("US", "5550100", None),
            ("US", "1", None),
        ] {
            let reading = Plans::seen_from(country).unwrap().local(dialled);
            assert_eq!(reading.map(|reading| reading.e164).as_deref(), expected, "{country} {dialled}");
        }
    }
}
