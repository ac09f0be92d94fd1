//! A standards-side room joins a Lync conference through the gateway, over loopback: it is seen on
//! the roster, muted, heard again, and removed by the presenter.
//!
//! ```text
//! conference [--json]
//! ```
//!
//! The focus and its conferencing server are a stand-in, in this process. The roster is printed as
//! it changes. The exit code is 0 when everything came about, 1 otherwise, 2 for a command line
//! that is not understood.

mod front_end;
mod script;
mod server;

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use front_end::FrontEnd;
use linkspan_c3p::ConferenceUri;
use linkspan_examples::{
    CallPlan, Endpoint, EndpointConfig, GatewayDriver, Report, Style, Tap, describe_event,
    synthesise,
};
use linkspan_gateway::{
    ConferenceAlias, Config, Encryption, GatewayEvent, IceKind, Listener, Route, Side,
    SignallingTransport,
};
use linkspan_sdp::{EncryptionLevel, IceMode};
use linkspan_sip::Transport;
use serde_json::json;
use tokio::time::timeout;

/// A standards-side room in a Lync conference.
#[derive(Debug, Parser)]
#[command(name = "conference", version)]
struct Arguments {
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    linkspan_examples::log_to_stderr();
    let report = Report::stdout(Style::from_flag(arguments.json));
    let start = Instant::now();
    let outcome = match timeout(LONGEST, run(&report)).await {
        Ok(outcome) => outcome,
        Err(_) => Err("not over in time".into()),
    };
    let error = outcome.as_ref().err().map(ToString::to_string);
    let seconds = start.elapsed().as_secs_f64();
    report.json(&json!({
        "event": "end", "ok": outcome.is_ok(), "error": error, "seconds": seconds,
    }));
    match error {
        None => {
            report.text(format!("\nSeen, muted, heard again and removed, in {seconds:.1} s."));
            ExitCode::SUCCESS
        }
        Some(error) => {
            eprintln!("conference: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(report: &Report) -> Result<(), Box<dyn Error>> {
    let tap = Tap::closed();
    let uri = ConferenceUri::focus("alice@example.test", "K7Q2M4ZD");
    let front_end = FrontEnd::start(uri.clone(), tap.clone(), report.clone()).await?;
    let config = configuration(&uri, front_end.address())?;
    let (driver, handle, mut events) =
        GatewayDriver::start(config, None, tap.clone(), "gateway", 1).await?;
    let listener = driver.config().standard.listener(SignallingTransport::Tcp);
    let gateway_address = listener.ok_or("the gateway has no listener")?.address;
    let gateway = tokio::spawn(driver.run());

    let mut room = EndpointConfig::new(Side::Standard, "room", "room4", "video.example.test");
    room.display = "Meeting Room".to_owned();
    room.transport = Transport::Tcp;
    room.encryption = EncryptionLevel::None;
    room.ice = IceMode::None;
    room.proxy = Some(gateway_address);
    let mut room = Endpoint::start(room, None, tap, report.clone()).await?;
    let room_uri = room.uri();
    report.text("The room calls sip:weekly@meet.example.test\n");
    let plan = CallPlan {
        audio: synthesise(440.0, 100),
        without_video: true,
        repeats: true,
        longest: Some(LONGEST),
        ..CallPlan::default()
    };
    let (call, script) =
        tokio::join!(room.call("sip:weekly@meet.example.test", &plan), front_end.play(&room_uri),);
    script?;
    let call = call.map_err(|error| format!("the room's call: {error}"))?;
    let mut told = 0;
    while let Ok(event) = events.try_recv() {
        if matches!(event, GatewayEvent::Roster { .. })
            && let Some((text, value)) = describe_event(&event)
        {
            told += 1;
            report.text(format!("gateway: {text}"));
            report.json(&value);
        }
    }
    if call.hung_up {
        return Err("the room was not removed".into());
    }
    if told == 0 {
        return Err("the gateway saw no roster".into());
    }
    drop(handle);
    gateway.await?;
    Ok(())
}

fn configuration(focus: &ConferenceUri, front_end: SocketAddr) -> Result<Config, Box<dyn Error>> {
    let mut config = Config::default();
    config.name = "gateway.example.test".into();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    for side in [&mut config.lync, &mut config.standard] {
        side.listeners = vec![Listener { transport: SignallingTransport::Tcp, address: any }];
        side.media_address = any.ip();
        side.encryption = Encryption::None;
        side.ice = IceKind::None;
    }
    (config.lync.first_port, config.lync.last_port) = (21_000, 21_099);
    (config.standard.first_port, config.standard.last_port) = (21_100, 21_199);
    let mut alias = ConferenceAlias::new("meet.example.test".parse()?);
    alias.user = Some("weekly".into());
    alias.focus = Some(focus.to_string());
    config.conferences.push(alias);
    let mut route = Route::new("example.test".parse()?, Side::Lync);
    route.next_hops.push(format!("tcp:{front_end}").parse()?);
    config.routes.push(route);
    Ok(config)
}

const LONGEST: Duration = Duration::from_secs(20);
