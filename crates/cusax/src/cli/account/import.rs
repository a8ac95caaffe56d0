//! `cusax account import`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use csv::{Position, StringRecord};
use cusax_directory::{Account, Directory, DirectoryError, ImportError, Mode, NewAccount, Password};
use serde_json::json;

use super::{jid, own_address, to_json};
use crate::cli::output;
use crate::config::Config;

/// Where accounts come from.
#[derive(Args)]
pub(super) struct Import {
    /// CSV file with the header sip,jid,numbers,language,password; - is standard input
    #[arg(value_name = "FILE")]
    accounts: PathBuf,
    /// Look for everything that is wrong, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// What is wrong, and in which line.
struct Fault {
    line: u64,
    problem: String,
}

/// Accounts of a file, each with its line, and what is no account.
#[derive(Default)]
struct Rows {
    lines: Vec<u64>,
    accounts: Vec<NewAccount>,
    faults: Vec<Fault>,
}

/// Adds the accounts of the file, or says what is wrong with each line that is.
pub(super) async fn run(import: &Import, config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let rows = Rows::read(&read(&import.accounts)?, config)?;
    let Rows { lines, accounts, mut faults } = rows;
    let count = accounts.len();
    let added = match add(import, accounts, faults.is_empty(), config).await {
        Ok(added) => added,
        Err(ImportError::Refused(refused)) => {
            faults.extend(refused.iter().map(|(place, error)| fault(&lines, *place, error)));
            Vec::new()
        }
        Err(ImportError::Failed(error)) => return Err(error.into()),
    };
    faults.sort_by_key(|fault| fault.line);
    tell(import, count, &added, &faults, json)?;
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Adds them, or only tries to where that is asked for or some are wrong already.
async fn add(
    import: &Import,
    accounts: Vec<NewAccount>,
    sound: bool,
    config: &Config,
) -> Result<Vec<Account>, ImportError> {
    if sound && !import.dry_run {
        return directory(config.directory.url.to_string()).await?.import(accounts).await;
    }
    // A trial makes no file where there is none: then every account is the first.
    let missing = config.directory.url.file().is_some_and(|file| !file.exists());
    let scratch = missing.then(tempfile::tempdir).transpose();
    let scratch = scratch.map_err(|cause| DirectoryError::File { path: std::env::temp_dir(), cause })?;
    let url = match &scratch {
        Some(folder) => format!("sqlite:{}", folder.path().join("cusax.db").display()),
        None => config.directory.url.to_string(),
    };
    directory(url).await?.try_import(&accounts).await?;
    Ok(Vec::new())
}

async fn directory(url: String) -> Result<Directory, DirectoryError> {
    Directory::open(&url, Mode::ReadWrite).await
}

fn fault(lines: &[u64], place: usize, error: &DirectoryError) -> Fault {
    let line_of = |place: usize| lines.get(place).copied().unwrap_or_default();
    let problem = if let DirectoryError::Repeated { value, first } = error {
        format!("{value} is on line {} as well", line_of(*first))
    } else {
        error.to_string()
    };
    Fault { line: line_of(place), problem }
}

fn read(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let bounded = |reader: &mut dyn Read, text: &mut String| reader.take(LONGEST_FILE + 1).read_to_string(text);
    let read = if file == Path::new("-") {
        bounded(&mut io::stdin().lock(), &mut text)
    } else {
        File::open(file).and_then(|mut file| bounded(&mut file, &mut text))
    };
    read.with_context(|| format!("cannot read {}", file.display()))?;
    if text.len() as u64 > LONGEST_FILE {
        bail!("{} is longer than {} MiB: import it in parts", file.display(), LONGEST_FILE >> 20);
    }
    Ok(text)
}

impl Rows {
    /// Reads a text; each line that is no account is a fault, and the lines after it are read on.
    fn read(text: &str, config: &Config) -> anyhow::Result<Self> {
        // Spreadsheets begin a file with a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
        let columns = Columns::of(reader.headers().context("the header cannot be read")?)?;
        let mut rows = Self::default();
        for record in reader.records() {
            let (line, account) = match record {
                Ok(record) => (line(text, record.position()), columns.account(&record, config)),
                Err(error) => (line(text, error.position()), Err(anyhow!(in_words(&error)))),
            };
            match account {
                Ok(account) => {
                    rows.lines.push(line);
                    rows.accounts.push(account);
                }
                Err(error) => rows.faults.push(Fault { line, problem: format!("{error:#}") }),
            }
        }
        Ok(rows)
    }
}

/// The line that a record begins on: its position is before the empty lines that were passed over to find it.
fn line(text: &str, position: Option<&Position>) -> u64 {
    let Some(position) = position else { return 0 };
    let rest = usize::try_from(position.byte()).ok().and_then(|byte| text.as_bytes().get(byte..)).unwrap_or_default();
    let empty = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).filter(|byte| **byte == b'\n').count();
    position.line() + empty as u64
}

/// Where in a line each value is.
struct Columns {
    sip: usize,
    jid: Option<usize>,
    numbers: Option<usize>,
    language: Option<usize>,
    password: usize,
}

impl Columns {
    fn of(header: &StringRecord) -> anyhow::Result<Self> {
        let mut found = [None; NAMES.len()];
        for (column, name) in header.iter().enumerate() {
            // Without its text: a file without a header may begin with a password.
            let Some(known) = NAMES.iter().position(|known| *known == name.trim()) else {
                bail!("the header's value {} is none of {}", column + 1, NAMES.join(","));
            };
            if found[known].replace(column).is_some() {
                bail!("the header has {name:?} twice");
            }
        }
        let needed = |column: Option<usize>, name| {
            column.with_context(|| format!("the header has no {name:?}: it is {} or less", NAMES.join(",")))
        };
        let [sip, jid, numbers, language, password] = found;
        Ok(Self { sip: needed(sip, "sip")?, jid, numbers, language, password: needed(password, "password")? })
    }

