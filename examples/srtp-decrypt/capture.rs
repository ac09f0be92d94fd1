//! Reads UDP datagrams from pcap and pcapng files, and writes decrypted ones to a pcap file.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A UDP datagram of a capture.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Datagram {
    /// Nanoseconds since 1970.
    pub(crate) at: u64,
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) payload: Vec<u8>,
}

/// Why a file is no capture.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum CaptureError {
    #[error("neither pcap nor pcapng")]
    Magic,
    #[error("{what} at octet {at} is cut off or malformed")]
    Malformed { what: &'static str, at: usize },
}

/// Every UDP datagram of a capture, in order. Frames that hold none are passed over. A record cut
/// off at the end of the file ends the list: captures are often stopped in mid-write.
pub(crate) fn read(file: &[u8]) -> Result<Vec<Datagram>, CaptureError> {
    let mut found = Vec::new();
    match file.first_chunk::<4>() {
        Some([0x0a, 0x0d, 0x0d, 0x0a]) => pcapng(file, &mut found)?,
        Some([0xd4, 0xc3, 0xb2, 0xa1]) => pcap(file, Order::Little, 1_000, &mut found)?,
        Some([0xa1, 0xb2, 0xc3, 0xd4]) => pcap(file, Order::Big, 1_000, &mut found)?,
        Some([0x4d, 0x3c, 0xb2, 0xa1]) => pcap(file, Order::Little, 1, &mut found)?,
        Some([0xa1, 0xb2, 0x3c, 0x4d]) => pcap(file, Order::Big, 1, &mut found)?,
        _ => return Err(CaptureError::Magic),
    }
    Ok(found)
}

/// Writes datagrams as a pcap file of raw IP packets.
pub(crate) struct Writer<W> {
    out: W,
}

impl<W: Write> Writer<W> {
    pub(crate) fn new(mut out: W) -> io::Result<Self> {
        // Nanosecond pcap 2.4, no snapshot limit to speak of, LINKTYPE_RAW.
        out.write_all(&0xa1b2_3c4d_u32.to_le_bytes())?;
        out.write_all(&[2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0])?;
        out.write_all(&0x4_0000_u32.to_le_bytes())?;
        out.write_all(&LINK_RAW.to_le_bytes())?;
        Ok(Self { out })
    }

    /// One datagram; addresses of different families are passed over.
    pub(crate) fn write(&mut self, datagram: &Datagram) -> io::Result<()> {
        let Some(packet) = ip_packet(datagram) else { return Ok(()) };
        let seconds = u32::try_from(datagram.at / 1_000_000_000).unwrap_or(u32::MAX);
        let nanoseconds = u32::try_from(datagram.at % 1_000_000_000).unwrap_or(0);
        let len = u32::try_from(packet.len()).unwrap_or(u32::MAX);
        for field in [seconds, nanoseconds, len, len] {
            self.out.write_all(&field.to_le_bytes())?;
        }
        self.out.write_all(&packet)
    }

    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}

impl Order {
    fn u16(self, data: &[u8], at: usize) -> Option<u16> {
        let octets = *data.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Little => u16::from_le_bytes(octets),
            Self::Big => u16::from_be_bytes(octets),
        })
    }

    fn u32(self, data: &[u8], at: usize) -> Option<u32> {
        let octets = *data.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Little => u32::from_le_bytes(octets),
            Self::Big => u32::from_be_bytes(octets),
        })
    }

    fn len(self, data: &[u8], at: usize) -> Option<usize> {
        usize::try_from(self.u32(data, at)?).ok()
    }
}

fn pcap(
    file: &[u8],
    order: Order,
    unit: u64,
    found: &mut Vec<Datagram>,
) -> Result<(), CaptureError> {
    let malformed = |at| CaptureError::Malformed { what: "file header", at };
    // The upper bits of the link type say whether frames end with a checksum.
    let link = order.u32(file, 20).ok_or_else(|| malformed(20))? & 0xffff;
    let mut rest = file.get(24..).ok_or_else(|| malformed(24))?;
    while let (Some(seconds), Some(part), Some(len)) =
        (order.u32(rest, 0), order.u32(rest, 4), order.len(rest, 8))
    {
        let Some((frame, later)) = rest.get(16..).and_then(|rest| rest.split_at_checked(len))
        else {
            break;
        };
        let at = u64::from(seconds) * 1_000_000_000 + u64::from(part) * unit;
        found.extend(datagram(link, frame, at));
        rest = later;
    }
    Ok(())
}

/// An interface of a pcapng section.
#[derive(Clone, Copy)]
struct Interface {
    link: u32,
    /// Units of its timestamps in a second.
    per_second: u64,
}

