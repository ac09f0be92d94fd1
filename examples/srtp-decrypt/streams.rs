//! The streams of a capture: finds the key of each, decrypts, and counts.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use linkspan_rtp::{PayloadType, RtpPacket, Ssrc};
use linkspan_srtp::{CryptoLine, Receiver, UnprotectError};
use md5::{Digest, Md5};

use crate::capture::Datagram;

/// What is known from key lines and descriptions.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    lines: Vec<CryptoLine>,
    sections: Vec<Section>,
}

/// A media section of a description: dynamic payload types mean something only inside one.
#[derive(Debug, Default)]
struct Section {
    ports: Vec<u16>,
    codecs: BTreeMap<u8, String>,
}

impl Keys {
    /// Adds one line: suite and `inline:` key, with or without tag and `a=crypto:`.
    pub(crate) fn add_line(&mut self, text: &str) -> Result<(), linkspan_srtp::SdesError> {
        let text = text.trim();
        let value = text.strip_prefix("a=crypto:").unwrap_or(text);
        let has_tag = value.starts_with(|c: char| c.is_ascii_digit());
        let line = if has_tag {
            CryptoLine::parse(value)?
        } else {
            CryptoLine::parse(&format!("1 {value}"))?
        };
        let known = |other: &CryptoLine| other.suite == line.suite && other.keys == line.keys;
        if !self.lines.iter().any(known) {
            self.lines.push(line);
        }
        Ok(())
    }

    /// Adds the keys and codecs of a description; text around it, such as a SIP header, is passed
    /// over. Lines that cannot be used are told of.
    pub(crate) fn add_description(&mut self, text: &str, mut refused: impl FnMut(&str, String)) {
        for line in text.lines() {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            if line.starts_with("m=") {
                self.sections.push(Section::default());
            }
            let mut port = |word: Option<&&str>| {
                let port = word.and_then(|word| word.parse().ok());
                if let (Some(section), Some(port)) = (self.sections.last_mut(), port) {
                    section.ports.push(port);
                }
            };
            if line.starts_with("m=") {
                port(words.get(1));
            } else if line.starts_with("a=candidate:") {
                port(words.get(5));
            } else if line.starts_with("a=crypto:") {
                if let Err(error) = self.add_line(line) {
                    refused(line.split(" inline:").next().unwrap_or_default(), error.to_string());
                }
            } else if let Some(map) = line.strip_prefix("a=rtpmap:")
                && let Some((payload_type, name)) = map.split_once(' ')
                && let Ok(payload_type) = payload_type.parse()
                && let Some(name) = name.split('/').next()
                && let Some(section) = self.sections.last_mut()
            {
                section.codecs.insert(payload_type, name.trim().to_owned());
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The codec of a payload type, in a section with one of these ports if there is one.
    fn codec(&self, payload_type: u8, ports: [u16; 2]) -> Option<&str> {
        // RFC 3551 §6, the static ones still met.
        let fixed = match payload_type {
            0 => "PCMU",
            3 => "GSM",
            8 => "PCMA",
            9 => "G722",
            13 => "CN",
            18 => "G729",
            34 => "H263",
            _ => {
                let named = |section: &&Section| section.codecs.contains_key(&payload_type);
                let here = |section: &&Section| section.ports.iter().any(|p| ports.contains(p));
                let mut sections = self.sections.iter().filter(named);
                let section = sections.clone().find(here).or_else(|| sections.next())?;
                return section.codecs.get(&payload_type).map(String::as_str);
            }
        };
        Some(fixed)
    }
}

/// One stream: who sends to whom, and its source.
type StreamKey = (SocketAddr, SocketAddr, u32);

/// Everything found in a capture.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    streams: Vec<(StreamKey, Stream)>,
    places: BTreeMap<StreamKey, usize>,
}

/// The counts of one stream.
#[derive(Debug, Default)]
struct Stream {
    /// One receiver for each key that may fit; a single one once a packet has verified.
    candidates: Vec<(usize, Receiver)>,
    key: Option<usize>,
    packets: u64,
    auth_failed: u64,
    replayed: u64,
    rtcp: u64,
    rtcp_failed: u64,
    /// Extended sequence number of the newest packet.
    newest: Option<i64>,
    /// Payloads by payload type and extended sequence number.
    payloads: BTreeMap<u8, BTreeMap<i64, Vec<u8>>>,
}

/// What is printed of a stream.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) ssrc: Ssrc,
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) packets: u64,
    pub(crate) auth_failed: u64,
    pub(crate) replayed: u64,
    pub(crate) rtcp: u64,
    pub(crate) rtcp_failed: u64,
    /// The suite of the key that fitted.
    pub(crate) suite: Option<&'static str>,
    pub(crate) payload_type: Option<PayloadType>,
    pub(crate) codec: Option<String>,
    pub(crate) first_sequence: Option<u16>,
    pub(crate) last_sequence: Option<u16>,
    pub(crate) missing: u64,
    pub(crate) payload_octets: usize,
    pub(crate) payload_md5: String,
}

