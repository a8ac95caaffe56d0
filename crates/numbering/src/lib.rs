//! What a dialled number is: emergency, on-net, national, premium and so on.

#![forbid(unsafe_code)]
