use crate::dialect::MS_TURN_COOKIE_ATTRIBUTE;
use crate::integrity::Rule;
use crate::{
    AttributeType, Class, Dialect, Fingerprint, IntegrityKey, Method, TransactionId, address,
    fingerprint, kind,
};
use std::net::SocketAddr;

/// Writes one message behind what a buffer holds already.
///
/// Attributes come in the order of the calls, then [`sign`](Self::sign), then
/// [`finish`](Self::finish), which adds the fingerprint. Nothing is allocated but the buffer.
///
/// ```
/// use linkspan_stun::{Class, Dialect, MessageBuilder, Method, TransactionId};
///
/// let mut octets = Vec::new();
/// let id = TransactionId::new([0; 12]);
/// let mut reply =
///     MessageBuilder::new(&mut octets, Dialect::Rfc8489, Class::Success, Method::Binding, id);
/// reply.xor_mapped_address("192.0.2.1:32853".parse()?);
/// assert_eq!(reply.finish()?, 40);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MessageBuilder<'b> {
    buffer: &'b mut Vec<u8>,
    start: usize,
    id: TransactionId,
    dialect: Dialect,
    padding: Option<u8>,
    fingerprint: Fingerprint,
    failed: Option<BuildError>,
}

impl<'b> MessageBuilder<'b> {
    /// Writes the header, and in MS-TURN the cookie attribute.
    pub fn new(
        buffer: &'b mut Vec<u8>,
        dialect: Dialect,
        class: Class,
        method: Method,
        id: TransactionId,
    ) -> Self {
        let start = buffer.len();
        let [t0, t1] = kind::join(class, method, dialect).to_be_bytes();
        buffer.extend_from_slice(&[t0, t1, 0, 0]);
        buffer.extend_from_slice(id.as_octets());
        if dialect == Dialect::MsTurn {
            buffer.extend_from_slice(&MS_TURN_COOKIE_ATTRIBUTE);
        }
        let fingerprint =
            if dialect.has_fingerprint() { Fingerprint::Standard } else { Fingerprint::None };
        let padding = dialect.is_padded().then_some(0);
        Self { buffer, start, id, dialect, padding, fingerprint, failed: None }
    }

    /// Says with which octet attribute values are filled to 32 bits, or that they are not, where the
    /// dialect's own way is not wanted: MS-ICE2 toward peers that pad, or a copy of a message whose
    /// padding was not zero.
    pub fn padding(&mut self, octet: Option<u8>) -> &mut Self {
        self.padding = octet;
        self
    }

    /// Says which fingerprint [`finish`](Self::finish) writes. Before [`sign`](Self::sign): in
    /// MS-ICE2 the integrity counts it.
    pub fn fingerprint(&mut self, fingerprint: Fingerprint) -> &mut Self {
        self.fingerprint = fingerprint;
        self
    }

    /// Any attribute.
    pub fn attribute(&mut self, kind: AttributeType, value: &[u8]) -> &mut Self {
        let Ok(len) = u16::try_from(value.len()) else {
            self.failed = Some(BuildError::TooLong);
            return self;
        };
        self.buffer.extend_from_slice(&kind.0.to_be_bytes());
        self.buffer.extend_from_slice(&len.to_be_bytes());
        self.buffer.extend_from_slice(value);
        if let Some(octet) = self.padding {
            let padding = usize::from(len).next_multiple_of(4) - usize::from(len);
            self.buffer.extend_from_slice([octet; 3].get(..padding).unwrap_or_default());
        }
        self
    }

    /// USERNAME (RFC 8489 §14.3); filled with NULs to a multiple of 4 in MS-ICE2 and MS-ICE.
    pub fn username(&mut self, username: &[u8]) -> &mut Self {
        match self.dialect {
            Dialect::MsIce2 | Dialect::MsIce1 => self.filled(AttributeType::USERNAME, username),
            _ => self.attribute(AttributeType::USERNAME, username),
        }
    }

    /// REALM (RFC 8489 §14.9), under the number it has in the dialect.
    pub fn realm(&mut self, realm: &[u8]) -> &mut Self {
        self.attribute(self.dialect.realm(), realm)
    }

    /// NONCE (RFC 8489 §14.10), under the number it has in the dialect.
    pub fn nonce(&mut self, nonce: &[u8]) -> &mut Self {
        self.attribute(self.dialect.nonce(), nonce)
    }

    /// SOFTWARE (RFC 8489 §14.14).
    pub fn software(&mut self, software: &str) -> &mut Self {
        self.attribute(AttributeType::SOFTWARE, software.as_bytes())
    }

    /// ERROR-CODE (RFC 8489 §14.8) with the code, 300 to 699, and a reason phrase.
    pub fn error_code(&mut self, code: u16, reason: &str) -> &mut Self {
        let (Ok(class), Ok(number)) = (u8::try_from(code / 100), u8::try_from(code % 100)) else {
            self.failed = Some(BuildError::TooLong);
            return self;
        };
        let mut value = Vec::with_capacity(4 + reason.len());
        value.extend_from_slice(&[0, 0, class, number]);
        value.extend_from_slice(reason.as_bytes());
        self.attribute(AttributeType::ERROR_CODE, &value)
    }

    /// UNKNOWN-ATTRIBUTES (RFC 8489 §14.13).
    pub fn unknown_attributes(&mut self, kinds: &[AttributeType]) -> &mut Self {
        let value: Vec<u8> = kinds.iter().flat_map(|kind| kind.0.to_be_bytes()).collect();
        self.attribute(AttributeType::UNKNOWN_ATTRIBUTES, &value)
    }

