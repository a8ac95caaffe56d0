//! The real binary.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use cusax_net::clock;
use serde_json::Value;

use crate::wire::SOON;

/// A service that runs until it is dropped.
pub(crate) struct Service {
    child: Child,
    http: SocketAddr,
    log: Receiver<String>,
    folder: PathBuf,
}

impl Service {
    /// Starts it, and waits until it listens.
    pub(crate) fn start(folder: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cusax"));
        command.args(["serve", "--config", "cusax.toml"]).current_dir(folder);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let started = lines.by_ref().map(|line| serde_json::from_str::<Value>(&line).unwrap());
        let started = started.into_iter().find(|line| line["stage"] == "started").unwrap();
        let (_, http) = started["detail"].as_str().unwrap().rsplit_once("http:").unwrap();
        // It must not wait for somebody to read its log.
        let (read, log) = channel();
        std::thread::spawn(move || lines.for_each(|line| drop(read.send(line))));
        Self { child, http: http.parse().unwrap(), log, folder: folder.to_owned() }
    }

    /// Reads its log until a line says this; that line.
    pub(crate) fn says(&self, words: &str) -> Value {
        let deadline = clock::now() + SOON;
        loop {
            let line = self.log.recv_timeout(deadline.saturating_duration_since(clock::now()));
            let line = line.unwrap_or_else(|_| panic!("it does not say {words:?}"));
            if line.contains(words) {
                return serde_json::from_str(&line).unwrap();
            }
        }
    }

    /// Has it read its configuration again, and waits until it has; what it says of that.
    pub(crate) fn reload(&self) -> Value {
        self.hang_up();
        self.says("config.reload")
    }

    pub(crate) fn hang_up(&self) {
        let kill = Command::new("kill").args(["-HUP", &self.child.id().to_string()]).status().unwrap();
        assert!(kill.success());
    }

    /// Changes its configuration file.
    pub(crate) fn edit(&self, change: impl FnOnce(String) -> String) {
        let file = self.folder.join("cusax.toml");
        std::fs::write(&file, change(std::fs::read_to_string(&file).unwrap())).unwrap();
    }

    /// Removes an account, and waits until that is known.
    pub(crate) fn remove_account(&self, name: &str) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cusax"));
        command.args(["account", "remove", name, "-c", "cusax.toml"]).current_dir(&self.folder);
        assert!(command.stdout(Stdio::null()).status().unwrap().success());
        self.becomes("cusax_directory_accounts", 0.0);
    }

    /// What it answers to a GET.
    pub(crate) fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.http).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: cusax\r\nConnection: close\r\n\r\n").unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        page
    }

    /// The value of a series of `/metrics`.
    pub(crate) fn series(&self, name: &str) -> f64 {
        let page = self.get("/metrics");
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("{name} is not in:\n{page}")).parse().unwrap()
    }

    /// Asks until a series has the value.
    pub(crate) fn becomes(&self, name: &str, value: f64) {
        let deadline = clock::now() + SOON;
        loop {
            let now = self.series(name);
            if now == value {
                return;
            }
            assert!(clock::now() < deadline, "{name} is {now}, not {value}");
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn add_account(folder: &Path, name: &str, password: &str) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cusax"));
    command.args(["account", "add", name, "--password-stdin", "-c", "cusax.toml"]).current_dir(folder);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

/// Addresses that were free a moment ago, no two the same.
pub(crate) fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap()).map(|listener| listener.local_addr().unwrap())
}
