//! The attributes by name, as [`Message`] gives them.

use crate::{AttributeType, Dialect, Message};
use std::net::SocketAddr;

/// ERROR-CODE (RFC 8489 §14.8).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ErrorCode<'a> {
    /// 300 to 699.
    pub code: u16,
    /// The reason phrase; empty when it is not UTF-8.
    pub reason: &'a str,
}

/// Each getter gives `None` when the attribute is missing and when its value has the wrong form.
impl<'a> Message<'a> {
    /// USERNAME (RFC 8489 §14.3). MS-ICE2 and MS-ICE fill it with NULs, which are left out here.
    #[must_use]
    pub fn username(&self) -> Option<&'a [u8]> {
        let value = self.attribute(AttributeType::USERNAME)?;
        Some(match self.dialect() {
            Dialect::MsIce2 | Dialect::MsIce1 => trim_nul(value),
            _ => value,
        })
    }

    /// REALM (RFC 8489 §14.9), by the number it has in the dialect.
    #[must_use]
    pub fn realm(&self) -> Option<&'a [u8]> {
        self.attribute(self.dialect().realm())
    }

    /// NONCE (RFC 8489 §14.10), by the number it has in the dialect.
    #[must_use]
    pub fn nonce(&self) -> Option<&'a [u8]> {
        self.attribute(self.dialect().nonce())
    }

    /// SOFTWARE (RFC 8489 §14.14).
    #[must_use]
    pub fn software(&self) -> Option<&'a str> {
        std::str::from_utf8(self.attribute(AttributeType::SOFTWARE)?).ok()
    }

    /// ERROR-CODE (RFC 8489 §14.8).
    #[must_use]
    pub fn error_code(&self) -> Option<ErrorCode<'a>> {
        let (&[_, _, class, number], reason) =
            self.attribute(AttributeType::ERROR_CODE)?.split_first_chunk()?;
        let class = class & 7;
        if number > 99 || !(1..=6).contains(&class) {
            return None;
        }
        let code = u16::from(class) * 100 + u16::from(number);
        Some(ErrorCode { code, reason: std::str::from_utf8(reason).unwrap_or_default() })
    }

    /// UNKNOWN-ATTRIBUTES (RFC 8489 §14.13).
    pub fn unknown_attributes(&self) -> impl Iterator<Item = AttributeType> + use<'a> {
        let value = self.attribute(AttributeType::UNKNOWN_ATTRIBUTES).unwrap_or_default();
        value.as_chunks().0.iter().map(|octets| AttributeType(u16::from_be_bytes(*octets)))
    }

    /// MAPPED-ADDRESS (RFC 8489 §14.1). In an MS-TURN Allocate response the relayed address.
    #[must_use]
    pub fn mapped_address(&self) -> Option<SocketAddr> {
        self.address(AttributeType::MAPPED_ADDRESS)
    }

    /// XOR-MAPPED-ADDRESS (RFC 8489 §14.2), by the number it has in the dialect.
    #[must_use]
    pub fn xor_mapped_address(&self) -> Option<SocketAddr> {
        self.xor_address(self.dialect().xor_mapped_address())
    }

    /// ALTERNATE-SERVER (RFC 8489 §14.15), by the number it has in the dialect.
    #[must_use]
    pub fn alternate_server(&self) -> Option<SocketAddr> {
        self.address(match self.dialect() {
            Dialect::MsTurn => AttributeType::MS_ALTERNATE_SERVER,
            _ => AttributeType::ALTERNATE_SERVER,
        })
    }

    /// PRIORITY (RFC 8445 §16.1).
    #[must_use]
    pub fn priority(&self) -> Option<u32> {
        self.u32(AttributeType::PRIORITY)
    }

    /// USE-CANDIDATE (RFC 8445 §16.1).
    #[must_use]
    pub fn use_candidate(&self) -> bool {
        self.attribute(AttributeType::USE_CANDIDATE).is_some()
    }

    /// The tie-breaker of ICE-CONTROLLING (RFC 8445 §16.1).
    #[must_use]
    pub fn ice_controlling(&self) -> Option<u64> {
        self.u64(AttributeType::ICE_CONTROLLING)
    }

    /// The tie-breaker of ICE-CONTROLLED (RFC 8445 §16.1).
    #[must_use]
    pub fn ice_controlled(&self) -> Option<u64> {
        self.u64(AttributeType::ICE_CONTROLLED)
    }

    /// LIFETIME in seconds (RFC 8656 §18.2).
    #[must_use]
    pub fn lifetime_secs(&self) -> Option<u32> {
        self.u32(AttributeType::LIFETIME)
    }

    /// DATA (RFC 8656 §18.4).
    #[must_use]
    pub fn data(&self) -> Option<&'a [u8]> {
        self.attribute(AttributeType::DATA)
    }

    /// XOR-PEER-ADDRESS (RFC 8656 §18.3); in MS-TURN REMOTE-ADDRESS, which is in clear.
    #[must_use]
    pub fn peer_address(&self) -> Option<SocketAddr> {
        match self.dialect() {
            Dialect::MsTurn => self.address(AttributeType::XOR_PEER_ADDRESS),
            _ => self.xor_address(AttributeType::XOR_PEER_ADDRESS),
        }
    }

    /// XOR-RELAYED-ADDRESS (RFC 8656 §18.5); in MS-TURN the address in MAPPED-ADDRESS.
    #[must_use]
    pub fn relayed_address(&self) -> Option<SocketAddr> {
        match self.dialect() {
            Dialect::MsTurn => self.mapped_address(),
            _ => self.xor_address(AttributeType::XOR_RELAYED_ADDRESS),
        }
    }

    /// CHANNEL-NUMBER (RFC 8656 §18.1).
    #[must_use]
    pub fn channel_number(&self) -> Option<u16> {
        match *self.attribute(AttributeType::CHANNEL_NUMBER)? {
            [n0, n1, _, _] => Some(u16::from_be_bytes([n0, n1])),
            _ => None,
        }
    }

    /// IMPLEMENTATION-VERSION ([MS-ICE2]): 3 and above read RFC 5389's form.
    #[must_use]
    pub fn implementation_version(&self) -> Option<u32> {
        self.u32(AttributeType::IMPLEMENTATION_VERSION)
    }

    /// CANDIDATE-IDENTIFIER ([MS-ICE2]): a foundation, without the NULs that fill it.
    #[must_use]
    pub fn candidate_identifier(&self) -> Option<&'a [u8]> {
        self.attribute(AttributeType::CANDIDATE_IDENTIFIER).map(trim_nul)
    }
}

fn trim_nul(value: &[u8]) -> &[u8] {
    let mut value = value;
    while let [rest @ .., 0] = value {
        value = rest;
    }
    value
}
