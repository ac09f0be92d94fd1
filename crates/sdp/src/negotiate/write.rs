//! Writes descriptions in either dialect.

use core::net::IpAddr;

use super::history::SectionState;
use super::remote::AUDIO_BPS;
use crate::{
    Candidate, Codec, ConnectionUse, Crypto, Dialect, Direction, Feedback, HeaderExtension,
    LocalMedia, Media, MediaKind, Profile, Proto, SessionDescription, Setup, ms,
};

/// Everything that one section says.
#[derive(Clone, Debug)]
pub(crate) struct Section<'a> {
    pub(crate) kind: MediaKind,
    pub(crate) proto: Proto,
    pub(crate) codecs: Vec<(u8, Codec)>,
    pub(crate) local: &'a LocalMedia,
    pub(crate) cryptoscale: Option<Crypto>,
    pub(crate) crypto: Vec<Crypto>,
    pub(crate) direction: Direction,
    pub(crate) rtcp_mux: bool,
    pub(crate) rtcp_rsize: bool,
    pub(crate) with_ice: bool,
    /// The peer's candidates do not have its default address (RFC 8839 §4.2.5).
    pub(crate) ice_mismatch: bool,
    /// Our certificate is written, and no key line.
    pub(crate) dtls: bool,
    pub(crate) setup: Option<Setup>,
    pub(crate) connection_use: Option<ConnectionUse>,
    pub(crate) mid: Option<String>,
    /// The side of the section whose transport it shares (RFC 9143). Candidates are that one's to
    /// name; certificate and credentials are repeated, as browsers do and webrtcbin wants it.
    pub(crate) shared: Option<&'a LocalMedia>,
    pub(crate) extensions: Vec<HeaderExtension>,
    pub(crate) sharing: Option<ms::ApplicationSharing>,
    pub(crate) feedback: Feedback,
    /// `a=content:main` (RFC 4796).
    pub(crate) content_main: bool,
    /// Labels, SSRC ranges and the like, which a Lync 2010 does not know.
    pub(crate) modern: bool,
    pub(crate) label: Option<String>,
    pub(crate) video_kbps: Option<u32>,
    /// `a=maxptime` is part of offers only.
    pub(crate) maxptime: bool,
}

impl<'a> Section<'a> {
    /// Our side of its transport.
    fn transport(&self) -> &'a LocalMedia {
        self.shared.unwrap_or(self.local)
    }
}

/// A section of a description: written from scratch, or a refusal that repeats the `m=` line.
#[derive(Clone, Debug)]
pub(crate) enum Written<'a> {
    Used(Box<Section<'a>>),
    Unused { kind: MediaKind, proto: Proto, formats: Vec<String>, mid: Option<String> },
}

impl Written<'_> {
    pub(crate) fn unused(state: &SectionState) -> Self {
        Self::Unused {
            kind: state.kind.clone(),
            proto: state.proto.clone(),
            formats: state.formats.clone(),
            mid: state.mid.clone(),
        }
    }
}

/// What a description is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout<'l, 's> {
    pub(crate) sections: &'l [Written<'s>],
    /// Values of `a=group`.
    pub(crate) groups: &'l [String],
    /// The address of a description without a section in use.
    pub(crate) fallback: IpAddr,
}

