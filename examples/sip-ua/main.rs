//! A SIP server and a SIP client for tests of signalling: a registrar that connects its users, a
//! callee for everybody else, and calls, registrations and pings from a command line. No media.
//!
//! ```text
//! sip-ua serve --listen udp:192.0.2.1:5060 --listen tcp:192.0.2.1:5060 --user alice:secret --answer
//! sip-ua call sip:bob@example.test --proxy tls:192.0.2.1:5061 --ca ca.pem --seconds 2
//! sip-ua register sip:alice@example.test --proxy udp:192.0.2.1:5060 --user alice:secret
//! sip-ua options sip:192.0.2.1 --proxy tcp:192.0.2.1:5060
//! ```
//!
//! The exit code is 0 when what was asked for was done, 1 otherwise; 2 for a command line that is
//! not understood.

mod client;
mod serve;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};
use linkspan_examples::{Identity, Report, Style, Tls, log_to_stderr, read_roots};
use linkspan_sip::{Credentials, DigestAlgorithm, Transport};

/// A SIP server and a SIP client, for signalling.
#[derive(Debug, Parser)]
#[command(name = "sip-ua", version)]
struct Arguments {
    /// One JSON object a line.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A registrar with Digest, which connects calls between its users.
    Serve(Serve),
    /// Place a call, hold it, hang up.
    Call(Call),
    /// Register once.
    Register(Peer),
    /// Ask whether somebody is there.
    Options(Peer),
}

#[derive(Debug, Args)]
struct Serve {
    /// Where to listen: udp:, tcp: or tls: and an address.
    #[arg(long, value_name = "TRANSPORT:IP:PORT", required = true)]
    listen: Vec<Hop>,
    /// A user who may register and be called.
    #[arg(long, value_name = "NAME:PASSWORD")]
    user: Vec<User>,
    /// The realm of the passwords.
    #[arg(long, default_value = "example.test")]
    realm: String,
    /// What Digest challenges ask for, first wish first. baresip's stack gives up where any
    /// algorithm but MD5 is among them.
    #[arg(long, value_name = "TOKEN", value_parser = algorithm, default_value = "MD5")]
    algorithm: Vec<DigestAlgorithm>,
    /// Answer calls to everybody else.
    #[arg(long)]
    answer: bool,
    #[command(flatten)]
    tls: TlsFiles,
}

#[derive(Debug, Args)]
struct Call {
    #[command(flatten)]
    peer: Peer,
    /// Hang up this long after the answer.
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    seconds: f64,
}

#[derive(Debug, Args)]
struct Peer {
    /// Whom to call, register or ask.
    #[arg(value_name = "URI")]
    uri: String,
    /// The first hop.
    #[arg(long, value_name = "TRANSPORT:IP:PORT")]
    proxy: Hop,
    /// Local address.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    local: IpAddr,
    /// Our address.
    #[arg(long, value_name = "URI", default_value = "sip:ua@example.test")]
    from: String,
    /// What challenges are answered with.
    #[arg(long, value_name = "NAME:PASSWORD")]
    user: Option<User>,
    /// The name that the first hop's certificate must carry; its address otherwise.
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    #[command(flatten)]
    tls: TlsFiles,
}

#[derive(Debug, Args)]
struct TlsFiles {
    /// Authorities that the peer's certificate may come from.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Our certificate.
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Its private key.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
}

impl TlsFiles {
    fn load(&self) -> io::Result<Option<Tls>> {
        let Some(ca) = &self.ca else { return Ok(None) };
        let identity = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => Some(Identity::from_pem_files(cert, key)?),
            _ => None,
        };
        Ok(Some(Tls::new(identity, read_roots(ca)?, false)?))
    }
}

fn algorithm(token: &str) -> Result<DigestAlgorithm, &'static str> {
    DigestAlgorithm::from_token(token).ok_or("MD5, SHA-256 or SHA-512-256 is wanted")
}

/// `udp:192.0.2.1:5060`
#[derive(Clone, Copy, Debug)]
struct Hop {
    transport: Transport,
    address: SocketAddr,
}

impl FromStr for Hop {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (transport, address) = text.split_once(':').ok_or("TRANSPORT:IP:PORT is wanted")?;
        let transport = Transport::from_token(transport).ok_or("udp, tcp or tls is wanted")?;
        let address = address.parse().map_err(|_| "an address with a port is wanted")?;
        Ok(Self { transport, address })
    }
}

/// `alice:secret`
#[derive(Clone, Debug)]
struct User(Credentials);

impl FromStr for User {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, password) = text.split_once(':').ok_or("NAME:PASSWORD is wanted")?;
        Ok(Self(Credentials::new(name, password)))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log_to_stderr();
    let report = Report::stdout(Style::from_flag(arguments.json));
    let done = match &arguments.command {
        Command::Serve(serve) => serve::run(serve, &report).await.map(|()| true),
        Command::Call(call) => client::call(&call.peer, call.seconds, &report).await,
        Command::Register(peer) => client::register(peer, &report).await,
        Command::Options(peer) => client::options(peer, &report).await,
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("sip-ua: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A description of one audio stream that nobody sends: the signalling is what is tested.
fn description(address: IpAddr) -> String {
    let family = if address.is_ipv4() { "IP4" } else { "IP6" };
    format!(
        "v=0\r\no=- 0 0 IN {family} {address}\r\ns=-\r\nc=IN {family} {address}\r\nt=0 0\r\n\
         m=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=recvonly\r\n"
    )
}
