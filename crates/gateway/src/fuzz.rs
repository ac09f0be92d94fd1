//! Bodies of the fuzz targets.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use linkspan_ice as ice;
use linkspan_sip as sip;

use crate::{
    AgreedStream, CallId, Config, Encryption, Gateway, GatewayEvent, Listener, MediaCommand,
    MediaEngine, MediaEvent, RemoteMedia, Route, Side, SignallingTransport, StreamCodec,
    StreamFormat, StreamId, StreamKind, TransportConfig,
};

/// SIP messages of a peer, separated by `0xFF 0xFF`, with time in between: whatever they are, the
/// gateway drains, gives every socket back, and comes to rest.
///
/// # Panics
///
/// When a property does not hold.
pub fn gateway_sip(data: &[u8]) {
    let start = Instant::now();
    let mut now = start;
    let Some(mut gateway) = gateway(start) else { return };
    let mut engine = MediaEngine::new([2; 32], start);
    let mut bound: Vec<SocketAddr> = Vec::new();
    for (at, message) in split(data).take(32).enumerate() {
        let standard = message.first().is_some_and(|b| b & 1 == 1) && at > 0;
        let (transport, local) = match standard {
            true => (sip::Transport::Tcp, SocketAddr::from(([198, 51, 100, 80], 5060))),
            false => (sip::Transport::Tls, SocketAddr::from(([192, 0, 2, 80], 5061))),
        };
        let remote = SocketAddr::from(([198, 51, 100, 10], 5060));
        let path = sip::Path::new(transport, local, remote).with_connection(sip::ConnectionId(1));
        let _ = gateway.handle_sip(sip::Received { path, payload: message }, now);
        serve(&mut gateway, &mut engine, &mut bound, now);
        now += Duration::from_millis(50);
        gateway.handle_timeout(now);
        engine.handle_timeout(now);
        serve(&mut gateway, &mut engine, &mut bound, now);
    }
    gateway.shut_down(now);
    serve(&mut gateway, &mut engine, &mut bound, now);
    // Everything ends within the timers of SIP.
    for _ in 0..10_000 {
        let times = [gateway.poll_timeout(), engine.poll_timeout()];
        let Some(next) = times.into_iter().flatten().min() else { break };
        if next > start + Duration::from_secs(4_000) {
            break;
        }
        now = now.max(next);
        gateway.handle_timeout(now);
        engine.handle_timeout(now);
        serve(&mut gateway, &mut engine, &mut bound, now);
    }
    assert_eq!(gateway.calls().len(), 0, "a call is left");
    assert!(bound.is_empty(), "sockets are left: {bound:?}");
}

/// Datagrams at the four sockets of a call in clear, each behind an octet that says which one:
/// whatever they are, every one is passed or counted, and what goes out is well-formed.
///
/// # Panics
///
/// When a property does not hold.
pub fn gateway_media(data: &[u8]) {
    let start = Instant::now();
    let mut now = start;
    let mut engine = MediaEngine::new([3; 32], start);
    let streams = open_call(&mut engine, start);
    let peer = SocketAddr::from(([203, 0, 113, 9], 9));
    let mut datagrams = 0_u64;
    for datagram in split(data).take(256) {
        let Some((first, rest)) = datagram.split_first() else { continue };
        let Some((stream, kind)) = streams.get(usize::from(first & 3)).copied() else { continue };
        let local = socket(stream, kind, first & 4 != 0);
        let _ = engine.handle_datagram(local, peer, BytesMut::from(rest), now);
        datagrams += 1;
        if first & 8 != 0 {
            now += Duration::from_millis(200);
            engine.handle_timeout(now);
        }
        while let Some(transmit) = engine.poll_transmit() {
            let version = transmit.payload.first().map(|b| b >> 6);
            let muxed = linkspan_stun::demultiplex(&transmit.payload);
            let media =
                matches!(muxed, linkspan_stun::PacketKind::Rtp | linkspan_stun::PacketKind::Rtcp);
            assert!(!media || version == Some(2));
            engine.recycle(transmit.payload);
        }
        while engine.poll_event().is_some() {}
    }
    let mut accounted = 0;
    for (stream, _) in streams {
        let Some(s) = engine.statistics(stream) else { continue };
        accounted += s.received.packets + s.rtcp_received + s.dropped.iter().sum::<u64>();
    }
    // STUN that its agent takes is not counted.
    assert!(accounted <= datagrams * 2_000, "{accounted} of {datagrams}");
    for (stream, _) in streams {
        engine.handle_command(MediaCommand::Close { stream }, now);
    }
    assert_eq!(engine.poll_timeout(), None, "a timer is left");
    assert_eq!(engine.streams().count(), 0);
}

