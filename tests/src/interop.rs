//! Which real programs a test needs, and what it means that one is missing.
//!
//! With `CUSAX_INTEROP=required` (continuous integration, `tests/run`) a missing program fails the test; otherwise the test is skipped,
//! and counted: its line goes to the file that `CUSAX_SKIPPED` names.

use std::env;
use std::fmt;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A program that tests run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    /// The name of the executable.
    pub name: &'static str,
    /// Where it comes from.
    pub source: Source,
}

/// Where a program comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The Debian package of this name.
    Debian(&'static str),
    /// This workspace: it is in the directory into which the running program was built, or the variable of this name says where.
    Workspace(&'static str),
}

/// SIP proxy and registrar.
pub const KAMAILIO: Program = Program { name: "kamailio", source: Source::Debian("kamailio") };
/// What lets it speak TLS, a module beside it.
pub const KAMAILIO_TLS: Program = Program { name: "tls.so", source: Source::Debian("kamailio-tls-modules") };
/// XMPP server.
pub const PROSODY: Program = Program { name: "prosody", source: Source::Debian("prosody") };
/// SIP test tool.
pub const SIPP: Program = Program { name: "sipp", source: Source::Debian("sip-tester") };
/// SIP phone.
pub const BARESIP: Program = Program { name: "baresip", source: Source::Debian("baresip-core") };
/// SIP phone.
pub const LINPHONE: Program = Program { name: "linphone-daemon", source: Source::Debian("linphone-cli") };
/// Browser without a window.
pub const CHROMIUM: Program =
    Program { name: "chromium-headless-shell", source: Source::Debian("chromium-headless-shell") };
/// What installs JsSIP.
pub const NPM: Program = Program { name: "npm", source: Source::Debian("npm") };
/// TLS on the command line.
pub const OPENSSL: Program = Program { name: "openssl", source: Source::Debian("openssl") };
/// What all this is about.
pub const CUSAX: Program = Program { name: "cusax", source: Source::Workspace("CUSAX_BIN") };

/// A program that is not on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing(pub Program);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0.name;
        match self.0.source {
            Source::Debian(package) => write!(f, "{name} is not installed: apt-get install {package}"),
            Source::Workspace(_) => write!(f, "{name} is not built: cargo build -p {name}"),
        }
    }
}

impl std::error::Error for Missing {}

impl Program {
    /// Finds the executable, also where only root has it in `PATH`, or a module of Kamailio's.
    ///
    /// # Errors
    /// When it is nowhere.
    pub fn find(self) -> Result<PathBuf, Missing> {
        let found = match self.source {
            Source::Debian(_) => {
                let path = env::var_os("PATH").unwrap_or_default();
                let modules = format!("/usr/lib/{}-linux-gnu/kamailio/modules", env::consts::ARCH);
                let folders =
                    env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into(), modules.into()]);
                self.in_one_of(folders)
            }
            Source::Workspace(variable) => env::var_os(variable).map(PathBuf::from).or_else(|| {
                let this = env::current_exe().ok()?;
                // Tests are one folder deeper than programs.
                self.in_one_of(this.ancestors().skip(1).take(2).map(Path::to_owned))
            }),
        };
        found.ok_or(Missing(self))
    }

    fn in_one_of(self, folders: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
        let mut files = folders.map(|folder| folder.join(self.name));
        files.find(|file| file.is_file())
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
        let nothing = Program { name: "cusax-no-such-program", source: Source::Debian("cusax-nothing") };
        let missing = nothing.find().unwrap_err();
        assert_eq!(missing.to_string(), "cusax-no-such-program is not installed: apt-get install cusax-nothing");
    }

    #[test]
    fn finds_what_every_machine_has() {
        let shell = Program { name: "sh", source: Source::Debian("dash") };
        assert!(shell.find().unwrap().ends_with("sh"));
    }
}
