//! From the document to a [`Config`]: unknown keys, wrong types and bad values, all in one run.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, Deserializer, Error};

use super::Config;
use super::diagnostic::Finding;
use super::document::Document;
use super::schema::Vocabulary;

/// Reads the document.
///
/// serde stops at the first error. So what it complains about is noted, cut out, and the rest is read again:
/// an operator who made three mistakes sees three.
///
/// # Errors
///
/// Every unknown key, wrong type, bad value and missing key.
pub(crate) fn read(document: &Document<'_>) -> Result<Config, Vec<Finding>> {
    let vocabulary = Vocabulary::new();
    let mut root = document.root().clone();
    let mut findings = Vec::new();
    loop {
        let error = match Config::deserialize(Deserializer::from(root.clone())) {
            Ok(config) if findings.is_empty() => return Ok(config),
            Ok(_) => return Err(findings),
            Err(error) => error,
        };
        let place = error.span().unwrap_or(0..0);
        if !is_our_own_gap(&error, &place, document) {
            findings.push(explain(&error, &place, document, &vocabulary));
        }
        // Each round cuts out something, or ends.
        if !cut_from_table(root.get_mut(), &place) || findings.len() == MOST_FINDINGS {
            return Err(findings);
        }
    }
}

/// Whether a key is missing only because it was cut out before.
fn is_our_own_gap(error: &Error, place: &Range<usize>, document: &Document<'_>) -> bool {
    missing_key(error).is_some_and(|key| document.table_has(place, key))
}

fn missing_key(error: &Error) -> Option<&str> {
    error.message().strip_prefix("missing field `")?.split('`').next()
}

fn explain(error: &Error, place: &Range<usize>, document: &Document<'_>, vocabulary: &Vocabulary) -> Finding {
    let message = error.message();
    let names = document.names_at(place).unwrap_or_default();
    if let Some(rest) = message.strip_prefix("unknown field `") {
        let key = rest.split('`').next().unwrap_or_default();
        return Finding::new(place.clone(), format!("unknown key `{key}`"), Some(vocabulary.instead_of_key(&names)));
    }
    if let Some(rest) = message.strip_prefix("unknown variant `") {
        let word = rest.split('`').next().unwrap_or_default();
        let words = rest.split('`').skip(2).step_by(2).collect::<Vec<_>>();
        let advice = instead_of_word(word, &words);
        return Finding::new(place.clone(), format!("unknown value {word:?}"), Some(advice));
    }
    if let Some(key) = missing_key(error) {
        let advice = format!("add {}", vocabulary.example(&names, key));
        return Finding::new(place.clone(), format!("`{key}` is missing"), Some(advice));
    }
    if let Some((problem, advice)) = message.split_once('\n') {
        return Finding::new(place.clone(), problem, Some(advice.to_owned()));
    }
    let example =
        names.split_last().map(|(key, table)| format!("write, for example, {}", vocabulary.example(table, key)));
    Finding::new(place.clone(), in_words(message), example)
}

/// serde's words for what a value is and should be, in those of somebody who writes TOML.
fn in_words(message: &str) -> String {
    match message {
        "wanted string or table" => return "a text in quotes is expected here".to_owned(),
        "invalid IP address syntax" => return "this is no address".to_owned(),
        "invalid socket address syntax" => return "this is no address with a port".to_owned(),
        _ => {}
    }
    let (given, expected) = match message.split_once(", expected ") {
        Some((given, expected)) => (given, Some(expected)),
        None => (message, None),
    };
    let wrong_type = given.strip_prefix("invalid type: ");
    let given = wrong_type.or_else(|| given.strip_prefix("invalid value: ")).unwrap_or(given);
    let given = given.replace("map", "a table").replace("sequence", "a list").replace("boolean", "the word");
    let Some(expected) = expected else { return given };
    let expected = match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" | "u64" | "usize" => "a whole number",
        "a nonzero u32" => "a whole number from 1 to 4294967295",
        "a boolean" => "true or false",
        "a sequence" => "a list in brackets",
        "a map" => "a table",
        "IP address" => "an address",
        "socket address" => "an address with a port",
        "path string" | "a string" => "a text in quotes",
        _ if expected.starts_with("struct ") => "a table",
        _ => expected,
    };
    format!("{given} where {expected} is expected")
}

fn instead_of_word(word: &str, words: &[&str]) -> String {
    let quoted = words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>();
    match nearest(word, words.iter().copied()) {
        Some(near) => format!("did you mean {near:?}? One of {}", quoted.join(", ")),
        None => format!("write one of {}", quoted.join(", ")),
    }
}

/// The candidate that a slip of the fingers could have meant.
pub(crate) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(&word.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Cuts out the key, value or element at this very place; says whether there was one.
///
/// An array of tables is written where its first table is, so what is inside goes first.
fn cut_from_table(table: &mut DeTable<'_>, place: &Range<usize>) -> bool {
    if table.iter_mut().any(|(_, value)| cut_from_value(value, place)) {
        return true;
    }
    let here = table.iter().find(|(key, value)| key.span() == *place || value.span() == *place);
    let key = here.map(|(key, _)| key.get_ref().to_string());
    key.is_some_and(|key| table.remove(key.as_str()).is_some())
}

fn cut_from_value(value: &mut Spanned<DeValue<'_>>, place: &Range<usize>) -> bool {
    match value.get_mut() {
        DeValue::Table(table) => cut_from_table(table, place),
        DeValue::Array(array) => {
            if array.iter_mut().any(|element| cut_from_value(element, place)) {
                return true;
            }
            let kept = array.iter().filter(|element| element.span() != *place).cloned().collect::<DeArray<'_>>();
            let cut = kept.len() < array.len();
            *array = kept;
            cut
        }
        DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
            false
        }
    }
}

/// Beyond this many, the rest waits for the next run.
const MOST_FINDINGS: usize = 32;