fn gateway(now: Instant) -> Option<Gateway> {
    let mut config = Config::default();
    let listen = |transport, address: SocketAddr| vec![Listener { transport, address }];
    config.lync.listeners =
        listen(SignallingTransport::Tls, SocketAddr::from(([192, 0, 2, 80], 5061)));
    config.standard.listeners =
        listen(SignallingTransport::Tcp, SocketAddr::from(([198, 51, 100, 80], 5060)));
    config.lync.encryption = Encryption::Supported;
    for (domain, to, hop) in
        [("*", Side::Standard, "tcp:198.51.100.10:5060"), ("*", Side::Lync, "tls:192.0.2.31:5061")]
    {
        let mut route = Route::new(domain.parse().ok()?, to);
        route.from = Some(to.other());
        route.next_hops.push(hop.parse().ok()?);
        config.routes.push(route);
    }
    Gateway::new(config, [1; 32], now).ok()
}

fn serve(
    gateway: &mut Gateway,
    engine: &mut MediaEngine,
    bound: &mut Vec<SocketAddr>,
    now: Instant,
) {
    loop {
        let mut quiet = true;
        while gateway.poll_sip_transmit().is_some() {
            quiet = false;
        }
        while let Some(command) = gateway.poll_media_command() {
            quiet = false;
            match command {
                MediaCommand::Bind { stream, sockets } => {
                    assert!(sockets.iter().all(|s| !bound.contains(s)), "bound twice");
                    bound.extend(sockets);
                    gateway.handle_media_event(MediaEvent::Bound { stream }, now);
                }
                MediaCommand::Unbind { sockets, .. } => bound.retain(|s| !sockets.contains(s)),
                other => engine.handle_command(other, now),
            }
        }
        while let Some(event) = engine.poll_event() {
            quiet = false;
            gateway.handle_media_event(event, now);
        }
        while engine.poll_transmit().is_some() {
            quiet = false;
        }
        while let Some(event) = gateway.poll_event() {
            // Nothing of a key is shown.
            if let GatewayEvent::Decided { explanation, .. } = event {
                assert!(!explanation.contains("inline:"), "a key was shown");
            }
        }
        if quiet {
            return;
        }
    }
}

fn open_call(engine: &mut MediaEngine, now: Instant) -> [(StreamId, StreamKind); 4] {
    let stream = |side, index| StreamId { call: CallId(1), side, index };
    let streams = [
        (stream(Side::Lync, 0), StreamKind::Audio),
        (stream(Side::Standard, 0), StreamKind::Audio),
        (stream(Side::Lync, 1), StreamKind::Video),
        (stream(Side::Standard, 1), StreamKind::Video),
    ];
    for (id, kind) in streams {
        let mut config =
            TransportConfig::new(kind, socket(id, kind, false), socket(id, kind, true));
        if id.side == Side::Lync && kind == StreamKind::Audio {
            config.ice = Some((ice::Dialect::MsIce2, ice::Role::Controlled));
        }
        engine.handle_command(MediaCommand::Open { stream: id, config: Box::new(config) }, now);
        let mut agreed =
            AgreedStream::new(RemoteMedia::new(SocketAddr::from(([203, 0, 113, 9], 4000))));
        let codecs: &[(u8, StreamCodec)] = match (kind, id.side) {
            (StreamKind::Audio, _) => &[(0, StreamCodec::Pcmu), (101, StreamCodec::TelephoneEvent)],
            (StreamKind::Video, Side::Lync) => &[(122, StreamCodec::H264Uc)],
            (StreamKind::Video, Side::Standard) => &[(97, StreamCodec::H264 { single_nal: false })],
        };
        let format = |(pt, codec): &(u8, StreamCodec)| StreamFormat {
            send: *pt,
            receive: *pt,
            codec: *codec,
        };
        agreed.formats = codecs.iter().map(format).collect();
        agreed.feedback.source_request = id.side == Side::Lync;
        agreed.feedback.ms_pli = id.side == Side::Lync;
        agreed.feedback.pli = id.side == Side::Standard;
        engine.handle_command(MediaCommand::Connect { stream: id, agreed: Box::new(agreed) }, now);
    }
    while engine.poll_event().is_some() {}
    streams
}

fn socket(id: StreamId, kind: StreamKind, rtcp: bool) -> SocketAddr {
    let port = match (id.side, kind) {
        (Side::Lync, StreamKind::Audio) => 40_000,
        (Side::Lync, StreamKind::Video) => 40_002,
        (Side::Standard, StreamKind::Audio) => 50_000,
        (Side::Standard, StreamKind::Video) => 50_002,
    };
    SocketAddr::from(([192, 0, 2, 80], port + u16::from(rtcp)))
}

fn split(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(data);
    core::iter::from_fn(move || {
        let octets = rest?;
        match octets.windows(2).position(|w| w == [0xFF, 0xFF]) {
            Some(at) => {
                rest = octets.get(at + 2..);
                octets.get(..at)
            }
            None => {
                rest = None;
                Some(octets)
            }
        }
    })
}

#[cfg(test)]
mod tests {
    fn seeds(target: &str, run: fn(&[u8])) {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/");
        let Ok(files) = std::fs::read_dir(format!("{folder}{target}")) else { return };
        for file in files.flatten() {
            run(&std::fs::read(file.path()).unwrap());
        }
    }

    #[test]
    fn gateway_sip_seeds() {
        seeds("gateway_sip", super::gateway_sip);
    }

    #[test]
    fn gateway_media_seeds() {
        seeds("gateway_media", super::gateway_media);
    }
}
