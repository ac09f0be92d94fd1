/// How a [`Sender`](crate::Sender) or [`Receiver`](crate::Receiver) works.
///
/// ```
/// use linkspan_srtp::Options;
/// let options = Options { replay_window: 1024, ..Options::default() };
/// assert!(options.encrypt_rtcp);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Options {
    /// RTP packets that a packet may lag behind the newest of its source; at least 64, rounded up
    /// to a multiple of 64, at most 32,768. Default 512: simulcast over relays reorders.
    pub replay_window: usize,
    /// The same for RTCP. Default 128.
    pub rtcp_replay_window: usize,
    /// Sources a context keeps state for. Default 4,096.
    pub max_sources: usize,
    /// Packets between derivations of the session keys (RFC 3711 §4.3.1): 0 for never, or a power
    /// of two up to 2^24. Default 0.
    pub key_derivation_rate: u32,
    /// Whether RTP is encrypted; off by the session parameter `UNENCRYPTED_SRTP`. Default on.
    pub encrypt_rtp: bool,
    /// Whether RTCP is encrypted; off by the session parameter `UNENCRYPTED_SRTCP`. Default on.
    pub encrypt_rtcp: bool,
    /// Sender: allows a packet to be protected again under the same sequence number, for
    /// retransmission of the *same* packet. Default off.
    pub allow_repeat: bool,
    /// Whether the lifetime of an SDES line counts. Default off, as Lync writes `2^31` and does
    /// not stop there; the limits of RFC 3711 §9.2 always hold.
    pub enforce_lifetime: bool,
    /// Receiver: rollover counters beyond the first that are tried on the first packet of a
    /// source, for a sender joined late (RFC 3711 §3.3.1 leaves that to signalling). Each costs
    /// one tag computation per packet of an unknown source. Default 1: the case that the first
    /// packets before a rollover were lost.
    pub late_join_rollovers: u32,
    /// Encryption of header extensions. Default none.
    pub header_extensions: HeaderExtensions,
}

/// How RTP header extensions are treated.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum HeaderExtensions {
    /// They stay readable, authenticated only (RFC 3711).
    #[default]
    Plain,
    /// The elements with these ids are encrypted (RFC 6904, `urn:ietf:params:rtp-hdrext:encrypt`).
    Rfc6904(Vec<u8>),
    /// CSRC list and extension are encrypted as a whole (RFC 9335, `a=cryptex`). A sender uses it
    /// for every packet with CSRCs and an extension or an extension alone; a receiver reads both
    /// forms.
    Cryptex,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            replay_window: 512,
            rtcp_replay_window: 128,
            max_sources: 4096,
            key_derivation_rate: 0,
            encrypt_rtp: true,
            encrypt_rtcp: true,
            allow_repeat: false,
            enforce_lifetime: false,
            late_join_rollovers: 1,
            header_extensions: HeaderExtensions::Plain,
        }
    }
}
