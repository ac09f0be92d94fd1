//! The media of an endpoint: what it sends, and what it takes of what comes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use linkspan_gateway::{
    AgreedStream, Incoming, MediaKey, MediaTransport, Side, StreamCodec, StreamKind, TransportEvent,
};
use linkspan_ice as ice;
use linkspan_rtp::ms::{self, VideoSourceRequest};
use linkspan_rtp::{
    Compound, DtmfReceiver, DtmfSender, PayloadType, RtcpPacket, RtpHeader, RtpPacket,
    SequenceNumber, Ssrc,
};
use linkspan_svc::{
    Depacketizer, DepacketizerConfig, PacketizationMode, Packetizer, PacketizerConfig,
    PayloadFormat, PayloadMeta,
};

use super::Behaviour;

pub(crate) struct Stream {
    pub(crate) kind: StreamKind,
    pub(crate) transport: MediaTransport,
    pub(super) key: MediaKey,
    pub(super) port: u16,
    pub(super) agreed: Option<AgreedStream>,
    pub(super) sequence: SequenceNumber,
    pub(crate) layers: BTreeMap<u8, SequenceNumber>,
    pub(super) timestamp: u32,
    pub(super) next: Option<Instant>,
    pub(crate) sent_audio: Vec<Vec<u8>>,
    pub(crate) received_audio: Vec<Vec<u8>>,
    pub(crate) sent_video: Vec<u8>,
    pub(crate) sent_pictures: usize,
    pub(crate) received_video: Vec<u8>,
    pub(crate) received_pictures: usize,
    pub(crate) damaged: usize,
    pub(crate) idr_received: usize,
    pub(super) picture_at: usize,
    pub(super) packetizer: Option<Packetizer>,
    pub(super) depacketizer: Option<Depacketizer>,
    pub(super) dtmf: DtmfSender,
    pub(super) heard_dtmf: DtmfReceiver,
    pub(crate) digits: String,
    pub(crate) source_requests: Vec<VideoSourceRequest>,
    pub(crate) keyframe_requests: usize,
    pub(super) restart: bool,
    pub(crate) pairs: Option<Vec<ice::SelectedPair>>,
    /// Stops sending after so many audio packets or pictures.
    pub(crate) most: usize,
    pub(crate) ssrcs: Vec<u32>,
    pub(crate) sequences: Vec<u16>,
}

impl Stream {
    pub(super) fn set_codecs(&mut self, agreed: &AgreedStream, behaviour: &Behaviour) {
        if self.kind != StreamKind::Video || self.packetizer.is_some() {
            return;
        }
        let Some(format) = agreed.formats.first() else { return };
        let (config, payload_format) = match format.codec {
            StreamCodec::H264Uc => (PacketizerConfig::uc_svc(1_100), PayloadFormat::UcSvc),
            _ if behaviour.single_nal => {
                (PacketizerConfig::avc(PacketizationMode::SingleNal, 1_200), PayloadFormat::Avc)
            }
            _ => (
                PacketizerConfig::avc(PacketizationMode::NonInterleaved, 1_100),
                PayloadFormat::Avc,
            ),
        };
        self.packetizer = Some(Packetizer::new(config));
        self.depacketizer = Some(Depacketizer::new(DepacketizerConfig::new(payload_format)));
    }

    pub(super) fn tell(&mut self) {
        while let Some(event) = self.transport.poll_event() {
            if let TransportEvent::Connected { pairs } = event {
                self.pairs = Some(pairs);
            }
        }
    }

    pub(super) fn send(&mut self, side: Side, behaviour: &Behaviour, now: Instant) {
        match self.kind {
            StreamKind::Audio => self.send_audio(now),
            StreamKind::Video => self.send_video(side, behaviour, now),
        }
    }

    fn send_audio(&mut self, now: Instant) {
        self.next = Some(now + Duration::from_millis(20));
        self.timestamp = self.timestamp.wrapping_add(160);
        if !self.transport.is_connected() {
            return;
        }
        let Some(agreed) = &self.agreed else { return };
        let event = agreed.formats.iter().find(|f| f.codec == StreamCodec::TelephoneEvent);
        if let Some(packet) = self.dtmf.poll_packet(now, self.timestamp)
            && let Some(event) = event
        {
            let header = RtpHeader {
                marker: packet.marker,
                payload_type: PayloadType(event.send),
                sequence: self.sequence,
                timestamp: packet.timestamp,
                ssrc: Ssrc(self.transport.ssrc()),
            };
            self.sequence = self.sequence.next();
            let mut octets = Vec::new();
            header.write_packet(&packet.payload, &mut octets);
            self.transport.send_rtp(BytesMut::from(&octets[..]), now).unwrap();
            return;
        }
        if self.dtmf.is_sending() || self.sent_audio.len() >= self.most {
            return;
        }
        let Some(format) = agreed.formats.first() else { return };
        // Every packet is different, and tells where it is from.
        let mut payload = vec![self.port.to_le_bytes()[0]; 160];
        payload[..4].copy_from_slice(&(self.sent_audio.len() as u32).to_be_bytes());
        let header = RtpHeader {
            marker: false,
            payload_type: PayloadType(format.send),
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: Ssrc(self.transport.ssrc()),
        };
        self.sequence = self.sequence.next();
        let mut octets = Vec::new();
        header.write_packet(&payload, &mut octets);
        self.transport.send_rtp(BytesMut::from(&octets[..]), now).unwrap();
        self.sent_audio.push(payload);
    }

