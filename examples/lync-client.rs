//! The Lync side of one call, on a command line: places or takes an audio and video call over
//! TLS or TCP, shows an `.264` and says a `.wav`, and writes what it receives.
//!
//! ```text
//! lync-client --call sip:room@video.example.test --proxy 192.0.2.80:5061 --ca ca.pem \
//!     --video examples/media/lync-t3-640x360.264 --tone 440 --seconds 5 --out /tmp/call
//! lync-client --answer --listen 192.0.2.31:5061 --cert cert.pem --key key.pem --ca ca.pem
//! ```
//!
//! The exit code is 0 when the call was set up, media of every stream arrived and it ended in
//! order; 1 otherwise; 2 for a command line that is not understood.

use std::error::Error;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgGroup, Parser, ValueEnum};
use linkspan_examples::{
    CallPlan, CallReport, Endpoint, EndpointConfig, Identity, Report, Style, Table, Tap, Tls,
    VideoClip, read_roots, read_wav, synthesise,
};
use linkspan_gateway::{Side, StreamKind};
use linkspan_sdp::{EncryptionLevel, IceMode};
use linkspan_sip::Transport;
use serde_json::json;

/// The Lync side of one call.
#[derive(Debug, Parser)]
#[command(name = "lync-client", version)]
#[command(group(ArgGroup::new("what").required(true).args(["call", "answer"])))]
struct Arguments {
    /// Call this address.
    #[arg(long, value_name = "URI", requires = "proxy")]
    call: Option<String>,
    /// Take one call.
    #[arg(long, requires = "listen")]
    answer: bool,
    /// Where calls are sent: the gateway.
    #[arg(long, value_name = "IP:PORT")]
    proxy: Option<SocketAddr>,
    /// Where calls are taken.
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<SocketAddr>,
    /// What carries the signalling.
    #[arg(long, value_enum, default_value_t = Carrier::Tls)]
    transport: Carrier,
    /// Authorities that the peer's certificate may come from.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Our certificate, needed to take calls over TLS and where the peer asks for one.
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Its private key.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// The name that the proxy's certificate must carry; its address otherwise.
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    /// Local address.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    local: IpAddr,
    /// Our address.
    #[arg(long, value_name = "URI", default_value = "sip:alice@example.test")]
    from: String,
    /// Show this Annex B stream, over and over.
    #[arg(long, value_name = "FILE")]
    video: Option<PathBuf>,
    /// Pictures a second of the stream.
    #[arg(long, value_name = "N", default_value_t = 30)]
    rate: u32,
    /// A call without video.
    #[arg(long, conflicts_with = "video")]
    audio_only: bool,
    /// Say this, over and over: a WAV file of 8, 16, 24, 32 or 48 kHz.
    #[arg(long, value_name = "FILE")]
    audio: Option<PathBuf>,
    /// Say a tone of about this pitch.
    #[arg(long, value_name = "HZ", conflicts_with = "audio")]
    tone: Option<f64>,
    /// Dial these digits, after the sound has been said once.
    #[arg(long, value_name = "DIGITS", default_value = "")]
    digits: String,
    /// Hang up this long after the answer.
    #[arg(long, value_name = "N")]
    seconds: Option<f64>,
    /// Wait this long for a call.
    #[arg(long, value_name = "N", default_value_t = 60.0)]
    wait: f64,
    /// How far SRTP is demanded.
    #[arg(long, value_enum, default_value_t = Level::Required)]
    encryption: Level,
    /// How the media path is found.
    #[arg(long, value_enum, default_value_t = Ice::Ms)]
    ice: Ice,
    /// Write received.h264 and received.wav into this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write a capture and the SDES keys there as well.
    #[arg(long, requires = "out")]
    trace: bool,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Carrier {
    Tls,
    Tcp,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Level {
    Required,
    Supported,
    None,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Ice {
    Ms,
    None,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    linkspan_examples::log_to_stderr();
    let report = Report::stdout(Style::from_flag(arguments.json));
    let outcome = run(&arguments, &report).await;
    let error = outcome.as_ref().err().map(ToString::to_string);
    report.json(&json!({"event": "end", "ok": outcome.is_ok(), "error": error}));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lync-client: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments, report: &Report) -> Result<(), Box<dyn Error>> {
    let plan = plan(arguments)?;
    let tls = match arguments.transport {
        Carrier::Tcp => None,
        Carrier::Tls => Some(tls(arguments)?),
    };
    let tap = Tap::on_one_party(report.clone(), &[PARTY, "gateway"]);
    if let Some(folder) = &arguments.out {
        fs::create_dir_all(folder)?;
        if arguments.trace {
            tap.capture(&folder.join("call.pcap"), &folder.join("call.keys.txt"))?;
        }
    }
    if let Some(proxy) = arguments.proxy {
        tap.name(proxy, "gateway");
    }
    let config = configuration(arguments)?;
    let mut endpoint = Endpoint::start(config, tls, tap.clone(), report.clone()).await?;
    if let Some(name) = &arguments.server_name {
        endpoint.expect_name(name);
    }
    if arguments.listen.is_some() {
        report.text(format!("listening on {}", endpoint.address()));
    }
    report.json(&json!({"event": "ready", "address": endpoint.address().to_string()}));
    let call = match &arguments.call {
        Some(uri) => endpoint.call(uri, &plan).await,
        None => endpoint.answer(&plan, Duration::try_from_secs_f64(arguments.wait)?).await,
    };
    // For the last message to leave the socket.
    tokio::time::sleep(Duration::from_millis(200)).await;
    tap.flush()?;
    let call = call?;
    tell(&call, report);
    if let Some(folder) = &arguments.out {
        for stream in &call.streams {
            let (name, kind) = match stream.kind {
                StreamKind::Audio => ("received.wav", "audio"),
                StreamKind::Video => ("received.h264", "video"),
            };
            let path = folder.join(name);
            stream.write_received(&path)?;
            let shown = path.display().to_string();
            report.json(&json!({"event": "file", "kind": kind, "path": shown}));
            report.text(format!("{kind}: {shown}"));
        }
    }
    judge(&call, endpoint.faults())
}

fn plan(arguments: &Arguments) -> Result<CallPlan, Box<dyn Error>> {
    let describe = |path: &PathBuf, error| format!("{}: {error}", path.display());
    let audio = match (&arguments.audio, arguments.tone) {
        (Some(path), _) => read_wav(path).map_err(|error| describe(path, error))?,
        (None, Some(pitch)) if pitch.is_finite() && pitch > 0.0 => synthesise(pitch, TONE_PACKETS),
        (None, Some(_)) => return Err("--tone: not a pitch".into()),
        (None, None) => Vec::new(),
    };
    let video = match &arguments.video {
        Some(path) => {
            let stream = fs::read(path).map_err(|error| describe(path, error))?;
            let clip = VideoClip::parse(&stream, Duration::from_secs(1) / arguments.rate.max(1));
            if clip.pictures() == 0 {
                return Err(format!("{}: no pictures in it", path.display()).into());
            }
            Some(clip)
        }
        None => None,
    };
    Ok(CallPlan {
        audio,
        digits: arguments.digits.clone(),
        video,
        without_video: arguments.audio_only,
        repeats: true,
        longest: arguments.seconds.map(Duration::try_from_secs_f64).transpose()?,
        ..CallPlan::default()
    })
}

fn tls(arguments: &Arguments) -> Result<Tls, Box<dyn Error>> {
    let ca = arguments.ca.as_ref().ok_or("TLS needs --ca: whom to trust")?;
    let identity = match (&arguments.cert, &arguments.key) {
        (Some(cert), Some(key)) => Some(Identity::from_pem_files(cert, key)?),
        _ => None,
    };
    Ok(Tls::new(identity, read_roots(ca)?, false)?)
}

fn configuration(arguments: &Arguments) -> Result<EndpointConfig, Box<dyn Error>> {
    let address = arguments.from.strip_prefix("sip:").unwrap_or(&arguments.from);
    let (user, domain) = address.split_once('@').ok_or("--from: expected sip:user@domain")?;
    let mut config = EndpointConfig::new(Side::Lync, PARTY, user, domain);
    config.display = user.to_owned();
    config.transport = match arguments.transport {
        Carrier::Tls => Transport::Tls,
        Carrier::Tcp => Transport::Tcp,
    };
    config.listen = arguments.listen.unwrap_or_else(|| SocketAddr::new(arguments.local, 0));
    // To place a call nobody has to be let in: the gateway's requests come by our connection.
    config.accepts = arguments.listen.is_some();
    config.proxy = arguments.proxy;
    config.media_address = arguments.listen.map_or(arguments.local, |listen| listen.ip());
    config.encryption = match arguments.encryption {
        Level::Required => EncryptionLevel::Required,
        Level::Supported => EncryptionLevel::Supported,
        Level::None => EncryptionLevel::None,
    };
    config.ice = match arguments.ice {
        Ice::Ms => IceMode::MsIce2,
        Ice::None => IceMode::None,
    };
    Ok(config)
}

fn tell(call: &CallReport, report: &Report) {
    let mut table =
        Table::new(&["media", "codec", "", "sent", "received", "lost", "pictures", "digits"]);
    for stream in &call.streams {
        report.json(&json!({
            "event": "stream",
            "media": stream.kind.name(),
            "codec": stream.codec,
            "sent": stream.sent,
            "received": stream.received,
            "lost": stream.lost,
            "encrypted": stream.encrypted,
            "ice": stream.ice,
            "units_sent": stream.units_sent,
            "units_received": stream.units_received,
            "damaged": stream.damaged,
            "keyframes": stream.keyframes,
            "temporal_layers": stream.temporal_layers,
            "digits": stream.digits,
            "source_requests_received": stream.source_requests_received,
            "keyframe_requests_received": stream.keyframe_requests_received,
        }));
        table.row([
            stream.kind.to_string(),
            stream.codec.clone(),
            if stream.encrypted { "SRTP" } else { "RTP" }.to_owned(),
            stream.sent.to_string(),
            stream.received.to_string(),
            stream.lost.to_string(),
            stream.units_received.to_string(),
            stream.digits.clone(),
        ]);
    }
    report.text("");
    for line in table.lines() {
        report.text(line);
    }
    report.text(format!("{:.1} s, {}", call.seconds, call.cause));
}

fn judge(call: &CallReport, faults: &[String]) -> Result<(), Box<dyn Error>> {
    if call.streams.is_empty() {
        return Err("no stream was agreed on".into());
    }
    for stream in &call.streams {
        if stream.received == 0 {
            return Err(format!("no {} arrived", stream.kind).into());
        }
    }
    if !faults.is_empty() {
        return Err(format!("not returned unchanged: {}", faults.join("; ")).into());
    }
    Ok(())
}

const PARTY: &str = "Lync client";
/// Two seconds.
const TONE_PACKETS: usize = 100;
