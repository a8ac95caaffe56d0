//! The documented default file, written from the schema: comments are the descriptions, values the defaults.

use serde_json::{Map, Value};

use super::schema::{example_of, schema, toml_value};

/// The default file with a comment for each key.
///
/// A line that begins with `#` and no space is a key or section that is off; taking the `#` away turns it on.
pub(crate) fn documented_default() -> String {
    let schema = schema().to_value();
    let mut page = Page { text: HEAD.to_owned(), choices: Value::Null };
    if let Some(sections) = schema.get("properties").and_then(Value::as_object) {
        for (name, section) in sections {
            write_section(&mut page, name, section, section.get("default"));
        }
    }
    page.text
}

/// The file so far, and the choices that were described last: what is the same for many keys is said once.
struct Page {
    text: String,
    choices: Value,
}

/// Writes a section and those inside it; one without a value is written as a comment.
fn write_section(page: &mut Page, name: &str, section: &Value, value: Option<&Value>) {
    if let Some(items) = section.get("items").filter(|items| items.get("properties").is_some()) {
        return write_list(page, name, section, items, value);
    }
    page.text.push('\n');
    describe(page, section);
    write_table(page, &format!("[{name}]"), name, section, value);
}

/// Writes a header and what is under it.
fn write_table(page: &mut Page, header: &str, name: &str, table: &Value, value: Option<&Value>) {
    let off = if value.is_some() { "" } else { "#" };
    page.text.push_str(&format!("{off}{header}\n"));
    let properties = table.get("properties").and_then(Value::as_object).into_iter().flatten();
    let (tables, keys): (Vec<_>, Vec<_>) = properties.partition(|(_, property)| is_table(property));
    for (key, property) in keys {
        describe(page, property);
        write_key(page, key, property, value);
    }
    for (key, property) in tables {
        let value = value.and_then(|value| value.get(key)).filter(|value| !value.is_null());
        write_section(page, &format!("{name}.{key}"), property, value);
    }
}

fn write_list(page: &mut Page, name: &str, list: &Value, items: &Value, value: Option<&Value>) {
    let elements = value.and_then(Value::as_array).filter(|elements| !elements.is_empty());
    let Some(elements) = elements else {
        page.text.push('\n');
        describe(page, list);
        return write_table(page, &format!("[[{name}]]"), name, items, None);
    };
    for (index, element) in elements.iter().enumerate() {
        page.text.push('\n');
        if index == 0 {
            describe(page, list);
            write_table(page, &format!("[[{name}]]"), name, items, Some(element));
        } else {
            page.text.push_str(&format!("[[{name}]]\n"));
            for (key, value) in element.as_object().unwrap_or(&Map::new()).iter().filter(|(_, value)| !value.is_null())
            {
                page.text.push_str(&format!("{key} = {}\n", toml_value(value)));
            }
        }
    }
}

/// `key = value`, as a comment where it has no value of its own.
fn write_key(page: &mut Page, key: &str, property: &Value, table: Option<&Value>) {
    let value = table.and_then(|table| table.get(key)).filter(|value| !value.is_null());
    if let Some(value) = value {
        page.text.push_str(&format!("{key} = {}\n", toml_value(value)));
    } else if let Some(example) = example_of(property) {
        page.text.push_str(&format!("#{key} = {}\n", toml_value(&example)));
    }
}

fn describe(page: &mut Page, schema: &Value) {
    for line in schema.get("description").and_then(Value::as_str).unwrap_or_default().lines() {
        page.text.push_str(&format!("# {line}\n"));
    }
    let Some(choices) = schema.get("items").unwrap_or(schema).get("oneOf").filter(|choices| **choices != page.choices)
    else {
        return;
    };
    for choice in choices.as_array().into_iter().flatten() {
        let word = choice.get("const").map(toml_value).unwrap_or_default();
        let meaning = choice.get("description").and_then(Value::as_str).unwrap_or_default();
        page.text.push_str(&format!("#   {word}: {meaning}\n"));
    }
    page.choices = choices.clone();
}

fn is_table(property: &Value) -> bool {
    property.get("items").unwrap_or(property).get("properties").is_some()
}

const HEAD: &str = "\
# cusax: every key with its default. Taking the # away from a line that begins with # and no space turns it on.
# Unknown keys are errors: cusax check config --config FILE
# Files that are named here are relative to the directory of this file.
# SIGHUP has the running service read it again, with the files that it names (certificates, keys, revocation lists): all of
# it comes into force at once, but what says that it needs a restart. Connections and calls go on. A file with a mistake
# changes nothing, and the log says what is wrong.
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, built, check, document::Document, shape};

    #[test]
    fn the_default_file_is_the_default_configuration() {
        let page = documented_default();
        let document = Document::parse(&page).unwrap();
        assert_eq!(shape::read(&document), Ok(Config::default()));
    }

    #[test]
    fn every_key_is_documented_and_every_example_is_valid() {
        let page = documented_default();
        let on = page.lines().map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line));
        // The one thing that is missing when everything is on: [sip.core] needs a listener.
        let core = ["[[sip.listener]]", "address = 'udp:127.0.0.1:5070'", "zone = 'core'"];
        let on = on.chain(core).collect::<Vec<_>>().join("\n");
        let document = Document::parse(&on).unwrap();
        let config = shape::read(&document).unwrap();
        assert_eq!(check::check(&config, &document), []);
        assert_ne!(built::check(&config, &document), [], "what is not built is refused even where it is an example");
        assert_every_key_is_written(&schema().to_value(), document.root().get_ref(), "");
    }

    fn assert_every_key_is_written(schema: &Value, table: &toml::de::DeTable<'_>, name: &str) {
        for (key, property) in schema.get("properties").and_then(Value::as_object).unwrap() {
            let written =
                table.get(key.as_str()).unwrap_or_else(|| panic!("{name}.{key} is not in the default file")).get_ref();
            assert!(property.get("description").is_some(), "{name}.{key} is not described");
            let element =
                written.as_array().and_then(|elements| elements.first()).map_or(written, toml::Spanned::get_ref);
            if let (true, Some(inner)) = (is_table(property), element.as_table()) {
                assert_every_key_is_written(property.get("items").unwrap_or(property), inner, &format!("{name}.{key}"));
            }
        }
    }
}
