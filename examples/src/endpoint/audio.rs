//! What an endpoint says and hears on its audio line: G.711 and telephone events.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use linkspan_rtp::{
    DtmfConfig, DtmfReceiver, DtmfSender, PayloadType, RtpHeader, RtpPacket, SequenceNumber, Ssrc,
    ms,
};

use super::g722;
use crate::audio::{PACKET_OCTETS, linear_from_ulaw};

/// Sends a clip, then digits, with silence around them.
///
/// Silence comes first: it opens the way through every box on the path, so that not even the
/// first packet of the clip is lost to a leg that is still being set up.
#[derive(Debug)]
pub(super) struct AudioSource {
    clip: Vec<u8>,
    digits: String,
    repeats: bool,
    position: usize,
    phase: Phase,
    next: Option<Instant>,
    header: RtpHeader,
    event_type: Option<PayloadType>,
    dtmf: DtmfSender,
    codec: Codec,
    /// The last sample that was coded in G.722, to interpolate from.
    last: i16,
    encoder: g722::Encoder,
    /// Packets of the clip that were sent.
    pub(super) clip_packets: u64,
}

/// What an endpoint can say its sound in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Codec {
    Pcmu,
    Pcma,
    G722,
}

impl Codec {
    /// In the order of preference.
    pub(super) const ALL: [Self; 3] = [Self::Pcmu, Self::Pcma, Self::G722];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Waiting,
    Clip,
    Digits,
    Done,
}

impl AudioSource {
    pub(super) fn new(clip: Vec<u8>, digits: &str, repeats: bool, ssrc: u32) -> Self {
        let dtmf = DtmfConfig {
            gap: Duration::from_millis(60),
            ..ms::dtmf_config(Duration::from_millis(100))
        };
        Self {
            clip,
            digits: digits.to_owned(),
            repeats,
            position: 0,
            phase: Phase::Waiting,
            next: None,
            header: RtpHeader {
                marker: true,
                sequence: SequenceNumber(1),
                ssrc: Ssrc(ssrc),
                ..RtpHeader::default()
            },
            event_type: None,
            dtmf: DtmfSender::new(dtmf),
            codec: Codec::Pcmu,
            last: 0,
            encoder: g722::Encoder::new(),
            clip_packets: 0,
        }
    }

    /// What was agreed to be sent.
    pub(super) fn set_format(&mut self, payload_type: u8, codec: Codec, events: Option<u8>) {
        self.header.payload_type = PayloadType(payload_type);
        self.codec = codec;
        self.event_type = events.map(PayloadType);
    }

    /// The way is open: the clip may begin.
    pub(super) fn begin(&mut self) {
        if self.phase == Phase::Waiting {
            self.phase = Phase::Clip;
        }
    }

    /// What it sends.
    pub(super) fn codec(&self) -> &'static str {
        self.codec.name()
    }

    pub(super) fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    /// The packets that are due, one each 20 ms.
    pub(super) fn poll(&mut self, now: Instant, mut send: impl FnMut(RtpHeader, &[u8])) {
        let mut due = *self.next.get_or_insert(now);
        // After a pause of the whole program there is no point in catching up.
        if now.saturating_duration_since(due) > Duration::from_millis(500) {
            due = now;
        }
        while due <= now {
            self.tick(due, &mut send);
            due += PACKET_TIME;
        }
        self.next = Some(due);
    }

    fn tick(&mut self, at: Instant, send: &mut impl FnMut(RtpHeader, &[u8])) {
        let timestamp = self.header.timestamp;
        if self.phase == Phase::Digits {
            let mut events = 0;
            while let Some(packet) = self.dtmf.poll_packet(at, timestamp) {
                events += 1;
                let header = RtpHeader {
                    marker: packet.marker,
                    payload_type: self.event_type.unwrap_or_default(),
                    timestamp: packet.timestamp,
                    ..self.header
                };
                self.header.sequence = self.header.sequence.next();
                send(header, &packet.payload);
            }
            if !self.dtmf.is_sending() && self.dtmf.queued() == 0 {
                self.phase = Phase::Done;
            }
            if events > 0 {
                self.header.timestamp = timestamp.wrapping_add(TICKS);
                return;
            }
        }
        let payload = self.next_payload(at);
        let payload = self.code(payload);
        send(self.header, &payload);
        self.header.marker = false;
        self.header.sequence = self.header.sequence.next();
        self.header.timestamp = timestamp.wrapping_add(TICKS);
    }

    /// The sound, which is kept as µ-law, in the codec that was agreed on.
    fn code(&mut self, ulaw: Vec<u8>) -> Vec<u8> {
        match self.codec {
            Codec::Pcmu => ulaw,
            Codec::Pcma => {
                ulaw.iter().map(|octet| alaw_from_linear(linear_from_ulaw(*octet))).collect()
            }
            Codec::G722 => {
                let mut samples = Vec::with_capacity(ulaw.len() * 2);
                for octet in ulaw {
                    let sample = linear_from_ulaw(octet);
                    samples.extend([self.last.midpoint(sample), sample]);
                    self.last = sample;
                }
                self.encoder.encode(&samples)
            }
        }
    }

    fn next_payload(&mut self, at: Instant) -> Vec<u8> {
        if self.phase == Phase::Clip {
            let part = self.clip.get(self.position..self.position + PACKET_OCTETS);
            if let Some(part) = part.map(<[u8]>::to_vec) {
                self.position += PACKET_OCTETS;
                self.clip_packets += 1;
                if self.clip.len() < self.position + PACKET_OCTETS {
                    self.end_of_clip(at);
                }
                return part;
            }
            self.end_of_clip(at);
        }
        vec![ULAW_SILENCE; PACKET_OCTETS]
    }

    fn end_of_clip(&mut self, at: Instant) {
        self.phase = Phase::Done;
        let digits = core::mem::take(&mut self.digits);
        if self.event_type.is_some() && !digits.is_empty() {
            match self.dtmf.send(&digits, at) {
                Ok(()) => self.phase = Phase::Digits,
                Err(error) => tracing::warn!(%error, "digits are not sent"),
            }
        } else if self.repeats && self.clip.len() >= PACKET_OCTETS {
            self.position = 0;
            self.phase = Phase::Clip;
        }
    }
}