impl Streams {
    /// Takes a datagram, and gives it back decrypted when it is RTP or RTCP that verified.
    pub(crate) fn take(&mut self, keys: &Keys, datagram: &Datagram) -> Option<Datagram> {
        let inner = unwrap_relayed(&datagram.payload);
        let mut packet = inner.to_vec();
        let len = match kind(inner)? {
            Kind::Rtp(ssrc) => self.stream(keys, datagram, ssrc)?.take_rtp(keys, &mut packet),
            Kind::Rtcp(ssrc) => self.stream(keys, datagram, ssrc)?.take_rtcp(keys, &mut packet),
        }?;
        packet.truncate(len);
        Some(Datagram { payload: packet, ..datagram.clone() })
    }

    /// The streams that sent RTP, in order of appearance, with the RTCP of their source between
    /// the same hosts.
    pub(crate) fn rows(&self, keys: &Keys) -> Vec<Row> {
        let sent = self.streams.iter().filter(|(_, stream)| stream.packets > 0);
        sent.map(|((source, destination, ssrc), stream)| {
            let mut row = stream.row(keys, *source, *destination, Ssrc(*ssrc));
            for ((from, to, other), stream) in &self.streams {
                if other == ssrc && from.ip() == source.ip() && to.ip() == destination.ip() {
                    row.rtcp += stream.rtcp;
                    row.rtcp_failed += stream.rtcp_failed;
                }
            }
            row
        })
        .collect()
    }

    fn stream(&mut self, keys: &Keys, datagram: &Datagram, ssrc: u32) -> Option<&mut Stream> {
        let key = (datagram.source, datagram.destination, ssrc);
        let place = *self.places.entry(key).or_insert_with(|| {
            self.streams.push((key, Stream::new(keys)));
            self.streams.len() - 1
        });
        self.streams.get_mut(place).map(|(_, stream)| stream)
    }
}

impl Stream {
    fn new(keys: &Keys) -> Self {
        let receiver = |(at, line): (usize, &CryptoLine)| {
            let options = line.session.to_options();
            Some((at, Receiver::with_options(line.suite, &line.keys, options).ok()?))
        };
        let candidates = keys.lines.iter().enumerate().filter_map(receiver).collect();
        Self { candidates, ..Self::default() }
    }

    fn take_rtp(&mut self, keys: &Keys, packet: &mut [u8]) -> Option<usize> {
        self.packets += 1;
        let len = match self.unprotect(keys, packet, Receiver::unprotect_rtp) {
            Ok(len) => len,
            Err(UnprotectError::Replayed | UnprotectError::TooOld) => {
                self.replayed += 1;
                return None;
            }
            Err(_) => {
                self.auth_failed += 1;
                return None;
            }
        };
        let rtp = RtpPacket::parse(packet.get(..len)?).ok()?;
        let sequence = rtp.sequence().0;
        let first = i64::from(sequence);
        let newest = self.newest.unwrap_or(first);
        // The number nearest to the newest one, counted on through rollovers.
        let behind = u16::try_from(newest & 0xffff).unwrap_or(0);
        let extended = newest + i64::from(sequence.wrapping_sub(behind).cast_signed());
        self.newest = Some(newest.max(extended));
        let payloads = self.payloads.entry(rtp.payload_type().0).or_default();
        payloads.entry(extended).or_insert_with(|| rtp.payload().to_vec());
        Some(len)
    }

