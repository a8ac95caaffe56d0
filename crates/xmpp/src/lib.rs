//! XMPP without IO: stream, component protocol, client stream, stanzas and the view of a MUC room.

#![forbid(unsafe_code)]
