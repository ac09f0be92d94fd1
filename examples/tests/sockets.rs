//! Proves that the sockets of the programs carry what they are given: SIP over UDP, TCP and
//! mutually verified TLS on loopback, media datagrams, and their failures.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use linkspan_examples::{Authority, MediaNet, Report, SipInput, SipNet, Style, Tap, Tls};
use linkspan_sip::{Path, Transmit, Transport};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

const PING: &[u8] = b"OPTIONS sip:b SIP/2.0\r\nCSeq: 1 OPTIONS\r\nContent-Length: 2\r\n\r\nab";
const PONG: &[u8] = b"SIP/2.0 200 OK\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";

fn tap() -> Tap {
    Tap::on_all_parties(Report::new(Style::Text, Box::new(std::io::sink())), &["a", "b"])
}

fn any() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

async fn message(input: &mut Receiver<SipInput>) -> (Path, Bytes) {
    match timeout(Duration::from_secs(5), input.recv()).await.unwrap().unwrap() {
        SipInput::Message { path, payload } => (path, payload),
        SipInput::Failed { path } => panic!("{path:?} failed"),
    }
}

async fn failure(input: &mut Receiver<SipInput>) -> Path {
    match timeout(Duration::from_secs(5), input.recv()).await.unwrap().unwrap() {
        SipInput::Failed { path } => path,
        SipInput::Message { path, .. } => panic!("a message by {path:?}"),
    }
}

async fn there_and_back(transport: Transport, ours: Option<Tls>, theirs: Option<Tls>) {
    let (a, mut from_b) = SipNet::new("a", ours, tap());
    let (b, mut from_a) = SipNet::new("b", theirs, tap());
    let remote = b.listen(transport, any()).await.unwrap();
    let local =
        if transport.is_reliable() { any() } else { a.listen(transport, any()).await.unwrap() };
    let path = Path::new(transport, local, remote);
    for _ in 0..2 {
        a.send(Transmit { path, payload: Bytes::from_static(PING) });
    }
    for _ in 0..2 {
        let (back, payload) = message(&mut from_a).await;
        assert_eq!(payload, PING);
        assert_eq!(back.connection.is_some(), transport.is_reliable());
        b.send(Transmit { path: back, payload: Bytes::from_static(PONG) });
        let (_, payload) = message(&mut from_b).await;
        assert_eq!(payload, PONG);
    }
}

#[tokio::test]
async fn messages_go_there_and_back_over_udp_and_tcp() {
    there_and_back(Transport::Udp, None, None).await;
    there_and_back(Transport::Tcp, None, None).await;
}

#[tokio::test]
async fn messages_go_there_and_back_over_mutual_tls() {
    let authority = Authority::generate().unwrap();
    let side = || {
        let identity = authority.identity(&["127.0.0.1", "localhost"]).unwrap();
        Some(Tls::new(Some(identity), authority.roots().unwrap(), true).unwrap())
    };
    there_and_back(Transport::Tls, side(), side()).await;
}

