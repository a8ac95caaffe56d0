//! An edit: the message has what was asked for, and every other byte as it came.

use std::sync::Arc;

use bytes::Bytes;
use cusax_sip::{Edit, Message, Name};

use super::datagram::NAMES;
use super::input::Input;
use super::wire::readable;

/// Changes a message in a few ways.
pub fn target(data: &[u8]) {
    let mut input = Input(data);
    let deeds = input.below(6);
    let mut script = Input(&data[1.min(data.len())..][..(deeds * 3).min(data.len().saturating_sub(1))]);
    let Ok(message) = Message::parse(Bytes::copy_from_slice(data.get(1 + deeds * 3..).unwrap_or(&[]))) else { return };
    if message.defect().is_some() {
        return;
    }
    let message = Arc::new(message);
    let mut edit = Edit::new(Arc::clone(&message));
    // Of each name: its values as they should be, where it was touched.
    let mut expected: Vec<(Name, Vec<Vec<u8>>)> = Vec::new();
    let (mut uri, mut added) = (None, Vec::new());
    for _ in 0..deeds {
        let (deed, name, mask) = (script.below(6), NAMES[script.below(NAMES.len() - 1)], script.byte());
        if expected.iter().any(|(touched, _)| *touched == name) || name == Name::ContentLength {
            continue;
        }
        let mut values = values(&message, name);
        let new = format!("\"n\" <sip:new{mask}@example.com>");
        match deed {
            0 => {
                edit.push_above(name, &new);
                values.insert(0, new.into_bytes());
            }
            1 => {
                edit.push_top(name, &new);
                values.insert(0, new.into_bytes());
            }
            2 => {
                edit.append("X-New", &new);
                added.push(new.into_bytes());
                continue;
            }
            3 => {
                edit.remove_all(name);
                values.clear();
            }
            4 => {
                let condemned = |index: usize| mask >> (index % 8) & 1 == 1;
                let gone = edit.remove_values(name, |index, _| condemned(index));
                let before = values.len();
                values =
                    values.into_iter().enumerate().filter(|(index, _)| !condemned(*index)).map(|(_, v)| v).collect();
                assert_eq!(before - values.len(), gone, "as many went as were said to");
            }
            _ => {
                uri = Some(format!("sip:other{mask}@example.com"));
                edit.set_request_uri(uri.as_deref().unwrap_or(""));
                continue;
            }
        }
        expected.push((name, values));
    }
    let length = edit.length();
    let bytes = edit.finish();
    assert_eq!(length, bytes.len(), "it is as long as it was said to be");
    if message.fields().len() + deeds > cusax_sip::message::MAX_HEADERS
        || message.headers_end() + deeds * 80 > cusax_sip::message::MAX_HEADER_BYTES
    {
        return;
    }
    let after = readable(&bytes);
    assert_eq!(after.defect(), None, "an edit does no harm:\n{}", String::from_utf8_lossy(&bytes));
    assert_eq!(after.body(), message.body(), "the body stays");
    let touched = |name: Name| expected.iter().any(|(touched, _)| *touched == name);
    let lines = |message: &Message| -> Vec<Vec<u8>> {
        let rest = message.fields().iter().filter(|field| !touched(field.name));
        rest.map(|field| message.bytes()[field.line()].to_vec()).collect()
    };
    let mut untouched = lines(&message);
    untouched.extend(added.iter().map(|value| [b"X-New: ", &value[..], b"\r\n"].concat()));
    assert_eq!(lines(&after), untouched, "lines of other names stay as they came");
    for (name, wanted) in &expected {
        assert_eq!(&values(&after, *name), wanted, "the values of {name:?} in\n{}", String::from_utf8_lossy(&bytes));
    }
    match uri.filter(|_| message.is_request()) {
        Some(uri) => assert_eq!(after.request_uri_text(), uri),
        None => assert_eq!(after.first_line(), message.first_line()),
    }
}

fn values(message: &Message, name: Name) -> Vec<Vec<u8>> {
    message.value_spans(name).map(|span| message.bytes()[span].to_vec()).collect()
}
