//! `cusax account`.

mod explain;
mod import;

use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand};
use cusax_directory::{Account, Directory, Key, Mode, NewAccount};
use owo_colors::OwoColorize;
use serde_json::{Value, json};

use super::{ConfigFile, output, password};
use crate::config::Config;

/// What is done with accounts.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    config: ConfigFile,
    /// Print the accounts as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Make an account; one password serves SIP and XMPP
    #[command(after_help = ADD_EXAMPLES)]
    Add(Add),
    /// List the accounts
    List,
    /// Show one account
    Show(Named),
    /// Give an account another password
    SetPassword(SetPassword),
    /// Remove an account with its numbers and keys
    Remove(Named),
    /// Make many accounts from a CSV file: all of them, or none
    #[command(after_help = import::EXAMPLES)]
    Import(import::Import),
    /// Say what an account is, who sees it, what it did last, and what to do about it
    #[command(after_help = explain::EXAMPLES)]
    Explain(Named),
}

#[derive(Args)]
struct Add {
    /// SIP address: a user of the service's domain, with the domain or without
    address: String,
    /// JID, user@domain [default: the same user in the XMPP domain]
    #[arg(long)]
    jid: Option<String>,
    /// Name for people
    #[arg(long)]
    name: Option<String>,
    /// Telephone number in international form; may be repeated
    #[arg(long = "number", value_name = "NUMBER")]
    numbers: Vec<String>,
    /// Language of texts and prompts, such as en or de-AT
    #[arg(long)]
    language: Option<String>,
    #[command(flatten)]
    password: password::Source,
}

#[derive(Args)]
struct Named {
    /// SIP address, JID (xmpp:…), number (+…) or id
    account: String,
}

#[derive(Args)]
struct SetPassword {
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    password: password::Source,
}

pub(super) fn run(options: Options) -> anyhow::Result<ExitCode> {
    let config = match options.config.load() {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let json = options.json;
    match options.command {
        Command::Add(add) => {
            let account = add.account(&config)?;
            let directory = runtime.block_on(open(&config, Mode::ReadWrite))?;
            let added = runtime.block_on(directory.add(account))?;
            print_one("added", &added, json)?;
        }
        Command::List => {
            let directory = runtime.block_on(open(&config, Mode::ReadOnly))?;
            print_all(&runtime.block_on(directory.list())?, json)?;
        }
        Command::Show(named) => {
            let key = named.key(&config)?;
            let directory = runtime.block_on(open(&config, Mode::ReadOnly))?;
            let account = runtime.block_on(directory.show(&key))?;
            output::print(&if json { format!("{:#}\n", to_json(&account)) } else { details(&account) })?;
        }
        Command::SetPassword(SetPassword { named, password }) => {
            let key = named.key(&config)?;
            let directory = runtime.block_on(open(&config, Mode::ReadWrite))?;
            let account = runtime.block_on(directory.show(&key))?;
            let password = password.read(&account.aor())?;
            let changed = runtime.block_on(directory.set_password(&Key::Id(account.id), password))?;
            print_one("changed the password of", &changed, json)?;
        }
        Command::Remove(named) => {
            let key = named.key(&config)?;
            let directory = runtime.block_on(open(&config, Mode::ReadWrite))?;
            let removed = runtime.block_on(directory.remove(&key))?;
            print_one("removed", &removed, json)?;
        }
        Command::Import(import) => return runtime.block_on(import::run(&import, &config, json)),
        Command::Explain(named) => return runtime.block_on(explain::run(&named.key(&config)?, &config, json)),
    }
    Ok(ExitCode::SUCCESS)
}

impl Add {
    fn account(self, config: &Config) -> anyhow::Result<NewAccount> {
        let (sip_user, sip_domain) = own_address(&self.address, config)?;
        let (xmpp_user, xmpp_domain) = jid(self.jid.as_deref(), sip_user, config)?;
        Ok(NewAccount {
            sip_user: sip_user.to_owned(),
            sip_domain: sip_domain.to_owned(),
            xmpp_user: xmpp_user.to_owned(),
            xmpp_domain: xmpp_domain.to_owned(),
            display_name: self.name,
            numbers: self.numbers,
            language: self.language,
            password: self.password.read(&format!("{sip_user}@{sip_domain}"))?,
        })
    }
}

/// User and domain of a SIP address. One of another domain is refused: the edge looks accounts up in its own domain
/// only, so that such an account could never register.
fn own_address<'a>(address: &'a str, config: &'a Config) -> anyhow::Result<(&'a str, &'a str)> {
    let address = address.strip_prefix("sip:").unwrap_or(address);
    let own = config.service.domain.as_str();
    match address.rsplit_once('@') {
        None => Ok((address, own)),
        Some((user, domain)) if domain.eq_ignore_ascii_case(own) => Ok((user, own)),
        Some((user, domain)) => bail!(
            "{address} is not of this service's domain, {own}: no phone could register as it. Name a configuration \
             file with [service] domain = {domain:?} (--config FILE), or write {user}@{own}; a JID of another domain \
             goes with --jid"
        ),
    }
}

