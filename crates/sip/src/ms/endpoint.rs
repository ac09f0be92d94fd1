//! The name of an endpoint, derived from its epid.

use sha1::{Digest, Sha1};

/// The UUID of `+sip.instance` that belongs to an epid, as text. A registrar takes it for the
/// endpoint's own.
///
/// ```
/// use linkspan_sip::ms::sip_instance;
///
/// assert_eq!(sip_instance("3a43b1dfd069"), "fa940bd8-0951-54bb-8f90-7a9cb457a6b7");
/// ```
pub fn sip_instance(epid: &str) -> String {
    // The name space fcacfb03-8a73-46ef-91b1-e5ebeeaba4fe, its first three fields little-endian.
    const NAME_SPACE: [u8; 16] = [
        0x03, 0xfb, 0xac, 0xfc, 0x73, 0x8a, 0xef, 0x46, 0x91, 0xb1, 0xe5, 0xeb, 0xee, 0xab, 0xa4,
        0xfe,
    ];
    let hash: [u8; 20] = Sha1::new().chain_update(NAME_SPACE).chain_update(epid).finalize().into();
    let [a0, a1, a2, a3, b0, b1, c0, c1, d0, d1, e @ .., _, _, _, _] = hash;
    let (a, b) = (u32::from_le_bytes([a0, a1, a2, a3]), u16::from_le_bytes([b0, b1]));
    // RFC 4122 §4.3: version 5, and its variant.
    let c = u16::from_le_bytes([c0, c1]) & 0x0fff | 0x5000;
    let d = u16::from_be_bytes([d0 & 0x3f | 0x80, d1]);
    let e: String = e.iter().map(|octet| format!("{octet:02x}")).collect();
    format!("{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e}")
}
