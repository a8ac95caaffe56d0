//! The directory, our own state, and the tasks that keep them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use cusax_directory::{Access, Directory, Mode, Purpose, Refresh, Restriction, SecretKey, Secrets, State};
use cusax_event::Event;
use cusax_event::service::{Directory as DirectoryEvent, DirectoryState};
use cusax_net::random;
use cusax_telemetry::Telemetry;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::config::Config;

/// How often the directory is looked at for changes by others.
const REFRESH: Duration = Duration::from_millis(500);
/// Restrictions that wait to be written.
const WAITING: usize = 1_024;

/// What is open.
pub(super) struct Stores {
    pub(super) directory: Arc<Directory>,
    state: Arc<State>,
    pub(super) nonce: Secrets,
    pub(super) token: Secrets,
    pub(super) session: Secrets,
    pub(super) pseudonym: SecretKey,
}

/// Somebody who may not do something in a room.
pub(super) struct Restricted {
    pub(super) room: String,
    pub(super) jid: String,
    pub(super) restriction: Restriction,
}

/// A change to who may do what in a room, to be kept.
#[derive(Debug)]
pub(super) enum Keep {
    Restrict { room: String, jid: String, restriction: Restriction },
    Lift { room: String, jid: Option<String>, restriction: Restriction },
}

impl Stores {
    pub(super) async fn open(config: &Config) -> anyhow::Result<Self> {
        let url = config.directory.url.to_string();
        let directory = match Directory::open(&url, Mode::ReadWrite).await {
            Ok(directory) => directory,
            // A directory that another host writes is still good for reading.
            Err(cusax_directory::DirectoryError::ReadOnly { .. }) => Directory::open(&url, Mode::ReadOnly).await?,
            Err(error) => return Err(error).context("cannot open the directory"),
        };
        let state = State::open(config.directory.state.clone()).await.context("cannot open the state file")?;
        Ok(Self {
            nonce: state.secrets(Purpose::Nonce, fresh()).await?,
            token: state.secrets(Purpose::FlowToken, fresh()).await?,
            session: state.secrets(Purpose::SessionNamespace, fresh()).await?,
            pseudonym: state.secrets(Purpose::Pseudonym, fresh()).await?.current,
            directory: Arc::new(directory),
            state: Arc::new(state),
        })
    }

    /// Who may not do what in the rooms of a MUC service, as it was kept.
    pub(super) async fn restrictions(&self) -> anyhow::Result<Vec<Restricted>> {
        let all = self.state.restrictions().await.context("cannot read who is restricted")?;
        Ok(all.into_iter().map(|(room, jid, restriction)| Restricted { room, jid, restriction }).collect())
    }

    /// Says what was opened, and what of it cannot be written.
    pub(super) fn tell_access(&self, telemetry: &Telemetry) {
        let accounts = Some(accounts(&self.directory));
        tell(telemetry, DirectoryState::Loaded, accounts, String::new());
        if let Access::ReadOnly { reason } = self.directory.access() {
            let detail = format!("accounts are read only: {reason}");
            tell(telemetry, DirectoryState::ReadOnly, accounts, detail);
        }
        if let Access::ReadOnly { reason } = self.state.access() {
            let detail =
                format!("our state is read only, so what moderators decide is forgotten with the process: {reason}");
            tell(telemetry, DirectoryState::StateReadOnly, None, detail);
        }
    }

    /// Follows changes that other processes make; a directory that cannot be read keeps its last snapshot.
    pub(super) fn directory_refresh(&self, telemetry: Telemetry) -> impl Future<Output = ()> + Send + use<> {
        let directory = Arc::clone(&self.directory);
        async move {
            let tell = |state, detail| tell(&telemetry, state, Some(accounts(&directory)), detail);
            let mut ticks = tokio::time::interval(REFRESH);
            let mut stale = false;
            loop {
                ticks.tick().await;
                match directory.refresh().await {
                    Ok(Refresh::Refreshed) => tell(DirectoryState::Refreshed, String::new()),
                    Ok(Refresh::Unchanged) if stale => tell(DirectoryState::Refreshed, String::new()),
                    Ok(Refresh::Unchanged) => {}
                    Err(error) if !stale => {
                        stale = true;
                        tell(DirectoryState::Stale, error.to_string());
                        continue;
                    }
                    Err(_) => continue,
                }
                stale = false;
            }
        }
    }

    /// Writes restrictions as they come; what the worker hands over while the disk is slow waits, bounded.
    /// Also the task, which ends once all that was sent is kept and the sender is gone.
    pub(super) fn keeper(&self, telemetry: Telemetry) -> (mpsc::Sender<Keep>, JoinHandle<()>) {
        let (sender, mut receiver) = mpsc::channel(WAITING);
        let state = Arc::clone(&self.state);
        let task = tokio::spawn(async move {
            while let Some(keep) = receiver.recv().await {
                let kept = match keep {
                    Keep::Restrict { room, jid, restriction } => state.restrict(&room, &jid, restriction).await,
                    Keep::Lift { room, jid, restriction } => state.lift(&room, jid.as_deref(), restriction).await,
                };
                if let Err(error) = kept {
                    let detail = format!("a restriction was not kept: {error}");
                    tell(&telemetry, DirectoryState::WriteFailed, None, detail);
                }
            }
        });
        (sender, task)
    }
}

fn accounts(directory: &Directory) -> usize {
    directory.snapshot().accounts().len()
}

fn tell(telemetry: &Telemetry, state: DirectoryState, accounts: Option<usize>, detail: String) {
    telemetry.emit(&Event::Directory(DirectoryEvent { state, accounts, detail }));
}

/// Both generations of a key, the present first.
pub(super) fn generations(secrets: &Secrets) -> Vec<[u8; 32]> {
    std::iter::once(&secrets.current).chain(&secrets.previous).map(|key| *key.as_bytes()).collect()
}

fn fresh() -> SecretKey {
    SecretKey::new(random::key())
}
