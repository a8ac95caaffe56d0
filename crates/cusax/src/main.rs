//! cusax: SIP edge, XMPP component and conferences as one service.

fn main() {}
