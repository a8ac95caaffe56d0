//! What a dialled number is: emergency, on-net, national, premium and so on.
//!
//! A [`Classifier`] reads the parts of a Request-URI in one fixed order (emergency before everything else) and knows no account: ask the
//! directory first, for an own user whose name happens to be digits is called for nothing.

#![forbid(unsafe_code)]

mod classifier;
mod config;
mod dialled;
mod emergency;
mod plan;

pub use classifier::{Classification, Classifier, Conflict};
pub use config::{Config, ConfigError, Extensions};
pub use dialled::{Dialled, Scheme};
