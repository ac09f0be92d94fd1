//! The configuration file of `serve` and `check`: the gateway's own keys and a `[tls]` table.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use linkspan_examples::{Identity, Report, Tls, read_roots};
use linkspan_gateway::{Config, Side, SignallingTransport};
use serde::Deserialize;
use serde_json::json;

/// Everything a configuration file says.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) gateway: Config,
    pub(crate) tls: Option<TlsFiles>,
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

/// Reads and checks a configuration.
pub(crate) fn read(path: &Path) -> Result<File, Box<dyn Error>> {
    let describe = |error: &dyn Error| format!("{}: {error}", path.display());
    let text = fs::read_to_string(path).map_err(|error| describe(&error))?;
    let mut table: toml::Table = text.parse().map_err(|error| describe(&error))?;
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let tls = match table.remove("tls") {
        Some(value) => {
            let mut files: TlsFiles = value
                .try_into()
                .map_err(|error: toml::de::Error| format!("tls: {}", error.message()))?;
            for file in [&mut files.certificate, &mut files.key, &mut files.ca] {
                *file = folder.join(&file);
            }
            Some(files)
        }
        None => None,
    };
    // Read from the text again where that is possible: its errors then know their line.
    let gateway = if tls.is_none() {
        toml::from_str::<Config>(&text)
    } else {
        toml::Value::Table(table).try_into::<Config>()
    };
    let gateway = gateway.map_err(|error| describe(&error))?;
    Ok(File { gateway, tls })
}

/// What is wrong with a configuration that can be read, each as field and reason.
fn problems(file: &File) -> Vec<(String, String)> {
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
        None if uses_tls => problems.push(("tls".into(), "missing, and a listener has TLS".into())),
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
    let problems = match read(path) {
        Ok(file) => {
            describe(&file.gateway, report);
            problems(&file)
        }
        Err(error) => vec![("file".to_owned(), error.to_string())],
    };
    for (field, reason) in &problems {
        report.text(format!("{field}: {reason}"));
        report.json(&json!({"event": "problem", "field": field, "reason": reason}));
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
    let file = read(path)?;
    let problems = problems(&file);
    if problems.is_empty() {
        return Ok(file);
    }
    let list: Vec<_> =
        problems.iter().map(|(field, reason)| format!("{field}: {reason}")).collect();
    Err(format!("{}: {}", path.display(), list.join("; ")).into())
}

fn describe(config: &Config, report: &Report) {
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
        report.text(format!("calls for {} go to {}: {}", route.domain, route.to, hops.join(", ")));
        report.json(&json!({
            "event": "route",
            "domain": route.domain.to_string(),
            "to": route.to.name(),
            "next_hops": hops,
        }));
    }
}
