//! One TCP connection to a peer through a TURN server (RFC 6062): made to the peer, or taken from
//! it.
//!
//! ```text
//! cargo run --example turn-connect -- --server 192.0.2.1:3478 --user gw:secret --peer 203.0.113.7:80 --send hello
//! ```

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use linkspan_examples::{Report, Style, fresh_seed};
use linkspan_turn::{
    ClientConfig, ClientEvent, ConnectionId, Credentials, InputError, Received, StreamFramer,
    Transport, TurnClient,
};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Connects to a peer through a TURN server, or lets the peer connect, sends a text and prints what
/// comes.
///
/// Exit code: 0 when the connection was made and what was expected has come, 1 otherwise, 2 for
/// wrong usage.
#[derive(Debug, Parser)]
struct Arguments {
    /// The TURN server, reached over TCP.
    #[arg(long, value_name = "IP:PORT")]
    server: SocketAddr,
    /// User and password there.
    #[arg(long, value_name = "NAME:PASSWORD", value_parser = credentials)]
    user: Credentials,
    /// The peer to connect to.
    #[arg(long, value_name = "IP:PORT", required_unless_present = "accept")]
    peer: Option<SocketAddr>,
    /// Waits until a peer with this address connects to the relayed address.
    #[arg(long, value_name = "IP", conflicts_with = "peer")]
    accept: Option<IpAddr>,
    /// Text to send.
    #[arg(long)]
    send: Option<String>,
    /// Text that has to come; ends the program with success.
    #[arg(long)]
    expect: Option<String>,
    /// Seconds until then.
    #[arg(long, default_value_t = 20)]
    timeout: u64,
    /// One JSON object per event.
    #[arg(long)]
    json: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let report = Report::stdout(Style::from_flag(arguments.json));
    let outcome = tokio::time::timeout(Duration::from_secs(arguments.timeout), async {
        Session::open(&arguments, report.clone()).await?.run(&arguments).await
    });
    match outcome.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(()) => {
            report.json(&json!({ "event": "end", "ok": true }));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("turn-connect: {error}");
            report.json(&json!({ "event": "end", "ok": false, "error": error.to_string() }));
            ExitCode::FAILURE
        }
    }
}

/// The client engine, its connection to the server, and the one that is to carry the data.
struct Session {
    client: TurnClient,
    server: SocketAddr,
    control: Connection,
    data: Option<Connection>,
    is_bound: bool,
    report: Report,
}

struct Connection {
    stream: TcpStream,
    local: SocketAddr,
    framer: StreamFramer,
    is_for_data: bool,
}

impl Connection {
    async fn open(server: SocketAddr, is_for_data: bool) -> io::Result<Self> {
        let stream = TcpStream::connect(server).await?;
        let local = stream.local_addr()?;
        Ok(Self { stream, local, framer: StreamFramer::default(), is_for_data })
    }

