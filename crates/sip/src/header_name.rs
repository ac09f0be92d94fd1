//! Header names: the known ones, their compact forms, and everything else.

use core::fmt;

macro_rules! names {
    ($($variant:ident = $name:literal $(/ $compact:literal)?,)*) => {
        /// A header name that this crate knows. Names are compared without regard to case, and a
        /// compact form is the name it stands for.
        ///
        /// ```
        /// use linkspan_sip::HeaderName;
        ///
        /// assert_eq!(HeaderName::find("i"), Some(HeaderName::CallId));
        /// assert_eq!(HeaderName::find("MS-DIAGNOSTICS"), Some(HeaderName::MsDiagnostics));
        /// assert_eq!(HeaderName::find("X-Unknown"), None);
        /// ```
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum HeaderName {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl HeaderName {
            /// The name as the specifications write it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The compact form, where one is registered.
            pub const fn compact(self) -> Option<&'static str> {
                match self {
                    $($(Self::$variant => Some($compact),)?)*
                    _ => None,
                }
            }

            const ALL: &'static [Self] = &[$(Self::$variant,)*];
        }
    };
}

names! {
    Via = "Via" / "v",
    From = "From" / "f",
    To = "To" / "t",
    CallId = "Call-ID" / "i",
    CSeq = "CSeq",
    Contact = "Contact" / "m",
    MaxForwards = "Max-Forwards",
    Route = "Route",
    RecordRoute = "Record-Route",
    ContentLength = "Content-Length" / "l",
    ContentType = "Content-Type" / "c",
    ContentDisposition = "Content-Disposition",
    ContentEncoding = "Content-Encoding" / "e",
    ContentLanguage = "Content-Language",
    ContentId = "Content-ID",
    ContentTransferEncoding = "Content-Transfer-Encoding",
    MimeVersion = "MIME-Version",
    Accept = "Accept",
    AcceptEncoding = "Accept-Encoding",
    AcceptLanguage = "Accept-Language",
    AcceptContact = "Accept-Contact" / "a",
    AlertInfo = "Alert-Info",
    Allow = "Allow",
    AllowEvents = "Allow-Events" / "u",
    AuthenticationInfo = "Authentication-Info",
    Authorization = "Authorization",
    CallInfo = "Call-Info",
    Date = "Date",
    ErrorInfo = "Error-Info",
    Event = "Event" / "o",
    Expires = "Expires",
    FlowTimer = "Flow-Timer",
    HistoryInfo = "History-Info",
    Identity = "Identity" / "y",
    IdentityInfo = "Identity-Info" / "n",
    InfoPackage = "Info-Package",
    RecvInfo = "Recv-Info",
    InReplyTo = "In-Reply-To",
    Join = "Join",
    MinExpires = "Min-Expires",
    MinSe = "Min-SE",
    Organization = "Organization",
    PAssertedIdentity = "P-Asserted-Identity",
    PPreferredIdentity = "P-Preferred-Identity",
    PAccessNetworkInfo = "P-Access-Network-Info",
    PAssociatedUri = "P-Associated-URI",
    PCalledPartyId = "P-Called-Party-ID",
    PChargingVector = "P-Charging-Vector",
    PVisitedNetworkId = "P-Visited-Network-ID",
    Path = "Path",
    Priority = "Priority",
    Privacy = "Privacy",
    ProxyAuthenticate = "Proxy-Authenticate",
    ProxyAuthenticationInfo = "Proxy-Authentication-Info",
    ProxyAuthorization = "Proxy-Authorization",
    ProxyRequire = "Proxy-Require",
    RAck = "RAck",
    RSeq = "RSeq",
    Reason = "Reason",
    ReferTo = "Refer-To" / "r",
    ReferSub = "Refer-Sub",
    ReferredBy = "Referred-By" / "b",
    RejectContact = "Reject-Contact" / "j",
    Replaces = "Replaces",
    ReplyTo = "Reply-To",
    RequestDisposition = "Request-Disposition" / "d",
    Require = "Require",
    ResourcePriority = "Resource-Priority",
    AcceptResourcePriority = "Accept-Resource-Priority",
    RetryAfter = "Retry-After",
    Server = "Server",
    ServiceRoute = "Service-Route",
    SessionExpires = "Session-Expires" / "x",
    SipEtag = "SIP-ETag",
    SipIfMatch = "SIP-If-Match",
    Subject = "Subject" / "s",
    SubscriptionState = "Subscription-State",
    Supported = "Supported" / "k",
    TargetDialog = "Target-Dialog",
    Timestamp = "Timestamp",
    Unsupported = "Unsupported",
    UserAgent = "User-Agent",
    Warning = "Warning",
    WwwAuthenticate = "WWW-Authenticate",
    MsDiagnostics = "ms-diagnostics",
    MsDiagnosticsPublic = "ms-diagnostics-public",
    MsClientDiagnostics = "ms-client-diagnostics",
    MsKeepAlive = "ms-keep-alive",
    MsConversationId = "Ms-Conversation-ID",
    MsTextFormat = "ms-text-format",
    MsAcceptedContentId = "ms-accepted-content-id",
    MsEdgeProxyMessageTrust = "ms-edge-proxy-message-trust",
    MsEndpointLocationData = "ms-endpoint-location-data",
    MsForking = "ms-forking",
    MsAssertedVerificationLevel = "ms-asserted-verification-level",
    MsImFormat = "ms-im-format",
    MsMediationGenerated = "ms-mediation-generated",
    MsPiggybackCseq = "ms-piggyback-cseq",
    MsSensitivity = "Ms-Sensitivity",
    MsSplitDomainInfo = "ms-split-domain-info",
    MsSubnet = "ms-subnet",
    MsUserData = "ms-user-data",
    MsUserLogonData = "ms-user-logon-data",
    Compression = "Compression",
}