#[tokio::test]
async fn strangers_are_refused_by_either_end_of_tls() {
    let (known, stranger) = (Authority::generate().unwrap(), Authority::generate().unwrap());
    let side = |authority: &Authority, trusts: &Authority| {
        let identity = authority.identity(&["127.0.0.1"]).unwrap();
        Some(Tls::new(Some(identity), trusts.roots().unwrap(), true).unwrap())
    };
    for ours in [side(&known, &stranger), side(&stranger, &known)] {
        let (a, mut from_b) = SipNet::new("a", ours, tap());
        let (b, mut from_a) = SipNet::new("b", side(&known, &known), tap());
        let remote = b.listen(Transport::Tls, any()).await.unwrap();
        let path = Path::new(Transport::Tls, any(), remote);
        a.send(Transmit { path, payload: Bytes::from_static(PING) });
        assert_eq!(failure(&mut from_b).await.remote, remote);
        let refused = failure(&mut from_a).await;
        assert_eq!(refused.transport, Transport::Tls);
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::generate().unwrap();
    let side = |name: &str| {
        let identity = authority.identity(&[name]).unwrap();
        Some(Tls::new(Some(identity), authority.roots().unwrap(), true).unwrap())
    };
    let (a, mut from_b) = SipNet::new("a", side("a.example.test"), tap());
    let (b, _from_a) = SipNet::new("b", side("b.example.test"), tap());
    let remote = b.listen(Transport::Tls, any()).await.unwrap();
    let path = Path::new(Transport::Tls, any(), remote);
    a.expect_name(remote, "c.example.test");
    a.send(Transmit { path, payload: Bytes::from_static(PING) });
    failure(&mut from_b).await;
    assert_eq!(failure(&mut from_b).await.connection, None);
    a.expect_name(remote, "b.example.test");
    a.send(Transmit { path, payload: Bytes::from_static(PING) });
    assert!(timeout(Duration::from_millis(300), from_b.recv()).await.is_err());
}

#[tokio::test]
async fn nobody_there_is_reported_by_the_path_that_was_used() {
    let (a, mut input) = SipNet::new("a", None, tap());
    let remote = tokio::net::TcpListener::bind(any()).await.unwrap().local_addr().unwrap();
    let path = Path::new(Transport::Tcp, any(), remote);
    a.send(Transmit { path, payload: Bytes::from_static(PING) });
    let gone = failure(&mut input).await;
    assert!(gone.connection.is_some());
    assert_eq!(failure(&mut input).await, path);
    a.send(Transmit { path: gone, payload: Bytes::from_static(PONG) });
    assert_eq!(failure(&mut input).await, gone);
}

#[tokio::test]
async fn a_stream_that_is_no_sip_ends_its_own_connection_only() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (b, mut input) = SipNet::new("b", None, tap());
    let remote = b.listen(Transport::Tcp, any()).await.unwrap();
    let mut good = tokio::net::TcpStream::connect(remote).await.unwrap();
    let mut bad = tokio::net::TcpStream::connect(remote).await.unwrap();
    bad.write_all(&[b'x'; 300_000]).await.ok();
    failure(&mut input).await;
    let mut rest = Vec::new();
    bad.read_to_end(&mut rest).await.ok();
    assert!(rest.is_empty());
    good.write_all(b"\r\n\r\n").await.unwrap();
    let mut pong = [0; 2];
    good.read_exact(&mut pong).await.unwrap();
    assert_eq!(&pong, b"\r\n");
    for octet in PING {
        good.write_all(&[*octet]).await.unwrap();
    }
    assert_eq!(message(&mut input).await.1, PING);
}

#[tokio::test]
async fn media_goes_between_bound_pairs_and_stops_when_unbound() {
    let (a, _) = MediaNet::new("a", tap());
    let (b, mut input) = MediaNet::new("b", tap());
    let (local, _) = a.bind_pair(any().ip()).unwrap();
    let (rtp, rtcp) = b.bind_pair(any().ip()).unwrap();
    assert_eq!((rtp.port() % 2, rtp.port() + 1), (0, rtcp.port()));
    assert!(b.bind(rtp).is_err());
    for round in 0..3_u8 {
        a.send(local, rtcp, &[round; 1200]);
        let datagram = timeout(Duration::from_secs(5), input.recv()).await.unwrap().unwrap();
        assert_eq!((datagram.local, datagram.remote), (rtcp, local));
        assert_eq!(datagram.payload, [round; 1200][..]);
        assert!(datagram.payload.capacity() >= 1264);
        b.recycle(datagram.payload);
    }
    b.unbind(rtcp);
    tokio::task::yield_now().await;
    a.send(local, rtcp, &[9; 100]);
    assert!(timeout(Duration::from_millis(200), input.recv()).await.is_err());
}
