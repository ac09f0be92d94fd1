//! Answers an offer as an endpoint with given capabilities would, or makes one.
//!
//! ```text
//! cargo run --example sdp-answer -- --profile lync|standard|webrtc|FILE [--json] OFFER
//! cargo run --example sdp-answer -- --profile … [--json] --call audio,video ANSWER
//! ```
//!
//! With `--call` the offer is printed first, then `ANSWER` is read (`-`: what is written to standard
//! input meanwhile), and what both come to is printed.
//!
//! A profile is a TOML file; everything in it may be left out:
//!
//! ```toml
//! dialect = "lync"             # or "standard", or "webrtc": the standard one as browsers have it
//! encryption = "required"      # "supported", "none", or Lync's policy names
//! ice = "ms"                   # "rfc8445", "none"
//! rtcp-mux = false
//! fingerprint = "sha-256 …"    # of the certificate for DTLS-SRTP; without: of no certificate
//! sharing = false              # Lync's application sharing, as a viewer
//! address = "192.0.2.80"
//! port = 40000                 # of the first section; each takes two
//! video-kbps = 2000
//! audio = ["9 G722/8000", "0 PCMU/8000", "101 telephone-event/8000 0-16"]
//! video = ["122 X-H264UC/90000 packetization-mode=1;mst-mode=NI-TC"]
//! ```

#[path = "sdp/print.rs"]
mod print;

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use linkspan_examples::{Report, Style};
use linkspan_sdp::{
    Agreed, AgreedMedia, Codec, EncryptionLevel, IceMode, LocalMedia, MediaKind, Profile, RtpMap,
    Session, SessionDescription,
};
use serde::Deserialize;

/// Answers an offer as an endpoint with given capabilities would.
///
/// Exit code: 0 when there is an answer, 1 when the offer is refused, 2 for wrong usage.
#[derive(Debug, Parser)]
struct Arguments {
    /// `lync`, `standard`, `webrtc`, or a TOML file (see the head of the program's source).
    #[arg(long)]
    profile: String,
    /// One JSON object; with --call one for the offer and one for what was agreed.
    #[arg(long)]
    json: bool,
    /// Make an offer of these kinds of media, and take the file for its answer.
    #[arg(long, value_delimiter = ',', value_name = "KIND,…")]
    call: Vec<String>,
    /// The offer, or with --call the answer; - is standard input.
    offer: PathBuf,
}

/// A profile as written in a file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    dialect: Option<String>,
    encryption: Option<String>,
    ice: Option<String>,
    rtcp_mux: Option<bool>,
    fingerprint: Option<String>,
    sharing: bool,
    address: Option<IpAddr>,
    port: Option<u16>,
    video_kbps: Option<u32>,
    audio: Option<Vec<String>>,
    video: Option<Vec<String>>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let report = Report::stdout(Style::from_flag(arguments.json));
    match run(&arguments, &report) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => print::refused(&report, &arguments.offer, error.as_ref()),
    }
}

fn run(arguments: &Arguments, report: &Report) -> Result<(), Box<dyn Error>> {
    let file = match arguments.profile.as_str() {
        name @ ("lync" | "standard" | "webrtc") => {
            File { dialect: Some(name.into()), ..File::default() }
        }
        path => toml::from_str(&std::fs::read_to_string(Path::new(path))?)?,
    };
    let profile = file.profile()?;
    if !arguments.call.is_empty() {
        return call(arguments, &file, profile, report);
    }
    let offer = SessionDescription::parse(&print::read(&arguments.offer)?)?;
    let kinds = offer.media.iter().map(|media| media.kind.clone());
    let locals = file.locals(&profile, kinds)?;
    let (answer, agreed) = Session::new(profile).answer(&offer, &locals)?;
    let (outcomes, explain) = outcome(&agreed);
    report.json(&print::line(&answer, &outcomes, &explain));
    report.text(answer.to_string().trim_end());
    Ok(())
}

/// An offer of ours, and its answer.
fn call(
    arguments: &Arguments,
    file: &File,
    profile: Profile,
    report: &Report,
) -> Result<(), Box<dyn Error>> {
    let kinds = arguments.call.iter().map(|kind| MediaKind::from_token(kind));
    let mut locals = file.locals(&profile, kinds.clone())?;
    for (local, kind) in locals.iter_mut().zip(kinds) {
        local.kind = Some(kind);
    }
    let (offer, pending) = Session::new(profile).offer(&locals);
    report.json(&print::line(&offer, &[], &[]));
    report.text(offer.to_string().trim_end());
    let answer = SessionDescription::parse(&print::read(&arguments.offer)?)?;
    let (outcomes, explain) = outcome(&pending.accept(&answer)?);
    report.json(&print::line(&answer, &outcomes, &explain));
    report.text("");
    for line in explain {
        report.text(line);
    }
    Ok(())
}

