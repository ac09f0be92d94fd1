//! What relaying a packet costs: SRTP to SRTP, with and without X-H264UC being rewritten to H.264,
//! on the media threads of `gateway serve`; and the same streams through rtpengine.
//!
//! ```text
//! cargo run --release --example relay-bench -- --kind audio --streams 150 --seconds 5
//! cargo run --release --example relay-bench -- --kind audio --ng 127.0.0.1:2223 --pid PID
//! ```
//!
//! The relay is a process of its own: its processor time is taken from the system, before and after.

mod load;
mod ng;
mod relay;
mod streams;

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use clap::{Parser, ValueEnum};
use linkspan_examples::{Report, Style};
use serde_json::{Value, json};

use crate::load::Load;
use crate::ng::Ng;
use crate::streams::Plan;

/// Measures the processor time that relaying a packet costs.
///
/// Exit code: 0 when it was measured, 1 when it could not be or `--no-loss` was not kept, 2 for
/// wrong usage.
#[derive(Clone, Debug, Parser)]
struct Arguments {
    /// What the streams carry.
    #[arg(long, value_enum, default_value = "audio")]
    kind: Kind,
    /// Streams at one time, each one way.
    #[arg(long, default_value_t = 150)]
    streams: u16,
    /// How long they are sent.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Media threads of our relay.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// rtpengine's control address, instead of our relay. Its streams go in as RTP.
    #[arg(long, requires = "pid", value_name = "IP:PORT")]
    ng: Option<SocketAddr>,
    /// rtpengine's process.
    #[arg(long)]
    pid: Option<u32>,
    /// Twice the streams each time, until packets are lost.
    #[arg(long)]
    highest: bool,
    /// A lost packet is a failure.
    #[arg(long)]
    no_loss: bool,
    /// Where everything is.
    #[arg(long, default_value = "127.0.0.1")]
    ip: Ipv4Addr,
    /// First of the ports that are used.
    #[arg(long, default_value_t = 20_000)]
    base: u16,
    /// One JSON object per line.
    #[arg(long)]
    json: bool,
    /// Be the relay: what this program starts.
    #[arg(long, hide = true)]
    relay: bool,
}

/// What a stream carries.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Kind {
    /// G.711: 160 octets every 20 ms.
    Audio,
    /// The sizes and times of the packets of `video`, passed as they are.
    Large,
    /// X-H264UC of three temporal layers in, H.264 out.
    Video,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    linkspan_examples::log_to_stderr();
    let outcome = if arguments.relay { relay::run(&arguments) } else { measure_all(&arguments) };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("relay-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure_all(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let report = Report::stdout(Style::from_flag(arguments.json));
    let mut arguments = arguments.clone();
    let mut best = None;
    loop {
        let figures = measure(&arguments)?;
        report.text(figures.line());
        report.json(&figures.json());
        if !arguments.highest {
            return if arguments.no_loss && figures.lost > 0 {
                Err(format!("{} packets lost", figures.lost).into())
            } else {
                Ok(())
            };
        }
        if figures.lost > 0 || figures.behind {
            break;
        }
        best = Some(figures.rate);
        let Some(more) = arguments.streams.checked_mul(3).map(|n| n / 2) else { break };
        arguments.streams = more;
        if more > MOST_STREAMS {
            break;
        }
    }
    let best = best.ok_or("packets were lost at the first rate already")?;
    report.text(format!("highest rate without loss: {best:.0} packets/s"));
    report.json(&json!({"event": "highest", "packets_per_second": best}));
    Ok(())
}

/// What one run has come to.
struct Figures {
    kind: Kind,
    relay: &'static str,
    streams: u16,
    sent: u64,
    received: u64,
    lost: u64,
    rate: f64,
    us_per_packet: f64,
    /// The sender did not keep to its times.
    behind: bool,
}

