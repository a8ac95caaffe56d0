//! The arguments of `cusax-load calls`.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use cusax_load::calls::driver::Wiring;
use cusax_load::calls::requirement::{Requirement, duration, names};
use cusax_load::calls::{CallInfo, Expect, Pattern, Plan, Register, Role, User, Users, account, accounts};
use cusax_net::{random, tls};
use cusax_sip::{Scheme, Transport, Uri};

pub(crate) const EXAMPLES: &str = "\
Examples:
  What this generator can do by itself on one core, without a server:
    taskset -c 1 cusax-load calls --rate 10000 --duration 10

  Through a server that sends calls for load@127.0.0.1:5090 there, 2,000 a second for half a minute:
    cusax-load calls --proxy 127.0.0.1:5060 --callee 127.0.0.1:5090 --to sip:load@127.0.0.1:5090 \\
        --rate 2000 --duration 30 --require 'setup_p99<50ms' 'failed==0' 'retransmissions==0'

  Among a hundred accounts that register first (load1 ... load100, each with this password):
    cusax-load calls --proxy 192.0.2.1:5060 --bind 192.0.2.7 --domain example.com \\
        --user load%d --users 100 --password secret --register --rate 50 --calls 5000 --hold 3s \\
        --expect-call-info='xmpp:%u@example.com' --expect-session-id --json

  Registrations alone, 2,000 a second:
    cusax-load calls --proxy 192.0.2.1:5060 --bind 192.0.2.7 --accounts users.csv --register \\
        --register-rate 2000 --calls 0 --require 'register_p99<20ms'";

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Side {
    Both,
    Caller,
    Callee,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Wire {
    Udp,
    Tcp,
    Tls,
}

#[derive(Args)]
pub(crate) struct CallsArgs {
    /// The server that callers send everything to; default: none, straight to the callees.
    #[arg(long, value_name = "ADDRESS:PORT", help_heading = "Network")]
    proxy: Option<SocketAddr>,
    /// What calls travel on.
    #[arg(long, value_enum, default_value = "udp", help_heading = "Network")]
    transport: Wire,
    /// Which sides of the calls are played here.
    #[arg(long, value_enum, default_value = "both", help_heading = "Network")]
    role: Side,
    /// The address of this machine that both sides are on; default: 127.0.0.1.
    #[arg(long, value_name = "ADDRESS", help_heading = "Network")]
    bind: Option<IpAddr>,
    /// The address of the callers; default: the one of --bind, any port.
    #[arg(long, value_name = "ADDRESS:PORT", help_heading = "Network")]
    caller: Option<SocketAddr>,
    /// The address of the callees; default: the one of --bind, any port.
    #[arg(long, value_name = "ADDRESS:PORT", help_heading = "Network")]
    callee: Option<SocketAddr>,
    /// Sockets (UDP) or connections that callers use in turn.
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=60), help_heading = "Network")]
    connections: u16,
    /// A Route for requests that begin something.
    #[arg(long, value_name = "URI", value_parser = uri, help_heading = "Network")]
    route: Option<String>,
    /// A header line that each INVITE has, such as 'P-Asserted-Identity: <sip:alice@example.com>'; may be several.
    #[arg(long, value_name = "LINE", value_parser = header, help_heading = "Calls")]
    header: Vec<String>,
    /// The authorities that vouch for the server (PEM); default: those of this machine.
    #[arg(long, value_name = "FILE", help_heading = "Network")]
    tls_ca: Option<PathBuf>,
    /// The domain that the server's certificate is for; default: the server's address.
    #[arg(long, value_name = "DOMAIN", help_heading = "Network")]
    tls_name: Option<String>,
    /// The certificate that callees show (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_key", help_heading = "Network")]
    tls_certificate: Option<PathBuf>,
    /// Its private key (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_certificate", help_heading = "Network")]
    tls_key: Option<PathBuf>,

    /// Who calls: a SIP URI, with %d for the number of the user.
    #[arg(long, value_name = "URI", value_parser = uri_pattern, default_value = "sip:caller%d@example.com", help_heading = "Users")]
    from: Pattern,
    /// Who is called: a SIP URI, with %d for the number of the user; default: sip:callee%d@example.com, and with --register the
    /// accounts themselves.
    #[arg(long, value_name = "URI", value_parser = uri_pattern, help_heading = "Users")]
    to: Option<Pattern>,
    /// How many users there are on each side, numbered from 1.
    #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u32).range(1..=10_000_000), help_heading = "Users")]
    users: u32,
    /// Accounts, from which --users call: a user part with %d for the number.
    #[arg(long, value_name = "NAME", value_parser = pattern, requires = "password", conflicts_with_all = ["from", "accounts"], help_heading = "Users")]
    user: Option<Pattern>,
    /// The password of these accounts; %d is the number.
    #[arg(long, value_name = "PASSWORD", value_parser = pattern, requires = "user", help_heading = "Users")]
    password: Option<Pattern>,
    /// Accounts, from a CSV file: lines of user,password.
    #[arg(long, value_name = "FILE", conflicts_with = "from", help_heading = "Users")]
    accounts: Option<PathBuf>,
    /// The domain of the accounts.
    #[arg(long, default_value = "example.com", help_heading = "Users")]
    domain: String,
    /// Registers all accounts before the first call.
    #[arg(long, help_heading = "Users")]
    register: bool,
    /// Registrations a second.
    #[arg(long, value_name = "RATE", default_value = "200", value_parser = rate, help_heading = "Users")]
    register_rate: f64,
    /// How long registrations last, in seconds; keep it longer than the run.
    #[arg(long, value_name = "SECONDS", default_value = "3600", help_heading = "Users")]
    expires: u32,

    /// Calls a second.
    #[arg(long, value_name = "RATE", default_value = "10", value_parser = rate, help_heading = "Calls")]
    rate: f64,
    /// The time in which the rate rises from nothing.
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = duration, help_heading = "Calls")]
    ramp: Duration,
    /// How many calls.
    #[arg(long, value_name = "N", help_heading = "Calls")]
    calls: Option<u64>,
    /// How long calls are begun, or taken with --role callee; default: 10s, as long as there are --calls, and until Ctrl-C
    /// with --role callee.
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "Calls")]
    duration: Option<Duration>,
    /// How long each is held.
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = duration, help_heading = "Calls")]
    hold: Duration,
    /// How long callees ring.
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = duration, help_heading = "Calls")]
    ring: Duration,
    /// What callees answer.
    #[arg(long, value_name = "STATUS", default_value = "200", value_parser = clap::value_parser!(u16).range(200..=699), help_heading = "Calls")]
    answer: u16,
    /// Most calls at a time; where there would be more, the run is invalid.
    #[arg(long, value_name = "N", default_value = "100000", value_parser = clap::value_parser!(u32).range(1..=10_000_000), help_heading = "Calls")]
    concurrency: u32,
    /// A call that begins later than this after its time is late; more than 1 % of them make the run invalid.
    #[arg(long, value_name = "TIME", default_value = "2ms", value_parser = duration, help_heading = "Calls")]
    late: Duration,
    /// Decides who calls whom; the same seed, the same pairs. Default: drawn.
    #[arg(long, value_name = "NUMBER", help_heading = "Calls")]
    seed: Option<u64>,

    /// The final response that callers must get; any other is a failure.
    #[arg(long, value_name = "STATUS", default_value = "200", value_parser = clap::value_parser!(u16).range(200..=699), help_heading = "Checks")]
    expect_status: u16,
    /// Each INVITE must have this text in a Call-Info when it arrives, %u being the user part of its From; without a text, any Call-Info.
    #[arg(long, value_name = "TEXT", num_args = 0..=1, require_equals = true, default_missing_value = "", help_heading = "Checks")]
    expect_call_info: Option<String>,
    /// Each INVITE must have a Session-ID when it arrives, and so must its 2xx.
    #[arg(long, help_heading = "Checks")]
    expect_session_id: bool,
    #[arg(long, value_name = "REQUIREMENT", num_args = 1.., value_parser = requirement, default_value = "failed==0", help_heading = "Checks", help = require_help())]
    require: Vec<Requirement>,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

