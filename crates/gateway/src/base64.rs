//! Base64 (RFC 4648 §4).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub(crate) fn encode(octets: &[u8]) -> String {
    STANDARD.encode(octets)
}

/// `None` for what is no base64.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}
