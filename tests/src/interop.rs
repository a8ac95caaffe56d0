//! Which real programs a test needs, and what it means that one is missing.
//!
//! With `CUSAX_INTEROP=required` (continuous integration, `tests/run`) a missing program fails the test; otherwise the test is skipped,
//! and counted: its line goes to the file that `CUSAX_SKIPPED` names.

use std::env;
use std::fmt;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

/// A program of another project, and the Debian package that brings it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    /// The name of the executable.
    pub name: &'static str,
    /// The Debian package.
    pub package: &'static str,
}

/// SIP proxy and registrar.
pub const KAMAILIO: Program = Program { name: "kamailio", package: "kamailio" };
/// XMPP server.
pub const PROSODY: Program = Program { name: "prosody", package: "prosody" };
/// SIP test tool.
pub const SIPP: Program = Program { name: "sipp", package: "sip-tester" };

/// A program that is not on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing(pub Program);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not installed: apt-get install {}", self.0.name, self.0.package)
    }
}

impl std::error::Error for Missing {}

impl Program {
    /// Finds the executable, also where only root has it in `PATH`.
    ///
    /// # Errors
    /// When it is nowhere.
    pub fn find(self) -> Result<PathBuf, Missing> {
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path)
            .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
            .map(|folder| folder.join(self.name))
            .find(|file| file.is_file())
            .ok_or(Missing(self))
    }
}

/// Whether a test that needs these programs can run; false has been told and counted.
///
/// # Panics
/// When one is missing and `CUSAX_INTEROP=required`.
#[must_use]
pub fn available(test: &str, programs: &[Program]) -> bool {
    let Some(missing) = programs.iter().find_map(|program| program.find().err()) else {
        return true;
    };
    assert!(env::var("CUSAX_INTEROP").as_deref() != Ok("required"), "{test}: {missing}");
    tell_skipped(test, missing);
    false
}

#[expect(clippy::print_stderr, reason = "a skipped test must not look like one that passed")]
fn tell_skipped(test: &str, missing: Missing) {
    eprintln!("skipped: {test}: {missing}");
    if let Some(file) = env::var_os("CUSAX_SKIPPED")
        && let Ok(mut file) = OpenOptions::new().create(true).append(true).open(file)
    {
        // The line above has told it; only the count would miss one.
        let _ = writeln!(file, "{test}: {missing}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_package_of_a_missing_program() {
        let nothing = Program { name: "cusax-no-such-program", package: "cusax-nothing" };
        let missing = nothing.find().unwrap_err();
        assert_eq!(missing.to_string(), "cusax-no-such-program is not installed: apt-get install cusax-nothing");
    }

    #[test]
    fn finds_what_every_machine_has() {
        let shell = Program { name: "sh", package: "dash" };
        assert!(shell.find().unwrap().ends_with("sh"));
    }
}
