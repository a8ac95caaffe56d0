//! The conference focus and the policy that maps a MUC room to a mixer, without IO.

#![forbid(unsafe_code)]
