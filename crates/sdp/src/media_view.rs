//! A media section, read, with what it inherits from the session.

mod ms;
mod sources;

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::attribute::{
    Capability, ConnectionUse, ExtMap, Fingerprint, Group, RtcpFeedback, RtpMap, Setup,
};
use crate::mline::decimal;
use crate::section::Lines;
use crate::{
    Attribute, Bandwidth, Candidate, Connection, Crypto, Direction, EncryptionHint, Media,
    MediaKind, MediaLine, RtpProfile,
};

/// A media section of a description, with what it inherits from the session.
///
/// Methods read the lines when they are called; nothing is cached. Those that return typed values
/// skip lines that do not parse; what is wrong with such a line, `attributes` and the type's own
/// `parse` tell.
#[derive(Clone, Copy, Debug)]
pub struct MediaView<'a> {
    session: Lines<'a>,
    head: Head<'a>,
    lines: Lines<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Head<'a> {
    Line(MediaLine<'a>),
    Owned(&'a Media),
}

/// The `m=` line and what RTP needs of it.
impl<'a> MediaView<'a> {
    pub(crate) const fn new(session: Lines<'a>, line: MediaLine<'a>, lines: Lines<'a>) -> Self {
        Self { session, head: Head::Line(line), lines }
    }

    pub(crate) const fn from_owned(session: Lines<'a>, media: &'a Media, lines: Lines<'a>) -> Self {
        Self { session, head: Head::Owned(media), lines }
    }

    /// Kind of media.
    #[must_use]
    pub fn kind(&self) -> MediaKind {
        match self.head {
            Head::Line(line) => MediaKind::from_token(line.kind),
            Head::Owned(media) => media.kind.clone(),
        }
    }

    /// Port; 0 is a section that is not used.
    #[must_use]
    pub const fn port(&self) -> u16 {
        match self.head {
            Head::Line(line) => line.port,
            Head::Owned(media) => media.port,
        }
    }

    /// Number of ports.
    #[must_use]
    pub const fn ports(&self) -> Option<u16> {
        match self.head {
            Head::Line(line) => line.ports,
            Head::Owned(media) => media.ports,
        }
    }

    /// Transport profile, as written.
    #[must_use]
    pub fn proto(&self) -> &'a str {
        match self.head {
            Head::Line(line) => line.proto,
            Head::Owned(media) => media.proto.as_str(),
        }
    }

    /// What the transport profile means.
    #[must_use]
    pub fn profile(&self) -> RtpProfile {
        RtpProfile::of(self.proto())
    }

    /// Formats, in order.
    pub fn formats(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let (line, owned) = match self.head {
            Head::Line(line) => (Some(line.formats()), None),
            Head::Owned(media) => (None, Some(media.formats.iter().map(String::as_str))),
        };
        line.into_iter().flatten().chain(owned.into_iter().flatten())
    }

    /// The formats that are RTP payload types, in order, each once.
    pub fn payload_types(&self) -> impl Iterator<Item = u8> + use<'a> {
        // One bit per number: whoever looks something up for each does so 128 times at most.
        let mut seen = 0_u128;
        self.formats().filter_map(decimal::<u8>).filter(move |pt| {
            let bit = 1_u128.checked_shl(u32::from(*pt)).unwrap_or(0);
            let new = bit != 0 && seen & bit == 0;
            seen |= bit;
            new
        })
    }
}

/// Lines, and attributes in general.
impl<'a> MediaView<'a> {
    /// Letter and value of every line after the `m=` line, in order.
    pub fn lines(&self) -> impl Iterator<Item = (char, &'a str)> + use<'a> {
        self.lines.iter().filter(|(l, _)| *l != 0).map(|(letter, value)| (letter.into(), value))
    }

    /// The attributes of this section, in order, without inherited ones.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'a>> + use<'a> {
        self.lines.attributes()
    }

