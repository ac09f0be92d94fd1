//! What an endpoint shows and sees on its video line: a stream of encoded pictures from a file,
//! and what arrives of the peer's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use linkspan_rtp::{PayloadType, RtpHeader, RtpPacket, SequenceNumber, Ssrc};
use linkspan_svc::{
    AccessUnit, AccessUnitReader, Depacketizer, DepacketizerConfig, PacketizationMode, Packetizer,
    PacketizerConfig, PayloadFormat, PayloadMeta,
};

/// An encoded stream, cut into pictures.
///
/// ```
/// use linkspan_examples::VideoClip;
/// use std::time::Duration;
///
/// let stream = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/media/standard-640x360.264"))?;
/// let clip = VideoClip::parse(&stream, Duration::from_millis(33));
/// assert_eq!(clip.pictures(), 96);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct VideoClip {
    units: Arc<Vec<AccessUnit>>,
    picture_time: Duration,
}

impl VideoClip {
    /// Cuts an Annex B byte stream.
    pub fn parse(stream: &[u8], picture_time: Duration) -> Self {
        let mut reader = AccessUnitReader::new(stream);
        let mut units = Vec::new();
        let mut unit = AccessUnit::default();
        while reader.read_into(&mut unit) {
            units.push(unit.clone());
        }
        Self { units: Arc::new(units), picture_time }
    }

    /// The clip with a number of its own for each temporal layer, in the priority ids of its
    /// prefix NAL units: an encoder leaves them at 0, a Lync client numbers its layers there
    /// (\[MS-H264PF\]) and sends each on a source of its own.
    #[must_use]
    pub fn with_numbered_layers(&self) -> Self {
        let numbered = |unit: &AccessUnit| {
            let mut to = AccessUnit::new(unit.timestamp());
            for nal in unit {
                let mut octets = nal.bytes.to_vec();
                if let [head, first, _, third, ..] = &mut octets[..]
                    && matches!(*head & 0x1f, PREFIX | SLICE_EXTENSION)
                {
                    *first = *first & 0xc0 | *third >> 5;
                }
                to.push(&octets);
            }
            to
        };
        let units = self.units.iter().map(numbered).collect();
        Self { units: Arc::new(units), picture_time: self.picture_time }
    }

    /// How many pictures it has.
    pub fn pictures(&self) -> usize {
        self.units.len()
    }
}

/// How the pictures travel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum VideoFormat {
    /// `H264`.
    Avc {
        /// Packetization mode 0.
        single_nal: bool,
    },
    /// `X-H264UC`.
    UcSvc,
}

/// Sends a clip, picture by picture, from a keyframe on, and begins again from a keyframe when
/// the receiver asks for one.
#[derive(Debug)]
pub(super) struct VideoSource {
    clip: VideoClip,
    repeats: bool,
    packetizer: Packetizer,
    payload_type: PayloadType,
    ssrc: u32,
    /// Next sequence number of each layer, which has a source of its own.
    sequences: BTreeMap<u8, SequenceNumber>,
    state: State,
    wanted: bool,
    last_keyframe: Option<Instant>,
    /// When the first picture went out: the zero of the time stamps.
    epoch: Option<Instant>,
    /// The stream as it was sent.
    pub(super) sent: Vec<u8>,
    pub(super) pictures: u64,
    pub(super) oversized: u64,
    /// Keyframes that were sent because the receiver asked.
    pub(super) refreshes: u64,
    /// The first octets of every payload, in clear.
    pub(super) heads: Vec<[u8; 16]>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// Until a keyframe is asked for, or until then.
    Waiting {
        until: Option<Instant>,
    },
    Playing {
        position: usize,
        due: Instant,
    },
    Done {
        at: Instant,
    },
}

impl VideoSource {
    pub(super) fn new(clip: VideoClip, repeats: bool, ssrc: u32) -> Self {
        Self {
            clip,
            repeats,
            packetizer: Packetizer::new(PacketizerConfig::uc_svc(MAX_PAYLOAD)),
            payload_type: PayloadType(0),
            ssrc,
            sequences: BTreeMap::new(),
            state: State::Waiting { until: None },
            wanted: false,
            last_keyframe: None,
            epoch: None,
            sent: Vec::new(),
            pictures: 0,
            oversized: 0,
            refreshes: 0,
            heads: Vec::new(),
        }
    }

