//! The demonstration: a Lync-side client and a standards-side endpoint call each other through a
//! gateway, over real sockets on loopback, and what arrives is compared with what was sent.

use std::error::Error;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use linkspan_examples::{
    Authority, CallPlan, CallReport, Endpoint, EndpointConfig, GatewayDriver, GatewayHandle,
    Report, Tap, Tls, VideoClip, synthesise, transport_of,
};
use linkspan_gateway::{
    Config, Encryption, GatewayEvent, IceKind, Listener, Route, Side, SignallingTransport,
    StreamKind,
};
use linkspan_sdp::{EncryptionLevel, IceMode};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::proof::Proof;
use crate::tables;

/// What may be chosen for the demonstration.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// One JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
    /// Where pictures, sound and the capture are written.
    #[arg(long, value_name = "DIR", default_value = "target/demo")]
    out: PathBuf,
    /// Signalling of the standards side.
    #[arg(long, value_enum, default_value_t = Transport::Tcp)]
    standard_transport: Transport,
    /// Encryption of the standards side.
    #[arg(long, value_enum, default_value_t = Level::Required)]
    standard_encryption: Level,
    /// ICE of the standards side.
    #[arg(long, value_enum, default_value_t = Ice::Rfc8445)]
    standard_ice: Ice,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Transport {
    Udp,
    Tcp,
    Tls,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Level {
    /// SRTP, or no call.
    Required,
    /// SRTP where both can.
    Supported,
    /// RTP in clear.
    None,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Ice {
    Rfc8445,
    None,
}

impl Options {
    fn transport(&self) -> SignallingTransport {
        match self.standard_transport {
            Transport::Udp => SignallingTransport::Udp,
            Transport::Tcp => SignallingTransport::Tcp,
            Transport::Tls => SignallingTransport::Tls,
        }
    }

    fn encryption(&self) -> (Encryption, EncryptionLevel) {
        match self.standard_encryption {
            Level::Required => (Encryption::Required, EncryptionLevel::Required),
            Level::Supported => (Encryption::Supported, EncryptionLevel::Supported),
            Level::None => (Encryption::None, EncryptionLevel::None),
        }
    }

    fn ice(&self) -> (IceKind, IceMode) {
        match self.standard_ice {
            Ice::Rfc8445 => (IceKind::Rfc8445, IceMode::Rfc8445),
            Ice::None => (IceKind::None, IceMode::None),
        }
    }
}

/// Runs the demonstration. An error means that something did not arrive.
pub(crate) async fn run(options: &Options, report: &Report) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    fs::create_dir_all(&options.out)
        .map_err(|error| format!("{}: {error}", options.out.display()))?;
    let outcome = match timeout(LONGEST, Stage::set(options, report)).await {
        Ok(Ok(stage)) => stage.play(options, report).await,
        Ok(Err(error)) => Err(error),
        Err(_) => Err("the stage was not set in time".into()),
    };
    let seconds = start.elapsed().as_secs_f64();
    let (ok, calls, error) = match &outcome {
        Ok(calls) => (true, *calls, None),
        Err(error) => (false, 0, Some(error.to_string())),
    };
    report.json(&json!({
        "event": "end", "ok": ok, "calls": calls, "seconds": seconds, "error": error,
    }));
    outcome?;
    report.text(format!("\nBoth calls carried everything, in {seconds:.1} s."));
    Ok(())
}

/// The three parties, ready for calls.
struct Stage {
    tap: Tap,
    lync: Endpoint,
    room: Endpoint,
    events: mpsc::Receiver<GatewayEvent>,
    handle: GatewayHandle,
    gateway: tokio::task::JoinHandle<()>,
}

impl Stage {
    async fn set(options: &Options, report: &Report) -> Result<Self, Box<dyn Error>> {
        let tap = Tap::on_all_parties(report.clone(), &[CLIENT, GATEWAY, ROOM]);
        tap.capture(&options.out.join("demo.pcap"), &options.out.join("demo.keys.txt"))?;
        tap.keep();
        // One authority for all; each party has a certificate of its own and checks the others'.
        let authority = Authority::generate()?;
        let tls = || -> std::io::Result<Tls> {
            let identity = authority.identity(&["127.0.0.1", "localhost"])?;
            Tls::new(Some(identity), authority.roots()?, true)
        };

        let mut lync = EndpointConfig::new(Side::Lync, CLIENT, "alice", LYNC_DOMAIN);
        lync.display = "Alice".to_owned();
        let mut room = EndpointConfig::new(Side::Standard, ROOM, "room", ROOM_DOMAIN);
        room.display = "Meeting Room".to_owned();
        room.transport = transport_of(options.transport());
        (_, room.encryption) = options.encryption();
        (_, room.ice) = options.ice();
        let mut lync = Endpoint::start(lync, Some(tls()?), tap.clone(), report.clone()).await?;
        let mut room = Endpoint::start(room, Some(tls()?), tap.clone(), report.clone()).await?;

        let config = configuration(options, lync.address(), room.address())?;
        let (driver, handle, events) =
            GatewayDriver::start(config, Some(tls()?), tap.clone(), GATEWAY, 0).await?;
        let address = |side: Side, transport| {
            let listener = driver.config().side(side).listener(transport);
            listener.map(|listener| listener.address).ok_or("the gateway has no listener")
        };
        lync.set_proxy(address(Side::Lync, SignallingTransport::Tls)?);
        room.set_proxy(address(Side::Standard, options.transport())?);
        let gateway = tokio::spawn(driver.run());
        Ok(Self { tap, lync, room, events, handle, gateway })
    }

    /// Both calls, and what they prove. Gives the number of calls.
    async fn play(mut self, options: &Options, report: &Report) -> Result<usize, Box<dyn Error>> {
        let mut proof = Proof::new(options.encryption().0 != Encryption::None, report);
        let plans = Plans::new();
        let directions = [(Side::Lync, "Lync to room"), (Side::Standard, "room to Lync")];
        for (number, (caller, title)) in (1..).zip(directions) {
            report.text(format!("\nCall {number}: {title}\n"));
            let calls = self.one_call(caller, &plans);
            let (lync, room) = timeout(LONGEST, calls)
                .await
                .map_err(|_| format!("call {number}, {title}: not over in time"))?
                .map_err(|error| format!("call {number}, {title}: {error}"))?;
            // The gateway's last figures of the call follow its BYE.
            tokio::time::sleep(Duration::from_millis(100)).await;
            let events: Vec<_> = std::iter::from_fn(|| self.events.try_recv().ok()).collect();
            report.json(&json!({
                "event": "call", "call": number, "caller": caller.name(), "state": "over",
                "seconds": lync.seconds.max(room.seconds), "ended": lync.cause,
            }));
            tables::print(report, number, &lync, &room, &events);
            write_files(&options.out, number, &lync, &room, report)?;
            proof.judge(number, [&lync, &room], &plans.said(), self.tap.take_kept());
        }
        proof.judge_front_end(self.lync.faults());
        drop(self.handle);
        self.gateway.await?;
        self.tap.flush()?;
        for (kind, name) in [("capture", "demo.pcap"), ("keys", "demo.keys.txt")] {
            tables::file(report, kind, &options.out.join(name));
        }
        proof.verdict()?;
        Ok(directions.len())
    }

    async fn one_call(
        &mut self,
        caller: Side,
        plans: &Plans,
    ) -> Result<(CallReport, CallReport), Box<dyn Error>> {
        let Self { lync, room, .. } = self;
        let (lync_plan, room_plan) = plans.of(caller);
        let (lync, room) = match caller {
            Side::Lync => {
                let uri = room.uri();
                tokio::join!(lync.call(&uri, &lync_plan), room.answer(&room_plan, LONGEST))
            }
            Side::Standard => {
                let uri = lync.uri();
                tokio::join!(lync.answer(&lync_plan, LONGEST), room.call(&uri, &room_plan))
            }
        };
        let lync = lync.map_err(|error| format!("{CLIENT}: {error}"));
        let room = room.map_err(|error| format!("{ROOM}: {error}"));
        match (lync, room) {
            (Ok(lync), Ok(room)) => Ok((lync, room)),
            (Err(one), Err(other)) => Err(format!("{one}; {other}").into()),
            (Err(error), _) | (_, Err(error)) => Err(error.into()),
        }
    }
}

fn configuration(
    options: &Options,
    lync: SocketAddr,
    room: SocketAddr,
) -> Result<Config, Box<dyn Error>> {
    let any = SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 0);
    let mut config = Config::default();
    config.name = "gateway.example.test".to_owned();
    config.timers.rtcp_ms = 1_000;
    config.lync.listeners = vec![Listener { transport: SignallingTransport::Tls, address: any }];
    config.standard.listeners = vec![Listener { transport: options.transport(), address: any }];
    (config.standard.encryption, _) = options.encryption();
    (config.standard.ice, _) = options.ice();
    let mut to_room = Route::new(ROOM_DOMAIN.parse()?, Side::Standard);
    to_room.next_hops.push(format!("{}:{room}", options.transport()).parse()?);
    let mut to_lync = Route::new(LYNC_DOMAIN.parse()?, Side::Lync);
    to_lync.next_hops.push(format!("tls:{lync}").parse()?);
    config.routes = vec![to_room, to_lync];
    Ok(config)
}

