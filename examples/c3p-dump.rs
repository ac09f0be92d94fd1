//! Decodes C3P requests and responses, conference documents and invitations; merges notifications
//! into a roster.
//!
//! ```text
//! cargo run --example c3p-dump -- [--json] [--roster] FILE…       # - is standard input
//! ```

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use linkspan_c3p::{
    Conference, ConferenceUri, Diagnostic, Document, FocusDialog, Limits, Participant,
};
use linkspan_examples::{Report, Style};
use serde_json::{Value, json};

/// Decodes C3P and conference documents.
///
/// Exit code: 0 when every document is accepted, 1 when one is not, 2 for wrong usage.
#[derive(Debug, Parser)]
struct Arguments {
    /// One JSON object per document, or per user with --roster.
    #[arg(long)]
    json: bool,
    /// Merges the notifications in the order given, whatever their versions, and prints the
    /// roster. Gaps are reported on standard error.
    #[arg(long)]
    roster: bool,
    /// Files; - is standard input.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let report = Report::stdout(Style::from_flag(arguments.json));
    let mut conference = Conference::new(None, Limits::default());
    let mut all_good = true;
    for file in &arguments.files {
        let name = file.display().to_string();
        let parsed = read(file)
            .map_err(|error| error.to_string())
            .and_then(|octets| Document::parse(&octets).map_err(|error| error.to_string()))
            .and_then(|document| consistent(document).map_err(str::to_owned));
        let outcome = match (parsed, arguments.roster) {
            (Ok(document), false) => {
                describe(&report, &name, &document);
                Ok(())
            }
            (Ok(document), true) => merge(&name, &mut conference, document),
            (Err(error), is_roster) => {
                if !is_roster {
                    report.text(format!("{name}: reject: {error}"));
                    report.json(&line(&name, None, Some(&error)));
                }
                Err(error)
            }
        };
        if let Err(error) = outcome {
            all_good = false;
            if arguments.roster || arguments.json {
                eprintln!("{name}: {error}");
            }
        }
    }
    if arguments.roster {
        for participant in conference.participants() {
            print(&report, &participant);
        }
    }
    if all_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What a document says of itself has to fit together: the conferencing server and the conference
/// of a request belong to the focus that it goes to, and only a focus answers. Whether sender and
/// recipient are who they say is for the dialog to tell.
fn consistent(document: Document) -> Result<Document, &'static str> {
    let outcome = match &document {
        Document::Request(request) => {
            FocusDialog::new(&request.from, &request.to).check_request(request)
        }
        Document::Response(response) if response.from.parse::<ConferenceUri>().is_err() => {
            Err(Diagnostic::InvalidFrom)
        }
        _ => Ok(()),
    };
    outcome.map(|()| document).map_err(Diagnostic::reason)
}

fn merge(name: &str, conference: &mut Conference, document: Document) -> Result<(), String> {
    let Document::ConferenceInfo(info) = document else {
        return Err("not a conference document".into());
    };
    if let Some(gap) = conference.gap(&info) {
        eprintln!("{name}: {gap}");
    }
    conference.force(*info).map_err(|error| error.to_string())?;
    while conference.poll_event().is_some() {}
    Ok(())
}

#[allow(clippy::indexing_slicing, reason = "a JSON object takes any key")]
fn describe(report: &Report, name: &str, document: &Document) {
    let line = line(name, Some(document), None);
    let text = |key: &str| match &line[key] {
        Value::String(text) => format!(" {text}"),
        Value::Number(number) => format!(" {number}"),
        _ => String::new(),
    };
    let detail: String =
        ["command", "request_id", "code", "reason", "state", "version", "users", "entity"]
            .iter()
            .map(|key| text(key))
            .collect();
    report.text(format!("{name}: {}{detail}", kind(document)));
    report.json(&line);
}