    /// The value of the first attribute of a name in this section; empty for a flag.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&'a str> {
        self.lines.attribute(name)
    }

    /// The same, from the session when this section has none.
    #[must_use]
    pub fn inherited(&self, name: &str) -> Option<&'a str> {
        self.lines.attribute(name).or_else(|| self.session.attribute(name))
    }

    /// The values of all attributes of a name in this section.
    pub fn all<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        let lines = self.lines;
        lines.attributes().filter(move |a| a.name == name).map(|a| a.value.unwrap_or_default())
    }

    /// The connection, this section's or the session's.
    #[must_use]
    pub fn connection(&self) -> Option<Connection<'a>> {
        self.lines.first(b'c').or_else(|| self.session.first(b'c')).and_then(Connection::parse)
    }

    /// The `b=` lines of this section.
    pub fn bandwidths(&self) -> impl Iterator<Item = Bandwidth<'a>> + use<'a> {
        self.lines.all(b'b').filter_map(Bandwidth::parse)
    }

    /// The `b=` lines of the session.
    pub fn session_bandwidths(&self) -> impl Iterator<Item = Bandwidth<'a>> + use<'a> {
        self.session.all(b'b').filter_map(Bandwidth::parse)
    }

    /// Which way media flows, seen from the writer; inherited, `sendrecv` when unsaid.
    #[must_use]
    pub fn direction(&self) -> Direction {
        let find = |lines: Lines<'a>| lines.attributes().find_map(|a| Direction::from_name(a.name));
        find(self.lines).or_else(|| find(self.session)).unwrap_or_default()
    }

    /// The direction, with the old way of holding (RFC 3264 §8.4: `c=0.0.0.0`) read as not
    /// receiving. An unspecified address in a description that does ICE holds nothing (RFC 8840).
    #[must_use]
    pub fn effective_direction(&self) -> Direction {
        let direction = self.direction();
        let held = self.connection().and_then(|c| c.ip()).is_some_and(|ip| ip.is_unspecified())
            && self.ice_credentials().is_none();
        if held { Direction::new(direction.sends(), false) } else { direction }
    }
}

