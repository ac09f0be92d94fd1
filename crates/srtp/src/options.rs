use crate::Suite;

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
    /// Receiver: how many further rollover counters are tried when a packet does not verify with
    /// the one that RFC 3711 §3.3.1 estimates: for a sender joined late, and after a gap of more
    /// than 2^15 packets, which the estimate alone never recovers from. Each costs one more tag
    /// computation per packet that fails. Default 1.
    pub rollover_search: u16,
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
            rollover_search: 1,
            header_extensions: HeaderExtensions::Plain,
        }
    }
}

impl Options {
    /// The options as they work with this suite.
    pub(crate) fn for_suite(mut self, suite: Suite) -> Self {
        if suite == Suite::NullHmacSha1_80 {
            // What is not encrypted must not say that it is (RFC 3711 §3.4, E flag).
            (self.encrypt_rtp, self.encrypt_rtcp) = (false, false);
        }
        self
    }
}