fn pcapng(file: &[u8], found: &mut Vec<Datagram>) -> Result<(), CaptureError> {
    let mut order = Order::Little;
    let mut interfaces: Vec<Interface> = Vec::new();
    let mut at = 0;
    while let Some(block) = file.get(at..).filter(|block| block.len() >= 12) {
        let malformed = CaptureError::Malformed { what: "block", at };
        if block.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) {
            order = match block.get(8..12) {
                Some([0x4d, 0x3c, 0x2b, 0x1a]) => Order::Little,
                Some([0x1a, 0x2b, 0x3c, 0x4d]) => Order::Big,
                _ => return Err(malformed),
            };
            interfaces.clear();
        }
        let kind = order.u32(block, 0).ok_or(malformed)?;
        let len = order.len(block, 4).ok_or(malformed)?;
        if len < 12 || len % 4 != 0 {
            return Err(malformed);
        }
        let Some(body) = block.get(8..len - 4) else { break };
        match kind {
            BLOCK_INTERFACE => interfaces.push(interface(order, body).ok_or(malformed)?),
            BLOCK_ENHANCED_PACKET => {
                let (interface, at, frame) =
                    enhanced_packet(order, &interfaces, body).ok_or(malformed)?;
                found.extend(datagram(interface.link, frame, at));
            }
            BLOCK_SIMPLE_PACKET => {
                let interface = interfaces.first().ok_or(malformed)?;
                let original = order.len(body, 0).ok_or(malformed)?;
                let frame = body.get(4..).ok_or(malformed)?;
                let frame = frame.get(..original).unwrap_or(frame);
                found.extend(datagram(interface.link, frame, 0));
            }
            _ => {}
        }
        at += len;
    }
    Ok(())
}

fn interface(order: Order, body: &[u8]) -> Option<Interface> {
    let link = u32::from(order.u16(body, 0)?);
    let mut per_second = 1_000_000;
    let mut options = body.get(8..)?;
    while let (Some(code), Some(len)) = (order.u16(options, 0), order.u16(options, 2)) {
        let value = options.get(4..4 + usize::from(len))?;
        if let (OPTION_TIME_RESOLUTION, Some(exponent)) = (code, value.first()) {
            let power = u32::from(exponent & 0x7f);
            let base: u64 = if exponent & 0x80 == 0 { 10 } else { 2 };
            per_second = base.checked_pow(power)?;
        }
        options = options.get(4 + usize::from(len.next_multiple_of(4))..).unwrap_or_default();
    }
    Some(Interface { link, per_second })
}

fn enhanced_packet<'f>(
    order: Order,
    interfaces: &[Interface],
    body: &'f [u8],
) -> Option<(Interface, u64, &'f [u8])> {
    let interface = *interfaces.get(order.len(body, 0)?)?;
    let units = u128::from(order.u32(body, 4)?) << 32 | u128::from(order.u32(body, 8)?);
    let at = units.checked_mul(1_000_000_000)? / u128::from(interface.per_second);
    let frame = body.get(20..)?.get(..order.len(body, 12)?)?;
    Some((interface, u64::try_from(at).ok()?, frame))
}

/// The UDP datagram inside a frame.
fn datagram(link: u32, frame: &[u8], at: u64) -> Option<Datagram> {
    let packet = match link {
        LINK_ETHERNET => ethernet(frame)?,
        LINK_NULL => frame.get(4..)?,
        LINK_RAW | LINK_RAW_BSD => frame,
        LINK_COOKED => frame.get(16..)?,
        LINK_COOKED_2 => frame.get(20..)?,
        _ => return None,
    };
    let (source, destination, segment) = match packet.first()? >> 4 {
        4 => ipv4(packet)?,
        6 => ipv6(packet)?,
        _ => return None,
    };
    let [s0, s1, d0, d1, l0, l1, _, _] = *segment.first_chunk()?;
    let payload = segment.get(8..usize::from(u16::from_be_bytes([l0, l1])))?;
    Some(Datagram {
        at,
        source: (source, u16::from_be_bytes([s0, s1])).into(),
        destination: (destination, u16::from_be_bytes([d0, d1])).into(),
        payload: payload.to_vec(),
    })
}

/// What an Ethernet frame carries, behind any VLAN tags.
fn ethernet(frame: &[u8]) -> Option<&[u8]> {
    let mut rest = frame.get(12..)?;
    loop {
        rest = match *rest.first_chunk()? {
            [0x08, 0x00] | [0x86, 0xdd] => return rest.get(2..),
            [0x81, 0x00] | [0x88, 0xa8] => rest.get(4..)?,
            _ => return None,
        };
    }
}

fn ipv4(packet: &[u8]) -> Option<(IpAddr, IpAddr, &[u8])> {
    let header_len = 4 * usize::from(packet.first()? & 0x0f);
    let total = usize::from(u16::from_be_bytes(*packet.get(2..)?.first_chunk()?));
    let fragment = u16::from_be_bytes(*packet.get(6..)?.first_chunk()?);
    // A fragment has no whole datagram.
    if fragment & 0x3fff != 0 || packet.get(9) != Some(&PROTOCOL_UDP) {
        return None;
    }
    let source = Ipv4Addr::from(*packet.get(12..)?.first_chunk::<4>()?);
    let destination = Ipv4Addr::from(*packet.get(16..)?.first_chunk::<4>()?);
    Some((source.into(), destination.into(), packet.get(header_len.max(20)..total)?))
}

