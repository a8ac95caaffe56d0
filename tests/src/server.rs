//! Real servers as children, with the files of `deploy/`.

mod baresip;
mod browser;
mod cusax;
mod edge;
mod kamailio;
mod linphone;
mod prosody;
pub mod scenario;
mod sipp;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use baresip::Baresip;
pub use browser::Browser;
pub use cusax::{Cusax, Settings};
pub use edge::{Edge, Hop};
pub use kamailio::Kamailio;
pub use linphone::Linphone;
pub use prosody::Prosody;
pub use scenario::{Player, Scenario};
pub use sipp::Gateway;

/// How long a server may take to start; a machine that compiles beside it is slow.
const START: Duration = Duration::from_secs(30);

/// The domain of all of them.
pub const DOMAIN: &str = "example.com";
/// The MUC service, and the conferences' SIP domain.
pub const ROOMS: &str = "conference.example.com";
/// Whom the SIP server's certificate names.
pub const CORE: &str = "core.example.com";
/// The component.
pub const COMPONENT: &str = "cusax.example.com";

/// The root of the source tree that this was built from.
#[must_use]
pub fn source_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