    /// Reads what there is, and hands its messages to the engine.
    async fn read(&mut self, client: &mut TurnClient, server: SocketAddr) -> io::Result<()> {
        let mut buffer = [0; 4096];
        let len = self.stream.read(&mut buffer).await?;
        if len == 0 {
            return Err(io::Error::other("the server closed the connection"));
        }
        let octets = buffer.get(..len).unwrap_or_default();
        self.framer.push(octets).map_err(io::Error::other)?;
        while let Some(frame) = self.framer.poll_frame().map_err(io::Error::other)? {
            let (transport, local) = (Transport::Tcp, self.local);
            let received = Received { transport, local, remote: server, payload: &frame };
            match client.handle_input(received, Instant::now()) {
                // What is behind the answer to a bind request is no message.
                Ok(()) if self.is_for_data => break,
                Ok(()) | Err(InputError::NotMine) => {}
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(())
    }
}

impl Session {
    async fn open(arguments: &Arguments, report: Report) -> io::Result<Self> {
        let server = arguments.server;
        let control = Connection::open(server, false).await?;
        let mut config = ClientConfig::new(control.local, server, arguments.user.clone());
        config.transport = Transport::Tcp;
        config.relayed_transport = Transport::Tcp;
        let mut client = TurnClient::new(config, fresh_seed()?, Instant::now());
        client.allocate(Instant::now()).map_err(io::Error::other)?;
        Ok(Self { client, server, control, data: None, is_bound: false, report })
    }

    async fn run(mut self, arguments: &Arguments) -> io::Result<()> {
        loop {
            while let Some(transmit) = self.client.poll_transmit() {
                let data = self.data.as_mut().filter(|data| data.local == transmit.local);
                let connection = data.unwrap_or(&mut self.control);
                connection.stream.write_all(&transmit.payload).await?;
            }
            if let Some(event) = self.client.poll_event() {
                self.handle(event, arguments).await?;
                continue;
            }
            if self.is_bound {
                return self.carry(arguments).await;
            }
            let far = Instant::now() + Duration::from_secs(3600);
            let due = self.client.poll_timeout().unwrap_or(far);
            let (client, server) = (&mut self.client, self.server);
            match &mut self.data {
                Some(data) => data.read(client, server).await?,
                None => tokio::select! {
                    read = self.control.read(client, server) => read?,
                    () = tokio::time::sleep_until(due.into()) => {
                        client.handle_timeout(Instant::now());
                    }
                },
            }
        }
    }

    async fn handle(&mut self, event: ClientEvent, arguments: &Arguments) -> io::Result<()> {
        let now = Instant::now();
        match event {
            ClientEvent::Allocated(allocation) => {
                let relayed = allocation.relayed.to_string();
                self.report.text(format!("allocated {relayed}"));
                self.report.json(&json!({ "event": "allocated", "relayed": relayed }));
                let asked = match (arguments.peer, arguments.accept) {
                    (Some(peer), _) => self.client.connect(peer, now),
                    (None, Some(ip)) => self.client.create_permission((ip, 0).into(), now),
                    (None, None) => Ok(()),
                };
                asked.map_err(io::Error::other)
            }
            ClientEvent::Connected { peer, connection }
            | ClientEvent::ConnectionAttempt { peer, connection } => {
                self.report.text(format!("connected to {peer}"));
                self.report.json(&json!({ "event": "connected", "peer": peer.to_string() }));
                self.bind(connection).await
            }
            ClientEvent::ConnectionBound { .. } => {
                self.is_bound = true;
                Ok(())
            }
            ClientEvent::PermissionCreated { peer } => {
                self.report.text(format!("waiting for {peer}"));
                self.report.json(&json!({ "event": "waiting", "peer": peer.to_string() }));
                Ok(())
            }
            other => Err(io::Error::other(format!("{other:?}"))),
        }
    }

    async fn bind(&mut self, connection: ConnectionId) -> io::Result<()> {
        if self.data.is_some() {
            return Ok(()); // one is enough; the server closes the other
        }
        let data = Connection::open(self.server, true).await?;
        let bound = self.client.bind_connection(connection, data.local, Instant::now());
        self.data = Some(data);
        bound.map_err(io::Error::other)
    }

    /// From here on the connection is the peer's.
    async fn carry(self, arguments: &Arguments) -> io::Result<()> {
        let Some(Connection { mut stream, framer, .. }) = self.data else { return Ok(()) };
        if let Some(text) = &arguments.send {
            stream.write_all(text.as_bytes()).await?;
        }
        let mut heard = framer.into_rest().to_vec();
        let mut buffer = [0; 4096];
        loop {
            let expected = arguments.expect.as_ref().map(String::as_bytes);
            if expected.is_some_and(|text| heard.windows(text.len()).any(|part| part == text)) {
                break;
            }
            let len = stream.read(&mut buffer).await?;
            if len == 0 {
                let missing = || io::Error::other("closed before what was expected had come");
                return expected.map_or(Ok(()), |_| Err(missing()));
            }
            heard.extend_from_slice(buffer.get(..len).unwrap_or_default());
            heard.drain(..heard.len().saturating_sub(KEPT));
        }
        let text = String::from_utf8_lossy(&heard);
        self.report.text(text.trim_end());
        self.report.json(&json!({ "event": "data", "text": text }));
        Ok(())
    }
}

fn credentials(text: &str) -> Result<Credentials, String> {
    let (name, password) = text.split_once(':').ok_or("NAME:PASSWORD is needed")?;
    Ok(Credentials::new(name, password))
}

/// Octets that the expected text is looked for in.
const KEPT: usize = 64 * 1024;