/// What each party does: the Lync side shows a stream with three temporal layers, the room a
/// plain one; each has a voice and dials digits of its own.
struct Plans {
    lync: CallPlan,
    room: CallPlan,
}

impl Plans {
    fn new() -> Self {
        let picture_time = Duration::from_nanos(1_000_000_000 / 30);
        let plan = |pitch, digits: &str, stream: &[u8]| CallPlan {
            audio: synthesise(pitch, CLIP_PACKETS),
            digits: digits.to_owned(),
            video: Some(VideoClip::parse(stream, picture_time)),
            asks_for_refresh: true,
            longest: Some(LONGEST - Duration::from_secs(1)),
            ..CallPlan::default()
        };
        let mut lync = plan(440.0, "12#", LYNC_STREAM);
        // As a Lync client does: each temporal layer has its own priority id and source.
        lync.video = lync.video.map(|clip| clip.with_numbered_layers());
        Self { lync, room: plan(660.0, "*90", ROOM_STREAM) }
    }

    fn of(&self, caller: Side) -> (CallPlan, CallPlan) {
        let (mut lync, mut room) = (self.lync.clone(), self.room.clone());
        lync.hangs_up = caller == Side::Lync;
        room.hangs_up = caller == Side::Standard;
        (lync, room)
    }