/// Outcome of every section, and what it comes to.
fn outcome(agreed: &Agreed) -> (Vec<String>, Vec<String>) {
    let mut explain = Vec::new();
    for (index, media) in agreed.media.iter().enumerate() {
        explain.extend(explain_section(media).map(|text| format!("m={index} {text}")));
    }
    let outcomes = agreed.media.iter().map(|media| match media.refused {
        Some(why) => format!("refused: {why}"),
        None => "accepted".into(),
    });
    (outcomes.collect(), explain)
}

fn explain_section(media: &AgreedMedia) -> impl Iterator<Item = String> {
    let codecs = media.codecs.iter().map(|codec| {
        let (send, receive) = (codec.send_pt, codec.receive_pt);
        format!("codec: {} is sent as {send} and received as {receive}", codec.codec.name)
    });
    let how = match (&media.dtls, media.encryption) {
        (Some(_), _) => "SRTP with keys from DTLS",
        (None, true) => "SRTP",
        (None, false) => "RTP in clear",
    };
    let role = media.setup.map(|setup| format!(", {setup}")).unwrap_or_default();
    let transport = match media.bundle {
        Some(other) => format!(", on the transport of m={other}"),
        None => String::new(),
    };
    let whole = format!("{how}{role}, {}{transport}", media.direction);
    codecs.chain(media.accepted.then_some(whole))
}

impl File {
    fn profile(&self) -> Result<Profile, Box<dyn Error>> {
        let mut profile = match self.dialect.as_deref() {
            Some("lync" | "ms") => Profile::lync(),
            Some("webrtc") => Profile::webrtc(),
            None | Some("standard") => Profile::standard(),
            Some(other) => return Err(format!("unknown dialect {other}").into()),
        };
        if let Some(name) = &self.encryption {
            profile.encryption = EncryptionLevel::from_name(name)
                .ok_or_else(|| format!("unknown encryption level {name}"))?;
        }
        profile.ice = match self.ice.as_deref() {
            None => profile.ice,
            Some("ms") => IceMode::MsIce2,
            Some("rfc8445") => IceMode::Rfc8445,
            Some("none") => IceMode::None,
            Some(other) => return Err(format!("unknown kind of ICE {other}").into()),
        };
        profile.rtcp_mux = self.rtcp_mux.unwrap_or(profile.rtcp_mux);
        if self.sharing {
            profile.sharing = vec![Codec::x_data()];
        }
        profile.video_kbps = self.video_kbps.or(profile.video_kbps);
        if let Some(audio) = &self.audio {
            profile.audio = audio.iter().map(|text| codec(text)).collect::<Result<_, _>>()?;
        }
        if let Some(video) = &self.video {
            profile.video = video.iter().map(|text| codec(text)).collect::<Result<_, _>>()?;
        }
        Ok(profile)
    }

    /// Our side, of as many sections as there are kinds.
    fn locals(
        &self,
        profile: &Profile,
        kinds: impl Iterator<Item = MediaKind>,
    ) -> Result<Vec<LocalMedia>, Box<dyn Error>> {
        let address = self.address.unwrap_or(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 80)));
        let mut port = self.port.unwrap_or(40_000);
        let mut locals = Vec::new();
        // RFC 8122: one certificate serves all sections; and one pair of credentials where they may
        // share a transport.
        let dtls = print::certificate(profile, self.fingerprint.as_deref())?;
        let mut credentials: Option<(String, String)> = None;
        for kind in kinds {
            let mut local = print::local(profile, &kind, address, port)?;
            local.dtls.clone_from(&dtls);
            if let Some(ice) = local.ice.as_mut().filter(|_| profile.bundle) {
                let own = || (ice.ufrag.clone(), ice.pwd.clone());
                let (ufrag, pwd) = credentials.get_or_insert_with(own).clone();
                (ice.ufrag, ice.pwd) = (ufrag, pwd);
            }
            locals.push(local);
            port = port.saturating_add(2);
        }
        Ok(locals)
    }
}

/// `9 G722/8000`, with parameters behind another blank.
fn codec(text: &str) -> Result<Codec, Box<dyn Error>> {
    let mut words = text.splitn(3, ' ');
    let map = [words.next().unwrap_or_default(), words.next().unwrap_or_default()].join(" ");
    let (payload_type, map) = RtpMap::parse(&map)?;
    Ok(map.to_codec(payload_type, words.next()))
}