/// Writes a whole description.
pub(crate) fn description(
    profile: &Profile,
    session_id: u64,
    version: u64,
    layout: Layout<'_, '_>,
) -> SessionDescription {
    let Layout { sections, groups, fallback } = layout;
    let used = || {
        sections.iter().filter_map(|s| match s {
            Written::Used(section) => Some(&**section),
            Written::Unused { .. } => None,
        })
    };
    let address = used().next().map_or(fallback, |s| s.transport().address);
    let video = used().find(|s| s.kind == MediaKind::Video);
    let mut out = head(profile, session_id, version, &network(address));
    match (profile.dialect, video.and_then(|s| s.video_kbps)) {
        // A constant of the dialect.
        (Dialect::Lync, _) => out.set_line('b', "CT:99980"),
        (Dialect::Standard, Some(kbps)) => {
            out.set_line('b', &format!("AS:{}", u64::from(kbps) + AUDIO_BPS / 1_000));
        }
        (Dialect::Standard, None) => {}
    }
    out.set_line('t', "0 0");
    if profile.dialect == Dialect::Lync && used().any(|s| s.modern) {
        media_bandwidths(used(), &mut out);
        out.push_attribute("x-devicecaps", Some("audio:send,recv;video:send,recv"));
        for settings in &profile.media_settings {
            out.push_attribute("x-mediasettings", Some(settings));
        }
    }
    if used().any(|s| s.with_ice && s.local.ice.as_ref().is_some_and(|ice| ice.lite)) {
        out.push_attribute("ice-lite", None);
    }
    for group in groups {
        out.push_attribute("group", Some(group));
    }
    for section in sections {
        out.push_media(match section {
            Written::Used(section) => media(profile, section, address),
            Written::Unused { kind, proto, formats, mid } => {
                let mut media = Media::new(kind.clone(), 0, proto.clone(), formats.clone());
                if let Some(mid) = mid {
                    media.push_attribute("mid", Some(mid));
                }
                media
            }
        });
    }
    out
}

/// The lines that every description begins with.
fn head(profile: &Profile, session_id: u64, version: u64, network: &str) -> SessionDescription {
    let (username, name) = match profile.dialect {
        Dialect::Lync => ("-", "session"),
        Dialect::Standard if profile.username.is_empty() => ("-", "-"),
        Dialect::Standard => (profile.username.as_str(), "-"),
    };
    let mut out = SessionDescription::default();
    out.set_line('v', "0");
    out.set_line('o', &format!("{username} {session_id} {version} {network}"));
    out.set_line('s', name);
    out.set_line('c', network);
    out
}

/// \[MS-SDPEXT\] 3.1.5.28.1: one line for each role that video plays.
fn media_bandwidths<'s>(
    sections: impl Iterator<Item = &'s Section<'s>>,
    out: &mut SessionDescription,
) {
    let mut written: Vec<&str> = Vec::new();
    for section in sections.filter(|s| s.kind == MediaKind::Video) {
        let label = section.label.as_deref().unwrap_or("main-video");
        if let Some(kbps) = section.video_kbps.filter(|_| !written.contains(&label)) {
            let value = format!("{label} send={kbps};recv={kbps}");
            out.push_attribute("x-mediabw", Some(&value));
            written.push(label);
        }
    }
}

/// `IN IP4 192.0.2.1`.
fn network(address: IpAddr) -> String {
    let family = if address.is_ipv4() { "IP4" } else { "IP6" };
    format!("IN {family} {address}")
}

fn media(profile: &Profile, s: &Section<'_>, session_address: IpAddr) -> Media {
    let formats = s.codecs.iter().map(|(pt, _)| pt.to_string()).collect();
    let transport = s.transport();
    let mut out = Media::new(s.kind.clone(), transport.rtp_port, s.proto.clone(), formats);
    if transport.address != session_address {
        out.set_line('c', &network(transport.address));
    }
    match profile.dialect {
        Dialect::Lync => lync_media(profile, s, &mut out),
        Dialect::Standard => standard_media(profile, s, &mut out),
    }
    out
}

