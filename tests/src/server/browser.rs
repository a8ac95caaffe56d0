//! JsSIP in a headless Chromium as a phone: it loads a page of ours, which asks for commands and tells what happens.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{DOMAIN, Edge, source_root};
use crate::interop::{CHROMIUM, NPM};
use crate::process::{Process, output};
use crate::scratch::Scratch;

/// Longest wait for an event.
const PATIENCE: Duration = Duration::from_secs(15);
/// Commands and events under way.
const QUEUE: usize = 64;
/// Between a tone and the middle of the band that it is found in, in hertz.
const TOLERANCE: u64 = 10;
const FILES: [&str; 5] = ["package.json", "package-lock.json", "phone.html", "modules.js", "phone.js"];

/// A running browser with one account.
#[derive(Debug)]
pub struct Browser {
    process: Process,
    commands: mpsc::Sender<Value>,
    events: mpsc::Receiver<Value>,
    seen: Vec<Value>,
    /// The loudest tone in what it gets, in hertz; 0 is silence.
    heard: u64,
    _page: JoinSet<()>,
}

/// What the page asks for.
struct Page {
    folder: PathBuf,
    commands: Mutex<mpsc::Receiver<Value>>,
    events: mpsc::Sender<Value>,
}

impl Browser {
    /// Starts one that has registered with the edge over WSS, with digest, and speaks with a tone of so many hertz.
    ///
    /// # Errors
    /// When Chromium or JsSIP is not installed or does not start, or the phone is refused.
    pub async fn start(scratch: &Scratch, user: &str, password: &str, edge: &Edge, hertz: u32) -> Result<Self> {
        let (commands, asked) = mpsc::channel(QUEUE);
        let (tell, events) = mpsc::channel(QUEUE);
        let page = Page { folder: installed(scratch)?, commands: Mutex::new(asked), events: tell };
        let listener = TcpListener::bind("127.0.0.1:0").await.context("the page's server")?;
        let address = listener.local_addr()?;
        let mut task = JoinSet::new();
        task.spawn(async move {
            // It goes on until it is dropped.
            let _ = axum::serve(listener, routes(page)).await;
        });
        let process = chromium(scratch, user, password, edge, &format!("{address}/phone.html?hertz={hertz}"))?;
        let mut phone = Self { process, commands, events, seen: Vec::new(), heard: 0, _page: task };
        phone.event("registered").await?;
        Ok(phone)
    }

    /// Gives a command of `tests/browser/phone.js`.
    ///
    /// # Errors
    /// When there are too many that it has not taken.
    pub fn command(&self, name: &str, mut parameters: Value) -> Result<()> {
        parameters["do"] = name.into();
        self.commands.try_send(parameters).context("the page takes no commands")
    }

    /// Waits for the next event of this name, and forgets it and those before it.
    ///
    /// # Errors
    /// When it does not come; with those that did.
    pub async fn event(&mut self, name: &str) -> Result<Value> {
        let seen = async {
            loop {
                if let Some(place) = self.seen.iter().position(|event| event["event"] == name) {
                    return self.seen.drain(..=place).next_back();
                }
                self.next().await?;
            }
        };
        match timeout(PATIENCE, seen).await {
            Ok(seen) => seen.context("the page is gone"),
            Err(_) => bail!("no {name}, but {:?}; its log:\n{}", self.seen, self.process.log_tail()),
        }
    }

    /// Waits until the loudest tone that it hears is one of so many hertz; 0 is silence.
    ///
    /// # Errors
    /// When it is not; with the one that is.
    pub async fn hears(&mut self, hertz: u32) -> Result<()> {
        let heard = async {
            while self.heard.abs_diff(hertz.into()) > TOLERANCE {
                self.next().await?;
            }
            Some(())
        };
        match timeout(PATIENCE, heard).await {
            Ok(heard) => heard.context("the page is gone"),
            Err(_) => bail!("it hears {} Hz, not {hertz}; its log:\n{}", self.heard, self.process.log_tail()),
        }
    }

    /// Kills it, as a crash would: its connections are closed for it.
    ///
    /// # Errors
    /// When its exit status cannot be had.
    pub fn kill(mut self) -> Result<()> {
        self.process.kill().map(drop)
    }

    /// Takes what the page tells next; `None` when it is gone.
    async fn next(&mut self) -> Option<()> {
        let event = self.events.recv().await?;
        match event["hertz"].as_u64() {
            Some(hertz) => self.heard = hertz,
            None => self.seen.push(event),
        }
        Some(())
    }
}

/// The folder with the page and, from npm, JsSIP as `tests/browser/package-lock.json` knows it.
fn installed(scratch: &Scratch) -> Result<PathBuf> {
    let folder = scratch.path().join("page");
    if folder.is_dir() {
        return Ok(folder);
    }
    fs::create_dir(&folder).context("the page's folder")?;
    for file in FILES {
        fs::copy(source_root().join("tests/browser").join(file), folder.join(file)).context(file)?;
    }
    let mut npm = Command::new(NPM.find()?);
    npm.args(["ci", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&folder);
    let output = output(&mut npm, "")?;
    ensure!(output.status.success(), "npm ci: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(folder)
}

fn chromium(scratch: &Scratch, user: &str, password: &str, edge: &Edge, page: &str) -> Result<Process> {
    let dir = scratch.directory(&format!("browser-{user}"))?;
    let mut command = Command::new(CHROMIUM.find()?);
    command
        .env("HOME", &dir)
        .env("TMPDIR", &dir)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--disable-breakpad", "--disable-dev-shm-usage", "--autoplay-policy=no-user-gesture-required"])
        // Media between two browsers of one machine, which is in no network.
        .args(["--allow-loopback-in-peer-connection", "--disable-features=WebRtcHideLocalIpsWithMdns"])
        .arg(format!("--ignore-certificate-errors-spki-list={}", edge.issued().pin))
        .arg(format!("--user-data-dir={}", dir.join("profile").display()))
        .arg(format!("http://{page}&uri=sip:{user}@{DOMAIN}&password={password}&edge=wss://{}", edge.browsers()));
    Process::start(&format!("browser of {user}"), command, dir)
}

fn routes(page: Page) -> Router {
    Router::new()
        .route("/commands", get(command))
        .route("/events", post(event))
        .route("/{*file}", get(file))
        .with_state(Arc::new(page))
}

/// The next command, once there is one.
async fn command(State(page): State<Arc<Page>>) -> impl IntoResponse {
    match page.commands.lock().await.recv().await {
        Some(command) => (StatusCode::OK, command.to_string()),
        None => (StatusCode::GONE, String::new()),
    }
}

async fn event(State(page): State<Arc<Page>>, body: String) -> StatusCode {
    let event = serde_json::from_str(&body).unwrap_or_else(|_| json!({ "event": "error", "cause": body }));
    match page.events.send(event).await {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::GONE,
    }
}

async fn file(State(page): State<Arc<Page>>, Path(name): Path<String>) -> impl IntoResponse {
    let kind = match name.rsplit_once('.') {
        Some((_, "html")) => "text/html",
        Some((_, "js")) => "text/javascript",
        _ => "application/json",
    };
    match fs::read(page.folder.join(&name)) {
        Ok(bytes) => (StatusCode::OK, [(header::CONTENT_TYPE, kind)], bytes),
        Err(_) => (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, kind)], Vec::new()),
    }
}