/// RTP.
impl<'a> MediaView<'a> {
    /// The mapping of a payload type: its `a=rtpmap`, or what RFC 3551 §6 has for a static one.
    #[must_use]
    pub fn rtpmap(&self, payload_type: u8) -> Option<RtpMap<'a>> {
        self.rtpmaps()
            .find(|(pt, _)| *pt == payload_type)
            .map(|(_, map)| map)
            .or_else(|| RtpMap::static_of(payload_type))
    }

    /// The `a=rtpmap` lines, in order.
    pub fn rtpmaps(&self) -> impl Iterator<Item = (u8, RtpMap<'a>)> + use<'a> {
        self.all("rtpmap").filter_map(|value| RtpMap::parse(value).ok())
    }

    /// The parameters of a payload type.
    #[must_use]
    pub fn fmtp(&self, payload_type: u8) -> Option<&'a str> {
        self.all("fmtp").find_map(|value| {
            let (format, parameters) = crate::mline::split_token(value);
            (decimal(format) == Some(payload_type)).then_some(parameters)
        })
    }

    /// `a=ptime` in milliseconds.
    #[must_use]
    pub fn ptime(&self) -> Option<u16> {
        self.whole_milliseconds("ptime")
    }

    /// `a=maxptime` in milliseconds.
    #[must_use]
    pub fn maxptime(&self) -> Option<u16> {
        self.whole_milliseconds("maxptime")
    }

    /// `a=rtcp` (RFC 3605): the port, and the address when one is named.
    #[must_use]
    pub fn rtcp(&self) -> Option<(u16, Option<Connection<'a>>)> {
        let (port, rest) = crate::mline::split_token(self.attribute("rtcp")?);
        Some((decimal(port)?, Connection::parse(rest)))
    }

    /// Where RTP is expected, when it is said in numbers.
    #[must_use]
    pub fn rtp_address(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.connection()?.ip()?, self.port()))
    }

    /// Where RTCP is expected (RFC 3605; RFC 3550 §11): the next port when it is not said.
    #[must_use]
    pub fn rtcp_address(&self) -> Option<SocketAddr> {
        let rtp = self.rtp_address()?;
        let next = SocketAddr::new(rtp.ip(), rtp.port().saturating_add(1));
        Some(match self.rtcp() {
            None => next,
            Some((port, connection)) => {
                let ip = connection.and_then(|c| c.ip()).unwrap_or_else(|| rtp.ip());
                SocketAddr::new(ip, port)
            }
        })
    }

    /// RTCP may share the RTP port (RFC 5761).
    #[must_use]
    pub fn rtcp_mux(&self) -> bool {
        self.attribute("rtcp-mux").is_some()
    }

    /// RTCP has no port of its own (RFC 8858).
    #[must_use]
    pub fn rtcp_mux_only(&self) -> bool {
        self.attribute("rtcp-mux-only").is_some()
    }

    /// Reduced-size RTCP (RFC 5506).
    #[must_use]
    pub fn rtcp_rsize(&self) -> bool {
        self.attribute("rtcp-rsize").is_some()
    }

    /// `a=rtcp-fb` lines (RFC 4585 §4.2).
    pub fn rtcp_feedback(&self) -> impl Iterator<Item = RtcpFeedback<'a>> + use<'a> {
        self.all("rtcp-fb").filter_map(|value| RtcpFeedback::parse(value).ok())
    }

    /// `a=extmap` lines that parse (RFC 8285), the session's first: numbers there hold for every
    /// section.
    pub fn header_extensions(&self) -> impl Iterator<Item = ExtMap<'a>> + use<'a> {
        let lines = self.session.attributes().chain(self.lines.attributes());
        lines.filter(|a| a.name == "extmap").filter_map(|a| ExtMap::parse(a.value?).ok())
    }

    /// What the section and the session say in terms of capability negotiation (RFC 5939), the
    /// session's first.
    pub fn capabilities(&self) -> impl Iterator<Item = Capability<'a>> + use<'a> {
        let lines = self.session.attributes().chain(self.lines.attributes());
        lines
            .filter(|a| Capability::is_name(a.name))
            .filter_map(|a| Capability::parse(a.name, a.value.unwrap_or_default()).ok())
    }

    /// Whether the section offers capabilities beyond the actual configuration (RFC 5939), which
    /// may be answered without: `a=pcfg`.
    #[must_use]
    pub fn has_potential_configurations(&self) -> bool {
        self.attribute("pcfg").is_some()
    }

    /// Media identification (RFC 5888).
    #[must_use]
    pub fn mid(&self) -> Option<&'a str> {
        self.attribute("mid")
    }

    /// `a=bundle-only` (RFC 9143 §6): with port 0, a section that is to be used in its group only.
    #[must_use]
    pub fn bundle_only(&self) -> bool {
        self.attribute("bundle-only").is_some()
    }

    /// `a=label` (RFC 4574); a role name in Lync's dialect.
    #[must_use]
    pub fn label(&self) -> Option<&'a str> {
        self.attribute("label").map(|label| label.trim_matches(' '))
    }

    /// `a=content` (RFC 4796).
    #[must_use]
    pub fn content(&self) -> Option<&'a str> {
        self.attribute("content")
    }

    /// The identification tags that are grouped with this section's (RFC 5888, RFC 9143).
    pub fn groups(&self) -> impl Iterator<Item = Group<'a>> + use<'a> {
        let mid = self.mid();
        self.session
            .attributes()
            .filter(|a| a.name == "group")
            .map(|a| Group::parse(a.value.unwrap_or_default()))
            .filter(move |group| mid.is_some_and(|mid| group.contains(mid)))
    }

    /// The most that the writer wants to receive, in bit/s: `b=TIAS` and `b=AS` of this section.
    /// `b=CT` is no limit of a section, and Lync's is a constant.
    #[must_use]
    pub fn bandwidth_bps(&self) -> Option<u64> {
        let of = |kind, scale: u64| {
            let found = self.bandwidths().find(|b| b.kind == kind);
            found.map(|b| b.value.saturating_mul(scale))
        };
        of("TIAS", 1).or_else(|| of("AS", 1_000))
    }

    fn whole_milliseconds(&self, name: &str) -> Option<u16> {
        // RFC 8866 §6.4 lets a fraction follow.
        let value = self.inherited(name)?.trim_matches(' ');
        decimal(value.split('.').next()?)
    }
}

/// Keys.
impl<'a> MediaView<'a> {
    /// `a=crypto` lines that parse (RFC 4568).
    #[must_use]
    pub fn crypto(&self) -> Vec<Crypto> {
        self.all("crypto").filter_map(|value| Crypto::parse(value).ok()).collect()
    }

    /// `a=encryption`.
    #[must_use]
    pub fn encryption_hint(&self) -> Option<EncryptionHint> {
        EncryptionHint::from_value(self.inherited("encryption")?)
    }

