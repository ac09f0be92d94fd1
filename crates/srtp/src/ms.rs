//! The Microsoft room: what Lync and Skype for Business do differently about SRTP keys.
//!
//! Lync knows one suite, writes the lifetime `2^31` and does not keep to it (see
//! [`Options::enforce_lifetime`](crate::Options::enforce_lifetime)), and offers each key twice:
//! with a one-octet MKI and without. Session parameters it does not know. A line with the MKI
//! means that one octet `0x01` stands before the tag of every packet.

use crate::{CryptoLine, KeyParams, SessionParams, Suite};

/// The one suite of Lync (\[MS-SDPEXT\] 3.1.5.1).
pub const SUITE: Suite = Suite::AesCm128HmacSha1_80;

/// The lifetime that Lync writes.
pub const LIFETIME: u64 = 1 << 31;

/// The lines that a Lync client offers for one key: with MKI first, then without. Tags count from
/// `first_tag`.
///
/// ```
/// use linkspan_srtp::{KeyParams, ms};
/// let key = KeyParams::from_seed(ms::SUITE, [7; 32]);
/// let [with_mki, without] = ms::offer_lines(&key, 2);
/// assert!(with_mki.to_string().ends_with("|2^31|1:1"));
/// assert!(without.to_string().ends_with("|2^31"));
/// ```
#[must_use]
pub fn offer_lines(key: &KeyParams, first_tag: u32) -> [CryptoLine; 2] {
    let plain = KeyParams { lifetime: Some(LIFETIME), mki: None, ..key.clone() };
    let with_mki = KeyParams { mki: crate::line::lync_mki(), ..plain.clone() };
    let line = |tag, key: KeyParams| CryptoLine {
        tag,
        suite: key.master.suite(),
        keys: vec![key],
        session: SessionParams::default(),
    };
    [line(first_tag, with_mki), line(first_tag.wrapping_add(1), plain)]
}

/// The line that answers a Lync client: the offer's tag, and its shape — lifetime and MKI where
/// the offer had them — around a key of one's own.
///
/// ```
/// use linkspan_srtp::{CryptoLine, KeyParams, ms};
/// let key = "inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR|2^31|1:1";
/// let offer = CryptoLine::parse(&format!("2 AES_CM_128_HMAC_SHA1_80 {key}"))?;
/// let answer = ms::answer_line(&offer, KeyParams::from_seed(ms::SUITE, [8; 32]));
/// assert_eq!(answer.tag, 2);
/// assert_eq!(answer.keys[0].mki, offer.keys[0].mki);
/// assert_ne!(answer.keys[0].master, offer.keys[0].master);
/// # Ok::<(), linkspan_srtp::SdesError>(())
/// ```
#[must_use]
pub fn answer_line(offer: &CryptoLine, key: KeyParams) -> CryptoLine {
    let shape = offer.keys.first();
    let lifetime = shape.and_then(|shape| shape.lifetime);
    let mki = shape.and_then(|shape| shape.mki);
    CryptoLine {
        tag: offer.tag,
        suite: key.master.suite(),
        keys: vec![KeyParams { lifetime, mki, ..key }],
        session: SessionParams::default(),
    }
}
