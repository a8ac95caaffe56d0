//! What is wrong in a configuration file: where, why, and what to write instead.

use std::io;
use std::ops::Range;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report};
use serde::Serialize;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    place: Range<usize>,
    problem: String,
    advice: Option<String>,
}

impl Finding {
    /// Notes what is wrong at a place of the text, and what to write instead.
    pub(crate) fn new(place: Range<usize>, problem: impl Into<String>, advice: Option<String>) -> Self {
        Self { place, problem: problem.into(), advice }
    }
}

/// A configuration file that was refused, with all that is wrong in it.
#[derive(Debug)]
pub(crate) struct Refused {
    name: String,
    text: String,
    findings: Vec<Finding>,
}

/// A finding as data.
#[derive(Debug, Serialize)]
pub(crate) struct Place<'a> {
    file: &'a str,
    pub(crate) line: usize,
    column: usize,
    problem: &'a str,
    advice: Option<&'a str>,
}

impl Refused {
    /// Joins the findings with their text; they are shown in its order.
    pub(crate) fn new(name: String, text: &str, mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| (finding.place.start, finding.place.end));
        Self { name, text: without_passwords(text), findings }
    }

    /// A file that could not be read at all.
    pub(crate) fn unreadable(name: String, error: &io::Error) -> Self {
        let advice = "name a file with --config, or leave it out to run with the defaults";
        let finding = Finding::new(0..0, format!("cannot read {name}: {error}"), Some(advice.to_owned()));
        Self { name, text: String::new(), findings: vec![finding] }
    }

    /// How many things are wrong.
    pub(crate) const fn len(&self) -> usize {
        self.findings.len()
    }

    /// The findings as data, lines and columns counted from 1.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place<'_>> {
        self.findings.iter().map(|finding| {
            let before = self.text.get(..finding.place.start).unwrap_or_default();
            let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
            Place {
                file: &self.name,
                line: before.matches('\n').count() + 1,
                column: before[line_start..].chars().count() + 1,
                problem: &finding.problem,
                advice: finding.advice.as_deref(),
            }
        })
    }

    /// The findings with the lines that they are about and a caret under each place.
    pub(crate) fn render(&self, colours: bool) -> String {
        let theme = if colours { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme).with_width(RENDER_WIDTH).with_links(false);
        let mut page = String::new();
        for finding in &self.findings {
            let mut diagnostic = MietteDiagnostic::new(finding.problem.clone());
            if let Some(advice) = &finding.advice {
                diagnostic = diagnostic.with_help(advice.clone());
            }
            if !self.text.is_empty() {
                diagnostic = diagnostic.with_label(LabeledSpan::underline(finding.place.clone()));
            }
            let report = Report::new(diagnostic).with_source_code(NamedSource::new(&self.name, self.text.clone()));
            // Writing to a String cannot fail; a finding that cannot be drawn is still told.
            if handler.render_report(&mut page, report.as_ref()).is_err() {
                page.push_str(&finding.problem);
            }
            page.push('\n');
        }
        page
    }
}

/// The text with the passwords in its URLs (`scheme://user:password@host`) starred, each byte, so that places stay.
fn without_passwords(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(found) = rest.find("://") {
        let (before, url) = rest.split_at(found + "://".len());
        let end = url.find(|c: char| c.is_whitespace() || "\"'/".contains(c)).unwrap_or(url.len());
        let (authority, after) = url.split_at(end);
        shown.push_str(before);
        match authority.rsplit_once('@').and_then(|(login, host)| Some((login.split_once(':')?, host))) {
            Some(((user, password), host)) => {
                shown.push_str(&format!("{user}:{}@{host}", "*".repeat(password.len())));
            }
            None => shown.push_str(authority),
        }
        rest = after;
    }
    shown + rest
}

/// Columns of the page.
const RENDER_WIDTH: usize = 110;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_urls_are_not_shown() {
        let text = "url = \"postgres://cusax:hünter@db/cusax\"";
        let shown = without_passwords(text);
        assert_eq!(shown, "url = \"postgres://cusax:*******@db/cusax\"");
        assert_eq!(shown.len(), text.len());
        for plain in ["", "://", "url = \"postgres://db/cusax\"", "a://b://c:d@e"] {
            assert_eq!(without_passwords(plain).len(), plain.len());
        }
    }
}
