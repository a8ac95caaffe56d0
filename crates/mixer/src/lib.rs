//! One conference's audio without IO: who is heard by whom, on ports shared by many participants.
//!
//! [`Mixer`] is what one media thread owns: its conferences, their legs and the ports that they share. The thread
//! gives it packets and commands, and every 20 ms takes a packet for each leg out of it. [`Ports`] is its counterpart
//! in the control plane: it says which of the thread's ports a leg may have.

#![forbid(unsafe_code)]

mod command;
mod conference;
mod demux;
mod gate;
mod leg;
mod mix;
mod mixer;
mod playout;
mod ports;
mod signalling;
mod transmit;

pub use command::{AddLeg, Command, ConferenceId, Event, UpdateLeg};
pub use mixer::{Config, Mixer, TICK};
pub use ports::{NoPort, Ports};
pub use signalling::{Latch, PortId, Seat, Signalling, Trust};
pub use transmit::{Transmit, Transmits};