/// In the order of a Lync 2013 client.
fn lync_media(profile: &Profile, s: &Section<'_>, out: &mut Media) {
    let role = s.label.as_deref();
    if s.modern {
        if let Some((first, last)) = s.local.ssrc_range {
            out.push_attribute("x-ssrc-range", Some(&format!("{first}-{last}")));
        }
        let messages = match s.kind {
            MediaKind::Audio => Some("dsh"),
            MediaKind::Video => Some("src,x-pli"),
            _ => None,
        };
        if let Some(messages) = messages {
            let line = format!("* x-message app send:{messages} recv:{messages}");
            out.push_attribute("rtcp-fb", Some(&line));
        }
        // [MS-SDPEXT] 3.1.5.30.3: rtcp-rsize has to be there whenever rtcp-fb is.
        if s.rtcp_rsize {
            out.push_attribute("rtcp-rsize", None);
        }
        if let Some(role) = role {
            out.push_attribute("label", Some(role));
            out.push_attribute("x-source", Some(role));
        }
    }
    lync_values(profile, s, out);
    ice(s, Dialect::Lync, out);
    keys(s, out);
    ptime(
        profile.maxptime_ms.filter(|_| s.maxptime && s.kind == MediaKind::Audio),
        "maxptime",
        out,
    );
    out.push_attribute("rtcp", Some(&rtcp_port(s).to_string()));
    codecs(s, out);
    if s.rtcp_mux {
        out.push_attribute("rtcp-mux", None);
    }
    if s.direction != Direction::SendRecv {
        out.push_attribute(s.direction.name(), None);
    }
    ptime(profile.ptime_ms.filter(|_| s.kind == MediaKind::Audio), "ptime", out);
}

/// What only some sections of Lync's dialect have.
fn lync_values(profile: &Profile, s: &Section<'_>, out: &mut Media) {
    if let Some(mid) = &s.mid {
        out.push_attribute("mid", Some(mid));
    }
    if let Some(id) = s.local.source_stream_id {
        out.push_attribute("x-source-streamid", Some(&id.to_string()));
    }
    if let Some(id) = &s.local.bypass_id {
        out.push_attribute("x-bypassid", Some(id));
    }
    for capabilities in video_capabilities(profile, s) {
        out.push_attribute("x-caps", Some(&capabilities.to_string()));
    }
    for (name, value) in s.sharing.iter().flat_map(ms::ApplicationSharing::attributes) {
        out.push_attribute(name, Some(&value));
    }
    setup(s, out);
}

/// \[MS-SDPEXT\] 3.1.5.24: what we can receive of RTVideo; X-H264UC has source requests for that.
fn video_capabilities(profile: &Profile, s: &Section<'_>) -> Vec<ms::VideoCapabilities> {
    let number = s.codecs.iter().find(|(_, codec)| codec.name.eq_ignore_ascii_case("x-rtvc1"));
    let given = s.local.video_capabilities.iter().filter_map(|given| {
        let payload_type = match given.payload_type {
            0 => number?.0,
            other => other,
        };
        Some(ms::VideoCapabilities { payload_type, ..given.clone() })
    });
    let mut found: Vec<_> = given.collect();
    if let (Some((pt, _)), Some(rate), true) = (number, profile.max_video_rate, found.is_empty()) {
        found.push(rate.capabilities(*pt));
    }
    found
}

fn standard_media(profile: &Profile, s: &Section<'_>, out: &mut Media) {
    let video = s.kind == MediaKind::Video;
    if let Some(kbps) = s.video_kbps.filter(|_| video) {
        out.set_line('b', &format!("TIAS:{}", u64::from(kbps) * 1_000));
    }
    if let Some(mid) = &s.mid {
        out.push_attribute("mid", Some(mid));
    }
    codecs(s, out);
    for extension in &s.extensions {
        out.push_attribute("extmap", Some(&format!("{} {}", extension.id, extension.uri)));
    }
    if video {
        for (wanted, value) in [
            (s.feedback.nack, "* nack"),
            (s.feedback.pli, "* nack pli"),
            (s.feedback.fir, "* ccm fir"),
            (s.feedback.tmmbr, "* ccm tmmbr"),
        ] {
            if wanted {
                out.push_attribute("rtcp-fb", Some(value));
            }
        }
        if s.content_main {
            out.push_attribute("content", Some("main"));
        }
    }
    if s.rtcp_rsize {
        out.push_attribute("rtcp-rsize", None);
    }
    if s.rtcp_mux {
        out.push_attribute("rtcp-mux", None);
    } else if rtcp_port(s) != s.local.rtp_port.saturating_add(1) {
        out.push_attribute("rtcp", Some(&rtcp_port(s).to_string()));
    }
    ice(s, Dialect::Standard, out);
    keys(s, out);
    setup(s, out);
    ptime(profile.ptime_ms.filter(|_| !video), "ptime", out);
    ptime(profile.maxptime_ms.filter(|_| s.maxptime && !video), "maxptime", out);
    if let Some(label) = &s.label {
        out.push_attribute("label", Some(label));
    }
    out.push_attribute(s.direction.name(), None);
}