fn ipv6(packet: &[u8]) -> Option<(IpAddr, IpAddr, &[u8])> {
    let source = Ipv6Addr::from(*packet.get(8..)?.first_chunk::<16>()?);
    let destination = Ipv6Addr::from(*packet.get(24..)?.first_chunk::<16>()?);
    let mut next = *packet.get(6)?;
    let mut rest = packet.get(40..)?;
    loop {
        match next {
            PROTOCOL_UDP => return Some((source.into(), destination.into(), rest)),
            // Hop-by-hop options, routing, destination options.
            0 | 43 | 60 => {
                next = *rest.first()?;
                rest = rest.get(8 * (usize::from(*rest.get(1)?) + 1)..)?;
            }
            _ => return None,
        }
    }
}

fn ip_packet(datagram: &Datagram) -> Option<Vec<u8>> {
    let udp_len = u16::try_from(datagram.payload.len() + 8).ok()?;
    let mut packet = Vec::with_capacity(datagram.payload.len() + 48);
    let mut sum = Checksum(u32::from(PROTOCOL_UDP) + u32::from(udp_len));
    match (datagram.source.ip(), datagram.destination.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let [l0, l1] = udp_len.checked_add(20)?.to_be_bytes();
            packet.extend_from_slice(&[0x45, 0, l0, l1, 0, 0, 0x40, 0, 64, PROTOCOL_UDP, 0, 0]);
            packet.extend_from_slice(&source.octets());
            packet.extend_from_slice(&destination.octets());
            let mut header = Checksum(0);
            header.add(&packet);
            packet.get_mut(10..12)?.copy_from_slice(&header.finish());
            sum.add(packet.get(12..)?);
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let [l0, l1] = udp_len.to_be_bytes();
            packet.extend_from_slice(&[0x60, 0, 0, 0, l0, l1, PROTOCOL_UDP, 64]);
            packet.extend_from_slice(&source.octets());
            packet.extend_from_slice(&destination.octets());
            sum.add(packet.get(8..)?);
        }
        _ => return None,
    }
    let udp_at = packet.len();
    packet.extend_from_slice(&datagram.source.port().to_be_bytes());
    packet.extend_from_slice(&datagram.destination.port().to_be_bytes());
    packet.extend_from_slice(&udp_len.to_be_bytes());
    packet.extend_from_slice(&[0, 0]);
    packet.extend_from_slice(&datagram.payload);
    sum.add(packet.get(udp_at..)?);
    // RFC 768: a sum of zero is sent as ones, zero means that there is none.
    let sum = match sum.finish() {
        [0, 0] => [0xff, 0xff],
        sum => sum,
    };
    packet.get_mut(udp_at + 6..udp_at + 8)?.copy_from_slice(&sum);
    Some(packet)
}

/// The checksum of RFC 1071.
struct Checksum(u32);

impl Checksum {
    fn add(&mut self, data: &[u8]) {
        for pair in data.chunks(2) {
            let high = u32::from(*pair.first().unwrap_or(&0)) << 8;
            self.0 += high | u32::from(*pair.get(1).unwrap_or(&0));
        }
    }

    fn finish(self) -> [u8; 2] {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum >> 16) + (sum & 0xffff);
        }
        let [_, _, a, b] = (!sum).to_be_bytes();
        [a, b]
    }
}

/// A property of any file: what is read can be written, and then reads the same; what is held is
/// bounded by the file. Fuzzed, and run over the seeds by a test.
#[cfg(any(test, fuzzing))]
pub(crate) fn survives_writing(file: &[u8]) {
    let Ok(datagrams) = read(file) else { return };
    let held: usize = datagrams.iter().map(|datagram| 28 + datagram.payload.len()).sum();
    assert!(held <= file.len());
    let mut copy = Vec::new();
    let wrote = Writer::new(&mut copy).and_then(|mut writer| {
        datagrams.iter().try_for_each(|datagram| writer.write(datagram))?;
        writer.finish()
    });
    assert!(wrote.is_ok(), "a vector takes everything");
    // A pcap file has 32 bits of seconds; pcapng may say more.
    let mut written = datagrams;
    for datagram in &mut written {
        let seconds = (datagram.at / 1_000_000_000).min(u64::from(u32::MAX));
        datagram.at = seconds * 1_000_000_000 + datagram.at % 1_000_000_000;
    }
    // What no IP packet holds is not written.
    written.retain(|datagram| ip_packet(datagram).is_some());
    assert_eq!(read(&copy), Ok(written));
}

const BLOCK_INTERFACE: u32 = 1;
const BLOCK_SIMPLE_PACKET: u32 = 3;
const BLOCK_ENHANCED_PACKET: u32 = 6;
const OPTION_TIME_RESOLUTION: u16 = 9;
const LINK_NULL: u32 = 0;
const LINK_ETHERNET: u32 = 1;
const LINK_RAW_BSD: u32 = 12;
const LINK_RAW: u32 = 101;
const LINK_COOKED: u32 = 113;
const LINK_COOKED_2: u32 = 276;
const PROTOCOL_UDP: u8 = 17;
