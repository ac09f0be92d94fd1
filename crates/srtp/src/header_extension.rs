//! Encryption of RTP header extensions: RFC 6904 by element, RFC 9335 (Cryptex) as a whole.

use linkspan_rtp::HeaderExtension;

use crate::crypto::SessionKeys;
use crate::header::RtpHeader;

/// Adds the key stream of RFC 6904 to the elements with these ids: encrypts and decrypts.
pub(crate) fn mask_elements(
    keys: &SessionKeys,
    ids: &[u8],
    header: RtpHeader,
    index: u64,
    packet: &mut [u8],
) {
    let Some((aes, salt)) = &keys.header else { return };
    let Some(extension) = packet.get_mut(header.fixed_len..header.len) else { return };
    let Some((&mut [p0, p1, _, _], data)) = extension.split_first_chunk_mut() else { return };
    let profile = u16::from_be_bytes([p0, p1]);

    // RFC 6904 §3: the key stream runs along the whole extension data, and is applied to the data
    // of the chosen elements only. Which ones they are can be read from what stays in clear.
    let iv = salt ^ (u128::from(header.ssrc) << 64) ^ (u128::from(index) << 16);
    let mut done = 0;
    loop {
        // Masking touches data octets only: the framing stays, and reading goes on behind.
        let rest = data.get(done..).unwrap_or_default();
        let chosen = HeaderExtension { profile, data: rest }
            .elements()
            .map_while(Result::ok)
            .find(|element| ids.contains(&element.id))
            .map(|element| (done + element.at, element.data.len()));
        let Some((at, len)) = chosen else { return };
        done = at + len;
        let Some(element) = data.get_mut(at..done) else { return };
        aes.apply_at(iv, at, element);
    }
}

/// Whether the extension announces the form of RFC 9335.
pub(crate) fn is_cryptex(header: RtpHeader, packet: &[u8]) -> bool {
    let profile = packet.get(header.fixed_len..).and_then(|rest| rest.first_chunk::<2>());
    matches!(profile, Some([0xc0 | 0xc2, 0xde]))
}

/// Puts a packet with CSRC list and extension in the order in which RFC 9335 §6.1 encrypts it:
/// the four octets of the extension's header before the CSRC list, so that all that is encrypted
/// lies together behind 16 octets. Gives the number of octets in clear.
pub(crate) fn gather(header: RtpHeader, packet: &mut [u8]) -> usize {
    if let Some(span) = packet.get_mut(FIXED_LEN..header.fixed_len + 4) {
        span.rotate_right(4);
    }
    FIXED_LEN + 4
}

/// Undoes [`gather`].
pub(crate) fn scatter(header: RtpHeader, packet: &mut [u8]) {
    if let Some(span) = packet.get_mut(FIXED_LEN..header.fixed_len + 4) {
        span.rotate_left(4);
    }
}

/// Exchanges the "defined by profile" values of RFC 8285 and RFC 9335 §5.1; `false` when the
/// extension has another one.
pub(crate) fn set_profile(header: RtpHeader, packet: &mut [u8], encrypted: bool) -> bool {
    let field = packet.get_mut(header.fixed_len..).and_then(|rest| rest.first_chunk_mut::<2>());
    let Some(field) = field else { return false };
    let to = match (u16::from_be_bytes(*field), encrypted) {
        (0xbede, true) => 0xc0de_u16,
        (0xc0de, false) => 0xbede,
        // RFC 9335 defines the two-byte form with appbits 0 only.
        (0x1000, true) => 0xc2de,
        (0xc2de, false) => 0x1000,
        _ => return false,
    };
    *field = to.to_be_bytes();
    true
}

/// RFC 3550 §5.1: octets before the CSRC list.
const FIXED_LEN: usize = 12;
