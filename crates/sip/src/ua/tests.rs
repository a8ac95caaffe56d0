//! Two user agents on a virtual link, by injected time.

mod calls;
mod chaos;
mod link;
mod refusals;
