//! The phones and XMPP clients of cusax-load, the load tester.

#![forbid(unsafe_code)]
