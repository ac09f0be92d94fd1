use core::fmt;
use core::str::FromStr;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::TurnServer;
use crate::id::Side;

/// One side of the gateway: where it listens, where its media goes, what it negotiates.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub struct SideConfig {
    /// Signalling listeners; the first of a transport is the local address of what is sent over it.
    pub listeners: Vec<Listener>,
    /// Host, or host and port, of the gateway's Contact on this side; the listener's address
    /// where there is none.
    pub contact: Option<String>,
    /// Addresses that may call; empty takes anybody.
    pub peers: Vec<AddressRange>,
    /// Local address of media sockets.
    pub media_address: IpAddr,
    /// Address written into descriptions where it differs from [`media_address`](Self::media_address).
    pub advertised_address: Option<IpAddr>,
    /// First media port.
    pub first_port: u16,
    /// Last media port.
    pub last_port: u16,
    /// How far SRTP is demanded.
    pub encryption: Encryption,
    /// Connectivity establishment.
    pub ice: IceKind,
    /// TURN servers on which relayed candidates are allocated, where ICE is used.
    pub turn: Vec<TurnServer>,
    /// RTP and RTCP on one port, where the peer agrees.
    pub rtcp_mux: bool,
    /// Audio codecs in order of preference. Telephone events are always offered beside them.
    pub audio: Vec<AudioCodec>,
    /// Video: H.264 on the standards side, X-H264UC on the Lync side; `false` refuses it.
    pub video: bool,
    /// What is written about H.264; used on the standards side.
    pub h264: H264,
    /// How this side gets video of which packets were lost on the way to the gateway.
    pub damaged_video: DamagedVideo,
    /// Octets of one RTP payload at most.
    pub max_payload: usize,
}

impl SideConfig {
    /// Defaults of the Lync side: MS-ICE2, encryption required as in Lync's own default.
    #[must_use]
    pub fn lync() -> Self {
        Self {
            listeners: Vec::new(),
            contact: None,
            peers: Vec::new(),
            media_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            advertised_address: None,
            first_port: 40_000,
            last_port: 49_999,
            encryption: Encryption::Required,
            ice: IceKind::MsIce2,
            turn: Vec::new(),
            rtcp_mux: false,
            audio: vec![AudioCodec::G722, AudioCodec::Pcmu, AudioCodec::Pcma],
            video: true,
            h264: H264::default(),
            damaged_video: DamagedVideo::default(),
            max_payload: 1_200,
        }
    }

    /// Defaults of the standards side: encryption where the peer can, ICE where the peer can.
    #[must_use]
    pub fn standard() -> Self {
        Self {
            first_port: 50_000,
            last_port: 59_999,
            encryption: Encryption::Supported,
            ice: IceKind::Rfc8445,
            rtcp_mux: false,
            ..Self::lync()
        }
    }

    /// Defaults of either side.
    #[must_use]
    pub fn of(side: Side) -> Self {
        match side {
            Side::Lync => Self::lync(),
            Side::Standard => Self::standard(),
        }
    }

    /// The first listener of a transport.
    #[must_use]
    pub fn listener(&self, transport: SignallingTransport) -> Option<&Listener> {
        self.listeners.iter().find(|l| l.transport == transport)
    }

    /// The address that descriptions carry.
    #[must_use]
    pub fn advertised(&self) -> IpAddr {
        self.advertised_address.unwrap_or(self.media_address)
    }

    /// Whether `address` may call.
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.peers.is_empty() || self.peers.iter().any(|p| p.contains(address))
    }
}

impl Default for SideConfig {
    /// The standards side's defaults.
    fn default() -> Self {
        Self::standard()
    }
}

/// A signalling socket.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields, rename_all = "kebab-case"))]
pub struct Listener {
    /// Transport.
    pub transport: SignallingTransport,
    /// Local address.
    pub address: SocketAddr,
}

/// A transport of SIP.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum SignallingTransport {
    /// UDP; never toward Lync.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
}

impl SignallingTransport {
    /// `udp`, `tcp` or `tls`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }

    /// RFC 3261 §19.1.2.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
        }
    }
}

impl fmt::Display for SignallingTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SignallingTransport {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Udp, Self::Tcp, Self::Tls]
            .into_iter()
            .find(|t| t.name().eq_ignore_ascii_case(text))
            .ok_or(())
    }
}

/// How far SRTP is demanded; the names in parentheses are Lync's `EncryptionLevel`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Encryption {
    /// A call without SRTP is refused (`RequireEncryption`).
    Required,
    /// SRTP where the peer can (`SupportEncryption`).
    Supported,
    /// Never SRTP (`DoNotSupportEncryption`).
    None,
}

