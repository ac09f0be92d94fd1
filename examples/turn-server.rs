//! A TURN server on UDP, TCP and TLS: RFC 8656 with TCP allocations (RFC 6062), and MS-TURN with `--ms`.
//!
//! ```text
//! cargo run --release --example turn-server -- --listen 192.0.2.1:3478 --user gw:secret
//! ```

#[path = "turn-server/connection.rs"]
mod connection;
#[path = "turn-server/core.rs"]
mod core;
#[path = "turn-server/fragments.rs"]
mod fragments;
#[path = "turn-server/streams.rs"]
mod streams;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use linkspan_examples::{Identity, Report, Style, Tls, fresh_seed};
use linkspan_turn::{Credentials, Network, PeerPolicy, RelayAddress, ServerConfig};
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::rustls::RootCertStore;

use crate::core::Core;

/// A TURN server on UDP, TCP and TLS.
///
/// Prints a line for every allocation that begins and ends. SIGINT and SIGTERM end it.
/// Exit code: 0 when it was ended, 1 when it could not begin, 2 for wrong usage.
#[derive(Debug, Parser)]
struct Arguments {
    /// Address to serve on, by UDP and by TCP; may be given several times.
    #[arg(long, required = true, value_name = "IP:PORT")]
    listen: Vec<SocketAddr>,
    /// Address to serve on by TLS; may be given several times.
    #[arg(long, value_name = "IP:PORT", requires_all = ["certificate", "key"])]
    tls: Vec<SocketAddr>,
    /// Certificate chain of the TLS addresses.
    #[arg(long, value_name = "PEM")]
    certificate: Option<PathBuf>,
    /// Its private key.
    #[arg(long, value_name = "PEM")]
    key: Option<PathBuf>,
    /// Address of relay sockets, and behind `=` the one that peers see. Default: those of
    /// `--listen`.
    #[arg(long, value_name = "IP[=PUBLIC]", value_parser = relay)]
    relay: Vec<RelayAddress>,
    /// Ports of relay sockets.
    #[arg(long, default_value = "49152-65535", value_name = "FIRST-LAST", value_parser = ports)]
    ports: (u16, u16),
    /// Realm of the users.
    #[arg(long, default_value = "linkspan")]
    realm: String,
    /// A user; may be given several times.
    #[arg(long, value_name = "NAME:PASSWORD", value_parser = user)]
    user: Vec<Credentials>,
    /// Secret of time-limited credentials; may be given several times.
    #[arg(long)]
    secret: Vec<String>,
    /// Speaks MS-TURN too, with pseudo-TLS where a client begins with it.
    #[arg(long)]
    ms: bool,
    /// Refuses TCP allocations (RFC 6062).
    #[arg(long)]
    no_tcp_relay: bool,
    /// Relays to this network although it is private, loopback or the like.
    #[arg(long, value_name = "IP/BITS", value_parser = network)]
    allow_peer: Vec<Network>,
    /// Does not relay to this network.
    #[arg(long, value_name = "IP/BITS", value_parser = network)]
    deny_peer: Vec<Network>,
    /// Allocations of one user.
    #[arg(long, default_value_t = 16)]
    quota: usize,
    /// Allocations in all.
    #[arg(long, default_value_t = 10_000)]
    max_allocations: usize,
    /// Octets of data per second and allocation.
    #[arg(long)]
    octets_per_second: Option<u64>,
    /// One JSON object per line.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime
        .and_then(|runtime| tokio::task::LocalSet::new().block_on(&runtime, serve(arguments)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("turn-server: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(arguments: Arguments) -> std::io::Result<()> {
    let report = Report::stdout(Style::from_flag(arguments.json));
    let core = Core::new(configure(&arguments)?, fresh_seed()?, Instant::now(), report);
    for address in &arguments.listen {
        core.listen(*address).await?;
    }
    if let (Some(certificate), Some(key)) = (&arguments.certificate, &arguments.key) {
        let identity = Identity::from_pem_files(certificate, key)?;
        let tls = Tls::new(Some(identity), RootCertStore::empty(), false)?;
        for address in &arguments.tls {
            let acceptor = tls.acceptor().ok_or(std::io::ErrorKind::InvalidInput)?;
            core.listen_tls(*address, acceptor).await?;
        }
    }
    core.ready();
    let (mut interrupted, mut terminated) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        () = core.keep_time() => {}
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    Ok(())
}

fn configure(arguments: &Arguments) -> std::io::Result<ServerConfig> {
    let mut config = ServerConfig::new(&arguments.realm);
    for user in &arguments.user {
        config.users.add(user.clone());
    }
    for secret in &arguments.secret {
        config.users.share_secret(secret);
    }
    if arguments.user.is_empty() && arguments.secret.is_empty() {
        return Err(std::io::Error::other("nobody could use it: give --user or --secret"));
    }
    let unix = SystemTime::now().duration_since(UNIX_EPOCH);
    config.unix_secs = unix.map_or(0, |unix| unix.as_secs());
    config.listeners = arguments.listen.iter().chain(&arguments.tls).copied().collect();
    config.relays.clone_from(&arguments.relay);
    if config.relays.is_empty() {
        config.relays = arguments.listen.iter().map(|one| RelayAddress::new(one.ip())).collect();
    }
    if let Some(any) = config.relays.iter().find(|relay| relay.bind.is_unspecified()) {
        return Err(std::io::Error::other(format!("{} is no address to relay from", any.bind)));
    }
    config.relay_ports = arguments.ports.0..=arguments.ports.1;
    config.policy =
        PeerPolicy { allow: arguments.allow_peer.clone(), deny: arguments.deny_peer.clone() };
    config.software = Some(concat!("linkspan ", env!("CARGO_PKG_VERSION")).into());
    config.ms_turn = arguments.ms;
    config.dont_fragment = fragments::IS_SUPPORTED;
    config.tcp_relay = !arguments.no_tcp_relay;
    config.limits.allocations_per_user = arguments.quota;
    config.limits.allocations = arguments.max_allocations;
    config.limits.octets_per_second = arguments.octets_per_second;
    Ok(config)
}

fn relay(text: &str) -> Result<RelayAddress, String> {
    let (bind, public) = text.split_once('=').unwrap_or((text, text));
    let ip = |text: &str| text.parse::<IpAddr>().map_err(|error| error.to_string());
    Ok(RelayAddress { bind: ip(bind)?, public: ip(public)? })
}

fn ports(text: &str) -> Result<(u16, u16), String> {
    let (first, last) = text.split_once('-').ok_or("FIRST-LAST is needed")?;
    let port = |text: &str| text.parse::<u16>().map_err(|error| error.to_string());
    let (first, last) = (port(first)?, port(last)?);
    if first == 0 || first > last {
        return Err("the first port has to be above 0, and not above the last".into());
    }
    Ok((first, last))
}

fn user(text: &str) -> Result<Credentials, String> {
    let (name, password) = text.split_once(':').ok_or("NAME:PASSWORD is needed")?;
    Ok(Credentials::new(name, password))
}

fn network(text: &str) -> Result<Network, String> {
    let (base, prefix) = text.split_once('/').unwrap_or((text, "128"));
    let base = base.parse().map_err(|_| "IP/BITS is needed")?;
    Ok(Network { base, prefix: prefix.parse().map_err(|_| "IP/BITS is needed")? })
}