fn kind(document: &Document) -> &'static str {
    match document {
        Document::Request(_) => "request",
        Document::Response(_) => "response",
        Document::ConferenceInfo(_) => "conference-info",
        Document::Invitation(_) => "conf-invite",
        _ => "other",
    }
}

#[allow(clippy::indexing_slicing, reason = "a JSON object takes any key")]
fn line(name: &str, document: Option<&Document>, error: Option<&str>) -> Value {
    let mut line = json!({
        "file": name,
        "kind": document.map(kind),
        "verdict": if document.is_some() { "accept" } else { "reject" },
        "error": error,
        "command": null,
        "request_id": null,
        "code": null,
    });
    match document {
        Some(Document::Request(request)) => {
            line["command"] = json!(request.command.body.name());
            line["request_id"] = json!(request.request_id.0);
            line["from"] = json!(request.from.as_str());
            line["to"] = json!(request.to.as_str());
            line["mcu_uri"] = json!(request.command.mcu_uri.as_deref());
        }
        Some(Document::Response(response)) => {
            line["command"] = json!(response.reply.command.local.as_str());
            line["request_id"] = json!(response.request_id.0);
            line["code"] = json!(response.code.as_str());
            line["reason"] = json!(response.reply.reason.as_ref().map(|reason| reason.as_str()));
            line["from"] = json!(response.from.as_str());
            line["to"] = json!(response.to.as_str());
        }
        Some(Document::ConferenceInfo(info)) => {
            line["entity"] = json!(info.entity.as_str());
            line["state"] = json!(info.state.unwrap_or_default().as_str());
            line["version"] = json!(info.version);
            line["users"] = json!(info.users().len());
        }
        Some(Document::Invitation(invitation)) => {
            line["entity"] = json!(&*invitation.focus_uri);
            line["subject"] = json!(invitation.subject.as_deref());
        }
        _ => {}
    }
    line
}

fn print(report: &Report, participant: &Participant<'_>) {
    let user = participant.user();
    let roles: Vec<&str> = user.roles.iter().flatten().map(|role| role.as_str()).collect();
    let sessions: Vec<&str> = user
        .endpoints
        .iter()
        .map(|one| one.session_type.as_ref().map_or("-", |kind| kind.as_str()))
        .collect();
    let mut marks = String::new();
    for (is_set, mark) in
        [(participant.is_in_lobby(), " (in the lobby)"), (participant.is_sharing(), " (sharing)")]
    {
        if is_set {
            marks.push_str(mark);
        }
    }
    report.text(format!(
        "{}  {}  {}  {}{marks}",
        user.entity,
        participant.display_name(),
        roles.join(","),
        sessions.join(",")
    ));
    let endpoints: Vec<Value> = user
        .endpoints
        .iter()
        .map(|endpoint| {
            let media: Vec<Value> = endpoint
                .media
                .iter()
                .map(|media| {
                    json!({
                        "id": media.id.as_str(),
                        "type": media.kind.as_ref().map(|kind| kind.as_str()),
                        "label": media.label.as_deref(),
                        "status": media.status.as_ref().map(|status| status.as_str()),
                        "source_id": media.source_id,
                        "ingress": media.ingress_filter.as_ref().map(|filter| filter.as_str()),
                    })
                })
                .collect();
            json!({
                "entity": endpoint.entity.as_str(),
                "session_type": endpoint.session_type.as_ref().map(|kind| kind.as_str()),
                "status": endpoint.status.as_ref().map(|status| status.as_str()),
                "media": media,
            })
        })
        .collect();
    report.json(&json!({
        "entity": user.entity.as_str(),
        "display_name": user.display_text.as_ref().map(|_| participant.display_name()),
        "roles": roles,
        "endpoints": endpoints,
        "in_lobby": participant.is_in_lobby(),
    }));
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    if file == Path::new("-") {
        let mut octets = Vec::new();
        io::stdin().lock().read_to_end(&mut octets)?;
        return Ok(octets);
    }
    std::fs::read(file)
}