/// How a side finds its media path.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum IceKind {
    /// No ICE: the description's address, corrected by where packets come from.
    None,
    /// RFC 8445.
    Rfc8445,
    /// MS-ICE2: Lync 2010 and later.
    MsIce2,
}

/// An audio codec that the gateway passes: it does not transcode.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum AudioCodec {
    /// G.722 at 64 kbit/s.
    G722,
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

/// H.264 as the standards side's descriptions state it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields, rename_all = "kebab-case"))]
#[non_exhaustive]
pub struct H264 {
    /// Six hex digits (RFC 6184 §8.1): `42e01f`, Constrained Baseline at level 3.1, because that
    /// is what a Lync stream is.
    pub profile_level_id: String,
    /// Packetization modes offered.
    pub packetization_modes: PacketizationModes,
    /// NAL units larger than a packet go as FU-A also to a receiver that declares mode 0. RFC 6184
    /// §6.2 forbids it, so it is for peers that are known to read them whatever they declare, as
    /// baresip does; default `false`.
    pub fragments_in_mode_0: bool,
}

impl Default for H264 {
    fn default() -> Self {
        Self {
            profile_level_id: "42e01f".into(),
            packetization_modes: PacketizationModes::Both,
            fragments_in_mode_0: false,
        }
    }
}

/// What becomes of video of which packets were lost on the way to the gateway.
///
/// It has no decoder, so it cannot mend a picture; whichever way is chosen, it asks the sender for a
/// keyframe, at most once a second.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum DamagedVideo {
    /// All that a decoder can use goes on: every whole slice, and the beginning of one whose later
    /// fragments are missing. A picture that is a third wrong and moves serves people better than a
    /// perfect one that stands, and many senders write a picture as a single slice, of which under
    /// heavy loss few come through whole. The default.
    #[default]
    Conceal,
    /// Whole slices only, for decoders that stumble over one that ends early.
    WholeSlices,
    /// Pictures that decode exactly, and no others: the picture stands from a loss to the next
    /// keyframe, 5 seconds at most; what needs nothing of what is missing goes on. For receivers
    /// without concealment, and for recordings.
    Freeze,
}

/// Packetization modes of RFC 6184 that the gateway offers.
///
/// Mode 0 has no fragments: a NAL unit larger than the payload size cannot be sent to such a
/// receiver. The gateway drops it, counts it and reports it, unless
/// [`H264::fragments_in_mode_0`] says that the receiver takes fragments; it does not re-encode.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum PacketizationModes {
    /// Mode 1 preferred, mode 0 for those who can only that.
    Both,
    /// Mode 1 only.
    NonInterleaved,
    /// Mode 0 only.
    SingleNal,
}

/// An address, or the addresses that share a prefix: `192.0.2.7`, `192.0.2.0/24`.
///
/// ```
/// use linkspan_gateway::AddressRange;
///
/// let range: AddressRange = "192.0.2.0/24".parse().unwrap();
/// assert!(range.contains("192.0.2.9".parse().unwrap()));
/// assert!(!range.contains("192.0.3.9".parse().unwrap()));
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
#[cfg_attr(feature = "serde", serde(try_from = "String", into = "String"))]
pub struct AddressRange {
    address: IpAddr,
    prefix: u8,
}

impl AddressRange {
    /// Whether `address` is inside. IPv4 addresses mapped into IPv6 count as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                a.to_bits() & mask == b.to_bits() & mask
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                a.to_bits() & mask == b.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl FromStr for AddressRange {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const EXPECTED: &str = "expected an address, or an address, a slash and a prefix length";
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| EXPECTED)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.parse().map_err(|_| EXPECTED)?,
            None => longest,
        };
        if prefix > longest { Err(EXPECTED) } else { Ok(Self { address, prefix }) }
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl TryFrom<String> for AddressRange {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        text.parse()
    }
}

impl From<AddressRange> for String {
    fn from(range: AddressRange) -> Self {
        range.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_ranges_contain_their_prefix() {
        for (range, address, inside) in [
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("192.0.2.0/24", "::ffff:192.0.2.200", true),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("::/0", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
        ] {
            let range: AddressRange = range.parse().unwrap();
            assert_eq!(range.contains(address.parse().unwrap()), inside, "{range} {address}");
        }
        for text in ["", "192.0.2.0/33", "::/129", "a/8", "192.0.2.0/-1"] {
            assert!(text.parse::<AddressRange>().is_err(), "{text}");
        }
    }
}
