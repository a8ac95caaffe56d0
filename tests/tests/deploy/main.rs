//! The example configurations in `deploy/`, run by the servers that they are for.

mod kamailio;
mod prosody;
