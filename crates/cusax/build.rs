//! Tells the binary which commit it is built from.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=CUSAX_REVISION={}", revision().as_deref().unwrap_or("unknown"));
}

/// The commit that is checked out; none where these sources are no repository of their own, as those of a tarball.
fn revision() -> Option<String> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().ok()?;
    // A tarball may have been unpacked inside another repository.
    let repository = PathBuf::from(git(&sources, &["rev-parse", "--show-toplevel"])?);
    if repository.canonicalize().ok()? != sources {
        return None;
    }
    // It grows with every commit and checkout; HEAD itself does not change where its branch does.
    let log = sources.join(git(&sources, &["rev-parse", "--git-path", "logs/HEAD"])?);
    println!("cargo::rerun-if-changed={}", log.display());
    git(&sources, &["rev-parse", "HEAD"])
}

/// The first line that git answers; none where it is not installed or refuses.
fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(folder).args(arguments).output().ok()?;
    let line = String::from_utf8(output.stdout).ok()?.lines().next()?.to_owned();
    output.status.success().then_some(line)
}