    /// What was agreed to be sent.
    pub(super) fn set_format(&mut self, payload_type: u8, format: VideoFormat) {
        let config = match format {
            VideoFormat::Avc { single_nal: true } => {
                PacketizerConfig::avc(PacketizationMode::SingleNal, MAX_PAYLOAD)
            }
            VideoFormat::Avc { single_nal: false } => {
                PacketizerConfig::avc(PacketizationMode::NonInterleaved, MAX_PAYLOAD)
            }
            VideoFormat::UcSvc => PacketizerConfig::uc_svc(MAX_PAYLOAD),
        };
        if PayloadType(payload_type) != self.payload_type {
            self.payload_type = PayloadType(payload_type);
            self.packetizer = Packetizer::new(config);
        }
    }

    /// The way is open. Pictures begin with the receiver's first request, or without one a little
    /// later.
    pub(super) fn begin(&mut self, now: Instant) {
        if self.state == (State::Waiting { until: None }) {
            let until = Some(if self.wanted { now } else { now + UNASKED });
            self.state = State::Waiting { until };
        }
    }

    /// The receiver needs a keyframe.
    pub(super) fn want_keyframe(&mut self, now: Instant) {
        match self.state {
            State::Waiting { until: Some(_) } => {
                self.state = State::Waiting { until: Some(now) };
                self.wanted = true;
            }
            State::Waiting { until: None } => self.wanted = true,
            // What was asked for is on its way already, or soon will be.
            _ if self.last_keyframe.is_some_and(|at| now < at + KEYFRAME_GAP) => {}
            State::Playing { position, due } => {
                let count = self.clip.units.len();
                let next = (position..count).find(|at| self.is_idr(*at)).unwrap_or(0);
                self.refreshes += 1;
                self.state = State::Playing { position: next, due };
            }
            State::Done { .. } => {
                self.refreshes += 1;
                self.wanted = true;
            }
        }
    }

    /// Since when everything has been sent.
    pub(super) fn done_since(&self) -> Option<Instant> {
        match self.state {
            State::Done { at } => Some(at),
            _ => None,
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { until } => until,
            State::Playing { due, .. } => Some(due),
            State::Done { at } => self.wanted.then_some(at),
        }
    }

    /// Sends the pictures that are due.
    pub(super) fn poll(&mut self, now: Instant, mut send: impl FnMut(RtpHeader, &[u8])) {
        if let State::Waiting { until: Some(until) } = self.state
            && until <= now
        {
            self.wanted = false;
            self.state = State::Playing { position: 0, due: now };
        }
        if let State::Done { .. } = self.state
            && self.wanted
        {
            self.wanted = false;
            self.send_unit(0, now, &mut send);
            self.state = State::Done { at: now };
        }
        while let State::Playing { position, due } = self.state
            && due <= now
        {
            // Each picture has a time of its own, even when two leave at once after a stall.
            self.send_unit(position, due, &mut send);
            let next = position + 1;
            self.state = if next < self.clip.units.len() {
                State::Playing { position: next, due: due + self.clip.picture_time }
            } else if self.repeats && !self.clip.units.is_empty() {
                State::Playing { position: 0, due: due + self.clip.picture_time }
            } else {
                State::Done { at: now }
            };
        }
    }

    fn is_idr(&self, position: usize) -> bool {
        self.clip.units.get(position).is_some_and(AccessUnit::is_idr)
    }

    fn send_unit(
        &mut self,
        position: usize,
        now: Instant,
        send: &mut impl FnMut(RtpHeader, &[u8]),
    ) {
        let units = Arc::clone(&self.clip.units);
        let Some(unit) = units.get(position) else { return };
        if unit.is_idr() {
            self.last_keyframe = Some(now);
        }
        let elapsed = now.saturating_duration_since(*self.epoch.get_or_insert(now));
        let ticks = elapsed.as_micros() * 9 / 100 % (1 << 32);
        let timestamp = u32::try_from(ticks).unwrap_or(0);
        let payloads = self.packetizer.packetize(unit);
        self.oversized += payloads.oversized() as u64;
        for payload in payloads.iter() {
            let layer = payload.prid();
            let sequence = self.sequences.entry(layer).or_insert(SequenceNumber(1));
            let header = RtpHeader {
                marker: payload.marker,
                payload_type: self.payload_type,
                sequence: *sequence,
                timestamp,
                ssrc: Ssrc(self.ssrc.wrapping_add(u32::from(layer))),
            };
            *sequence = sequence.next();
            let octets = payload.to_vec();
            if let Some(head) = octets.first_chunk() {
                self.heads.push(*head);
            }
            send(header, &octets);
        }
        self.sent.extend_from_slice(unit.annex_b());
        self.pictures += 1;
    }
}

