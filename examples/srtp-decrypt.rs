//! Decrypts the SRTP of a capture with the keys of SDES lines.
//!
//! ```text
//! cargo run --example srtp-decrypt -- [--json] CAPTURE --sdp OFFER --sdp ANSWER [--out FILE.pcap]
//! cargo run --example srtp-decrypt -- CAPTURE --sdes "AES_CM_128_HMAC_SHA1_80 inline:…"
//! ```

#[path = "srtp-decrypt/capture.rs"]
mod capture;
#[path = "srtp-decrypt/streams.rs"]
mod streams;

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use serde_json::json;

use crate::capture::Writer;
use crate::streams::{Keys, Row, Streams};

/// Decrypts the SRTP of a pcap or pcapng file, and prints one line per stream.
///
/// Each stream takes the first key that verifies. Without any key the capture is read as plain
/// RTP. ChannelData and Send or Data indications are unwrapped.
///
/// Exit code: 0 when every stream verified, 1 when the input is bad or no key fits a stream, 2 for
/// wrong usage.
#[derive(Debug, Parser)]
struct Arguments {
    /// One JSON object per stream.
    #[arg(long)]
    json: bool,
    /// A key: `SUITE inline:…`, or a whole a=crypto line.
    #[arg(long, value_name = "LINE")]
    sdes: Vec<String>,
    /// A file with session descriptions, or with the SIP messages around them.
    #[arg(long, value_name = "FILE")]
    sdp: Vec<PathBuf>,
    /// Writes what was decrypted as a capture of its own.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The capture; - is standard input.
    capture: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("srtp-decrypt: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether a key fitted every stream.
fn run(arguments: &Arguments) -> Result<bool, String> {
    let keys = read_keys(arguments)?;
    let named = |error: &dyn std::fmt::Display, path: &Path| format!("{}: {error}", path.display());
    let capture = read(&arguments.capture).map_err(|e| named(&e, &arguments.capture))?;
    let datagrams = capture::read(&capture).map_err(|e| named(&e, &arguments.capture))?;
    let mut writer = match &arguments.out {
        None => None,
        Some(path) => {
            let file = File::create(path).map_err(|e| named(&e, path))?;
            Some((Writer::new(BufWriter::new(file)).map_err(|e| named(&e, path))?, path))
        }
    };

    let mut streams = Streams::default();
    for datagram in &datagrams {
        let decrypted = streams.take(&keys, datagram);
        if let (Some((writer, path)), Some(decrypted)) = (&mut writer, decrypted) {
            writer.write(&decrypted).map_err(|e| named(&e, path))?;
        }
    }
    if let Some((writer, path)) = writer {
        writer.finish().map_err(|e| named(&e, path))?;
    }

    let rows = streams.rows(&keys);
    let mut out = io::stdout().lock();
    for row in &rows {
        let line = if arguments.json { as_json(row).to_string() } else { as_text(row) };
        writeln!(out, "{line}").map_err(|error| error.to_string())?;
    }
    let mut fitted = true;
    for row in rows.iter().filter(|_| !keys.is_empty()) {
        if row.suite.is_none() {
            fitted = false;
            eprintln!(
                "srtp-decrypt: no key fits {} {} > {}: wrong key or suite, or an MKI expected \
                 where there is none",
                row.ssrc, row.source, row.destination
            );
        }
    }
    if rows.is_empty() {
        return Err(format!("{}: no RTP found", arguments.capture.display()));
    }
    Ok(fitted)
}

fn read_keys(arguments: &Arguments) -> Result<Keys, String> {
    let mut keys = Keys::default();
    for line in &arguments.sdes {
        // The line itself is secret: it is not repeated.
        keys.add_line(line).map_err(|error| format!("--sdes: {error}"))?;
    }
    for path in &arguments.sdp {
        let text = read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        keys.add_description(&String::from_utf8_lossy(&text), |line, error| {
            eprintln!("srtp-decrypt: {}: {line}: {error}", path.display());
        });
    }
    Ok(keys)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    if path.as_os_str() != "-" {
        return std::fs::read(path);
    }
    let mut octets = Vec::new();
    io::stdin().lock().read_to_end(&mut octets)?;
    Ok(octets)
}

fn as_json(row: &Row) -> serde_json::Value {
    json!({
        "ssrc": row.ssrc.to_string(),
        "src": row.source.to_string(),
        "dst": row.destination.to_string(),
        "packets": row.packets,
        "auth_failed": row.auth_failed,
        "replayed": row.replayed,
        "codec": row.codec,
        "payload_octets": row.payload_octets,
        "payload_md5": row.payload_md5,
        "suite": row.suite,
        "payload_type": row.payload_type.map(|payload_type| payload_type.0),
        "first_sequence": row.first_sequence,
        "last_sequence": row.last_sequence,
        "missing": row.missing,
        "rtcp": row.rtcp,
        "rtcp_failed": row.rtcp_failed,
    })
}

fn as_text(row: &Row) -> String {
    let codec = match (&row.codec, row.payload_type) {
        (Some(codec), _) => codec.clone(),
        (None, Some(payload_type)) => format!("type {payload_type}"),
        (None, None) => "nothing readable".to_owned(),
    };
    format!(
        "{} > {} {} {codec} {}: {} packets, {} missing, {} failed authentication, {} replayed; {} \
         octets, md5 {}",
        row.source,
        row.destination,
        row.ssrc,
        row.suite.unwrap_or("no key"),
        row.packets,
        row.missing,
        row.auth_failed,
        row.replayed,
        row.payload_octets,
        row.payload_md5,
    )
}
