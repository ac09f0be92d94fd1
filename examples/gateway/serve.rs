//! `gateway serve`: a gateway on configured addresses, until it is told to end.
//!
//! SIGTERM drains: no new calls, and the end when the running ones are over. SIGINT ends every
//! call at once. SIGHUP reads routes, policy and certificates again.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use linkspan_examples::{
    GatewayDriver, GatewayHandle, Limiter, Report, Tap, Tls, describe_event, resolve,
};
use linkspan_gateway::{Config, GatewayEvent, Listener, Side};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::{config, http};

/// Runs the gateway of a configuration file.
pub(crate) async fn run(
    path: &Path,
    trace: Option<&Path>,
    report: &Report,
) -> Result<(), Box<dyn Error>> {
    let file = config::read_sound(path)?;
    allow_sockets();
    let tls = file.tls.as_ref().map(config::TlsFiles::load).transpose()?;
    let tap = match trace {
        Some(folder) => tap_into(folder, report, &file.gateway)?,
        None => Tap::closed(),
    };
    let threads = file.service.media_threads;
    let (driver, handle, events) =
        GatewayDriver::start(file.gateway, tls.clone(), tap.clone(), GATEWAY, threads).await?;
    let listeners =
        [Side::Lync, Side::Standard].map(|side| driver.config().side(side).listeners.clone());
    for side in [Side::Lync, Side::Standard] {
        for listener in &driver.config().side(side).listeners {
            report.text(format!("{side}: {} {}", listener.transport, listener.address));
        }
    }
    if let Some(address) = file.service.http {
        let local = http::serve(address, handle.clone())
            .await
            .map_err(|error| format!("http {address}: {error}"))?;
        report.text(format!("http: {local}"));
    }
    let mut running = tokio::spawn(driver.run());
    report.text("ready");
    report.json(&json!({"event": "ready"}));
    let telling = tokio::spawn(tell(events, report.clone()));
    let mut signals = Signals::new()?;
    loop {
        let signal = tokio::select! {
            ended = &mut running => break ended?,
            signal = signals.next() => signal,
        };
        match signal {
            Signal::Drain => {
                say(
                    report,
                    "draining",
                    "no new calls; the end comes when the running ones are over",
                );
                handle.drain(file.service.drain()).await;
            }
            Signal::Stop => {
                say(report, "stopping", "every call is ended");
                handle.stop().await;
            }
            Signal::Reload => reload(path, &handle, (&listeners, tls.as_ref()), report).await,
        }
    }
    telling.await?;
    tap.flush()?;
    report.text("stopped");
    report.json(&json!({"event": "end", "ok": true}));
    Ok(())
}

/// Everything, and each call by itself, is recorded in a folder; the ladder is printed too.
fn tap_into(folder: &Path, report: &Report, config: &Config) -> std::io::Result<Tap> {
    let tap = Tap::on_one_party(report.clone(), &["Lync side", GATEWAY, "standards side"]);
    fs::create_dir_all(folder)?;
    tap.capture(&folder.join("gateway.pcap"), &folder.join("gateway.keys.txt"))?;
    tap.trace_calls(folder);
    for route in &config.routes {
        let name = match route.to {
            Side::Lync => "Lync side",
            Side::Standard => "standards side",
        };
        for hop in route.next_hops.iter().flat_map(|hop| hop.socket_addresses()) {
            tap.name(hop, name);
        }
    }
    Ok(tap)
}

/// As many open sockets as the system lets this user have: a call with video has eight.
fn allow_sockets() {
    #[cfg(target_os = "linux")]
    {
        use nix::sys::resource::{Resource, getrlimit, setrlimit};
        let raised = getrlimit(Resource::RLIMIT_NOFILE)
            .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
        if let Err(error) = raised {
            tracing::warn!(%error, "the bound on open files stays");
        }
    }
}

/// Prints what the gateway tells, so many lines a second at most.
async fn tell(mut events: mpsc::Receiver<GatewayEvent>, report: Report) {
    let mut limiter = Limiter::new(LINES);
    loop {
        let event = timeout(Duration::from_secs(1), events.recv()).await;
        let now = Instant::now();
        let left_out = limiter.left_out(now);
        if left_out > 0 {
            report.text(format!("{left_out} lines left out"));
            report.json(&json!({"event": "left-out", "lines": left_out}));
        }
        let Ok(event) = event else { continue };
        let Some(event) = event else { return };
        if let Some((text, value)) = describe_event(&event)
            && limiter.pass(now)
        {
            report.text(text);
            report.json(&value);
        }
    }
}

/// Reads the file again. Listeners stay as they were opened, and so do the settings of `[service]`.
async fn reload(
    path: &Path,
    handle: &GatewayHandle,
    (listeners, tls): (&[Vec<Listener>; 2], Option<&Tls>),
    report: &Report,
) {
    match reread(path, handle, tls).await {
        Ok(config) => {
            let what = "routes, policy, timers, limits and certificates are the file's";
            say(report, "reloaded", what);
            for (side, open) in [Side::Lync, Side::Standard].into_iter().zip(listeners) {
                if config.side(side).listeners != *open {
                    let what = format!("{side}: the listeners have changed, which takes a restart");
                    say(report, "listeners-stay", &what);
                }
            }
        }
        Err(error) => {
            report.text(format!("not reloaded, everything stays as it was:\n{error}"));
            report.json(&json!({"event": "not-reloaded", "reason": error.to_string()}));
        }
    }
}

async fn reread(
    path: &Path,
    handle: &GatewayHandle,
    tls: Option<&Tls>,
) -> Result<Config, Box<dyn Error>> {
    let file = config::read_sound(path)?;
    let certificates = file.tls.as_ref().map(config::TlsFiles::load).transpose()?;
    let mut config = file.gateway;
    resolve(&mut config).await?;
    handle.reload(config.clone()).await?;
    if let (Some(tls), Some(new)) = (tls, &certificates) {
        tls.replace(new);
    }
    Ok(config)
}

fn say(report: &Report, event: &str, what: &str) {
    report.text(format!("{event}: {what}"));
    report.json(&json!({"event": event}));
}

#[derive(Clone, Copy, Debug)]
enum Signal {
    Drain,
    Stop,
    Reload,
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Drain,
            _ = self.interrupt.recv() => Signal::Stop,
            _ = self.hangup.recv() => Signal::Reload,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Signal {
        // Without a handler the interrupt ends the process anyway.
        let _ = tokio::signal::ctrl_c().await;
        Signal::Stop
    }
}

const GATEWAY: &str = "gateway";
/// Lines of the log in a second.
const LINES: u32 = 200;
