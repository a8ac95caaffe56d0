//! Accounts, bindings and derived credentials in one store that other servers read through views.

#![forbid(unsafe_code)]