    fn account(&self, record: &StringRecord, config: &Config) -> anyhow::Result<NewAccount> {
        let value = |column: Option<usize>| column.and_then(|column| record.get(column)).filter(|it| !it.is_empty());
        let (sip_user, sip_domain) = own_address(value(Some(self.sip)).context("sip is empty")?, config)?;
        let (xmpp_user, xmpp_domain) = jid(value(self.jid), sip_user, config)?;
        let numbers = value(self.numbers).into_iter().flat_map(|numbers| numbers.split(';'));
        Ok(NewAccount {
            sip_user: sip_user.to_owned(),
            sip_domain: sip_domain.to_owned(),
            xmpp_user: xmpp_user.to_owned(),
            xmpp_domain: xmpp_domain.to_owned(),
            display_name: None,
            numbers: numbers.map(|number| number.trim().to_owned()).collect(),
            language: value(self.language).map(str::to_owned),
            password: Password::new(value(Some(self.password)).unwrap_or_default())?,
        })
    }
}

/// Never with what is in the line: it may be a password.
fn in_words(error: &csv::Error) -> String {
    if let csv::ErrorKind::UnequalLengths { expected_len, len, .. } = error.kind() {
        return format!(
            "{len} values where the header has {expected_len} (a value with a comma in it is put in quotes)"
        );
    }
    "this is no CSV".to_owned()
}

fn tell(import: &Import, count: usize, added: &[Account], faults: &[Fault], json: bool) -> anyhow::Result<()> {
    if json {
        let errors = faults.iter().map(|fault| json!({ "line": fault.line, "problem": fault.problem }));
        return Ok(output::print_json(&json!({
            "ok": faults.is_empty(),
            "dry_run": import.dry_run,
            "imported": added.len(),
            "accounts": added.iter().map(to_json).collect::<Vec<_>>(),
            "errors": errors.collect::<Vec<_>>(),
        }))?);
    }
    for Fault { line, problem } in faults {
        output::tell(&format!("{}:{line}: {problem}\n", import.accounts.display()));
    }
    let lines = if faults.len() == 1 { "1 line is".to_owned() } else { format!("{} lines are", faults.len()) };
    if !faults.is_empty() {
        output::tell(&format!("nothing was changed: {lines} wrong\n"));
    } else if import.dry_run {
        output::print(&format!("{count} accounts can be imported; nothing was changed\n"))?;
    } else {
        output::print(&format!("imported {count} accounts\n"))?;
    }
    Ok(())
}

/// The columns, in the order of [`Columns`].
const NAMES: [&str; 5] = ["sip", "jid", "numbers", "language", "password"];

/// Some hundred thousand accounts.
const LONGEST_FILE: u64 = 64 << 20;

pub(super) const EXAMPLES: &str = "\
The file begins with its header; the columns may come in any order, and only sip and password must be there:

  sip,jid,numbers,language,password
  alice,,+14045550100,en,wonderland
  bob,robert@example.com,+14045550101;+14045550102,,\"with a comma, in quotes\"

Examples:
  cusax account import users.csv --dry-run     say what is wrong with each line, and change nothing
  cusax account import users.csv               all of them, or none
  cusax account import - --json < more.csv     for another program";