/// Keeps what arrives, in the order of its sequence numbers.
#[derive(Debug, Default)]
pub(super) struct AudioSink {
    event_type: Option<u8>,
    dtmf: DtmfReceiver,
    packets: BTreeMap<i64, Received>,
    highest: Option<i64>,
    pub(super) digits: String,
}

#[derive(Debug)]
struct Received {
    payload_type: u8,
    payload: Vec<u8>,
}

impl AudioSink {
    pub(super) fn set_event_type(&mut self, event_type: Option<u8>) {
        self.event_type = event_type;
    }

    pub(super) fn push(&mut self, packet: &RtpPacket<'_>) {
        let payload_type = packet.payload_type().0;
        if Some(payload_type) == self.event_type {
            match self.dtmf.on_packet(packet.timestamp(), packet.payload()) {
                Ok(Some(event)) => self.digits.extend(event.to_char()),
                Ok(None) => {}
                Err(error) => tracing::debug!(%error, "telephone event"),
            }
            return;
        }
        let sequence = packet.sequence();
        let extended = match self.highest {
            None => i64::from(sequence.0),
            Some(highest) => {
                let [.., a, b] = highest.to_be_bytes();
                let near = SequenceNumber(u16::from_be_bytes([a, b]));
                highest + i64::from(sequence.distance_from(near))
            }
        };
        self.highest = Some(self.highest.map_or(extended, |highest| highest.max(extended)));
        let payload = packet.payload().to_vec();
        self.packets.entry(extended).or_insert(Received { payload_type, payload });
    }

    pub(super) fn has_heard(&self) -> bool {
        !self.packets.is_empty()
    }

    /// Payload types and payloads in order.
    pub(super) fn payloads(&self) -> impl Iterator<Item = (u8, &[u8])> {
        self.packets.values().map(|packet| (packet.payload_type, packet.payload.as_slice()))
    }
}

/// ITU-T G.711 A-law of one 16-bit sample.
pub(crate) fn alaw_from_linear(sample: i16) -> u8 {
    // 13 bits and sign; negative values are ones' complement.
    let value = sample >> 3;
    let (mask, magnitude) = if value >= 0 { (0xd5, value) } else { (0x55, !value) };
    let magnitude = magnitude.unsigned_abs().min(0x0fff);
    let segment = (16 - magnitude.leading_zeros()).saturating_sub(5);
    let [_, low] = if segment < 2 {
        ((magnitude >> 1) & 0x0f).to_be_bytes()
    } else {
        ((magnitude >> segment) & 0x0f).to_be_bytes()
    };
    let [.., segment] = segment.to_be_bytes();
    (segment << 4 | low) ^ mask
}

/// The 16-bit sample of one A-law octet.
pub(crate) fn linear_from_alaw(octet: u8) -> i16 {
    let octet = octet ^ 0x55;
    let segment = (octet >> 4) & 7;
    let step = i16::from(octet & 0x0f) << 4;
    let magnitude = match segment {
        0 => step + 8,
        segment => (step + 0x108) << (segment - 1),
    };
    if octet & 0x80 == 0 { -magnitude } else { magnitude }
}

const PACKET_TIME: Duration = Duration::from_millis(20);
const TICKS: u32 = 160;
const ULAW_SILENCE: u8 = 0xff;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alaw_octet_survives_the_way_through_linear() {
        for octet in 0..=255_u8 {
            assert_eq!(alaw_from_linear(linear_from_alaw(octet)), octet, "{octet:#04x}");
        }
        // ITU-T G.711 table 1a: the end points and the smallest values.
        assert_eq!(linear_from_alaw(0xaa), 32_256);
        assert_eq!(linear_from_alaw(0x2a), -32_256);
        assert_eq!((linear_from_alaw(0xd5), linear_from_alaw(0x55)), (8, -8));
    }

    #[test]
    fn a_clip_then_digits_then_silence_at_a_steady_pace() {
        let start = Instant::now();
        let mut source = AudioSource::new(vec![1; 320], "7", false, 9);
        source.set_format(0, Codec::Pcmu, Some(101));
        let mut sink = AudioSink::default();
        sink.set_event_type(Some(101));
        let mut stamps = Vec::new();
        for tick in 0..40 {
            if tick == 3 {
                source.begin();
            }
            source.poll(start + PACKET_TIME * tick, |header, payload| {
                let mut packet = Vec::new();
                header.write_packet(payload, &mut packet);
                stamps.push(header.timestamp);
                sink.push(&RtpPacket::parse(&packet).unwrap());
            });
        }
        assert!(source.is_done());
        assert_eq!((source.clip_packets, sink.digits.as_str()), (2, "7"));
        let heard: Vec<u8> = sink.payloads().map(|(_, payload)| payload[0]).collect();
        assert_eq!(heard[..7], [0xff, 0xff, 0xff, 1, 1, 0xff, 0xff]);
        assert!(stamps.iter().max() == Some(&(39 * 160)));
    }
}
