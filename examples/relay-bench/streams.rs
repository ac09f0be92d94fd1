//! The streams: what is sent when, and where everything is.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use linkspan_gateway::MediaKey;
use linkspan_rtp::RtpHeader;
use linkspan_srtp::{KeyParams, Suite};
use linkspan_svc::{AccessUnit, AccessUnitReader, Packetizer, PacketizerConfig};

use crate::{Arguments, Kind};

/// Packets that a stream sends again and again.
pub(crate) struct Plan {
    pub(crate) packets: Vec<Planned>,
    /// How long they last.
    pub(crate) length: Duration,
    pub(crate) clock_hz: u32,
}

/// A packet of a plan.
pub(crate) struct Planned {
    pub(crate) at: Duration,
    pub(crate) marker: bool,
    pub(crate) payload: Vec<u8>,
}

impl Plan {
    pub(crate) fn new(arguments: &Arguments) -> std::io::Result<Self> {
        if arguments.kind == Kind::Audio {
            let at = Duration::ZERO;
            let packets = vec![Planned { at, marker: false, payload: vec![0xd5; 160] }];
            return Ok(Self { packets, length: Duration::from_millis(20), clock_hz: 8_000 });
        }
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/media"));
        let stream = std::fs::read(folder.join("lync-t3-640x360.264"))?;
        let mut packetizer = Packetizer::new(PacketizerConfig::uc_svc(1_100));
        let mut reader = AccessUnitReader::new(&stream);
        let (mut unit, mut packets, mut pictures) = (AccessUnit::default(), Vec::new(), 0);
        while reader.read_into(&mut unit) {
            let at = PICTURE * pictures;
            pictures += 1;
            for payload in packetizer.packetize(&unit).iter() {
                let marker = payload.marker;
                packets.push(Planned { at, marker, payload: payload.to_vec() });
            }
        }
        let clock_hz = if arguments.kind == Kind::Video { 90_000 } else { 8_000 };
        Ok(Self { packets, length: PICTURE * pictures, clock_hz })
    }

    /// Payload type of its packets.
    pub(crate) fn payload_type(&self) -> u8 {
        if self.clock_hz == 90_000 { UC } else { PCMU }
    }
}

/// Where things are: counted from the first port.
pub(crate) struct Places {
    ip: std::net::Ipv4Addr,
    base: u16,
}

impl Places {
    pub(crate) fn new(arguments: &Arguments) -> Self {
        Self { ip: arguments.ip, base: arguments.base }
    }

    fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::from((self.ip, self.base + port))
    }

    /// Where the relay gets a stream: RTP and RTCP.
    pub(crate) fn inner(&self, stream: u16) -> [SocketAddr; 2] {
        [self.at(8 * stream), self.at(8 * stream + 1)]
    }

    /// Where it sends it from.
    pub(crate) fn outer(&self, stream: u16) -> [SocketAddr; 2] {
        [self.at(8 * stream + 2), self.at(8 * stream + 3)]
    }

    /// Who sends it to the relay.
    pub(crate) fn sender(&self, stream: u16) -> SocketAddr {
        self.at(8 * stream + 4)
    }

    /// Who gets it from the relay.
    pub(crate) fn receiver(&self, stream: u16) -> SocketAddr {
        self.at(8 * stream + 6)
    }
}

/// The key of what goes one way on one leg; all are different.
pub(crate) fn key(stream: u16, way: u8) -> MediaKey {
    MediaKey::generate(seed(stream, way))
}

/// The same as SRTP takes it.
pub(crate) fn key_params(stream: u16, way: u8) -> (Suite, KeyParams) {
    let suite = Suite::AesCm128HmacSha1_80;
    (suite, KeyParams::from_seed(suite, seed(stream, way)))
}

fn seed(stream: u16, way: u8) -> [u8; 32] {
    let [high, low] = stream.to_be_bytes();
    let mut seed = [way; 32];
    let [first, second, ..] = &mut seed;
    (*first, *second) = (high, low);
    seed
}

/// A packet, in clear, with its header.
pub(crate) fn write(packet: &mut Vec<u8>, header: &RtpHeader, payload: &[u8]) {
    packet.clear();
    packet.extend_from_slice(&header.to_bytes());
    packet.extend_from_slice(payload);
}

/// Payload types.
pub(crate) const PCMU: u8 = 0;
pub(crate) const UC: u8 = 122;
pub(crate) const H264: u8 = 96;
const PICTURE: Duration = Duration::from_nanos(1_000_000_000 / 30);
