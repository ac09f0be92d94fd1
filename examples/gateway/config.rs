//! The configuration file of `serve` and `check`: the gateway's own keys, and the tables `[tls]`
//! and `[service]`.

use std::error::Error;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use linkspan_examples::{Identity, Report, Tls, read_roots};
use linkspan_gateway::{Config, Side, SignallingTransport};
use serde::Deserialize;
use serde_json::json;

use crate::lines::{self, Document, Problem};

/// Everything a configuration file says.
#[derive(Debug, Default)]
pub(crate) struct File {
    pub(crate) gateway: Config,
    pub(crate) service: Service,
    pub(crate) tls: Option<TlsFiles>,
}

/// How the program runs.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Service {
    /// Where metrics and status are served: loopback, unless an address says otherwise. An empty
    /// text serves them nowhere.
    #[serde(deserialize_with = "address_or_none")]
    pub(crate) http: Option<SocketAddr>,
    /// Threads that carry media; 0 is one for each processor.
    pub(crate) media_threads: usize,
    /// How long running calls may last when the program is asked to terminate.
    drain_seconds: u64,
}

impl Default for Service {
    fn default() -> Self {
        let http = Some(SocketAddr::from(([127, 0, 0, 1], 9_464)));
        Self { http, media_threads: 0, drain_seconds: 3_600 }
    }
}

impl Service {
    pub(crate) fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }
}

fn address_or_none<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(from)?;
    match text.as_str() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(serde::de::Error::custom),
    }
}

/// Where certificates are. Paths are relative to the configuration file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct TlsFiles {
    /// Our certificate and those between it and its authority.
    certificate: PathBuf,
    /// Its private key.
    key: PathBuf,
    /// The authorities that peers' certificates come from.
    ca: PathBuf,
    /// Whether a peer that connects must bring a certificate (true).
    #[serde(default = "yes")]
    mutual: bool,
}

fn yes() -> bool {
    true
}

impl TlsFiles {
    pub(crate) fn load(&self) -> Result<Tls, Box<dyn Error>> {
        let identity = Identity::from_pem_files(&self.certificate, &self.key)?;
        Ok(Tls::new(Some(identity), read_roots(&self.ca)?, self.mutual)?)
    }
}

/// Reads a configuration, and everything that is wrong with it.
fn read(path: &Path) -> Result<(File, Vec<Problem>), Box<dyn Error>> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut document = Document::parse(&text);
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let mut tls: Option<TlsFiles> = document.take("tls");
    if let Some(tls) = &mut tls {
        for file in [&mut tls.certificate, &mut tls.key, &mut tls.ca] {
            *file = folder.join(&file);
        }
    }
    let has_tls = document.has("tls");
    let service = document.take("service").unwrap_or_default();
    let gateway = document.rest().unwrap_or_default();
    let file = File { gateway, service, tls };
    for (field, reason) in problems(&file, has_tls) {
        document.report(field, reason);
    }
    Ok((file, document.into_problems()))
}

/// What is wrong with a configuration that can be read, each as field and reason.
fn problems(file: &File, has_tls: bool) -> Vec<(String, String)> {
    let mut problems: Vec<(String, String)> = file
        .gateway
        .check()
        .err()
        .map(|error| error.problems.into_iter().map(|p| (p.field, p.reason.to_owned())).collect())
        .unwrap_or_default();
    let uses_tls = [Side::Lync, Side::Standard]
        .into_iter()
        .any(|side| file.gateway.side(side).listener(SignallingTransport::Tls).is_some());
    match &file.tls {
        None if uses_tls && !has_tls => {
            problems.push(("tls".into(), "missing, and a listener has TLS".into()));
        }
        None => {}
        Some(tls) => {
            if let Err(error) = tls.load() {
                problems.push(("tls".into(), error.to_string()));
            }
        }
    }
    for side in [Side::Lync, Side::Standard] {
        if file.gateway.side(side).listeners.is_empty() {
            problems.push((format!("{side}.listeners"), "no listener".into()));
        }
    }
    if file.gateway.routes.is_empty() {
        problems.push(("routes".into(), "no route: every call would be refused".into()));
    }
    problems
}

/// `gateway check`.
pub(crate) fn check(path: &Path, report: &Report) -> Result<(), Box<dyn Error>> {
    let (file, problems) = read(path)?;
    if problems.is_empty() {
        describe(&file, report);
    }
    for problem in &problems {
        report.text(problem.at(path));
        report.json(&json!({
            "event": "problem", "line": problem.line, "column": problem.column,
            "field": problem.field, "reason": problem.reason,
        }));
    }
    report.json(&json!({"event": "end", "ok": problems.is_empty(), "problems": problems.len()}));
    if problems.is_empty() {
        report.text("sound");
        Ok(())
    } else {
        Err(format!("{}: {} problem(s)", path.display(), problems.len()).into())
    }
}

/// Reads a configuration that is to be used.
pub(crate) fn read_sound(path: &Path) -> Result<File, Box<dyn Error>> {
    let (file, problems) = read(path)?;
    if problems.is_empty() { Ok(file) } else { Err(lines::list(path, &problems).into()) }
}

fn describe(file: &File, report: &Report) {
    let config = &file.gateway;
    for side in [Side::Lync, Side::Standard] {
        let own = config.side(side);
        for listener in &own.listeners {
            report.text(format!("{side}: listens on {} {}", listener.transport, listener.address));
        }
        report.text(format!(
            "{side}: media on {} ports {}-{}, encryption {:?}, ICE {:?}",
            own.advertised(),
            own.first_port,
            own.last_port,
            own.encryption,
            own.ice
        ));
    }
    for route in &config.routes {
        let hops: Vec<String> = route.next_hops.iter().map(ToString::to_string).collect();
        let numbers: Vec<String> = route.numbers.iter().map(ToString::to_string).collect();
        let what = match &numbers[..] {
            [] => route.domain.to_string(),
            numbers => format!("{} at {}", numbers.join(", "), route.domain),
        };
        report.text(format!("calls for {what} go to {}: {}", route.to, hops.join(", ")));
        report.json(&json!({
            "event": "route",
            "name": route.name,
            "domain": route.domain.to_string(),
            "numbers": numbers,
            "to": route.to.name(),
            "next_hops": hops,
        }));
    }
    if let Some(http) = file.service.http {
        report.text(format!("metrics and status on http://{http}/metrics and /status"));
    }
}
