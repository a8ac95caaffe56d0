//! SIP without IO: messages, edits, transactions, proxy core, dialogs and user agent core.

#![forbid(unsafe_code)]
