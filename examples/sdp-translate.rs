//! Translates an offer as the gateway does, and says why each line became what it did.
//!
//! ```text
//! cargo run --example sdp-translate -- --to ms|standard [--explain] [--json] FILE
//! ```

#[path = "sdp/print.rs"]
mod print;

use std::error::Error;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use linkspan_examples::{Report, Style};
use linkspan_sdp::{
    EncryptionLevel, LocalMedia, Profile, SessionDescription,
    translate::{self, MediaOutcome},
};
use serde_json::json;

/// Translates an offer as the gateway does, and says why each line became what it did.
///
/// Exit code: 0 when it can be translated, 1 when it is refused, 2 for wrong usage.
#[derive(Debug, Parser)]
struct Arguments {
    /// The dialect to translate to.
    #[arg(long)]
    to: To,
    /// Encryption level of the offerer's side: required, supported, none.
    #[arg(long, default_value = "supported", value_parser = level)]
    from_encryption: EncryptionLevel,
    /// Encryption level of the side that is translated to.
    #[arg(long, default_value = "supported", value_parser = level)]
    encryption: EncryptionLevel,
    /// Our media address.
    #[arg(long, default_value = "192.0.2.80")]
    address: IpAddr,
    /// Our first media port; each section takes two.
    #[arg(long, default_value_t = 40_000)]
    port: u16,
    /// Say why each line became what it did.
    #[arg(long)]
    explain: bool,
    /// One JSON object.
    #[arg(long)]
    json: bool,
    /// The offer; - is standard input.
    file: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum To {
    /// A standard offer, for Lync.
    Ms,
    /// A Lync offer, for the standard side.
    Standard,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let report = Report::stdout(Style::from_flag(arguments.json));
    match run(&arguments, &report) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => print::refused(&report, &arguments.file, error.as_ref()),
    }
}

fn run(arguments: &Arguments, report: &Report) -> Result<(), Box<dyn Error>> {
    let (from, to) = match arguments.to {
        To::Ms => (Profile::standard(), Profile::lync()),
        To::Standard => (Profile::lync(), Profile::standard()),
    };
    let from = Profile { encryption: arguments.from_encryption, ..from };
    let to = Profile { encryption: arguments.encryption, ..to };
    let offer = SessionDescription::parse(&print::read(&arguments.file)?)?;
    let mut locals: Vec<LocalMedia> = Vec::new();
    let mut port = arguments.port;
    for media in &offer.media {
        locals.push(print::local(&to, &media.kind, arguments.address, port)?);
        port = port.saturating_add(2);
    }
    let translated = translate::offer(&offer, &from, &to, &locals)?;
    let lines = translated.explain_lines();
    let explain: Vec<String> =
        translated.explain.iter().chain(&lines).map(ToString::to_string).collect();
    let outcomes: Vec<String> = (0..translated.description.media.len())
        .map(|index| {
            let of = |m: &&MediaOutcome| m.b_index == Some(index);
            translated.media.iter().find(of).map_or_else(String::new, |m| m.outcome.to_string())
        })
        .collect();
    let mut line = print::line(&translated.description, &outcomes, &explain);
    if let Some(object) = line.as_object_mut() {
        let source: Vec<_> = translated
            .media
            .iter()
            .map(|m| {
                let formats: Vec<String> = m.formats.iter().map(ToString::to_string).collect();
                json!({
                    "kind": m.kind.token(), "outcome": m.outcome.to_string(), "to": m.b_index,
                    "formats": formats,
                })
            })
            .collect();
        object.insert("source".into(), json!(source));
    }
    report.json(&line);
    report.text(translated.description.to_string().trim_end());
    if arguments.explain {
        report.text("");
        for line in explain {
            report.text(line);
        }
    }
    Ok(())
}

fn level(name: &str) -> Result<EncryptionLevel, String> {
    EncryptionLevel::from_name(name).ok_or_else(|| format!("unknown level {name}"))
}
