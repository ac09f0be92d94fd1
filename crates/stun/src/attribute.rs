use std::fmt;

/// Number of an attribute.
///
/// ```
/// use linkspan_stun::AttributeType;
///
/// assert!(AttributeType::USERNAME.is_comprehension_required());
/// assert_eq!(AttributeType::SOFTWARE.name(), Some("SOFTWARE"));
/// ```
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AttributeType(pub u16);

impl AttributeType {
    /// RFC 8489 §14: an agent that does not know the attribute refuses the message.
    #[must_use]
    pub const fn is_comprehension_required(self) -> bool {
        self.0 < 0x8000
    }
}

impl fmt::Debug for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#06x}", self.0),
        }
    }
}

/// One attribute as it lies in a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RawAttribute<'a> {
    /// Its number.
    pub kind: AttributeType,
    /// Its value without padding.
    pub value: &'a [u8],
    /// Offset of the number from the start of the message.
    pub at: usize,
}

macro_rules! types {
    ($($(#[$doc:meta])* $constant:ident = $number:literal, $name:literal;)*) => {
        impl AttributeType {
            $($(#[$doc])* pub const $constant: Self = Self($number);)*

            /// Name in the registry, where the number has one name in all dialects or RFC 8489's
            /// name otherwise.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some($name),)*
                    _ => None,
                }
            }
        }
    };
}

types! {
    /// RFC 8489 §14.1; the relayed address in an MS-TURN Allocate response.
    MAPPED_ADDRESS = 0x0001, "MAPPED-ADDRESS";
    /// RFC 3489 §11.2.2.
    RESPONSE_ADDRESS = 0x0002, "RESPONSE-ADDRESS";
    /// RFC 5780 §7.2.
    CHANGE_REQUEST = 0x0003, "CHANGE-REQUEST";
    /// RFC 3489 §11.2.5.
    SOURCE_ADDRESS = 0x0004, "SOURCE-ADDRESS";
    /// RFC 3489 §11.2.3.
    CHANGED_ADDRESS = 0x0005, "CHANGED-ADDRESS";
    /// RFC 8489 §14.3.
    USERNAME = 0x0006, "USERNAME";
    /// RFC 3489 §11.2.7.
    PASSWORD = 0x0007, "PASSWORD";
    /// RFC 8489 §14.5.
    MESSAGE_INTEGRITY = 0x0008, "MESSAGE-INTEGRITY";
    /// RFC 8489 §14.8.
    ERROR_CODE = 0x0009, "ERROR-CODE";
    /// RFC 8489 §14.13.
    UNKNOWN_ATTRIBUTES = 0x000a, "UNKNOWN-ATTRIBUTES";
    /// RFC 3489 §11.2.11.
    REFLECTED_FROM = 0x000b, "REFLECTED-FROM";
    /// RFC 8656 §18.1.
    CHANNEL_NUMBER = 0x000c, "CHANNEL-NUMBER";
    /// RFC 8656 §18.2.
    LIFETIME = 0x000d, "LIFETIME";
    /// [MS-TURN] 2.2.2: another relay, in clear.
    MS_ALTERNATE_SERVER = 0x000e, "MS-ALTERNATE-SERVER";
    /// [MS-TURN] 2.2.2.8: 0x72C64BC6, first of every message.
    MS_MAGIC_COOKIE = 0x000f, "MS-MAGIC-COOKIE";
    /// [MS-TURN] 2.2.2.9, kilobits per second.
    MS_BANDWIDTH = 0x0010, "MS-BANDWIDTH";
    /// [MS-TURN] 2.2.2: the peer of a Send request, in clear.
    MS_DESTINATION_ADDRESS = 0x0011, "MS-DESTINATION-ADDRESS";
    /// RFC 8656 §18.3; in MS-TURN the peer of a Data indication, in clear.
    XOR_PEER_ADDRESS = 0x0012, "XOR-PEER-ADDRESS";
    /// RFC 8656 §18.4.
    DATA = 0x0013, "DATA";
    /// RFC 8489 §14.9; the nonce in MS-TURN.
    REALM = 0x0014, "REALM";
    /// RFC 8489 §14.10; the realm in MS-TURN.
    NONCE = 0x0015, "NONCE";
    /// RFC 8656 §18.5.
    XOR_RELAYED_ADDRESS = 0x0016, "XOR-RELAYED-ADDRESS";
    /// RFC 8656 §18.6.
    REQUESTED_ADDRESS_FAMILY = 0x0017, "REQUESTED-ADDRESS-FAMILY";
    /// RFC 8656 §18.7.
    EVEN_PORT = 0x0018, "EVEN-PORT";
    /// RFC 8656 §18.8.
    REQUESTED_TRANSPORT = 0x0019, "REQUESTED-TRANSPORT";
    /// RFC 8656 §18.9.
    DONT_FRAGMENT = 0x001a, "DONT-FRAGMENT";
    /// RFC 7635 §6.2.
    ACCESS_TOKEN = 0x001b, "ACCESS-TOKEN";
    /// RFC 8489 §14.6.
    MESSAGE_INTEGRITY_SHA256 = 0x001c, "MESSAGE-INTEGRITY-SHA256";
    /// RFC 8489 §14.12.
    PASSWORD_ALGORITHM = 0x001d, "PASSWORD-ALGORITHM";
    /// RFC 8489 §14.4.
    USERHASH = 0x001e, "USERHASH";
    /// RFC 8489 §14.2.
    XOR_MAPPED_ADDRESS = 0x0020, "XOR-MAPPED-ADDRESS";
    /// RFC 8656 §18.10.
    RESERVATION_TOKEN = 0x0022, "RESERVATION-TOKEN";
    /// RFC 8445 §16.1.
    PRIORITY = 0x0024, "PRIORITY";
    /// RFC 8445 §16.1.
    USE_CANDIDATE = 0x0025, "USE-CANDIDATE";
    /// RFC 5780 §7.6.
    PADDING = 0x0026, "PADDING";
    /// RFC 5780 §7.5.
    RESPONSE_PORT = 0x0027, "RESPONSE-PORT";
    /// RFC 6062 §6.2.1.
    CONNECTION_ID = 0x002a, "CONNECTION-ID";
    /// RFC 8656 §18.11.
    ADDITIONAL_ADDRESS_FAMILY = 0x8000, "ADDITIONAL-ADDRESS-FAMILY";
    /// RFC 8656 §18.12.
    ADDRESS_ERROR_CODE = 0x8001, "ADDRESS-ERROR-CODE";
    /// RFC 8489 §14.11.
    PASSWORD_ALGORITHMS = 0x8002, "PASSWORD-ALGORITHMS";
    /// RFC 8489 §14.16.
    ALTERNATE_DOMAIN = 0x8003, "ALTERNATE-DOMAIN";
    /// RFC 8656 §18.13.
    ICMP = 0x8004, "ICMP";
    /// [MS-TURN]: opaque, seen in Allocate requests.
    MS_OPAQUE = 0x8006, "MS-OPAQUE";
    /// [MS-TURN] 2.2.2: protocol version.
    MS_VERSION = 0x8008, "MS-VERSION";
    /// [MS-TURN]: the reflexive address; earlier drafts of RFC 5389 used the number too.
    MS_XOR_MAPPED_ADDRESS = 0x8020, "MS-XOR-MAPPED-ADDRESS";
    /// RFC 8489 §14.14.
    SOFTWARE = 0x8022, "SOFTWARE";
    /// RFC 8489 §14.15.
    ALTERNATE_SERVER = 0x8023, "ALTERNATE-SERVER";
    /// RFC 5780 registers it; draft-ietf-behave-nat-behavior-discovery described it.
    CACHE_TIMEOUT = 0x8027, "CACHE-TIMEOUT";
    /// RFC 8489 §14.7.
    FINGERPRINT = 0x8028, "FINGERPRINT";
    /// RFC 8445 §16.1.
    ICE_CONTROLLED = 0x8029, "ICE-CONTROLLED";
    /// RFC 8445 §16.1.
    ICE_CONTROLLING = 0x802a, "ICE-CONTROLLING";
    /// RFC 5780 §7.3.
    RESPONSE_ORIGIN = 0x802b, "RESPONSE-ORIGIN";
    /// RFC 5780 §7.4.
    OTHER_ADDRESS = 0x802c, "OTHER-ADDRESS";
    /// RFC 6679 §7.2.2.
    ECN_CHECK = 0x802d, "ECN-CHECK";
    /// RFC 7635 §6.1.
    THIRD_PARTY_AUTHORIZATION = 0x802e, "THIRD-PARTY-AUTHORIZATION";
    /// RFC 8016 §5.
    MOBILITY_TICKET = 0x8030, "MOBILITY-TICKET";
    /// [MS-TURN]: name of another relay.
    MS_ALTERNATE_HOST_NAME = 0x8032, "MS-ALTERNATE-HOST-NAME";
    /// [MS-TURN]: number of the application.
    MS_APP_ID = 0x8037, "MS-APP-ID";
    /// [MS-TURN].
    MS_SECURE_TAG = 0x8039, "MS-SECURE-TAG";
    /// [MS-TURN]: connection id and sequence number.
    MS_SEQUENCE_NUMBER = 0x8050, "MS-SEQUENCE-NUMBER";
    /// [MS-ICE2]: foundation of the sender's local candidate.
    CANDIDATE_IDENTIFIER = 0x8054, "MS-CANDIDATE-IDENTIFIER";
    /// [MS-TURN]: stream type and quality.
    MS_SERVICE_QUALITY = 0x8055, "MS-SERVICE-QUALITY";
    /// [MS-ICE2]: 3 and above can read RFC 5389.
    IMPLEMENTATION_VERSION = 0x8070, "MS-IMPLEMENTATION-VERSION";
    /// [MS-TURN]: the relayed address of the other family.
    MS_ALTERNATE_MAPPED_ADDRESS = 0x8090, "MS-ALTERNATE-MAPPED-ADDRESS";
    /// [MS-TURN] 2.2.3.
    MS_MULTIPLEXED_SESSION_ID = 0x8095, "MS-MULTIPLEXED-TURN-SESSION-ID";
    /// libwebrtc: network id and cost.
    GOOG_NETWORK_INFO = 0xc057, "GOOG-NETWORK-INFO";
}
