//! Reads SIP messages, one in a file, and prints a verdict, the answer of a strict server and what
//! the headers come to.
//!
//! ```text
//! cargo run --example sip-parse -- [--json] FILE…       # - is standard input
//! ```

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use linkspan_examples::{Report, Style};
use linkspan_sip::{Message, NameAddrRef, ParseError, StartLine, body_parts};
use serde_json::{Value, json};

/// Reads SIP messages, one datagram in a file: verdict, start line, typed headers, body.
///
/// Exit code: 0 when every message is accepted, 1 when one is not, 2 for wrong usage.
#[derive(Debug, Parser)]
struct Arguments {
    /// One JSON object per message.
    #[arg(long)]
    json: bool,
    /// Files; - is standard input.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let report = Report::stdout(Style::from_flag(arguments.json));
    let mut all_good = true;
    for file in &arguments.files {
        match read(file) {
            Ok(octets) => all_good &= print(&report, file, &octets),
            Err(error) => {
                all_good = false;
                eprintln!("{}: {error}", file.display());
                report.json(&json!({
                    "file": file.display().to_string(), "verdict": "reject", "status": null,
                    "error": error.to_string(),
                }));
            }
        }
    }
    if all_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    if file.as_os_str() != "-" {
        return std::fs::read(file);
    }
    let mut octets = Vec::new();
    io::stdin().lock().read_to_end(&mut octets)?;
    Ok(octets)
}

/// Whether the message is accepted.
fn print(report: &Report, file: &Path, octets: &[u8]) -> bool {
    let name = file.display().to_string();
    let message = match Message::parse(octets) {
        Ok(message) => message,
        Err(error) => {
            report.text(format!("{name}: reject{}: {error}", answer(error)));
            let line = octets.split(|octet| matches!(octet, b'\r' | b'\n'));
            let line = line.into_iter().find(|line| !line.is_empty()).unwrap_or(&[]);
            report.json(&json!({
                "file": name, "verdict": "reject", "status": status(error),
                "error": error.to_string(), "start_line": String::from_utf8_lossy(line),
                "method": null, "status_code": null, "headers": 0, "via_count": 0,
                "call_id": null, "cseq": null, "from_tag": null, "to_tag": null,
                "content_type": null, "body_len": 0, "roundtrip": false,
            }));
            return false;
        }
    };
    let error = message.validate().err();
    let verdict = if error.is_some() { "reject" } else { "accept" };
    let value = describe(&message, &name, verdict, error);
    report.json(&value);
    if report.style() == Style::Text {
        let note = match (error, message.strict_answer()) {
            (Some(error), _) => format!("{}: {error}", answer(error)),
            (None, Some(status)) => format!(" ({status} {})", status.reason()),
            (None, None) => String::new(),
        };
        report.text(format!("{name}: {verdict}{note}"));
        lines(&message).into_iter().for_each(|line| report.text(format!("  {line}")));
    }
    error.is_none()
}

fn describe(message: &Message<'_>, name: &str, verdict: &str, error: Option<ParseError>) -> Value {
    let tag = |address: Option<NameAddrRef<'_>>| {
        address.and_then(|address| address.tag().map(str::to_owned))
    };
    json!({
        "file": name,
        "verdict": verdict,
        "status": match error {
            Some(error) => status(error),
            None => message.strict_answer().map(|status| status.as_u16()),
        },
        "error": error.map(|error| error.to_string()),
        "start_line": start_line(message),
        "method": message.method_str(),
        "status_code": message.status().map(|status| status.as_u16()),
        "headers": message.headers().count(),
        "via_count": message.vias().count(),
        "call_id": message.header("Call-ID"),
        "cseq": message.cseq().ok().flatten().map(|cseq| cseq.to_string()),
        "from_tag": tag(message.from().ok().flatten()),
        "to_tag": tag(message.to().ok().flatten()),
        "content_type": message.header("Content-Type"),
        "body_len": message.body().len(),
        "roundtrip": written(message) == message.as_bytes(),
        "epid": message.from().ok().flatten().and_then(|from| from.epid().map(str::to_owned)),
        "parts": parts(message),
    })
}

/// The message through its owned form.
fn written(message: &Message<'_>) -> Vec<u8> {
    match (message.to_request(), message.to_response()) {
        (Some(request), _) => request.to_bytes().to_vec(),
        (None, Some(response)) => response.to_bytes().to_vec(),
        (None, None) => Vec::new(),
    }
}

fn start_line(message: &Message<'_>) -> String {
    match message.start_line() {
        StartLine::Request { method, uri } => format!("{method} {uri} SIP/2.0"),
        StartLine::Response { status, reason } => format!("SIP/2.0 {status} {reason}"),
    }
}

/// The media types of a body of several parts.
fn parts(message: &Message<'_>) -> Vec<String> {
    let Some(kind) = message.header("Content-Type").filter(|_| !message.body().is_empty()) else {
        return Vec::new();
    };
    let body = linkspan_sip::Bytes::copy_from_slice(message.body());
    let parts = body_parts(kind, &body).unwrap_or_default();
    parts.iter().map(|part| part.content_type().to_owned()).collect()
}

fn lines(message: &Message<'_>) -> Vec<String> {
    let mut lines = vec![start_line(message)];
    for via in message.vias() {
        lines.push(match via {
            Ok(via) => format!("via {} {}{}", via.transport(), via.host(), port(via.port())),
            Err(error) => format!("via: {error}"),
        });
    }
    for (name, address) in [("from", message.from()), ("to", message.to())] {
        match address {
            Ok(Some(address)) => lines.push(format!(
                "{name} {}{}{}",
                address.uri(),
                address.tag().map(|tag| format!(" tag {tag}")).unwrap_or_default(),
                address.epid().map(|epid| format!(" epid {epid}")).unwrap_or_default(),
            )),
            Ok(None) => {}
            Err(error) => lines.push(format!("{name}: {error}")),
        }
    }
    for (name, list) in [("contact", message.contacts()), ("record-route", message.record_routes())]
    {
        for address in list {
            lines.push(match address {
                Ok(address) => format!("{name} {}", address.uri()),
                Err(error) => format!("{name}: {error}"),
            });
        }
    }
    for name in ["Call-ID", "CSeq", "Supported", "Require", "Content-Type", "Reason"] {
        lines.extend(
            message.header_all(name).map(|value| format!("{} {value}", name.to_lowercase())),
        );
    }
    for name in ["ms-diagnostics", "ms-diagnostics-public", "ms-client-diagnostics"] {
        lines.extend(message.header_all(name).map(|value| format!("{name} {value}")));
    }
    if !message.body().is_empty() {
        lines.push(format!("body {} octets, {}", message.body().len(), parts(message).join(" + ")));
    }
    lines
}

fn port(port: Option<u16>) -> String {
    port.map(|port| format!(":{port}")).unwrap_or_default()
}

fn status(error: ParseError) -> Option<u16> {
    error.status().map(|status| status.as_u16())
}

fn answer(error: ParseError) -> String {
    error.status().map(|status| format!(" ({status})")).unwrap_or_default()
}