impl Figures {
    fn line(&self) -> String {
        format!(
            "{} {:?}: {} streams, {:.0} packets/s{}: {} in, {} out, {} lost, {:.2} us of processor \
             time a packet",
            self.relay,
            self.kind,
            self.streams,
            self.rate,
            if self.behind { " (the sender fell behind)" } else { "" },
            self.sent,
            self.received,
            self.lost,
            self.us_per_packet
        )
    }

    fn json(&self) -> Value {
        json!({
            "event": "measured", "relay": self.relay, "kind": format!("{:?}", self.kind),
            "streams": self.streams, "packets_per_second": self.rate, "sent": self.sent,
            "received": self.received, "lost": self.lost, "us_per_packet": self.us_per_packet,
            "behind": self.behind,
        })
    }
}

fn measure(arguments: &Arguments) -> Result<Figures, Box<dyn Error>> {
    let plan = Plan::new(arguments)?;
    let mut load = Load::open(arguments, &plan)?;
    let (mut relay, pid, name) = match (arguments.ng, arguments.pid) {
        (Some(address), Some(pid)) => {
            let mut ng = Ng::connect(address)?;
            for stream in 0..arguments.streams {
                let into = ng.call(stream, load.ends(stream), arguments.kind)?;
                load.aim(stream, into);
            }
            (Relay::Engine(ng), pid, "rtpengine")
        }
        _ => {
            let child = Own::start(arguments)?;
            let pid = child.child.id();
            (Relay::Own(child), pid, "linkspan")
        }
    };
    let before = processor_time(pid)?;
    let sent = load.run(&plan, Duration::from_secs(arguments.seconds))?;
    let after = processor_time(pid)?;
    let received = load.received();
    // A rewriting relay sends other packets than it gets: it says itself what it got and sent.
    let lost = match &mut relay {
        Relay::Own(own) => {
            let (taken, passed) = own.figures()?;
            (sent.packets - taken.min(sent.packets)) + (passed - received.min(passed))
        }
        Relay::Engine(ng) => {
            ng.delete(arguments.streams)?;
            sent.packets - received.min(sent.packets)
        }
    };
    #[expect(clippy::cast_precision_loss, reason = "figures to look at")]
    let us_per_packet = (after - before).as_secs_f64() * 1e6 / sent.packets.max(1) as f64;
    Ok(Figures {
        kind: arguments.kind,
        relay: name,
        streams: arguments.streams,
        sent: sent.packets,
        received,
        lost,
        rate: sent.rate,
        us_per_packet,
        behind: sent.behind,
    })
}

enum Relay {
    Own(Own),
    Engine(Ng),
}

/// Our relay, as a process.
struct Own {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Own {
    fn start(arguments: &Arguments) -> Result<Self, Box<dyn Error>> {
        let kind = arguments.kind.to_possible_value().ok_or("no name")?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--relay", "--kind", kind.get_name()])
            .args(["--streams", &arguments.streams.to_string()])
            .args(["--threads", &arguments.threads.to_string()])
            .args(["--ip", &arguments.ip.to_string(), "--base", &arguments.base.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = BufReader::new(child.stdout.take().ok_or("no output")?);
        let mut own = Self { child, output };
        if own.line()? != "ready" {
            return Err("the relay did not start".into());
        }
        Ok(own)
    }

    fn line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    /// Packets that it has received and sent.
    fn figures(&mut self) -> Result<(u64, u64), Box<dyn Error>> {
        self.child.stdin.as_mut().ok_or("no input")?.write_all(b"figures\n")?;
        let line = self.line()?;
        let (received, sent) = line.split_once(' ').ok_or("no figures")?;
        Ok((received.parse()?, sent.parse()?))
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // It ends when its input does.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Processor time of all threads of a process, as Linux tells it.
fn processor_time(pid: u32) -> Result<Duration, Box<dyn Error>> {
    let mut sum = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let figures = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        sum += figures.split(' ').next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(Duration::from_nanos(sum))
}

/// Each has four ports at the relay and two here.
const MOST_STREAMS: u16 = 4_000;