    /// What each side says and dials: Lync's first.
    fn said(&self) -> [(&[u8], &str); 2] {
        [(&self.lync.audio, &self.lync.digits), (&self.room.audio, &self.room.digits)]
    }
}

fn write_files(
    folder: &Path,
    number: u32,
    lync: &CallReport,
    room: &CallReport,
    report: &Report,
) -> std::io::Result<()> {
    let at_room = if number == 1 { "received".to_owned() } else { format!("received-{number}") };
    let at_lync =
        if number == 1 { "received-lync".to_owned() } else { format!("received-lync-{number}") };
    for (call, name) in [(room, at_room), (lync, at_lync)] {
        for (kind, what, extension) in
            [(StreamKind::Video, "video", "h264"), (StreamKind::Audio, "audio", "wav")]
        {
            if let Some(stream) = call.stream(kind) {
                let path = folder.join(format!("{name}.{extension}"));
                stream.write_received(&path)?;
                tables::file(report, what, &path);
            }
        }
    }
    Ok(())
}

const CLIENT: &str = "Lync client";
const GATEWAY: &str = "gateway";
const ROOM: &str = "room";
const LYNC_DOMAIN: &str = "example.test";
const ROOM_DOMAIN: &str = "video.example.test";
/// Two seconds of sound.
const CLIP_PACKETS: usize = 100;
const LONGEST: Duration = Duration::from_secs(12);
const LYNC_STREAM: &[u8] = include_bytes!("../media/lync-t3-640x360.264");
const ROOM_STREAM: &[u8] = include_bytes!("../media/standard-640x360.264");
