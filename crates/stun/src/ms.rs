//! What only the Microsoft dialects have.

use crate::{Dialect, Fingerprint, IntegrityKey, Message, fingerprint};

/// The same MS-ICE2 message with the altered fingerprint, where that is another one.
///
/// [MS-ICE2] 3.1.4.8.2.1: products before Lync 2013 want it, and its sender cannot know yet.
#[must_use]
pub fn altered_copy(message: &[u8]) -> Option<Vec<u8>> {
    let parsed = Message::parse(message, Dialect::MsIce2).ok()?;
    if !parsed.has_fingerprint() {
        return None;
    }
    let (covered, rest) = message.split_at_checked(message.len().checked_sub(8)?)?;
    let value = fingerprint::value(covered, Fingerprint::Altered).to_be_bytes();
    (rest.get(4..)? != value).then(|| {
        let mut copy = Vec::with_capacity(message.len());
        copy.extend_from_slice(covered);
        copy.extend_from_slice(rest.get(..4).unwrap_or_default());
        copy.extend_from_slice(&value);
        copy
    })
}

/// The long-term key of MS-TURN: as in RFC 5389, with the quotation marks that real relays put
/// around their realm left out. The realm in the message keeps them.
///
/// `username` and `password` are octets: what the credential service gave, decoded from base64.
#[must_use]
pub fn long_term_key(username: &[u8], realm: &[u8], password: &[u8]) -> IntegrityKey {
    IntegrityKey::long_term_md5(username, unquoted(realm), password)
}

fn unquoted(realm: &[u8]) -> &[u8] {
    let mut realm = realm;
    while let [b'"', rest @ ..] = realm {
        realm = rest;
    }
    while let [rest @ .., b'"' | 0] = realm {
        realm = rest;
    }
    realm
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotation_marks_stay_out_of_the_key() {
        assert_eq!(unquoted(b"\"rtcmedia\""), b"rtcmedia");
        assert_eq!(unquoted(b"realm01"), b"realm01");
        assert_eq!(unquoted(b"\"\0"), b"");
    }
}
