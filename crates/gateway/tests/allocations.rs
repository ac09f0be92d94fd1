//! The media path allocates nothing per packet once its buffers exist: audio, and X-H264UC that is
//! rewritten to H.264, SRTP with separate keys on both legs.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use linkspan_gateway::{
    AgreedStream, CallId, MediaCommand, MediaEngine, MediaKey, RemoteMedia, Side, StreamCodec,
    StreamFormat, StreamId, StreamKind, TransportConfig,
};
use linkspan_rtp::{PayloadType, RtpHeader, SequenceNumber, Ssrc};
use linkspan_srtp::{KeyParams, Sender, Suite};
use linkspan_svc::{AccessUnit, AccessUnitReader, Packetizer, PacketizerConfig};
use linkspan_testnet::CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// An engine with one call, and a sender of SRTP on its Lync leg.
struct Bench {
    engine: MediaEngine,
    sender: Sender,
    header: RtpHeader,
    now: Instant,
    received: u64,
}

const LYNC: &str = "192.0.2.1:4000";
const STANDARD: &str = "198.51.100.1:4000";
const PEER: &str = "192.0.2.2:5000";

impl Bench {
    fn new(kind: StreamKind) -> Self {
        let now = Instant::now();
        let mut engine = MediaEngine::new([1; 32], now);
        let suite = Suite::AesCm128HmacSha1_80;
        for (side, at, peer) in
            [(Side::Lync, LYNC, PEER), (Side::Standard, STANDARD, "198.51.100.2:5000")]
        {
            let stream = StreamId { call: CallId(1), side, index: 0 };
            let at: SocketAddr = at.parse().unwrap();
            let rtcp = SocketAddr::new(at.ip(), at.port() + 1);
            let mut config = TransportConfig::new(kind, at, rtcp);
            // Reports are allocated, one every few seconds.
            config.rtcp_interval = Duration::from_secs(3_600);
            engine.handle_command(MediaCommand::Open { stream, config: Box::new(config) }, now);
            let mut agreed = AgreedStream::new(RemoteMedia::new(peer.parse().unwrap()));
            let first = if side == Side::Lync { 1 } else { 3 };
            agreed.receive_key = Some(MediaKey::generate([first; 32]));
            agreed.send_key = Some(MediaKey::generate([first + 1; 32]));
            let (number, codec) = match (kind, side) {
                (StreamKind::Audio, _) => (0, StreamCodec::Pcmu),
                (StreamKind::Video, Side::Lync) => (122, StreamCodec::H264Uc),
                (StreamKind::Video, _) => (96, StreamCodec::H264 { single_nal: false }),
            };
            agreed.formats = vec![StreamFormat { send: number, receive: number, codec }];
            let agreed = Box::new(agreed);
            engine.handle_command(MediaCommand::Connect { stream, agreed }, now);
        }
        let header = RtpHeader {
            payload_type: PayloadType(if kind == StreamKind::Audio { 0 } else { 122 }),
            ssrc: Ssrc(9),
            ..RtpHeader::default()
        };
        let sender = Sender::new(suite, &[KeyParams::from_seed(suite, [1; 32])]).unwrap();
        Self { engine, sender, header, now, received: 0 }
    }

    fn send(&mut self, payload: &[u8], marker: bool) {
        let mut packet = self.engine.buffer();
        packet.extend_from_slice(&RtpHeader { marker, ..self.header }.to_bytes());
        packet.extend_from_slice(payload);
        let len = packet.len();
        packet.resize(len + self.sender.overhead(), 0);
        let len = self.sender.protect_rtp(&mut packet, len).unwrap();
        packet.truncate(len);
        self.header.sequence = SequenceNumber(self.header.sequence.0.wrapping_add(1));
        let (local, remote) = (LYNC.parse().unwrap(), PEER.parse().unwrap());
        self.engine.handle_datagram(local, remote, packet, self.now).unwrap();
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(transmit) = self.engine.poll_transmit() {
            self.received += u64::from(transmit.local == STANDARD.parse().unwrap());
            self.engine.recycle(transmit.payload);
        }
        while self.engine.poll_event().is_some() {}
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        if self.engine.poll_timeout().is_some_and(|at| at <= self.now) {
            self.engine.handle_timeout(self.now);
            self.drain();
        }
    }
}

/// Allocations of this thread while something is done.
fn allocations(act: impl FnOnce()) -> u64 {
    let before = CountingAllocator::count();
    act();
    CountingAllocator::count() - before
}

#[test]
fn audio_allocates_nothing_per_packet() {
    let mut bench = Bench::new(StreamKind::Audio);
    let mut second = |count: u32| {
        let before = bench.received;
        let made = allocations(|| {
            for _ in 0..count {
                bench.send(&[0xd5; 160], false);
                bench.header.timestamp = bench.header.timestamp.wrapping_add(160);
                bench.wait(Duration::from_millis(20));
            }
        });
        (made, bench.received - before)
    };
    second(200);
    let (made, passed) = second(1_000);
    assert_eq!(passed, 1_000);
    assert_eq!(made, 0, "allocations of 1,000 packets");
}

#[test]
fn rewritten_video_allocates_nothing_per_packet() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/media/lync-t3-640x360.264");
    let stream = std::fs::read(file).unwrap();
    let mut packetizer = Packetizer::new(PacketizerConfig::uc_svc(1_100));
    let mut reader = AccessUnitReader::new(&stream);
    let mut unit = AccessUnit::default();
    let mut pictures: Vec<Vec<(Vec<u8>, bool)>> = Vec::new();
    while reader.read_into(&mut unit) {
        let payloads = packetizer.packetize(&unit);
        pictures.push(payloads.iter().map(|payload| (payload.to_vec(), payload.marker)).collect());
    }
    let mut bench = Bench::new(StreamKind::Video);
    let mut play = || {
        let before = bench.received;
        let mut packets = 0;
        let made = allocations(|| {
            for picture in &pictures {
                for (payload, marker) in picture {
                    packets += 1;
                    bench.send(payload, *marker);
                }
                bench.header.timestamp = bench.header.timestamp.wrapping_add(3_000);
                bench.wait(Duration::from_nanos(33_333_333));
            }
        });
        (made, bench.received - before, packets)
    };
    play();
    play();
    let (made, passed, packets) = play();
    assert!(passed >= 97, "{passed} packets of 97 pictures");
    assert_eq!(made, 0, "allocations of {packets} packets");
}
