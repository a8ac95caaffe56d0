//! Where a password comes from: never from the command line, which every user of the host can read.

use std::io::{self, BufRead, IsTerminal, Read};

use anyhow::{Context, bail};
use clap::Args;
use cusax_directory::Password;

/// How the password is given.
#[derive(Args)]
pub(super) struct Source {
    /// Read the password from the first line of standard input instead of asking for it
    #[arg(long)]
    password_stdin: bool,
}

impl Source {
    /// Reads the password, or asks for it twice on the terminal without showing it.
    ///
    /// # Errors
    ///
    /// No terminal to ask on, two different answers, or a password that cannot be used on both sides.
    pub(super) fn read(&self, account: &str) -> anyhow::Result<Password> {
        let typed = if self.password_stdin { first_line()? } else { ask(account)? };
        Ok(Password::new(&typed)?)
    }
}

fn first_line() -> anyhow::Result<String> {
    let mut line = String::new();
    io::stdin()
        .lock()
        .take(LONGEST_LINE)
        .read_line(&mut line)
        .context("cannot read the password from standard input")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn ask(account: &str) -> anyhow::Result<String> {
    if !io::stdin().is_terminal() {
        bail!("there is no terminal to ask for the password on; use --password-stdin");
    }
    let typed = rpassword::prompt_password(format!("Password for {account}: ")).context("cannot read the password")?;
    let again = rpassword::prompt_password("Once more: ").context("cannot read the password")?;
    if typed != again {
        bail!("the two passwords differ; nothing was changed");
    }
    Ok(typed)
}

/// Longer than any password that the directory takes.
const LONGEST_LINE: u64 = 4096;