    /// `a=fingerprint` lines (RFC 8122), the session's when this section has none.
    #[must_use]
    pub fn fingerprints(&self) -> Vec<Fingerprint<'a>> {
        let of = |lines: Lines<'a>| -> Vec<_> {
            lines.named("fingerprint").filter_map(|v| Fingerprint::parse(v).ok()).collect()
        };
        let own = of(self.lines);
        if own.is_empty() { of(self.session) } else { own }
    }

    /// `a=setup` (RFC 4145), inherited.
    #[must_use]
    pub fn setup(&self) -> Option<Setup> {
        Setup::from_name(self.inherited("setup")?)
    }

    /// `a=connection` (RFC 4145), inherited.
    #[must_use]
    pub fn connection_use(&self) -> Option<ConnectionUse> {
        ConnectionUse::from_name(self.inherited("connection")?)
    }

    /// `a=tls-id` (RFC 8842): names the DTLS association.
    #[must_use]
    pub fn tls_id(&self) -> Option<&'a str> {
        self.inherited("tls-id").map(|id| id.trim_matches(' ')).filter(|id| !id.is_empty())
    }
}

/// ICE.
impl<'a> MediaView<'a> {
    /// User name fragment and password, each this section's or the session's (RFC 8839 §5.4).
    ///
    /// A fragment of 6 and a password of 32 characters from a Microsoft peer are base64 of the
    /// values (\[MS-SDPEXT\] 3.1.5.21.5); they are returned as written.
    #[must_use]
    pub fn ice_credentials(&self) -> Option<(&'a str, &'a str)> {
        // A sample in [MS-SDPEXT] prints a blank after the colon.
        let ufrag = self.inherited("ice-ufrag")?.trim_matches(' ');
        let pwd = self.inherited("ice-pwd")?.trim_matches(' ');
        (!ufrag.is_empty() && !pwd.is_empty()).then_some((ufrag, pwd))
    }

    /// The candidates that parse, those of `a=x-candidate-ipv6` included.
    #[must_use]
    pub fn candidates(&self) -> Vec<Candidate> {
        self.attributes()
            .filter(|a| matches!(a.name, "candidate" | "x-candidate-ipv6"))
            .filter_map(|a| Candidate::parse(a.value?).ok())
            .collect()
    }

    /// `a=remote-candidates` (RFC 8839 §5.2): component and address.
    #[must_use]
    pub fn remote_candidates(&self) -> Vec<(u16, SocketAddr)> {
        let mut words = self
            .attribute("remote-candidates")
            .unwrap_or_default()
            .split(' ')
            .filter(|w| !w.is_empty());
        let mut found = Vec::new();
        while let (Some(component), Some(ip), Some(port)) =
            (words.next(), words.next(), words.next())
        {
            if let (Some(component), Ok(ip), Some(port)) =
                (decimal(component), ip.parse::<IpAddr>(), decimal(port))
            {
                found.push((component, SocketAddr::new(ip, port)));
            }
        }
        found
    }

    /// The words of `a=ice-options` (RFC 8839 §5.6), inherited.
    pub fn ice_options(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.inherited("ice-options").unwrap_or_default().split(' ').filter(|w| !w.is_empty())
    }

    /// `a=ice-pacing` (RFC 8839 §5.5) in milliseconds, inherited: no check sooner after another.
    #[must_use]
    pub fn ice_pacing(&self) -> Option<u32> {
        decimal(self.inherited("ice-pacing")?.trim_matches(' '))
    }

    /// Whether the writer is a lite agent.
    #[must_use]
    pub fn ice_lite(&self) -> bool {
        self.session.attribute("ice-lite").is_some()
    }

    /// `a=ice-mismatch`: the writer did not find its candidates in the `c=` and `m=` lines.
    #[must_use]
    pub fn ice_mismatch(&self) -> bool {
        self.attribute("ice-mismatch").is_some()
    }

    /// `a=end-of-candidates` (RFC 8840), inherited.
    #[must_use]
    pub fn end_of_candidates(&self) -> bool {
        self.inherited("end-of-candidates").is_some()
    }
}

/// The unspecified address of IPv4.
pub(crate) const UNSPECIFIED: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

#[cfg(test)]
mod tests {
    use crate::{Description, Direction, Setup};

    const HEAD: &str = "v=0\r\no=- 0 0 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";

