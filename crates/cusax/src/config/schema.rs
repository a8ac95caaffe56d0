//! The JSON schema, and what it knows about keys: the one source of the documented default and of advice.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::Value;

use super::Config;
use super::shape::nearest;

/// The JSON schema of the configuration file.
pub(crate) fn schema() -> Schema {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    let mut schema = settings.into_generator().into_root_schema_for::<Config>();
    RecursiveTransform(without_null).transform(&mut schema);
    schema.insert("title".to_owned(), "cusax configuration".into());
    schema
}

/// TOML has no null: a key that may be absent is one that need not be written.
fn without_null(schema: &mut Schema) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type").is_none_or(|kind| kind != "null"));
        if let [Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            schema.remove("anyOf");
            for (key, value) in only {
                if schema.get(&key).is_none() {
                    schema.insert(key, value);
                }
            }
        }
    }
    if schema.get("default") == Some(&Value::Null) {
        schema.remove("default");
    }
}

/// The keys that exist, and what may be written for them.
pub(crate) struct Vocabulary {
    schema: Value,
}

impl Vocabulary {
    /// Reads the schema.
    pub(crate) fn new() -> Self {
        Self { schema: schema().to_value() }
    }

    /// What to write instead of a key that does not exist: a near one, the section that has it, or all there are.
    pub(crate) fn instead_of_key(&self, names: &[String]) -> String {
        let Some((key, table)) = names.split_last() else {
            return "take it out".to_owned();
        };
        let known = self.table(table).map(keys).unwrap_or_default();
        if let Some(near) = nearest(key, known.iter().copied()) {
            return format!("did you mean `{near}`?");
        }
        let mut elsewhere = Vec::new();
        sections_with(&self.schema, key, "", &mut elsewhere);
        match elsewhere.as_slice() {
            [] => format!("write one of {}", known.join(", ")),
            sections => format!("`{key}` belongs to {}", sections.join(" or ")),
        }
    }

    /// A line for the key that would be right.
    pub(crate) fn example(&self, table: &[String], key: &str) -> String {
        let property = self.table(table).and_then(|table| table.get("properties")?.get(key));
        let path = table.iter().map(String::as_str).chain([key]).collect::<Vec<_>>().join(".");
        if property.is_some_and(|property| property.get("properties").is_some()) {
            return format!("`[{path}]` and its keys below");
        }
        if property.is_some_and(|property| property.pointer("/items/properties").is_some()) {
            return format!("`[[{path}]]` and its keys below, once for each");
        }
        match property.and_then(example_of) {
            Some(value) => format!("`{key} = {}`", toml_value(&value)),
            None => format!("`{key}`"),
        }
    }

    /// The schema of a table; array elements count as the array.
    fn table(&self, names: &[String]) -> Option<&Value> {
        names
            .iter()
            .try_fold(&self.schema, |table, name| through_items(table.get("properties")?.get(name)?))
            .and_then(through_items)
    }
}

/// What a key may be: its default, else its example, else its first word.
pub(crate) fn example_of(property: &Value) -> Option<Value> {
    let written = property.get("default").filter(|value| !is_empty(value));
    let example = || property.get("examples")?.get(0);
    let word = || property.get("enum")?.get(0);
    let described = || property.get("oneOf")?.get(0)?.get("const");
    written
        .or_else(example)
        .or_else(word)
        .or_else(described)
        .cloned()
        .or_else(|| Some(vec![example_of(property.get("items")?)?].into()))
}

fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(serde_json::Map::is_empty)
}

/// A JSON value as it is written in TOML, on one line.
pub(crate) fn toml_value(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => toml::Value::from(text.as_str()).to_string(),
        Value::Array(elements) => format!("[{}]", elements.iter().map(toml_value).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let members = members.iter().filter(|(_, value)| !value.is_null());
            let members = members.map(|(key, value)| format!("{} = {}", toml_key(key), toml_value(value)));
            format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
        }
    }
}

fn toml_key(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if bare { key.to_owned() } else { toml::Value::from(key).to_string() }
}

fn through_items(schema: &Value) -> Option<&Value> {
    Some(schema.get("items").unwrap_or(schema))
}

fn keys(table: &Value) -> Vec<&str> {
    let properties = table.get("properties").and_then(Value::as_object);
    properties.map(|properties| properties.keys().map(String::as_str).collect()).unwrap_or_default()
}

fn sections_with(table: &Value, key: &str, name: &str, found: &mut Vec<String>) {
    let Some(properties) = table.get("properties").and_then(Value::as_object) else {
        return;
    };
    if properties.contains_key(key) && !name.is_empty() {
        found.push(name.to_owned());
    }
    for (child, property) in properties {
        let path = name.trim_matches(['[', ']']);
        let path = if path.is_empty() { child.clone() } else { format!("{path}.{child}") };
        match property.get("items") {
            Some(items) => sections_with(items, key, &format!("[[{path}]]"), found),
            None => sections_with(property, key, &format!("[{path}]"), found),
        }
    }
}
