//! Answers an offer as an endpoint with given capabilities would.
//!
//! ```text
//! cargo run --example sdp-answer -- --profile lync|standard|FILE [--json] OFFER
//! ```
//!
//! A profile is a TOML file; everything in it may be left out:
//!
//! ```toml
//! dialect = "lync"             # or "standard"
//! encryption = "required"      # "supported", "none", or Lync's policy names
//! ice = "ms"                   # "rfc8445", "none"
//! rtcp-mux = false
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
    Codec, EncryptionLevel, IceMode, LocalMedia, Profile, RtpMap, Session, SessionDescription,
};
use serde::Deserialize;

/// Answers an offer as an endpoint with given capabilities would.
///
/// Exit code: 0 when there is an answer, 1 when the offer is refused, 2 for wrong usage.
#[derive(Debug, Parser)]
struct Arguments {
    /// `lync`, `standard`, or a TOML file (see the head of the program's source).
    #[arg(long)]
    profile: String,
    /// One JSON object.
    #[arg(long)]
    json: bool,
    /// The offer; - is standard input.
    offer: PathBuf,
}

/// A profile as written in a file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    dialect: Option<String>,
    encryption: Option<String>,
    ice: Option<String>,
    rtcp_mux: bool,
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
        name @ ("lync" | "standard") => File { dialect: Some(name.into()), ..File::default() },
        path => toml::from_str(&std::fs::read_to_string(Path::new(path))?)?,
    };
    let profile = file.profile()?;
    let offer = SessionDescription::parse(&print::read(&arguments.offer)?)?;
    let address = file.address.unwrap_or(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 80)));
    let mut port = file.port.unwrap_or(40_000);
    let mut locals: Vec<LocalMedia> = Vec::new();
    for media in &offer.media {
        locals.push(print::local(&profile, &media.kind, address, port)?);
        port = port.saturating_add(2);
    }
    let (answer, agreed) = Session::new(profile).answer(&offer, &locals)?;
    let mut outcomes = Vec::new();
    let mut explain = Vec::new();
    for (index, media) in agreed.media.iter().enumerate() {
        outcomes.push(if media.accepted { "accepted".into() } else { "refused".to_owned() });
        for codec in &media.codecs {
            explain.push(format!(
                "m={index} codec: {} is sent as {} and received as {}",
                codec.codec.name, codec.send_pt, codec.receive_pt
            ));
        }
        let how = if media.encryption { "SRTP" } else { "RTP in clear" };
        if media.accepted {
            explain.push(format!("m={index} {how}, {}", media.direction));
        }
    }
    report.json(&print::line(&answer, &outcomes, &explain));
    report.text(answer.to_string().trim_end());
    Ok(())
}

impl File {
    fn profile(&self) -> Result<Profile, Box<dyn Error>> {
        let mut profile = match self.dialect.as_deref() {
            Some("lync" | "ms") => Profile::lync(),
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
        profile.rtcp_mux = self.rtcp_mux;
        profile.video_kbps = self.video_kbps.or(profile.video_kbps);
        if let Some(audio) = &self.audio {
            profile.audio = audio.iter().map(|text| codec(text)).collect::<Result<_, _>>()?;
        }
        if let Some(video) = &self.video {
            profile.video = video.iter().map(|text| codec(text)).collect::<Result<_, _>>()?;
        }
        Ok(profile)
    }
}

/// `9 G722/8000`, with parameters behind another blank.
fn codec(text: &str) -> Result<Codec, Box<dyn Error>> {
    let mut words = text.splitn(3, ' ');
    let map = [words.next().unwrap_or_default(), words.next().unwrap_or_default()].join(" ");
    let (payload_type, map) = RtpMap::parse(&map)?;
    Ok(map.to_codec(payload_type, words.next()))
}
