//! Methods and status codes.

use core::fmt;
use core::str::FromStr;

use crate::lex;

macro_rules! methods {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A request method. Methods are case-sensitive tokens (RFC 3261 §7.1), and the set is
        /// open: what is not listed is [`Method::Other`].
        ///
        /// ```
        /// use linkspan_sip::Method;
        ///
        /// assert_eq!(Method::from("INVITE"), Method::Invite);
        /// assert_eq!(Method::from("invite").as_str(), "invite");
        /// ```
        #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[non_exhaustive]
        pub enum Method {
            $($(#[$doc])* $variant,)*
            /// A method outside this list, as written.
            Other(Box<str>),
        }

        impl Method {
            /// The token.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Other(name) => name,
                }
            }

            fn known(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

methods! {
    /// RFC 3261 §13.
    Invite = "INVITE",
    /// RFC 3261 §17.
    Ack = "ACK",
    /// RFC 3261 §15.
    Bye = "BYE",
    /// RFC 3261 §9.
    Cancel = "CANCEL",
    /// RFC 3261 §10.
    Register = "REGISTER",
    /// RFC 3261 §11.
    Options = "OPTIONS",
    /// RFC 3262.
    Prack = "PRACK",
    /// RFC 3311.
    Update = "UPDATE",
    /// RFC 6086.
    Info = "INFO",
    /// RFC 6665.
    Subscribe = "SUBSCRIBE",
    /// RFC 6665.
    Notify = "NOTIFY",
    /// RFC 3903.
    Publish = "PUBLISH",
    /// RFC 3515.
    Refer = "REFER",
    /// RFC 3428.
    Message = "MESSAGE",
    /// Lync's SOAP carrier, `[MS-SIP]`.
    Service = "SERVICE",
    /// Lync's NOTIFY that is never answered, `[MS-SIP]`.
    Benotify = "BENOTIFY",
    /// Lync's offer of compression, `[MS-SIPCOMP]`.
    Negotiate = "NEGOTIATE",
}

impl Method {
    /// Whether a request of this method can create a dialog (RFC 3261 §12.1, RFC 6665, RFC 3515).
    pub fn creates_dialog(&self) -> bool {
        matches!(self, Self::Invite | Self::Subscribe | Self::Refer)
    }
}

impl From<&str> for Method {
    fn from(name: &str) -> Self {
        Self::known(name).unwrap_or_else(|| Self::Other(name.into()))
    }
}

impl FromStr for Method {
    type Err = MethodError;

    fn from_str(name: &str) -> Result<Self, MethodError> {
        if lex::is_token(name) { Ok(Self::from(name)) } else { Err(MethodError) }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A method that is not a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a method is a token")]
pub struct MethodError;

/// The status code of a response, 100 to 699.
///
/// ```
/// use linkspan_sip::StatusCode;
///
/// assert!(StatusCode::RINGING.is_provisional());
/// assert_eq!(StatusCode::new(486).unwrap().reason(), "Busy Here");
/// assert_eq!(StatusCode::new(5), None);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct StatusCode(u16);

macro_rules! statuses {
    ($($constant:ident = $code:literal $reason:literal,)*) => {
        impl StatusCode {
            $(#[doc = concat!("`", $code, " ", $reason, "`")]
            pub const $constant: Self = Self($code);)*

            /// The reason phrase that the specifications give, or that of the class.
            pub fn reason(self) -> &'static str {
                match self.0 {
                    $($code => $reason,)*
                    100..=199 => "Progress",
                    200..=299 => "OK",
                    300..=399 => "Redirected",
                    400..=499 => "Request Failure",
                    500..=599 => "Server Failure",
                    _ => "Global Failure",
                }
            }
        }
    };
}

statuses! {
    TRYING = 100 "Trying",
    RINGING = 180 "Ringing",
    CALL_IS_BEING_FORWARDED = 181 "Call Is Being Forwarded",
    QUEUED = 182 "Queued",
    SESSION_PROGRESS = 183 "Session Progress",
    EARLY_DIALOG_TERMINATED = 199 "Early Dialog Terminated",
    OK = 200 "OK",
    ACCEPTED = 202 "Accepted",
    NO_NOTIFICATION = 204 "No Notification",
    MULTIPLE_CHOICES = 300 "Multiple Choices",
    MOVED_PERMANENTLY = 301 "Moved Permanently",
    MOVED_TEMPORARILY = 302 "Moved Temporarily",
    USE_PROXY = 305 "Use Proxy",
    ALTERNATIVE_SERVICE = 380 "Alternative Service",
    BAD_REQUEST = 400 "Bad Request",
    UNAUTHORIZED = 401 "Unauthorized",
    PAYMENT_REQUIRED = 402 "Payment Required",
    FORBIDDEN = 403 "Forbidden",
    NOT_FOUND = 404 "Not Found",
    METHOD_NOT_ALLOWED = 405 "Method Not Allowed",
    NOT_ACCEPTABLE = 406 "Not Acceptable",
    PROXY_AUTHENTICATION_REQUIRED = 407 "Proxy Authentication Required",
    REQUEST_TIMEOUT = 408 "Request Timeout",
    GONE = 410 "Gone",
    CONDITIONAL_REQUEST_FAILED = 412 "Conditional Request Failed",
    REQUEST_ENTITY_TOO_LARGE = 413 "Request Entity Too Large",
    REQUEST_URI_TOO_LONG = 414 "Request-URI Too Long",
    UNSUPPORTED_MEDIA_TYPE = 415 "Unsupported Media Type",
    UNSUPPORTED_URI_SCHEME = 416 "Unsupported URI Scheme",
    BAD_EXTENSION = 420 "Bad Extension",
    EXTENSION_REQUIRED = 421 "Extension Required",
    SESSION_INTERVAL_TOO_SMALL = 422 "Session Interval Too Small",
    INTERVAL_TOO_BRIEF = 423 "Interval Too Brief",
    USE_IDENTITY_HEADER = 428 "Use Identity Header",
    PROVIDE_REFERRER_IDENTITY = 429 "Provide Referrer Identity",
    FLOW_FAILED = 430 "Flow Failed",
    ANONYMITY_DISALLOWED = 433 "Anonymity Disallowed",
    FIRST_HOP_LACKS_OUTBOUND_SUPPORT = 439 "First Hop Lacks Outbound Support",
    BAD_INFO_PACKAGE = 469 "Bad Info Package",
    TEMPORARILY_UNAVAILABLE = 480 "Temporarily Unavailable",
    CALL_DOES_NOT_EXIST = 481 "Call/Transaction Does Not Exist",
    LOOP_DETECTED = 482 "Loop Detected",
    TOO_MANY_HOPS = 483 "Too Many Hops",
    ADDRESS_INCOMPLETE = 484 "Address Incomplete",
    AMBIGUOUS = 485 "Ambiguous",
    BUSY_HERE = 486 "Busy Here",
    REQUEST_TERMINATED = 487 "Request Terminated",
    NOT_ACCEPTABLE_HERE = 488 "Not Acceptable Here",
    BAD_EVENT = 489 "Bad Event",
    REQUEST_PENDING = 491 "Request Pending",
    UNDECIPHERABLE = 493 "Undecipherable",
    SECURITY_AGREEMENT_REQUIRED = 494 "Security Agreement Required",
    SERVER_INTERNAL_ERROR = 500 "Server Internal Error",
    NOT_IMPLEMENTED = 501 "Not Implemented",
    BAD_GATEWAY = 502 "Bad Gateway",
    SERVICE_UNAVAILABLE = 503 "Service Unavailable",
    SERVER_TIMEOUT = 504 "Server Time-out",
    VERSION_NOT_SUPPORTED = 505 "Version Not Supported",
    MESSAGE_TOO_LARGE = 513 "Message Too Large",
    BUSY_EVERYWHERE = 600 "Busy Everywhere",
    DECLINE = 603 "Decline",
    DOES_NOT_EXIST_ANYWHERE = 604 "Does Not Exist Anywhere",
    GLOBAL_NOT_ACCEPTABLE = 606 "Not Acceptable",
}

impl StatusCode {
    /// A code between 100 and 699.
    pub const fn new(code: u16) -> Option<Self> {
        if code >= 100 && code <= 699 { Some(Self(code)) } else { None }
    }

    /// The number.
    pub const fn as_u16(self) -> u16 {
        self.0
    }

    /// 1xx.
    pub const fn is_provisional(self) -> bool {
        self.0 < 200
    }

    /// 2xx to 6xx.
    pub const fn is_final(self) -> bool {
        self.0 >= 200
    }

    /// 2xx.
    pub const fn is_success(self) -> bool {
        self.0 >= 200 && self.0 < 300
    }
}

impl fmt::Display for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