/// User and domain of a JID; where none is given, the same user in the XMPP domain.
fn jid<'a>(given: Option<&'a str>, user: &'a str, config: &'a Config) -> anyhow::Result<(&'a str, &'a str)> {
    let Some(given) = given else { return Ok((user, config.xmpp_domain().as_str())) };
    let given = given.strip_prefix("xmpp:").unwrap_or(given);
    given.split_once('@').ok_or_else(|| anyhow!("JID: {given:?} is not user@domain"))
}

impl Named {
    /// Reads the name; a user alone is one of the service's domain.
    fn key(&self, config: &Config) -> anyhow::Result<Key> {
        let bare = self.account.starts_with(|first: char| first.is_alphabetic()) && !self.account.contains(['@', ':']);
        let name = if bare { format!("{}@{}", self.account, config.service.domain) } else { self.account.clone() };
        Ok(name.parse()?)
    }
}

async fn open(config: &Config, mode: Mode) -> anyhow::Result<Directory> {
    let url = config.directory.url.to_string();
    Directory::open(&url, mode).await.context("cannot open the directory")
}

fn print_one(done: &str, account: &Account, json: bool) -> anyhow::Result<()> {
    if json {
        return Ok(output::print_json(&to_json(account))?);
    }
    Ok(output::print(&format!("{done} sip:{} = xmpp:{} (account {})\n", account.aor(), account.jid(), account.id))?)
}

fn print_all(accounts: &[Account], json: bool) -> anyhow::Result<()> {
    if json {
        return Ok(output::print_json(&accounts.iter().map(to_json).collect())?);
    }
    if accounts.is_empty() {
        return Ok(output::print("no accounts yet; make one with `cusax account add`\n")?);
    }
    let header = ["ID", "SIP", "JID", "NUMBERS", "LANGUAGE"].map(str::to_owned);
    let rows = accounts.iter().map(|account| {
        let language = account.language.clone().unwrap_or_default();
        [account.id.to_string(), account.aor(), account.jid(), account.numbers.join(" "), language]
    });
    let rows = std::iter::once(header).chain(rows).collect::<Vec<_>>();
    let widths: Vec<usize> =
        (0..5).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
    let mut page = String::new();
    for (index, row) in rows.iter().enumerate() {
        let line = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}  ")).collect::<String>();
        let line = line.trim_end();
        let bold = index == 0 && output::colours_on_stdout();
        page.push_str(&if bold { line.bold().to_string() } else { line.to_owned() });
        page.push('\n');
    }
    Ok(output::print(&page)?)
}

fn details(account: &Account) -> String {
    let language = account.language.as_deref().unwrap_or("-");
    let name = account.display_name.as_deref().unwrap_or("-");
    let numbers = if account.numbers.is_empty() { "-".to_owned() } else { account.numbers.join(" ") };
    let state = if account.enabled { "enabled" } else { "disabled" };
    let (id, aor, jid) = (account.id, account.aor(), account.jid());
    let lines = [
        format!("account   {id} ({state})"),
        format!("SIP       sip:{aor}"),
        format!("XMPP      xmpp:{jid}"),
        format!("name      {name}"),
        format!("numbers   {numbers}"),
        format!("language  {language}\n"),
    ];
    lines.join("\n")
}

fn to_json(account: &Account) -> Value {
    json!({
        "account": account.id,
        "sip": account.aor(),
        "jid": account.jid(),
        "name": account.display_name,
        "numbers": account.numbers,
        "language": account.language,
        "enabled": account.enabled,
        "created": account.created,
        "changed": account.changed,
    })
}

const EXAMPLES: &str = "\
Examples:
  cusax account add alice --number +14045550100    alice of the service's domain
  cusax account list --json
  cusax account show +14045550100
  cusax account set-password alice
  cusax account explain alice
  cusax account remove alice

Each takes --config FILE; without one, the domain is \"localhost\" and the accounts are in ./cusax.db.";

const ADD_EXAMPLES: &str = "\
Examples:
  cusax account add alice --number +14045550100 --language en
  cusax account add bob --jid robert@example.com
  pass show carol | cusax account add carol --password-stdin --config cusax.toml";
