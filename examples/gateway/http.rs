//! Metrics, status and health over HTTP, for those on this machine.
//!
//! `GET /metrics` is for Prometheus, `GET /status` one JSON object, `GET /health` 200 while new
//! calls are taken and 503 while they are not.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use linkspan_examples::{GatewayHandle, Snapshot};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::metrics;

/// Serves until the gateway is gone.
///
/// # Errors
/// When the address is taken.
pub(crate) async fn serve(address: SocketAddr, gateway: GatewayHandle) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let local = listener.local_addr()?;
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    tokio::spawn(async move {
        while let Ok(room) = Arc::clone(&room).acquire_owned().await {
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let gateway = gateway.clone();
            tokio::spawn(async move {
                let _ = timeout(PATIENCE, answer(stream, &gateway)).await;
                drop(room);
            });
        }
    });
    Ok(local)
}

async fn answer(mut stream: TcpStream, gateway: &GatewayHandle) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut part = [0; 1_024];
        let read = stream.read(&mut part).await?;
        let Some(part) = part.get(..read).filter(|part| !part.is_empty()) else { return Ok(()) };
        head.extend_from_slice(part);
        if head.len() > HEAD {
            return respond(&mut stream, "431 Request Header Fields Too Large", TEXT, "").await;
        }
    }
    let head = String::from_utf8_lossy(&head);
    let mut words = head.split([' ', '\r']);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if method != "GET" {
        return respond(&mut stream, "405 Method Not Allowed", TEXT, "").await;
    }
    let path = target.split('?').next().unwrap_or_default();
    if !["/metrics", "/status", "/health"].contains(&path) {
        return respond(&mut stream, "404 Not Found", TEXT, "").await;
    }
    let Some(snapshot) = gateway.snapshot().await else {
        return respond(&mut stream, "503 Service Unavailable", TEXT, "stopped\n").await;
    };
    match path {
        "/metrics" => {
            let text = metrics::text(snapshot).map_err(io::Error::other)?;
            respond(&mut stream, "200 OK", metrics::CONTENT_TYPE, &text).await
        }
        "/status" => {
            let text = format!("{}\n", status(&snapshot));
            respond(&mut stream, "200 OK", "application/json", &text).await
        }
        _ if snapshot.draining => {
            respond(&mut stream, "503 Service Unavailable", TEXT, "draining\n").await
        }
        _ => respond(&mut stream, "200 OK", TEXT, "ok\n").await,
    }
}

async fn respond(stream: &mut TcpStream, status: &str, kind: &str, body: &str) -> io::Result<()> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

fn status(snapshot: &Snapshot) -> Value {
    let counters = &snapshot.counters;
    let calls: Vec<Value> = snapshot
        .calls
        .iter()
        .map(|call| {
            let own = snapshot.streams.iter().filter(|(stream, _)| stream.call == call.call);
            let streams: Vec<Value> = own
                .map(|(stream, figures)| {
                    json!({
                        "leg": stream.side.name(),
                        "media": figures.kind.map(|kind| kind.name()),
                        "codec": figures.codec.map(|codec| codec.name()),
                        "encrypted": figures.encrypted,
                        "received": figures.received.packets,
                        "sent": figures.sent.packets,
                        "lost": figures.lost,
                        "dropped": figures.dropped.iter().sum::<u64>(),
                        "jitter_ms": figures.jitter.as_secs_f64() * 1_000.0,
                        "round_trip_ms": figures.round_trip.map(|t| t.as_secs_f64() * 1_000.0),
                        "picture": figures.picture,
                    })
                })
                .collect();
            json!({
                "call": call.call.to_string(),
                "caller": call.caller.name(),
                "from": call.from,
                "to": call.to,
                "state": call.state.map_or("ending", |state| state.name()),
                "next_hop": call.next_hop.map(|hop| hop.to_string()),
                "seconds": call.since.elapsed().as_secs(),
                "streams": streams,
            })
        })
        .collect();
    json!({
        "draining": snapshot.draining,
        "resident_octets": metrics::resident_octets(),
        "calls_received": counters.calls_received,
        "calls_refused": counters.calls_refused,
        "calls_answered": counters.calls_answered,
        "calls_failed": counters.calls_failed,
        "calls_ended": counters.calls_ended,
        "messages_received": counters.messages_received,
        "messages_sent": counters.messages_sent,
        "messages_refused": counters.messages_refused,
        "calls": calls,
    })
}

const TEXT: &str = "text/plain";
/// Connections at one time.
const CONNECTIONS: usize = 16;
/// Octets of a request.
const HEAD: usize = 8_192;
/// A request and its answer take no longer.
const PATIENCE: Duration = Duration::from_secs(5);
