//! The two stores as their users see them: this process, another one, other servers.

#![cfg(test)]

mod accounts;
mod files;
mod import;
mod state;
mod support;
mod views;
