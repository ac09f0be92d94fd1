//! Capture files that Wireshark reads: the classic pcap format with Ethernet frames around what
//! crossed the sockets.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Writes one capture file.
///
/// ```
/// use linkspan_examples::PcapWriter;
/// use std::time::Duration;
///
/// let mut file = Vec::new();
/// let mut capture = PcapWriter::new(&mut file)?;
/// let (from, to) = ("127.0.0.1:4000".parse().unwrap(), "127.0.0.1:4002".parse().unwrap());
/// capture.udp(Duration::from_secs(1), from, to, b"hello")?;
/// assert_eq!(file.len(), 24 + 16 + 14 + 20 + 8 + 5);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct PcapWriter<W> {
    out: W,
    /// Next sequence number of each direction of each TCP flow.
    flows: HashMap<(SocketAddr, SocketAddr), u32>,
    identification: u16,
}

impl<W: Write> PcapWriter<W> {
    /// Starts a capture with its file header.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn new(mut out: W) -> io::Result<Self> {
        out.write_all(&MAGIC.to_le_bytes())?;
        out.write_all(&2_u16.to_le_bytes())?;
        out.write_all(&4_u16.to_le_bytes())?;
        out.write_all(&[0; 8])?;
        out.write_all(&SNAPSHOT_LENGTH.to_le_bytes())?;
        out.write_all(&LINKTYPE_ETHERNET.to_le_bytes())?;
        Ok(Self { out, flows: HashMap::new(), identification: 0 })
    }

    /// One datagram, `at` after the epoch.
    ///
    /// # Errors
    /// When the file cannot be written, or `payload` is no possible datagram.
    pub fn udp(
        &mut self,
        at: Duration,
        from: SocketAddr,
        to: SocketAddr,
        payload: &[u8],
    ) -> io::Result<()> {
        let length = u16::try_from(payload.len() + 8).map_err(io::Error::other)?;
        let mut segment = Vec::with_capacity(payload.len() + 8);
        segment.extend_from_slice(&from.port().to_be_bytes());
        segment.extend_from_slice(&to.port().to_be_bytes());
        segment.extend_from_slice(&length.to_be_bytes());
        segment.extend_from_slice(&[0, 0]);
        segment.extend_from_slice(payload);
        let sum = match transport_checksum(from.ip(), to.ip(), IPPROTO_UDP, &segment) {
            0 => 0xffff,
            sum => sum,
        };
        patch(&mut segment, 6, sum);
        self.frame(at, from.ip(), to.ip(), IPPROTO_UDP, &segment)
    }

    /// A stretch of a TCP stream. The connection's handshake is not part of the capture; sequence
    /// numbers continue from call to call, so that a reader can put the stream together.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn tcp(
        &mut self,
        at: Duration,
        from: SocketAddr,
        to: SocketAddr,
        payload: &[u8],
    ) -> io::Result<()> {
        for part in payload.chunks(LARGEST_SEGMENT) {
            let acknowledged = *self.flows.entry((to, from)).or_insert(1);
            let sequence = self.flows.entry((from, to)).or_insert(1);
            let mut segment = Vec::with_capacity(part.len() + 20);
            segment.extend_from_slice(&from.port().to_be_bytes());
            segment.extend_from_slice(&to.port().to_be_bytes());
            segment.extend_from_slice(&sequence.to_be_bytes());
            segment.extend_from_slice(&acknowledged.to_be_bytes());
            // Five words of header; PSH and ACK; a window; no checksum yet; no urgent data.
            segment.extend_from_slice(&[0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
            segment.extend_from_slice(part);
            *sequence = sequence.wrapping_add(u32::try_from(part.len()).map_err(io::Error::other)?);
            let sum = transport_checksum(from.ip(), to.ip(), IPPROTO_TCP, &segment);
            patch(&mut segment, 16, sum);
            self.frame(at, from.ip(), to.ip(), IPPROTO_TCP, &segment)?;
        }
        Ok(())
    }

    /// Hands what is buffered to the file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn frame(
        &mut self,
        at: Duration,
        from: IpAddr,
        to: IpAddr,
        protocol: u8,
        segment: &[u8],
    ) -> io::Result<()> {
        let mut frame = Vec::with_capacity(segment.len() + 54);
        frame.extend_from_slice(&link_address(to));
        frame.extend_from_slice(&link_address(from));
        match (from, to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                frame.extend_from_slice(&[0x08, 0x00]);
                let total = u16::try_from(segment.len() + 20).map_err(io::Error::other)?;
                self.identification = self.identification.wrapping_add(1);
                let mut header = vec![0x45, 0];
                header.extend_from_slice(&total.to_be_bytes());
                header.extend_from_slice(&self.identification.to_be_bytes());
                header.extend_from_slice(&[0x40, 0, 64, protocol, 0, 0]);
                header.extend_from_slice(&from.octets());
                header.extend_from_slice(&to.octets());
                let sum = fold(sum_words(0, &header));
                patch(&mut header, 10, sum);
                frame.extend_from_slice(&header);
            }
            (from, to) => {
                frame.extend_from_slice(&[0x86, 0xdd, 0x60, 0, 0, 0]);
                let length = u16::try_from(segment.len()).map_err(io::Error::other)?;
                frame.extend_from_slice(&length.to_be_bytes());
                frame.extend_from_slice(&[protocol, 64]);
                frame.extend_from_slice(&v6_octets(from));
                frame.extend_from_slice(&v6_octets(to));
            }
        }
        frame.extend_from_slice(segment);
        let length = u32::try_from(frame.len()).map_err(io::Error::other)?;
        let seconds = u32::try_from(at.as_secs()).unwrap_or(u32::MAX);
        self.out.write_all(&seconds.to_le_bytes())?;
        self.out.write_all(&at.subsec_micros().to_le_bytes())?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(&frame)
    }
}