    fn with(session: &str, media: &str, check: impl Fn(super::MediaView<'_>)) {
        let text = format!("{HEAD}{session}m=audio 4000 RTP/AVP 0 96\r\n{media}");
        let description = Description::parse(text.as_bytes()).unwrap();
        check(description.media().next().unwrap());
        let owned = description.to_owned();
        check(owned.media_view(0).unwrap());
    }

    #[test]
    fn what_a_section_lacks_is_the_session_s() {
        let session = "a=recvonly\r\na=ice-ufrag:sess\r\na=ice-pwd:0123456789012345678901\r\n\
            a=ptime:30\r\na=fingerprint:sha-1 AA:BB\r\na=setup:actpass\r\na=ice-options:ice2 trickle\r\n\
            a=ice-lite\r\na=extmap:1 urn:a\r\na=source-filter: incl IN IP4 * 192.0.2.9\r\n\
            a=mid:no\r\na=rtcp-mux\r\n";
        with(session, "a=ice-ufrag: media\r\na=extmap:2 urn:b\r\n", |m| {
            assert_eq!(m.direction(), Direction::RecvOnly);
            assert_eq!(m.ice_credentials(), Some(("media", "0123456789012345678901")));
            assert_eq!((m.ptime(), m.setup()), (Some(30), Some(Setup::ActPass)));
            assert_eq!(m.fingerprints().len(), 1);
            assert!(m.ice_options().eq(["ice2", "trickle"]) && m.ice_lite());
            assert!(m.header_extensions().map(|e| e.id).eq([1, 2]));
            assert_eq!(m.source_filters().len(), 1);
            // These are a section's own.
            assert_eq!((m.mid(), m.rtcp_mux()), (None, false));
        });
        with("a=recvonly\r\n", "a=sendonly \r\nc=IN IP6 2001:db8::1\r\n", |m| {
            assert_eq!(m.direction(), Direction::SendOnly);
            assert_eq!(m.rtp_address(), Some("[2001:db8::1]:4000".parse().unwrap()));
            assert_eq!(m.rtcp_address(), Some("[2001:db8::1]:4001".parse().unwrap()));
        });
    }

    #[test]
    fn rtcp_goes_where_it_is_said() {
        with("", "a=rtcp:5000\r\n", |m| {
            assert_eq!(m.rtcp_address(), Some("192.0.2.1:5000".parse().unwrap()));
        });
        with("", "a=rtcp:5000 IN IP4 192.0.2.77\r\n", |m| {
            assert_eq!(m.rtcp_address(), Some("192.0.2.77:5000".parse().unwrap()));
        });
    }

    #[test]
    fn lync_attributes_are_read() {
        let session = "a=x-mediabw:main-audio send=64;recv=96\r\na=x-bypassid:6b3b\r\n\
            a=x-devicecaps:audio:send,recv;video:recv\r\n";
        let media = "a=label:main-audio\r\na=x-ssrc-range:7-7\r\na=x-source-streamid:42\r\n\
            a=x-applicationsharing-contentflow:sendonly\r\na=encryption:optional\r\n";
        with(session, media, |m| {
            assert_eq!(m.media_bandwidth().map(|b| b.receive_kbps), Some(96));
            assert_eq!((m.ssrc_range(), m.source_stream_id()), (Some((7, 7)), Some(42)));
            assert_eq!((m.bypass_id(), m.content_flow()), (Some("6b3b"), Direction::SendOnly));
            assert!(m.is_lync());
        });
        let text = format!("{HEAD}{session}");
        let description = Description::parse(text.as_bytes()).unwrap();
        let session = description.session();
        let devices: Vec<_> = session.device_capabilities().collect();
        assert_eq!(devices, [("audio", Direction::SendRecv), ("video", Direction::RecvOnly)]);
    }

    #[test]
    fn sources_and_static_numbers() {
        with(
            "",
            "a=ssrc:5 cname:x\r\na=ssrc:5 msid:y\r\na=ssrc:6 cname:x\r\na=rtpmap:96 opus/48000/2\r\n",
            |m| {
                assert_eq!(m.ssrcs(), [5, 6]);
                assert_eq!(m.sources().count(), 3);
                assert_eq!(m.rtpmap(0).unwrap().to_string(), "PCMU/8000");
                assert_eq!(m.rtpmap(96).unwrap().to_string(), "opus/48000/2");
                assert!(m.rtpmap(97).is_none());
            },
        );
    }
}
