//! Renders events: log line, metric and trace; correlation and pseudonyms.

#![forbid(unsafe_code)]
