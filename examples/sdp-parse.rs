//! Reads session descriptions and prints a verdict, the session and what each section comes to.
//!
//! ```text
//! cargo run --example sdp-parse -- [--json] FILE…       # - is standard input
//! ```

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use linkspan_examples::{Report, Style};
use linkspan_sdp::{Description, MediaView, ParseError};
use serde_json::{Value, json};

/// Reads session descriptions: a verdict, the session, and what each media section comes to.
///
/// Exit code: 0 when every description is accepted, 1 when one is not, 2 for wrong usage.
#[derive(Debug, Parser)]
struct Arguments {
    /// One JSON object per description.
    #[arg(long)]
    json: bool,
    /// Also accept what has no v= line: the fallback part of a Lync offer.
    #[arg(long)]
    fragment: bool,
    /// Files; - is standard input.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let report = Report::stdout(Style::from_flag(arguments.json));
    let mut all_good = true;
    for file in &arguments.files {
        let octets = match read(file) {
            Ok(octets) => octets,
            Err(error) => {
                all_good = false;
                eprintln!("{}: {error}", file.display());
                report.json(&json!({
                    "file": file.display().to_string(), "verdict": "reject",
                    "error": error.to_string(),
                }));
                continue;
            }
        };
        all_good &= print(&report, file, &octets, arguments.fragment);
    }
    if all_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print(report: &Report, file: &Path, octets: &[u8], fragment: bool) -> bool {
    let name = file.display().to_string();
    let parsed = Description::parse(octets).or_else(|error| match error {
        ParseError::Missing { .. } if fragment => Description::parse_fragment(octets),
        error => Err(error),
    });
    let description = match parsed {
        Ok(description) => description,
        Err(error) => {
            report.text(format!("{name}: reject: {error}"));
            report.json(&json!({
                "file": name, "verdict": "reject", "error": error.to_string(),
                "roundtrip": false, "origin": null, "session_name": null,
                "session_attributes": 0, "media": [],
            }));
            return false;
        }
    };
    let session = description.session();
    let roundtrip = description.to_owned().to_bytes() == octets;
    report.json(&json!({
        "file": name,
        "verdict": "accept",
        "error": null,
        "roundtrip": roundtrip,
        "origin": session.origin().map(|o| o.to_string()),
        "session_name": session.name(),
        "connection": session.connection().map(|c| c.to_string()),
        "session_attributes": session.attributes().count(),
        "media": description.media().map(|m| media(&m)).collect::<Vec<_>>(),
    }));
    let origin = session.origin().map(|o| o.to_string()).unwrap_or_default();
    report.text(format!("{name}: accept: {origin}"));
    for view in description.media() {
        for line in lines(&view) {
            report.text(format!("  {line}"));
        }
    }
    true
}

fn media(view: &MediaView<'_>) -> Value {
    json!({
        "media": view.kind().token(),
        "port": view.port(),
        "ports": view.ports(),
        "proto": view.proto(),
        "formats": view.formats().collect::<Vec<_>>(),
        "connection": view.connection().map(|c| c.to_string()),
        "direction": view.direction().name(),
        "crypto": view.all("crypto").count(),
        "candidates": view.all("candidate").count(),
        "candidates_ipv6": view.all("x-candidate-ipv6").count(),
        "ice_ufrag": view.ice_credentials().map(|(ufrag, _)| ufrag),
        "rtcp": view.rtcp_address().map(|a| a.to_string()),
        "rtcp_mux": view.rtcp_mux(),
        "mid": view.mid(),
        "label": view.label(),
        "content": view.content(),
        "ssrc_range": view.ssrc_range(),
        "attributes": view.attributes().count(),
    })
}

fn lines(view: &MediaView<'_>) -> Vec<String> {
    let mut lines = vec![format!(
        "{} {} {} {}{}",
        view.kind(),
        view.rtp_address().map_or_else(|| view.port().to_string(), |a| a.to_string()),
        view.proto(),
        view.direction(),
        view.label().map(|l| format!(" [{l}]")).unwrap_or_default(),
    )];
    for format in view.formats() {
        let pt: Option<u8> = format.parse().ok().filter(|_| view.profile().rtp);
        let codec = pt.and_then(|pt| view.rtpmap(pt)).map(|m| m.to_string());
        let fmtp = pt.and_then(|pt| view.fmtp(pt)).unwrap_or_default();
        lines.push(format!("  {format} {} {fmtp}", codec.unwrap_or_default()));
    }
    for crypto in view.crypto() {
        let mki = if crypto.mki().is_some() { " with MKI" } else { "" };
        lines.push(format!("  key {} {}{mki}", crypto.tag, crypto.suite));
    }
    let candidates = view.candidates();
    if !candidates.is_empty() {
        lines.push(format!("  {} candidates", candidates.len()));
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    if path.as_os_str() == "-" {
        let mut octets = Vec::new();
        io::stdin().lock().read_to_end(&mut octets)?;
        return Ok(octets);
    }
    std::fs::read(path)
}
