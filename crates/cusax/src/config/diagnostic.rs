//! What is to be said of a configuration file: where, why, and what to write instead.

use std::fmt;
use std::io;
use std::ops::Range;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report};
use serde::Serialize;

/// Whether a file with such a finding is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// It is.
    Error,
    /// It is not, and what it says has a consequence that its writer may not have meant.
    Warning,
}

/// One thing that is wrong, or deserves a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    severity: Severity,
    place: Range<usize>,
    problem: String,
    advice: Option<String>,
}

impl Finding {
    /// Notes what is wrong at a place of the text, and what to write instead.
    pub(crate) fn new(place: Range<usize>, problem: impl Into<String>, advice: Option<String>) -> Self {
        Self { severity: Severity::Error, place, problem: problem.into(), advice }
    }

    /// Whether the file is good all the same.
    pub(crate) fn is_warning(&self) -> bool {
        self.severity == Severity::Warning
    }

    /// Notes what is valid at a place of the text, what comes of it, and what to do where that is not meant.
    pub(crate) fn warning(place: Range<usize>, problem: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, place, problem: problem.into(), advice: Some(advice.into()) }
    }
}

/// A problem and its advice in one line.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)?;
        self.advice.as_ref().map_or(Ok(()), |advice| write!(f, "; {advice}"))
    }
}

/// A configuration file with all that is to be said of it.
#[derive(Debug)]
pub(crate) struct Diagnosis {
    name: String,
    text: String,
    findings: Vec<Finding>,
}

/// A finding as data.
#[derive(Debug, Serialize)]
pub(crate) struct Place<'a> {
    severity: Severity,
    file: &'a str,
    pub(crate) line: usize,
    column: usize,
    problem: &'a str,
    advice: Option<&'a str>,
}

impl Diagnosis {
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

    /// How many things there are to say.
    pub(crate) const fn len(&self) -> usize {
        self.findings.len()
    }

    /// What there is to say, in the order of the text.
    pub(crate) fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The file's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The findings as data, lines and columns counted from 1.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place<'_>> {
        self.findings.iter().map(|finding| {
            let before = self.text.get(..finding.place.start).unwrap_or_default();
            let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
            Place {
                severity: finding.severity,
                file: &self.name,
                line: before.matches('\n').count() + 1,
                column: before[line_start..].chars().count() + 1,
                problem: &finding.problem,
                advice: finding.advice.as_deref(),
            }
        })
    }

    /// What is wrong, in one line for the log.
    pub(crate) fn line(&self) -> String {
        let wrong = self.findings.iter().zip(self.places()).filter(|(finding, _)| !finding.is_warning());
        let told = wrong.map(|(finding, place)| match self.text.as_str() {
            "" => finding.to_string(),
            _ => format!("{}:{}:{}: {finding}", self.name, place.line, place.column),
        });
        told.collect::<Vec<_>>().join(" | ")
    }

    /// The findings with the lines that they are about and a caret under each place.
    pub(crate) fn render(&self, colours: bool) -> String {
        let theme = if colours { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme).with_width(RENDER_WIDTH).with_links(false);
        let mut page = String::new();
        for finding in &self.findings {
            let severity = match finding.severity {
                Severity::Error => miette::Severity::Error,
                Severity::Warning => miette::Severity::Warning,
            };
            let mut diagnostic = MietteDiagnostic::new(finding.problem.clone()).with_severity(severity);
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
