//! Header field names, with their compact forms (RFC 3261 §7.3.3, §20).

macro_rules! names {
    ($($variant:ident = $long:literal $(| $compact:literal)?),+ $(,)?) => {
        /// A header field name that this crate reads, or [`Name::Other`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Name {
            $(#[doc = $long] $variant,)+
            /// Any other name; its bytes are in the message.
            Other,
        }

        impl Name {
            /// Reads a name, long or compact, in any case.
            #[must_use]
            pub fn of(text: &[u8]) -> Self {
                match text.len() {
                    $($(1 if text[0].eq_ignore_ascii_case(&$compact) => Self::$variant,)?)+
                    0 | 1 => Self::Other,
                    _ => {
                        $(if text.eq_ignore_ascii_case($long.as_bytes()) { return Self::$variant; })+
                        Self::Other
                    }
                }
            }

            /// The long form, as printed; empty for [`Name::Other`].
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $long,)+ Self::Other => "" }
            }
        }
    };
}

names! {
    Via = "Via" | b'v',
    From = "From" | b'f',
    To = "To" | b't',
    CallId = "Call-ID" | b'i',
    CSeq = "CSeq",
    Contact = "Contact" | b'm',
    ContentLength = "Content-Length" | b'l',
    ContentType = "Content-Type" | b'c',
    MaxForwards = "Max-Forwards",
    Route = "Route",
    RecordRoute = "Record-Route",
    Path = "Path",
    ServiceRoute = "Service-Route",
    Authorization = "Authorization",
    ProxyAuthorization = "Proxy-Authorization",
    WwwAuthenticate = "WWW-Authenticate",
    ProxyAuthenticate = "Proxy-Authenticate",
    AuthenticationInfo = "Authentication-Info",
    CallInfo = "Call-Info",
    AlertInfo = "Alert-Info",
    ErrorInfo = "Error-Info",
    Privacy = "Privacy",
    PAssertedIdentity = "P-Asserted-Identity",
    PPreferredIdentity = "P-Preferred-Identity",
    PAccessNetworkInfo = "P-Access-Network-Info",
    PChargingVector = "P-Charging-Vector",
    PChargingFunctionAddresses = "P-Charging-Function-Addresses",
    RemotePartyId = "Remote-Party-ID",
    PAssertedService = "P-Asserted-Service",
    PServedUser = "P-Served-User",
    PProfileKey = "P-Profile-Key",
    PUserDatabase = "P-User-Database",
    PVisitedNetworkId = "P-Visited-Network-ID",
    Diversion = "Diversion",
    SessionId = "Session-ID",
    Require = "Require",
    ProxyRequire = "Proxy-Require",
    Supported = "Supported" | b'k',
    Unsupported = "Unsupported",
    Allow = "Allow",
    AllowEvents = "Allow-Events" | b'u',
    Event = "Event" | b'o',
    Expires = "Expires",
    MinExpires = "Min-Expires",
    SubscriptionState = "Subscription-State",
    ReferTo = "Refer-To" | b'r',
    ReferredBy = "Referred-By" | b'b',
    Replaces = "Replaces",
    Reason = "Reason",
    RetryAfter = "Retry-After",
    RSeq = "RSeq",
    RAck = "RAck",
    Subject = "Subject" | b's',
    UserAgent = "User-Agent",
    Server = "Server",
    Warning = "Warning",
    Accept = "Accept",
    AcceptLanguage = "Accept-Language",
    MaxBreadth = "Max-Breadth",
    Identity = "Identity" | b'y',
    SessionExpires = "Session-Expires" | b'x',
    Timestamp = "Timestamp",
    Date = "Date",
}

impl Name {
    /// True where a line of this name holds a comma-separated list (RFC 3261 §7.3.1).
    #[must_use]
    pub const fn is_list(self) -> bool {
        !matches!(
            self,
            Self::From
                | Self::To
                | Self::CallId
                | Self::CSeq
                | Self::ContentLength
                | Self::ContentType
                | Self::MaxForwards
                | Self::Authorization
                | Self::ProxyAuthorization
                | Self::WwwAuthenticate
                | Self::ProxyAuthenticate
                | Self::AuthenticationInfo
                | Self::Subject
                | Self::UserAgent
                | Self::Server
                | Self::Date
                | Self::Expires
                | Self::Timestamp
                | Self::Event
                | Self::SessionId
                | Self::Other
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_long_compact_and_unknown_names() {
        assert_eq!(Name::of(b"call-id"), Name::CallId);
        assert_eq!(Name::of(b"I"), Name::CallId);
        assert_eq!(Name::of(b"v"), Name::Via);
        assert_eq!(Name::of(b"X-Thing"), Name::Other);
        assert_eq!(Name::of(b"q"), Name::Other);
        assert_eq!(Name::of(b""), Name::Other);
    }
}
