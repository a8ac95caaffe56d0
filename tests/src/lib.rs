//! Testkit: processes of real servers, scripted peers, lossy links.

#![forbid(unsafe_code)]
