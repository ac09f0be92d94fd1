//! What `sdp-answer` and `sdp-translate` share: reading a file, one line of JSON, refusals, local
//! media.

use std::error::Error;
use std::io::{self, Read};
use std::path::Path;
use std::process::ExitCode;

use linkspan_examples::{Report, random_octets};
use linkspan_sdp::{
    Candidate, CandidateKind, CandidateTransport, Crypto, Dialect, IceMode, LocalDtls, LocalIce,
    LocalMedia, MediaKind, MediaView, Profile, Refusal, SessionDescription, ms,
};
use linkspan_srtp::{KeyParams, Suite};
use serde_json::{Value, json};

/// The octets of a file, or of standard input for `-`.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    if path.as_os_str() == "-" {
        let mut octets = Vec::new();
        io::stdin().lock().read_to_end(&mut octets)?;
        return Ok(octets);
    }
    std::fs::read(path)
}

/// Says why there is no description, and what a SIP element would answer.
pub(crate) fn refused(report: &Report, file: &Path, error: &(dyn Error + 'static)) -> ExitCode {
    eprintln!("{}: {error}", file.display());
    let refusal = error.downcast_ref::<Refusal>();
    report.json(&json!({
        "error": error.to_string(),
        "status": refusal.map(Refusal::status),
        "encryption_mismatch": refusal.is_some_and(Refusal::is_encryption_mismatch),
    }));
    ExitCode::FAILURE
}

/// The line that `--json` prints for a description.
pub(crate) fn line(
    description: &SessionDescription,
    outcomes: &[String],
    explain: &[String],
) -> Value {
    let media: Vec<Value> = description
        .media_views()
        .enumerate()
        .map(|(index, view)| {
            let outcome = outcomes.get(index).map_or("", String::as_str);
            json!({
                "kind": view.kind().token(),
                "port": view.port(),
                "proto": view.proto(),
                "codecs": codecs(&view),
                "encryption": encryption(&view),
                "outcome": outcome,
            })
        })
        .collect();
    json!({ "sdp": description.to_string(), "media": media, "explain": explain })
}

/// Our side of a media section: an address, a port of its own, keys and candidates.
pub(crate) fn local(
    profile: &Profile,
    kind: &MediaKind,
    address: std::net::IpAddr,
    port: u16,
) -> io::Result<LocalMedia> {
    let suite = Suite::AesCm128HmacSha1_80;
    let key = KeyParams::from_seed(suite, random_octets()?).to_inline();
    let ice = match profile.ice {
        IceMode::None => None,
        IceMode::Rfc8445 | IceMode::MsIce2 => Some(ice(profile, address, port)?),
    };
    let [a, b, c, d] = random_octets()?;
    let first = u32::from_be_bytes([a & 0x7f, b, c, d]);
    // [MS-SDPEXT] 3.1.5.31.2: one source for audio, a hundred for video.
    let last = if *kind == MediaKind::Video { first + 99 } else { first };
    Ok(LocalMedia {
        address,
        rtp_port: port,
        rtcp_port: port.saturating_add(1),
        ice,
        crypto: vec![Crypto::new(1, suite.name(), &key)],
        ssrc_range: (profile.dialect == Dialect::Lync).then_some((first, last)),
        sharing: (*kind == MediaKind::ApplicationSharing).then(ms::ApplicationSharing::default),
        ..LocalMedia::default()
    })
}

/// The fingerprint of a certificate where DTLS is spoken. Without one given it is of no
/// certificate: enough for descriptions, not for a handshake.
#[allow(dead_code, reason = "translations speak no DTLS")]
pub(crate) fn certificate(profile: &Profile, given: Option<&str>) -> io::Result<Option<LocalDtls>> {
    if !profile.dtls {
        return Ok(None);
    }
    if let Some(fingerprint) = given {
        return Ok(Some(LocalDtls { fingerprint: fingerprint.into(), tls_id: None }));
    }
    let octets: [u8; 32] = random_octets()?;
    let pairs: Vec<String> = octets.iter().map(|octet| format!("{octet:02X}")).collect();
    let fingerprint = format!("sha-256 {}", pairs.join(":"));
    Ok(Some(LocalDtls { fingerprint, tls_id: None }))
}

fn ice(profile: &Profile, address: std::net::IpAddr, port: u16) -> io::Result<LocalIce> {
    let (mux, ice2) = (profile.rtcp_mux, profile.ice == IceMode::Rfc8445);
    let text = |octets: &[u8]| -> String {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let digit =
            |octet: &u8| DIGITS.get(usize::from(octet & 63)).map_or('A', |d| char::from(*d));
        octets.iter().map(digit).collect()
    };
    let candidate = |component: u16| {
        // RFC 8445 §5.1.2.1: a host candidate of the only interface.
        let priority = (126 << 24) + (65_535 << 8) + (256 - u32::from(component));
        let address = (address, port.saturating_add(component - 1)).into();
        let udp = CandidateTransport::Udp;
        Candidate::new("1", component, udp, priority, address, CandidateKind::Host)
    };
    Ok(LocalIce {
        ufrag: text(&random_octets::<4>()?),
        pwd: text(&random_octets::<24>()?),
        candidates: if mux { vec![candidate(1)] } else { vec![candidate(1), candidate(2)] },
        options: ice2.then(|| "ice2".to_owned()).into_iter().collect(),
        end_of_candidates: ice2,
        ..LocalIce::default()
    })
}

fn codecs(view: &MediaView<'_>) -> Vec<String> {
    view.formats()
        .map(|format| match format.parse().ok().and_then(|pt| view.rtpmap(pt)) {
            Some(map) => format!("{format} {map}"),
            None => format.to_owned(),
        })
        .collect()
}

fn encryption(view: &MediaView<'_>) -> &'static str {
    // JSON knows three levels; DTLS is as required as SDES is.
    match (view.profile().secure, view.crypto().is_empty()) {
        (true, _) => "required",
        (false, false) => "optional",
        (false, true) => "none",
    }
}
