//! `gateway serve`: a gateway on configured addresses, until it is interrupted.

use std::error::Error;
use std::fs;
use std::path::Path;

use linkspan_examples::{GatewayDriver, Report, Tap};
use linkspan_gateway::Side;
use serde_json::json;
use tokio::sync::oneshot;

use crate::{config, tables};

/// Runs the gateway of a configuration file.
pub(crate) async fn run(
    path: &Path,
    trace: Option<&Path>,
    report: &Report,
) -> Result<(), Box<dyn Error>> {
    let file = config::read_sound(path)?;
    let tls = file.tls.as_ref().map(config::TlsFiles::load).transpose()?;
    let tap = Tap::on_one_party(report.clone(), &["Lync side", GATEWAY, "standards side"]);
    if let Some(folder) = trace {
        fs::create_dir_all(folder)?;
        tap.capture(&folder.join("gateway.pcap"), &folder.join("gateway.keys.txt"))?;
    }
    for route in &file.gateway.routes {
        let name = match route.to {
            Side::Lync => "Lync side",
            Side::Standard => "standards side",
        };
        for hop in route.next_hops.iter().flat_map(|hop| hop.socket_addresses()) {
            tap.name(hop, name);
        }
    }
    let (driver, mut events) =
        GatewayDriver::start(file.gateway, tls, tap.clone(), GATEWAY).await?;
    for side in [Side::Lync, Side::Standard] {
        for listener in &driver.config().side(side).listeners {
            report.text(format!("{side}: {} {}", listener.transport, listener.address));
        }
    }
    let (stop, stopped) = oneshot::channel();
    let running = tokio::spawn(driver.run(stopped));
    report.text("ready");
    report.json(&json!({"event": "ready"}));
    let telling = tokio::spawn({
        let report = report.clone();
        async move {
            while let Some(event) = events.recv().await {
                if let Some((text, value)) = tables::event(&event) {
                    report.text(text);
                    report.json(&value);
                }
            }
        }
    });
    interrupted().await?;
    // Dropping it would stop the gateway as well.
    let _ = stop.send(());
    running.await?;
    telling.await?;
    tap.flush()?;
    report.text("stopped");
    report.json(&json!({"event": "end", "ok": true}));
    Ok(())
}

/// Waits for an interrupt, or for the request to terminate where there is such a thing.
async fn interrupted() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

const GATEWAY: &str = "gateway";