fn codecs(s: &Section<'_>, out: &mut Media) {
    for (pt, codec) in &s.codecs {
        let mut map = format!("{pt} {}/{}", codec.name, codec.clock_hz);
        if codec.channels > 1 {
            map.push_str(&format!("/{}", codec.channels));
        }
        out.push_attribute("rtpmap", Some(&map));
        if let Some(fmtp) = codec.fmtp.as_deref().filter(|f| !f.is_empty()) {
            out.push_attribute("fmtp", Some(&format!("{pt} {fmtp}")));
        }
    }
}

fn keys(s: &Section<'_>, out: &mut Media) {
    if let Some(scale) = &s.cryptoscale {
        let value = format!("{} client {} {}", scale.tag, scale.suite, scale.key_params);
        out.push_attribute("cryptoscale", Some(&value));
    }
    for crypto in &s.crypto {
        out.push_attribute("crypto", Some(&crypto.to_string()));
    }
}

/// RFC 8122, RFC 4145: who we are, and who opens the connection.
fn setup(s: &Section<'_>, out: &mut Media) {
    if let Some(dtls) = s.transport().dtls.as_ref().filter(|_| s.dtls) {
        out.push_attribute("fingerprint", Some(&dtls.fingerprint));
        if let Some(id) = &dtls.tls_id {
            out.push_attribute("tls-id", Some(id));
        }
    }
    if let Some(setup) = s.setup {
        out.push_attribute("setup", Some(setup.name()));
    }
    if let Some(connection) = s.connection_use {
        out.push_attribute("connection", Some(connection.name()));
    }
}

fn ice(s: &Section<'_>, dialect: Dialect, out: &mut Media) {
    if s.ice_mismatch {
        out.push_attribute("ice-mismatch", None);
    }
    let Some(ice) = s.transport().ice.as_ref().filter(|_| s.with_ice) else { return };
    if !ice.options.is_empty() {
        out.push_attribute("ice-options", Some(&ice.options.join(" ")));
    }
    out.push_attribute("ice-ufrag", Some(&ice.ufrag));
    out.push_attribute("ice-pwd", Some(&ice.pwd));
    if s.shared.is_some() {
        return;
    }
    for candidate in &ice.candidates {
        out.push_attribute(candidate_name(candidate, dialect), Some(&candidate.to_text(dialect)));
    }
    if ice.end_of_candidates {
        out.push_attribute("end-of-candidates", None);
    }
    if !s.local.remote_candidates.is_empty() {
        let mut value: String = String::new();
        for (component, address) in &s.local.remote_candidates {
            let blank = if value.is_empty() { "" } else { " " };
            value.push_str(&format!("{blank}{component} {} {}", address.ip(), address.port()));
        }
        if dialect == Dialect::Lync {
            value.push(' ');
        }
        out.push_attribute("remote-candidates", Some(&value));
    }
}

/// \[MS-SDPEXT\] 3.1.5.21.1: IPv6 candidates hide from old peers under another name.
fn candidate_name(candidate: &Candidate, dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Lync if candidate.address.is_ipv6() => "x-candidate-ipv6",
        _ => "candidate",
    }
}

fn rtcp_port(s: &Section<'_>) -> u16 {
    match (s.rtcp_mux, s.local.rtcp_port) {
        // RFC 5761 §5.1.1 wants a fallback port beside rtcp-mux; 0 leaves the rule to decide.
        (_, 0) => s.local.rtp_port.saturating_add(1),
        (_, port) => port,
    }
}

fn ptime(milliseconds: Option<u16>, name: &str, out: &mut Media) {
    if let Some(ms) = milliseconds {
        out.push_attribute(name, Some(&ms.to_string()));
    }
}