    /// An address in clear.
    pub fn address(&mut self, kind: AttributeType, address: SocketAddr) -> &mut Self {
        let (value, len) = address::octets(address);
        self.attribute(kind, value.get(..len).unwrap_or_default())
    }

    /// An obscured address (RFC 8489 §14.2).
    pub fn xor_address(&mut self, kind: AttributeType, address: SocketAddr) -> &mut Self {
        let mask = *self.id.as_octets();
        self.address(kind, address::xor(address, &mask))
    }

    /// XOR-MAPPED-ADDRESS (RFC 8489 §14.2), under the number it has in the dialect.
    pub fn xor_mapped_address(&mut self, address: SocketAddr) -> &mut Self {
        self.xor_address(self.dialect.xor_mapped_address(), address)
    }

    /// A number of 32 bits.
    pub fn u32(&mut self, kind: AttributeType, value: u32) -> &mut Self {
        self.attribute(kind, &value.to_be_bytes())
    }

    /// PRIORITY (RFC 8445 §16.1).
    pub fn priority(&mut self, priority: u32) -> &mut Self {
        self.u32(AttributeType::PRIORITY, priority)
    }

    /// USE-CANDIDATE (RFC 8445 §16.1).
    pub fn use_candidate(&mut self) -> &mut Self {
        self.attribute(AttributeType::USE_CANDIDATE, &[])
    }

    /// ICE-CONTROLLING (RFC 8445 §16.1).
    pub fn ice_controlling(&mut self, tie_breaker: u64) -> &mut Self {
        self.attribute(AttributeType::ICE_CONTROLLING, &tie_breaker.to_be_bytes())
    }

    /// ICE-CONTROLLED (RFC 8445 §16.1).
    pub fn ice_controlled(&mut self, tie_breaker: u64) -> &mut Self {
        self.attribute(AttributeType::ICE_CONTROLLED, &tie_breaker.to_be_bytes())
    }

    /// LIFETIME in seconds (RFC 8656 §18.2).
    pub fn lifetime_secs(&mut self, seconds: u32) -> &mut Self {
        self.u32(AttributeType::LIFETIME, seconds)
    }

    /// IMPLEMENTATION-VERSION ([MS-ICE2]).
    pub fn implementation_version(&mut self, version: u32) -> &mut Self {
        self.u32(AttributeType::IMPLEMENTATION_VERSION, version)
    }

    /// CANDIDATE-IDENTIFIER ([MS-ICE2]): a foundation, filled with NULs to a multiple of 4.
    pub fn candidate_identifier(&mut self, foundation: &[u8]) -> &mut Self {
        self.filled(AttributeType::CANDIDATE_IDENTIFIER, foundation)
    }

    /// Adds MESSAGE-INTEGRITY by the rule of the dialect. Only
    /// [`sign_sha256`](Self::sign_sha256) may follow.
    pub fn sign(&mut self, key: &IntegrityKey) -> &mut Self {
        let rule = match self.dialect {
            Dialect::Rfc8489 => Rule::Exact,
            _ => Rule::Padded,
        };
        // [MS-ICE2]: the hashed length is the final one.
        let counted = match (self.dialect, self.fingerprint) {
            (Dialect::MsIce2, Fingerprint::Standard | Fingerprint::Altered) => 24 + 8,
            _ => 24,
        };
        let len = self.body_len() + counted;
        let mac = key.sha1(self.message(), u16::try_from(len).unwrap_or(u16::MAX), rule);
        self.attribute(AttributeType::MESSAGE_INTEGRITY, &mac)
    }

    /// Adds MESSAGE-INTEGRITY-SHA256 (RFC 8489 §14.6), untruncated.
    pub fn sign_sha256(&mut self, key: &IntegrityKey) -> &mut Self {
        let len = self.body_len() + 36;
        let mac = key.sha256(self.message(), u16::try_from(len).unwrap_or(u16::MAX));
        self.attribute(AttributeType::MESSAGE_INTEGRITY_SHA256, &mac)
    }

    /// Adds the fingerprint, writes the length, and gives the octets of the whole message.
    ///
    /// # Errors
    ///
    /// [`BuildError`]; the buffer is then as it was before.
    pub fn finish(self) -> Result<usize, BuildError> {
        let has_fingerprint = self.fingerprint != Fingerprint::None;
        let body = self.body_len() + if has_fingerprint { 8 } else { 0 };
        let (Ok(len), None) = (u16::try_from(body), self.failed) else {
            self.buffer.truncate(self.start);
            return Err(self.failed.unwrap_or(BuildError::TooLong));
        };
        if let Some([_, _, length @ .., _, _, _, _]) =
            self.buffer.get_mut(self.start..).and_then(|m| m.first_chunk_mut::<8>())
        {
            *length = len.to_be_bytes();
        }
        if has_fingerprint {
            let message = self.buffer.get(self.start..).unwrap_or_default();
            let [a, b, c, d] = fingerprint::value(message, self.fingerprint).to_be_bytes();
            let [t0, t1] = AttributeType::FINGERPRINT.0.to_be_bytes();
            self.buffer.extend_from_slice(&[t0, t1, 0, 4, a, b, c, d]);
        }
        Ok(20 + body)
    }

    /// NULs inside the length, so that nobody has to ask about padding.
    fn filled(&mut self, kind: AttributeType, value: &[u8]) -> &mut Self {
        let mut filled = Vec::with_capacity(value.len() + 3);
        filled.extend_from_slice(value);
        filled.resize(value.len().next_multiple_of(4), 0);
        self.attribute(kind, &filled)
    }

    fn message(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    fn body_len(&self) -> usize {
        self.message().len().saturating_sub(20)
    }
}

/// Why a message could not be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A value, or the whole, passes 65,535 octets, or an error code is none.
    #[error("too long for a message")]
    TooLong,
}