    fn take_rtcp(&mut self, keys: &Keys, packet: &mut [u8]) -> Option<usize> {
        self.rtcp += 1;
        let opened = self.unprotect(keys, packet, Receiver::unprotect_rtcp);
        self.rtcp_failed += u64::from(opened.is_err());
        opened.ok()
    }

    /// Tries the keys in order until one verifies; from then on only that one.
    fn unprotect(
        &mut self,
        keys: &Keys,
        packet: &mut [u8],
        open: fn(&mut Receiver, &mut [u8]) -> Result<usize, UnprotectError>,
    ) -> Result<usize, UnprotectError> {
        if keys.is_empty() {
            return Ok(packet.len());
        }
        let sealed = packet.to_vec();
        let mut outcome = Err(UnprotectError::Authentication);
        for (at, receiver) in &mut self.candidates {
            packet.copy_from_slice(&sealed);
            outcome = open(receiver, packet);
            if outcome.is_ok() {
                self.key = Some(*at);
                break;
            }
        }
        if let (Ok(_), Some(key)) = (&outcome, self.key) {
            self.candidates.retain(|(at, _)| *at == key);
        }
        outcome
    }

    fn row(&self, keys: &Keys, source: SocketAddr, destination: SocketAddr, ssrc: Ssrc) -> Row {
        let main = self.payloads.iter().max_by_key(|(_, payloads)| payloads.len());
        let mut md5 = Md5::new();
        let mut payload_octets = 0;
        for payload in main.iter().flat_map(|(_, payloads)| payloads.values()) {
            md5.update(payload);
            payload_octets += payload.len();
        }
        let sequences = || self.payloads.values().flat_map(BTreeMap::keys);
        let (first, last) = (sequences().min(), sequences().max());
        let spanned = first.zip(last).map_or(0, |(first, last)| last.abs_diff(*first) + 1);
        let as_wire = |sequence: &i64| u16::try_from(sequence & 0xffff).unwrap_or(0);
        let ports = [source.port(), destination.port()];
        let payload_type = main.map(|(payload_type, _)| PayloadType(*payload_type));
        Row {
            ssrc,
            source,
            destination,
            packets: self.packets,
            auth_failed: self.auth_failed,
            replayed: self.replayed,
            rtcp: 0,
            rtcp_failed: 0,
            suite: self.key.and_then(|key| keys.lines.get(key)).map(|line| line.suite.name()),
            payload_type,
            codec: payload_type.and_then(|p| keys.codec(p.0, ports)).map(str::to_owned),
            first_sequence: first.map(as_wire),
            last_sequence: last.map(as_wire),
            missing: spanned.saturating_sub(sequences().count() as u64),
            payload_octets,
            payload_md5: md5.finalize().iter().map(|octet| format!("{octet:02x}")).collect(),
        }
    }
}

enum Kind {
    Rtp(u32),
    Rtcp(u32),
}

/// RFC 7983 §7 and RFC 5761 §4: RTP or RTCP, and whose.
fn kind(packet: &[u8]) -> Option<Kind> {
    let [first, second, ..] = *packet else { return None };
    if first >> 6 != 2 {
        return None;
    }
    let ssrc = |at| Some(u32::from_be_bytes(*packet.get(at..)?.first_chunk()?));
    if (192..=223).contains(&second) { ssrc(4).map(Kind::Rtcp) } else { ssrc(8).map(Kind::Rtp) }
}

/// What a TURN client exchanges with its server: ChannelData, or the DATA attribute of a Send or
/// Data indication (RFC 8656 §11, §12). Anything else is returned as it is.
fn unwrap_relayed(payload: &[u8]) -> &[u8] {
    match *payload {
        [0x40..=0x4f, _, l0, l1, ref data @ ..] => {
            data.get(..usize::from(u16::from_be_bytes([l0, l1]))).unwrap_or(payload)
        }
        [0x00, 0x16 | 0x17, _, _, ..] => indication_data(payload).unwrap_or(payload),
        _ => payload,
    }
}

fn indication_data(message: &[u8]) -> Option<&[u8]> {
    let mut attributes = message.get(20..)?;
    loop {
        let [t0, t1, l0, l1] = *attributes.first_chunk()?;
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        if [t0, t1] == [0x00, 0x13] {
            return attributes.get(4..4 + len);
        }
        attributes = attributes.get(4 + len.next_multiple_of(4)..)?;
    }
}
