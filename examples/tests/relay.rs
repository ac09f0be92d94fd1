//! Runs `turn-server` and has our client use it over loopback: data both ways, and what the
//! network says of a peer that is not there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use linkspan_turn::{ClientConfig, ClientEvent, Credentials, Received, Transport, TurnClient};
use serde_json::Value;

/// The program, ended when the test is.
struct Server(Child, SocketAddr);

impl Server {
    fn start() -> Self {
        let tests = std::env::current_exe().unwrap();
        let folder = tests.parent().and_then(Path::parent).unwrap().join("examples");
        let path = folder.join(format!("turn-server{}", std::env::consts::EXE_SUFFIX));
        let mut child = Command::new(path)
            .args(["--json", "--listen", "127.0.0.1:0", "--user", "user:secret"])
            .args(["--allow-peer", "127.0.0.0/8"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("turn-server is not built: cargo build --example turn-server");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.find_map(|line| {
            let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
            (event["event"] == "listening").then(|| event["address"].as_str().unwrap().parse())
        });
        Self(child, address.unwrap().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Client {
    engine: TurnClient,
    socket: UdpSocket,
    server: SocketAddr,
}

impl Client {
    fn new(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let local = socket.local_addr().unwrap();
        let mut config = ClientConfig::new(local, server, Credentials::new("user", "secret"));
        config.dont_fragment = true;
        let mut engine = TurnClient::new(config, [7; 32], Instant::now());
        engine.allocate(Instant::now()).unwrap();
        Self { engine, socket, server }
    }

    /// The next event that is wanted.
    fn wait(&mut self, wanted: impl Fn(&ClientEvent) -> bool) -> ClientEvent {
        let end = Instant::now() + Duration::from_secs(10);
        let mut buffer = [0; 2048];
        while Instant::now() < end {
            while let Some(sent) = self.engine.poll_transmit() {
                self.socket.send_to(&sent.payload, sent.remote).unwrap();
            }
            while let Some(event) = self.engine.poll_event() {
                if wanted(&event) {
                    return event;
                }
            }
            if let Ok((len, remote)) = self.socket.recv_from(&mut buffer) {
                let (transport, local) = (Transport::Udp, self.socket.local_addr().unwrap());
                assert_eq!(remote, self.server);
                let payload = buffer.get(..len).unwrap();
                let received = Received { transport, local, remote, payload };
                let _ = self.engine.handle_input(received, Instant::now());
            }
            self.engine.handle_timeout(Instant::now());
        }
        panic!("no such event");
    }
}

#[test]
fn peers_are_reached_and_missing_ones_are_told() {
    let server = Server::start();
    let mut client = Client::new(server.1);
    client.wait(|event| matches!(event, ClientEvent::Allocated(_)));
    // The server's own address is nobody's peer; loopback has others.
    let peer = UdpSocket::bind("127.0.0.2:0").unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let address = peer.local_addr().unwrap();
    client.engine.create_permission(address, Instant::now()).unwrap();
    client.wait(|event| matches!(event, ClientEvent::PermissionCreated { .. }));
    for is_whole in [false, true] {
        if is_whole {
            client.engine.send_unfragmented(address, b"data").unwrap();
        } else {
            client.engine.send(address, b"data").unwrap();
        }
        let sent = client.engine.poll_transmit().unwrap();
        client.socket.send_to(&sent.payload, sent.remote).unwrap();
        let mut buffer = [0; 64];
        let (len, relay) = peer.recv_from(&mut buffer).unwrap();
        assert_eq!(buffer.get(..len), Some(b"data".as_slice()));
        peer.send_to(b"back", relay).unwrap();
        client.wait(|event| matches!(event, ClientEvent::Data { data, .. } if data == "back"));
    }
    drop(peer);
    if cfg!(target_os = "linux") {
        client.engine.send(address, b"gone").unwrap();
        let event = client.wait(|event| matches!(event, ClientEvent::Icmp { .. }));
        let ClientEvent::Icmp { peer, error } = event else { panic!() };
        assert_eq!((peer, error.kind, error.code), (address, 3, 3));
    }
}
