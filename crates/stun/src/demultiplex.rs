/// What a packet on a media socket is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum PacketKind {
    /// STUN: TURN control, ICE checks.
    Stun,
    /// TURN ChannelData (RFC 8656 §12.4).
    ChannelData,
    /// Multiplexed MS-TURN data ([MS-TURN] 2.2.3).
    MsMultiplexed,
    /// DTLS.
    Dtls,
    /// RTP.
    Rtp,
    /// RTCP (RFC 5761 §4).
    Rtcp,
    /// None of them.
    Unknown,
}

/// Tells what a packet is by its first octets (RFC 7983 §7, RFC 9443 §3, RFC 5761 §4).
///
/// Octets that look like STUN are never media, whatever their fingerprint says.
///
/// ```
/// use linkspan_stun::{PacketKind, demultiplex};
///
/// assert_eq!(demultiplex(&[0x80, 0x60, 0, 1]), PacketKind::Rtp);
/// assert_eq!(demultiplex(&[0x80, 200, 0, 6]), PacketKind::Rtcp);
/// assert_eq!(demultiplex(&[0x00, 0x01, 0, 0]), PacketKind::Stun);
/// ```
#[must_use]
pub const fn demultiplex(packet: &[u8]) -> PacketKind {
    match packet {
        [0..=3, _, ..] => PacketKind::Stun,
        [20..=63, ..] => PacketKind::Dtls,
        [64..=79, _, _, _, ..] => PacketKind::ChannelData,
        // RFC 5761 §4: packet types 192 to 223 are RTCP, RTP with marker and payload types 64 to
        // 95 is not used together with it.
        [128..=191, 192..=223, ..] => PacketKind::Rtcp,
        [128..=191, _, ..] => PacketKind::Rtp,
        [0xff, 0x10, ..] => PacketKind::MsMultiplexed,
        _ => PacketKind::Unknown,
    }
}
