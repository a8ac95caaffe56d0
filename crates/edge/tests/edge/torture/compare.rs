//! What left against what came, line by line and byte by byte, read by other code than the product's.

use cusax_sip::Via;

/// Lines that a proxy writes itself.
const OURS: [&str; 6] = ["max-breadth", "max-forwards", "path", "record-route", "session-id", "via"];

/// Head and body, apart.
fn parts(message: &[u8]) -> (&[u8], &[u8]) {
    let end = message.windows(4).position(|window| window == b"\r\n\r\n").expect("a header section with an end");
    (&message[..end + 2], &message[end + 4..])
}

/// Start line and header lines with their ends, folded ones whole.
fn lines(head: &[u8]) -> Vec<&[u8]> {
    let (mut lines, mut begin) = (Vec::new(), 0);
    for at in 0..head.len() {
        let ends = head[at] == b'\n' && !matches!(head.get(at + 1), Some(b' ' | b'\t'));
        if ends {
            lines.push(&head[begin..=at]);
            begin = at + 1;
        }
    }
    lines
}

fn name(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line.split(|byte| *byte == b':').next().unwrap_or_default());
    let name = text.trim().to_ascii_lowercase();
    match name.as_str() {
        "v" => "via".to_owned(),
        "l" => "content-length".to_owned(),
        _ => name,
    }
}

fn named<'a>(lines: &[&'a [u8]], wanted: &str) -> Vec<&'a [u8]> {
    lines.iter().copied().filter(|line| name(line) == wanted).collect()
}

fn shown(lines: &[&[u8]]) -> String {
    lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
}

/// The number that a line's value is.
fn number(line: &[u8]) -> Option<u32> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    std::str::from_utf8(&line[colon + 1..]).ok()?.trim().parse().ok()
}

/// Fails where anything but our own edits differs. Lines named in `gone` must be in neither.
pub(super) fn same_but_for_ours(before: &[u8], after: &[u8], gone: &[&str]) -> Result<(), String> {
    let ((head, body), (new_head, new_body)) = (parts(before), parts(after));
    let (old, new) = (lines(head), lines(new_head));
    let measured = !named(&old, "content-length").is_empty();
    let length = named(&old, "content-length").first().and_then(|line| number(line)).map(|length| length as usize);
    let body = &body[..length.unwrap_or(body.len()).min(body.len())];
    if body != new_body {
        return Err(format!("body: {} bytes of {}", new_body.len(), body.len()));
    }
    let request = !new[0].starts_with(b"SIP/2.0 ");
    let kept = |lines: &[&[u8]], ours: bool| -> Vec<Vec<u8>> {
        let kept = |line: &&&[u8]| {
            let name = name(line);
            let added = ours && !measured && name == "content-length";
            let told = !request && name != "session-id";
            (told || !OURS.contains(&name.as_str())) && !added && (ours || !gone.contains(&name.as_str()))
        };
        lines.iter().skip(1).filter(kept).map(|line| line.to_vec()).collect()
    };
    let via_of_ours = |new: &[&[u8]]| named(new, "via").len() - named(&old, "via").len();
    if old[0] != new[0] {
        return Err(format!("start line: {}", shown(&new[..1])));
    }
    // Of a name that may be taken away, what is left was judged by its values.
    let judged: &[&str] = if gone == ["call-info"] { gone } else { &[] };
    let new_kept: Vec<_> = kept(&new, true).into_iter().filter(|line| !judged.contains(&name(line).as_str())).collect();
    let mut old_kept = kept(&old, false);
    if !request {
        // Our own Via came off.
        old_kept.remove(0);
    }
    if old_kept != new_kept {
        return Err(format!("not as it came:\n{}", String::from_utf8_lossy(after)));
    }
    if !request {
        return Ok(());
    }
    if via_of_ours(&new) != 1 || !same_vias(&named(&old, "via"), &named(&new, "via")[1..]) {
        return Err(format!("Via: {}", shown(&named(&new, "via"))));
    }
    let hops = named(&old, "max-forwards").first().map_or(Some(70), |line| number(line).map(|left| left - 1));
    if named(&new, "max-forwards").iter().map(|line| number(line)).collect::<Vec<_>>() != [hops] {
        return Err(format!("Max-Forwards: {}", shown(&named(&new, "max-forwards"))));
    }
    if named(&new, "max-breadth").len() != 1 || named(&new, "session-id").len() != 1 {
        return Err("Max-Breadth or Session-ID is missing or twice".to_owned());
    }
    for stacked in ["record-route", "path"] {
        if !named(&new, stacked).ends_with(&named(&old, stacked)) {
            return Err(format!("{stacked} is not on top of those that came"));
        }
    }
    Ok(())
}

/// The topmost may have got `received` and `rport` (RFC 3261 §18.2.1, RFC 3581 §4); the rest is as it came.
fn same_vias(old: &[&[u8]], new: &[&[u8]]) -> bool {
    let (Some((top, rest)), Some((new_top, new_rest))) = (old.split_first(), new.split_first()) else { return false };
    let read = |line: &[u8]| {
        let text = String::from_utf8_lossy(line).into_owned();
        let via = Via::parse(text.split_once(':').unwrap().1.trim()).unwrap();
        let ours = |name: &str| ["received", "rport"].iter().any(|ours| name.eq_ignore_ascii_case(ours));
        let params: Vec<_> = via.params.iter().filter(|(name, _)| !ours(name)).collect();
        format!("{} {} {:?} {params:?}", via.transport, via.host, via.port)
    };
    rest == new_rest && read(top) == read(new_top)
}

/// The message with the Content-Length that it should have.
pub(super) fn with_true_length(message: &[u8]) -> Vec<u8> {
    let (head, body) = parts(message);
    let mut mended = Vec::new();
    for line in lines(head) {
        match name(line).as_str() {
            "content-length" => mended.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes()),
            _ => mended.extend_from_slice(line),
        }
    }
    [&mended, &b"\r\n"[..], body].concat()
}