impl HeaderName {
    /// The known name that `name` is, in any case, long or compact.
    pub fn find(name: &str) -> Option<Self> {
        let slots = TABLE.get(usize::from(hash(name.as_bytes())))?;
        for &slot in slots {
            let known = *Self::ALL.get(usize::from(slot).checked_sub(1)?)?;
            if known.is(name) {
                return Some(known);
            }
        }
        None
    }

    /// The [`hash`] of the name and of its compact form.
    #[inline]
    pub(crate) fn hashes(self) -> (u8, u8) {
        HASHES.get(self as usize).copied().unwrap_or((0, 0))
    }

    /// Whether a line of that name is of this header.
    pub(crate) fn is(self, name: &str) -> bool {
        let name = name.as_bytes();
        if name.len() == 1 {
            self.compact().is_some_and(|own| own.as_bytes().eq_ignore_ascii_case(name))
        } else {
            let own = self.as_str().as_bytes();
            own == name || own.eq_ignore_ascii_case(name)
        }
    }

    /// Whether RFC 3261 §7.3.1 lets several values of this header share one line.
    pub fn is_list(self) -> bool {
        !matches!(
            self,
            Self::From
                | Self::To
                | Self::CallId
                | Self::CSeq
                | Self::MaxForwards
                | Self::ContentLength
                | Self::ContentType
                | Self::Date
                | Self::Subject
                | Self::UserAgent
                | Self::Server
                | Self::Authorization
                | Self::ProxyAuthorization
                | Self::WwwAuthenticate
                | Self::ProxyAuthenticate
        )
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Of length, first, last and middle octet: three names at most share a slot.
pub(crate) const fn hash(name: &[u8]) -> u8 {
    let [first, ..] = name else { return 0 };
    let [.., last] = name else { return 0 };
    let (_, [middle, ..]) = name.split_at(name.len() / 2) else { return 0 };
    let [len, ..] = name.len().to_le_bytes();
    len.wrapping_mul(23)
        ^ (*first | 0x20).wrapping_mul(7)
        ^ (*last | 0x20).wrapping_mul(61)
        ^ (*middle | 0x20).wrapping_mul(5)
}

const SLOTS: usize = 6;

/// 1-based indices into [`HeaderName::ALL`]; 0 is an empty slot.
static TABLE: [[u8; SLOTS]; 256] = table();

/// Of every name and its compact form; of those without one the hash of the name again.
static HASHES: [(u8, u8); HeaderName::ALL.len()] = hashes();

#[allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "evaluated when this crate is compiled, where a panic is an error"
)]
const fn hashes() -> [(u8, u8); HeaderName::ALL.len()] {
    let mut hashes = [(0, 0); HeaderName::ALL.len()];
    let mut index = 0;
    while index < hashes.len() {
        let name = HeaderName::ALL[index];
        let long = hash(name.as_str().as_bytes());
        let compact = match name.compact() {
            Some(compact) => hash(compact.as_bytes()),
            None => long,
        };
        hashes[index] = (long, compact);
        index += 1;
    }
    hashes
}

#[allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "evaluated when this crate is compiled, where a panic is an error"
)]
const fn table() -> [[u8; SLOTS]; 256] {
    let mut table = [[0; SLOTS]; 256];
    let mut index = 0;
    while index < HeaderName::ALL.len() {
        let name = HeaderName::ALL[index];
        insert(&mut table, hash(name.as_str().as_bytes()), index);
        if let Some(compact) = name.compact() {
            insert(&mut table, hash(compact.as_bytes()), index);
        }
        index += 1;
    }
    table
}

#[allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "evaluated when this crate is compiled, where a panic is an error"
)]
const fn insert(table: &mut [[u8; SLOTS]; 256], slot: u8, index: usize) {
    let mut i = 0;
    while table[slot as usize][i] != 0 {
        i += 1;
    }
    table[slot as usize][i] = (index + 1) as u8;
}