    fn send_video(&mut self, side: Side, behaviour: &Behaviour, now: Instant) {
        self.next = Some(now + behaviour.interval);
        let ticks = u32::try_from(behaviour.interval.as_millis() * 90).unwrap();
        if behaviour.repeats_timestamp_at != Some(self.sent_pictures) {
            self.timestamp = self.timestamp.wrapping_add(ticks);
        }
        let waits = side == Side::Lync && behaviour.waits_for_source_request;
        if !self.transport.is_connected() || (waits && self.source_requests.is_empty()) {
            return;
        }
        if self.sent_pictures >= self.most {
            return;
        }
        if core::mem::take(&mut self.restart) {
            // The streams have few keyframes: a request starts them again.
            self.picture_at = 0;
        }
        let Some(agreed) = &self.agreed else { return };
        let Some(payload_type) = agreed.formats.first().map(|f| f.send) else { return };
        // Over and over.
        let count = behaviour.picture.len();
        let Some(unit) = behaviour.picture.get(self.picture_at % count) else { return };
        self.picture_at += 1;
        self.sent_pictures += 1;
        self.sent_video.extend_from_slice(unit.annex_b());
        let Some(packetizer) = &mut self.packetizer else { return };
        for payload in packetizer.packetize(unit).iter() {
            // Lync sends each layer with an SSRC of its own, SIPE all on one.
            let layer = if behaviour.source_per_layer { payload.prid() } else { 0 };
            let sequence = self.layers.entry(layer).or_insert(self.sequence);
            let header = RtpHeader {
                marker: payload.marker,
                payload_type: PayloadType(payload_type),
                sequence: *sequence,
                timestamp: self.timestamp,
                ssrc: Ssrc(self.transport.ssrc() + u32::from(layer)),
            };
            *sequence = sequence.next();
            let mut octets = Vec::new();
            header.write_packet(&payload.to_vec(), &mut octets);
            self.transport.send_rtp(BytesMut::from(&octets[..]), now).unwrap();
        }
    }

    pub(super) fn take(&mut self, incoming: Incoming, packet: &[u8], _now: Instant) {
        match incoming {
            Incoming::Consumed => {}
            Incoming::Rtp(len) => self.take_rtp(&packet[..len]),
            Incoming::Rtcp(len) => self.take_rtcp(&packet[..len]),
        }
    }

    fn take_rtp(&mut self, packet: &[u8]) {
        let view = RtpPacket::parse(packet).unwrap();
        let header = view.header();
        if !self.ssrcs.contains(&header.ssrc.0) {
            self.ssrcs.push(header.ssrc.0);
        }
        self.sequences.push(header.sequence.0);
        let agreed = self.agreed.as_ref().unwrap();
        let format = agreed.formats.iter().find(|f| f.receive == header.payload_type.0);
        let format = format.unwrap_or_else(|| panic!("payload type {}", header.payload_type));
        match format.codec {
            StreamCodec::TelephoneEvent => {
                let event = self.heard_dtmf.on_packet(header.timestamp, view.payload()).unwrap();
                self.digits.extend(event.and_then(|e| e.to_char()));
            }
            StreamCodec::H264Uc | StreamCodec::H264 { .. } => {
                let meta = PayloadMeta {
                    ssrc: header.ssrc.0,
                    sequence: header.sequence.0,
                    timestamp: header.timestamp,
                    marker: header.marker,
                };
                let depacketizer = self.depacketizer.as_mut().unwrap();
                let _ = depacketizer.push(meta, view.payload());
                while let Some(unit) = depacketizer.poll_access_unit() {
                    self.received_pictures += 1;
                    self.damaged += usize::from(unit.is_damaged());
                    self.idr_received += usize::from(unit.is_idr());
                    self.received_video.extend_from_slice(unit.annex_b());
                }
            }
            _ => self.received_audio.push(view.payload().to_vec()),
        }
    }

    fn take_rtcp(&mut self, packet: &[u8]) {
        for packet in Compound::parse(packet).unwrap().packets().flatten() {
            match packet {
                RtcpPacket::Pli(_) | RtcpPacket::Fir(_) => {
                    self.keyframe_requests += 1;
                    self.restart = true;
                }
                RtcpPacket::ApplicationFeedback(feedback) => {
                    if let Ok(ms::Feedback::VideoSourceRequest(request)) =
                        ms::Feedback::parse(&feedback)
                    {
                        self.source_requests.push(request);
                    }
                }
                _ => {}
            }
        }
    }
}
