//! What a step tells: a line for each thing seen, ✓ or ✗, with its evidence.

use std::fmt::Display;
use std::io::{IsTerminal, Write, stdout};

use owo_colors::OwoColorize;

/// The telling, and the count of what failed.
pub struct Report {
    colour: bool,
    steps: usize,
    passed: usize,
    failed: usize,
}

impl Default for Report {
    fn default() -> Self {
        Self::new()
    }
}

impl Report {
    /// Tells on standard output; in colour on a terminal, unless `NO_COLOR` is set.
    #[must_use]
    pub fn new() -> Self {
        let colour = stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { colour, steps: 0, passed: 0, failed: 0 }
    }

    /// Begins a step.
    pub fn step(&mut self, title: &str) {
        self.steps += 1;
        let line = format!("\n{}. {title}", self.steps);
        self.line(&if self.colour { line.bold().to_string() } else { line });
    }

    /// Tells what was done, without judging it.
    pub fn note(&mut self, text: impl Display) {
        let line = format!("   · {text}");
        self.line(&if self.colour { line.dimmed().to_string() } else { line });
    }

    /// Tells one thing seen, with its evidence.
    pub fn check(&mut self, seen: bool, what: &str, evidence: impl Display) {
        let (mark, evidence) = (if seen { "✓" } else { "✗" }, evidence.to_string());
        if seen {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
        let line = match (self.colour, seen) {
            (true, true) => format!("   {} {what}", mark.green().bold()),
            (true, false) => format!("   {} {}", mark.red().bold(), what.red()),
            (false, _) => format!("   {mark} {what}"),
        };
        self.line(&line);
        for line in evidence.lines().filter(|line| !line.trim().is_empty()) {
            let line = format!("       {line}");
            self.line(&if self.colour { line.cyan().to_string() } else { line });
        }
    }

    /// Tells an error that ended a step early.
    pub fn outcome(&mut self, outcome: anyhow::Result<()>) {
        if let Err(error) = outcome {
            self.check(false, "the step could not be finished", format!("{error:#}"));
        }
    }

    /// How many things were seen, and how many were not.
    #[must_use]
    pub const fn counts(&self) -> (usize, usize) {
        (self.passed, self.failed)
    }

    /// Tells a line as it is.
    pub fn line(&mut self, text: &str) {
        // Nobody reads: the checks still count.
        let _ = writeln!(stdout(), "{text}");
    }
}
