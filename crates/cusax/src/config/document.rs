//! The TOML document with the place of each value.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::Finding;

/// A parsed document that still knows where everything was written.
pub(crate) struct Document<'i> {
    root: Spanned<DeTable<'i>>,
}

/// One step from the root of a document towards a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// Into a table.
    Key(&'a str),
    /// Into an array.
    Index(usize),
}

impl<'a> From<&'a str> for Step<'a> {
    fn from(key: &'a str) -> Self {
        Self::Key(key)
    }
}

impl From<usize> for Step<'_> {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// The way to a value: `at!["sip", "listener", 0, "address"]`.
macro_rules! at {
    [$($step:expr),* $(,)?] => { &[$($crate::config::document::Step::from($step)),*] };
}

pub(crate) use at;

impl<'i> Document<'i> {
    /// Parses a text.
    ///
    /// # Errors
    ///
    /// Every place that is no TOML.
    pub(crate) fn parse(text: &'i str) -> Result<Self, Vec<Finding>> {
        let (root, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            return Ok(Self { root });
        }
        Err(errors.iter().map(|error| Finding::new(error.span().unwrap_or(0..0), error.message(), None)).collect())
    }

    /// The document's tree.
    pub(crate) const fn root(&self) -> &Spanned<DeTable<'i>> {
        &self.root
    }

    /// Whether the value is written in the document.
    pub(crate) fn has(&self, path: &[Step<'_>]) -> bool {
        self.find(path).1 == path.len()
    }

    /// Where a value is written or, where it is not, the nearest table around it.
    pub(crate) fn place(&self, path: &[Step<'_>]) -> Range<usize> {
        self.find(path).0
    }

    /// The place of the last step that exists, and how many exist.
    fn find(&self, path: &[Step<'_>]) -> (Range<usize>, usize) {
        let mut place = 0..0;
        let mut table = Some(self.root.get_ref());
        let mut array: Option<&[Spanned<DeValue<'_>>]> = None;
        for (depth, step) in path.iter().enumerate() {
            let value = match step {
                Step::Key(key) => table.and_then(|table| table.get(*key)),
                Step::Index(index) => array.and_then(|array| array.get(*index)),
            };
            let Some(value) = value else {
                return (place, depth);
            };
            place = value.span();
            table = value.get_ref().as_table();
            array = value.get_ref().as_array().map(AsRef::as_ref);
        }
        (place, path.len())
    }

    /// Whether the table that is written at this very place has such a key.
    pub(crate) fn table_has(&self, place: &Range<usize>, key: &str) -> bool {
        let table = table_in_table(self.root.get_ref(), place);
        table.is_some_and(|table| table.contains_key(key))
    }

    /// The way to the key or value that is written at this very place, as names (array elements have none).
    pub(crate) fn names_at(&self, place: &Range<usize>) -> Option<Vec<String>> {
        names_in_table(self.root.get_ref(), place)
    }
}

fn table_in_table<'t, 'i>(table: &'t DeTable<'i>, place: &Range<usize>) -> Option<&'t DeTable<'i>> {
    table.iter().find_map(|(_, value)| table_in_value(value, place))
}

fn table_in_value<'t, 'i>(value: &'t Spanned<DeValue<'i>>, place: &Range<usize>) -> Option<&'t DeTable<'i>> {
    if let Some(table) = value.get_ref().as_table() {
        return if value.span() == *place { Some(table) } else { table_in_table(table, place) };
    }
    value.get_ref().as_array()?.iter().find_map(|element| table_in_value(element, place))
}

fn names_in_table(table: &DeTable<'_>, place: &Range<usize>) -> Option<Vec<String>> {
    table.iter().find_map(|(key, value)| {
        let name = key.get_ref().to_string();
        if key.span() == *place || value.span() == *place {
            return Some(vec![name]);
        }
        let mut names = names_in_value(value.get_ref(), place)?;
        names.insert(0, name);
        Some(names)
    })
}

fn names_in_value(value: &DeValue<'_>, place: &Range<usize>) -> Option<Vec<String>> {
    if let Some(table) = value.as_table() {
        return names_in_table(table, place);
    }
    value.as_array()?.iter().find_map(|element| {
        if element.span() == *place { Some(Vec::new()) } else { names_in_value(element.get_ref(), place) }
    })
}