impl CallsArgs {
    /// What is to be done; else what is wrong with what was asked for.
    pub(crate) fn read(self) -> Result<(Plan, Wiring, Vec<Requirement>), String> {
        let role = match self.role {
            Side::Both => Role::Both,
            Side::Caller => Role::Caller,
            Side::Callee => Role::Callee,
        };
        if role == Role::Caller && self.proxy.is_none() {
            return Err("--role caller needs a --proxy to call at".to_owned());
        }
        if !role.answers() && self.expect_call_info.is_some() {
            return Err("--expect-call-info is looked at by callees; there are none with --role caller".to_owned());
        }
        if self.register && self.proxy.is_none() {
            return Err("--register needs a --proxy to register at".to_owned());
        }
        let users = self.users()?;
        let register = self.register.then_some(Register { rate: self.register_rate, expires: self.expires });
        let no_end = self.calls.is_none() && self.duration.is_none() && role.calls();
        let plan = Plan {
            role,
            transport: match self.transport {
                Wire::Udp => Transport::Udp,
                Wire::Tcp => Transport::Tcp,
                Wire::Tls => Transport::Tls,
            },
            users,
            route: self.route.clone(),
            headers: self.header.clone(),
            rate: self.rate,
            ramp: self.ramp,
            calls: self.calls,
            duration: if no_end { Some(DURATION) } else { self.duration },
            concurrency: self.concurrency as usize,
            late: self.late,
            hold: self.hold,
            ring: self.ring,
            answer: self.answer,
            expect: Expect {
                status: self.expect_status,
                call_info: self.expect_call_info.as_deref().map(CallInfo::new),
                session_id: self.expect_session_id,
            },
            register,
            seed: self.seed.unwrap_or_else(random::seed),
        };
        let wiring = self.wiring(role)?;
        Ok((plan, wiring, self.require))
    }

