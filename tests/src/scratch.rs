//! A directory for the files of one run.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::process::{guard, registry};

/// A temporary directory, removed on drop unless its test is failing or `CUSAX_KEEP` is set; also when this program is told to stop.
#[derive(Debug)]
pub struct Scratch {
    dir: Option<TempDir>,
    path: PathBuf,
}

impl Scratch {
    /// Makes one whose name begins with `cusax-` and `label`.
    ///
    /// # Errors
    /// When the directory for temporary files cannot be written.
    pub fn new(label: &str) -> Result<Self> {
        guard();
        let make = || tempfile::Builder::new().prefix(&format!("cusax-{label}-")).tempdir();
        let dir = registry::directory(make).context("no temporary directory could be made")?;
        Ok(Self { path: dir.path().to_owned(), dir: Some(dir) })
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a directory inside it that is not there yet: `name`, or `name-2` and so on.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn directory(&self, name: &str) -> Result<PathBuf> {
        let mut path = self.path.join(name);
        for number in 2.. {
            match fs::create_dir(&path) {
                Ok(()) => break,
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                    path = self.path.join(format!("{name}-{number}"));
                }
                Err(error) => return Err(error).with_context(|| format!("{} could not be made", path.display())),
            }
        }
        Ok(path)
    }

    /// Writes a file into it and returns its path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn file(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        fs::write(&path, text).with_context(|| format!("{} could not be written", path.display()))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    #[expect(clippy::print_stderr, reason = "whoever runs the test must learn where its logs are")]
    fn drop(&mut self) {
        if (std::thread::panicking() || registry::keeps_directories())
            && let Some(dir) = self.dir.take()
        {
            eprintln!("kept: {}", dir.keep().display());
        }
        drop(self.dir.take());
        registry::released(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_gone_with_everything_in_it_when_dropped() {
        let scratch = Scratch::new("test").unwrap();
        let file = scratch.file("a", "text").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "text");
        drop(scratch);
        assert!(!file.exists());
    }

    #[test]
    fn gives_directories_of_one_name_different_paths() {
        let scratch = Scratch::new("test").unwrap();
        let first = scratch.directory("sipp").unwrap();
        let second = scratch.directory("sipp").unwrap();
        assert_ne!(first, second);
        assert!(second.ends_with("sipp-2"));
    }
}