/// Puts together what arrives.
#[derive(Debug)]
pub(super) struct VideoSink {
    depacketizer: Depacketizer,
    payload_types: Vec<u8>,
    /// The stream as it arrived, without what only RTP carries.
    pub(super) received: Vec<u8>,
    pub(super) pictures: u64,
    pub(super) keyframes: u64,
    pub(super) damaged: u64,
    pub(super) temporal_layers: u8,
    pub(super) refused: u64,
    pub(super) last_picture: Option<Instant>,
}

impl VideoSink {
    pub(super) fn new() -> Self {
        Self {
            depacketizer: Depacketizer::new(DepacketizerConfig::new(PayloadFormat::Avc)),
            payload_types: Vec::new(),
            received: Vec::new(),
            pictures: 0,
            keyframes: 0,
            damaged: 0,
            temporal_layers: 0,
            refused: 0,
            last_picture: None,
        }
    }

    /// What was agreed to be received.
    pub(super) fn set_format(&mut self, payload_types: Vec<u8>, format: VideoFormat) {
        let format = match format {
            VideoFormat::Avc { .. } => PayloadFormat::Avc,
            VideoFormat::UcSvc => PayloadFormat::UcSvc,
        };
        if payload_types != self.payload_types {
            self.payload_types = payload_types;
            self.depacketizer = Depacketizer::new(DepacketizerConfig::new(format));
        }
    }

    pub(super) fn push(&mut self, packet: &RtpPacket<'_>, now: Instant) {
        if !self.payload_types.contains(&packet.payload_type().0) {
            self.refused += 1;
            return;
        }
        let meta = PayloadMeta {
            ssrc: packet.ssrc().0,
            sequence: packet.sequence().0,
            timestamp: packet.timestamp(),
            marker: packet.marker(),
        };
        if let Err(error) = self.depacketizer.push(meta, packet.payload()) {
            tracing::debug!(%error, "video payload");
            self.refused += 1;
        }
        self.collect(now);
    }

    /// The call is over: nothing more will come.
    pub(super) fn flush(&mut self, now: Instant) {
        self.depacketizer.flush();
        self.collect(now);
    }

    fn collect(&mut self, now: Instant) {
        while let Some(unit) = self.depacketizer.poll_access_unit() {
            self.damaged += u64::from(unit.is_damaged());
            self.pictures += u64::from(unit.has_slices());
            self.keyframes += u64::from(unit.is_idr());
            let layers = unit.temporal_id().map_or(0, |tid| tid + 1);
            self.temporal_layers = self.temporal_layers.max(layers);
            for nal in &unit {
                if !nal.kind.is_rtp_only() {
                    self.received.extend_from_slice(&[0, 0, 0, 1]);
                    self.received.extend_from_slice(nal.bytes);
                }
            }
            self.last_picture = Some(now);
            self.depacketizer.recycle(unit);
        }
    }
}

/// NAL unit types with the extension of H.264 Annex G.
const PREFIX: u8 = 14;
const SLICE_EXTENSION: u8 = 20;
/// Octets of one RTP payload: what fits every path, with SRTP, TURN and IPv6 around it.
const MAX_PAYLOAD: usize = 1_200;
/// Without any request pictures begin so long after the way is open ([MS-RTP]: not every receiver
/// asks).
const UNASKED: Duration = Duration::from_millis(1_500);
/// Requests that follow a keyframe more closely are answered by the clip's next one: a clip with a
/// keyframe at least so often is played whole, whenever the requests come.
const KEYFRAME_GAP: Duration = Duration::from_millis(1_700);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_on_sources_of_their_own_come_back_as_one_stream() {
        let stream = include_bytes!("../../media/lync-t3-640x360.264");
        let clip = VideoClip::parse(stream, Duration::from_millis(33)).with_numbered_layers();
        let start = Instant::now();
        let mut source = VideoSource::new(clip, false, 100);
        source.set_format(122, VideoFormat::UcSvc);
        let mut sink = VideoSink::new();
        sink.set_format(vec![122], VideoFormat::UcSvc);
        let mut ssrcs = std::collections::BTreeSet::new();
        source.begin(start);
        for tick in 0..400 {
            let now = start + Duration::from_millis(20) * tick;
            source.poll(now, |header, payload| {
                let mut packet = Vec::new();
                header.write_packet(payload, &mut packet);
                ssrcs.insert(header.ssrc.0);
                sink.push(&RtpPacket::parse(&packet).unwrap(), now);
            });
        }
        sink.flush(start);
        assert_eq!(ssrcs.into_iter().collect::<Vec<_>>(), [100, 101, 102]);
        assert_eq!((source.pictures, sink.pictures, sink.damaged), (96, 96, 0));
        assert_eq!(sink.temporal_layers, 3);
        assert!(sink.received == source.sent);
    }
}