    fn users(&self) -> Result<Users, String> {
        let callees = match &self.to {
            Some(to) => numbered(to, self.users),
            None if self.register => Vec::new(),
            None => numbered(&pattern("sip:callee%d@example.com")?, self.users),
        };
        let callers = match (&self.user, &self.accounts) {
            (Some(user), _) => {
                let count = if user.has_number() { self.users } else { 1 };
                let password = |number| self.password.as_ref().map_or(String::new(), |password| password.with(number));
                let account = |number| {
                    let name = user.with(number);
                    account(&name, &password(number), &self.domain)
                        .ok_or_else(|| format!("sip:{name}@{} is no SIP address", self.domain))
                };
                (1..=count).map(account).collect::<Result<_, _>>()?
            }
            (None, Some(file)) => {
                let table = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
                accounts(&table, &self.domain).map_err(|error| format!("{}: {error}", file.display()))?
            }
            (None, None) if self.register => {
                return Err("--register needs accounts: --user and --password, or --accounts".to_owned());
            }
            (None, None) => numbered(&self.from, self.users),
        };
        Ok(Users { callers, callees })
    }

    fn wiring(&self, role: Role) -> Result<Wiring, String> {
        let bind = SocketAddr::new(self.bind.unwrap_or(Ipv4Addr::LOCALHOST.into()), 0);
        let (caller, callee) = (self.caller.unwrap_or(bind), self.callee.unwrap_or(bind));
        if [caller, callee].iter().any(|address| address.ip().is_unspecified()) {
            return Err("--bind, --caller and --callee are told to others: give an address of this machine".to_owned());
        }
        if self.connections > 1 && caller.port() != 0 && self.transport == Wire::Udp {
            return Err("--connections of more than 1 need any port in --caller (0)".to_owned());
        }
        let read = |file: &PathBuf| fs::read(file).map_err(|error| format!("{}: {error}", file.display()));
        let (mut tls_client, mut tls_server) = (None, None);
        if self.transport == Wire::Tls {
            let authorities = match &self.tls_ca {
                Some(file) => tls::Authorities::from_pem(&read(file)?),
                None => tls::Authorities::of_host(),
            };
            let authorities = authorities.map_err(|error| format!("--tls-ca: {error}"))?;
            let peer = self.proxy.unwrap_or(callee).ip().to_string();
            let client = tls::Client::new(None, tls::Version::V1_2, authorities);
            tls_client = Some((client, vec![self.tls_name.clone().unwrap_or(peer)]));
            match (&self.tls_certificate, &self.tls_key) {
                (Some(certificate), Some(key)) => {
                    let certificate = tls::Certificate::from_pem(&read(certificate)?, &read(key)?)
                        .map_err(|error| format!("--tls-certificate: {error}"))?;
                    let credentials = tls::Credentials::new(certificate);
                    let clients = tls::ClientCertificates::default();
                    tls_server = Some(tls::Server::new(&credentials, tls::Version::V1_2, &clients));
                }
                _ if role.answers() => {
                    return Err("callees over TLS need --tls-certificate and --tls-key".to_owned());
                }
                _ => {}
            }
        }
        let connections = self.connections;
        Ok(Wiring { proxy: self.proxy, caller, callee, connections, tls_client, tls_server })
    }
}

fn numbered(pattern: &Pattern, users: u32) -> Vec<User> {
    let count = if pattern.has_number() { users } else { 1 };
    (1..=count).map(|number| User { uri: pattern.with(number), login: None }).collect()
}

fn pattern(text: &str) -> Result<Pattern, String> {
    Pattern::parse(text).map_err(|error| error.to_string())
}

fn uri_pattern(text: &str) -> Result<Pattern, String> {
    let pattern = pattern(text)?;
    uri(&pattern.with(1)).map(|_| pattern)
}

/// A whole header line without its end.
fn header(text: &str) -> Result<String, String> {
    let name = text.split_once(':').map_or("", |(name, _)| name);
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) || text.bytes().any(|byte| byte.is_ascii_control()) {
        return Err("a header line is NAME: VALUE, without control characters".to_owned());
    }
    Ok(text.to_owned())
}

fn uri(text: &str) -> Result<String, String> {
    let whole = |uri: &Uri<'_>| matches!(uri.scheme, Scheme::Sip | Scheme::Sips) && !uri.host.is_empty();
    let plain = !text.contains(|c: char| c.is_whitespace() || c.is_control() || "<>\"".contains(c));
    let uri = Uri::parse(text).filter(|uri| whole(uri) && plain);
    uri.map(|uri| uri.text.to_owned()).ok_or_else(|| "not a SIP URI, such as sip:load1@example.com".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| (0.001..=1e6).contains(rate));
    rate.ok_or_else(|| "write how many a second, 0.001 to 1000000".to_owned())
}

fn requirement(text: &str) -> Result<Requirement, String> {
    Requirement::parse(text).map_err(|error| error.to_string())
}

fn require_help() -> String {
    format!("What the run must come to, such as 'setup_p99<50ms'; may be several. Figures: {}", names())
}

const DURATION: Duration = Duration::from_secs(10);