/// RFC 1071 over the pseudo header and the segment.
fn transport_checksum(from: IpAddr, to: IpAddr, protocol: u8, segment: &[u8]) -> u16 {
    let mut sum = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => sum_words(sum_words(0, &from.octets()), &to.octets()),
        (from, to) => sum_words(sum_words(0, &v6_octets(from)), &v6_octets(to)),
    };
    sum += u64::from(protocol) + segment.len() as u64;
    fold(sum_words(sum, segment))
}

fn sum_words(mut sum: u64, octets: &[u8]) -> u64 {
    for pair in octets.chunks(2) {
        if let [high, rest @ ..] = pair {
            sum += u64::from(*high) << 8 | u64::from(rest.first().copied().unwrap_or(0));
        }
    }
    sum
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

fn patch(octets: &mut [u8], at: usize, value: u16) {
    if let Some(place) = octets.get_mut(at..at + 2) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

fn v6_octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// A locally administered address made from the last four octets of the IP address.
fn link_address(address: IpAddr) -> [u8; 6] {
    let [.., a, b, c, d] = v6_octets(address);
    [2, 0, a, b, c, d]
}

/// Microsecond time stamps, in the byte order that follows.
const MAGIC: u32 = 0xa1b2_c3d4;
const SNAPSHOT_LENGTH: u32 = 262_144;
const LINKTYPE_ETHERNET: u32 = 1;
const IPPROTO_TCP: u8 = 6;
const IPPROTO_UDP: u8 = 17;
/// Large, so that most SIP messages are one frame.
const LARGEST_SEGMENT: usize = 60_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_verify_to_zero() {
        let mut file = Vec::new();
        let mut capture = PcapWriter::new(&mut file).unwrap();
        let from = "192.0.2.1:5000".parse().unwrap();
        let to = "192.0.2.2:6000".parse().unwrap();
        capture.udp(Duration::from_micros(1_500_000), from, to, b"odd").unwrap();
        let record = &file[24..];
        assert_eq!(record[..8], [1, 0, 0, 0, 0x20, 0xa1, 7, 0]);
        let ip = &record[16 + 14..];
        assert_eq!(fold(sum_words(0, &ip[..20])), 0);
        let (IpAddr::V4(a), IpAddr::V4(b)) = (from.ip(), to.ip()) else { unreachable!() };
        let pseudo = sum_words(sum_words(17 + 11, &a.octets()), &b.octets());
        assert_eq!(fold(sum_words(pseudo, &ip[20..])), 0);
    }

    #[test]
    fn tcp_sequence_numbers_continue_and_acknowledge_the_other_direction() {
        let mut file = Vec::new();
        let mut capture = PcapWriter::new(&mut file).unwrap();
        let from = "[2001:db8::1]:5000".parse().unwrap();
        let to = "[2001:db8::2]:5060".parse().unwrap();
        let sizes = [(from, to, 10_usize), (to, from, 5), (from, to, 1)];
        for (from, to, size) in sizes {
            capture.tcp(Duration::ZERO, from, to, &vec![7; size]).unwrap();
        }
        let mut seen = Vec::new();
        let mut rest = &file[24..];
        for (.., size) in sizes {
            let tcp = &rest[16 + 14 + 40..];
            seen.push((
                u32::from_be_bytes(tcp[4..8].try_into().unwrap()),
                u32::from_be_bytes(tcp[8..12].try_into().unwrap()),
            ));
            rest = &rest[16 + 14 + 40 + 20 + size..];
        }
        assert_eq!(seen, [(1, 1), (1, 11), (11, 6)]);
        assert!(rest.is_empty());
    }
}
