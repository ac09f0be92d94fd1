//! Video from one leg to the other: out of packets, rewritten, into packets.

use core::time::Duration;
use std::time::Instant;

use bytes::BytesMut;
use linkspan_rtp::{PayloadType, Rewriter, RtpHeader, SequenceNumber, Ssrc};
use linkspan_svc::{
    AccessUnit, AvcToUc, AvcToUcConfig, DepacketizeError, Depacketizer, DepacketizerConfig,
    GateConfig, LayerTarget, Limits, LossGate, LossPolicy, PacketizationMode, Packetizer,
    PacketizerConfig, PacketizerFormat, ParameterSets, PayloadFormat, PayloadMeta, TruncatedSlices,
    UcToAvc,
};

use super::command::StreamCodec;
use crate::config::DamagedVideo;

/// The video that comes in by one stream, on its way to the peer.
#[derive(Debug)]
pub(super) struct VideoPath {
    from: StreamCodec,
    to: Option<VideoReceiver>,
    depacketizer: Depacketizer,
    /// Octets of an access unit at most.
    access_unit: usize,
    /// Late layers that have been told.
    late_layers: u64,
    rewriter: Rewrite,
    packetizer: Option<Packetizer>,
    damaged: DamagedVideo,
    /// Since when nothing but a keyframe is let through.
    waiting: Option<Instant>,
    /// When to look whether packets have waited long enough, and the last one that came: a timer
    /// that is looked at now and then costs less than one that every packet moves.
    flush_at: Option<Instant>,
    last_push: Instant,
    /// What that timer is rounded up from, the same in all streams of a thread, so that it wakes
    /// once for all of them.
    began: Instant,
    /// Tells which losses only a keyframe repairs.
    gate: LossGate,
    sets: ParameterSets,
    /// The simulcast stream that is passed, and when it was last heard.
    stream: (u8, Instant),
}

/// What the receiver across the bridge takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct VideoReceiver {
    pub(super) codec: StreamCodec,
    pub(super) max_payload: usize,
    pub(super) fragments_in_mode_0: bool,
    pub(super) damaged: DamagedVideo,
}

#[derive(Debug)]
enum Rewrite {
    /// UC-SVC for a plain receiver.
    ToAvc(Box<UcToAvc>),
    /// Plain video for Lync.
    ToUc(Box<AvcToUc>),
    /// Both sides alike.
    Pass,
}

/// What an access unit was, for statistics and keyframe requests.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Picture {
    pub(super) keyframe: bool,
    /// Parts of it are missing.
    pub(super) damaged: bool,
    /// Nothing but a keyframe repairs what was lost.
    pub(super) wants_keyframe: bool,
    pub(super) temporal_id: Option<u8>,
    pub(super) size: Option<(u32, u32)>,
    /// Held back until a keyframe comes.
    pub(super) held_back: bool,
    /// NAL units that the receiver's packetization mode cannot carry.
    pub(super) oversized: usize,
    /// Of a simulcast stream that the receiver does not get.
    pub(super) other: bool,
    /// Packets made of it.
    pub(super) packets: usize,
}

/// Without a keyframe for so long the picture is passed all the same, as it comes: there are senders
/// that refresh piece by piece.
const PATIENCE: Duration = Duration::from_secs(5);
/// A simulcast stream is given up after so long without a picture.
const SWITCH: Duration = Duration::from_secs(2);
/// An access unit that waits for missing packets, or for layers from other sources, is given out
/// after so long a silence of all of them: longer than packets are waited for while others come.
const REORDER: Duration = Duration::from_millis(120);
/// How exactly that is kept.
const TICK: Duration = Duration::from_millis(20);

impl VideoPath {
    pub(super) fn new(from: StreamCodec, access_unit: usize, began: Instant, now: Instant) -> Self {
        let damaged = DamagedVideo::default();
        Self {
            from,
            to: None,
            depacketizer: depacketizer(from, access_unit, damaged),
            access_unit,
            late_layers: 0,
            rewriter: Rewrite::Pass,
            packetizer: None,
            damaged,
            waiting: Some(now),
            flush_at: None,
            last_push: now,
            began,
            gate: gate(damaged),
            sets: ParameterSets::default(),
            stream: (0, now),
        }
    }

    pub(super) const fn codec(&self) -> StreamCodec {
        self.from
    }

    /// The receiver across the bridge, the first time or after a change.
    pub(super) fn set_receiver(&mut self, to: VideoReceiver, kbps: u32, now: Instant) {
        if self.to == Some(to) {
            return;
        }
        self.to = Some(to);
        let VideoReceiver { codec: to, max_payload, fragments_in_mode_0, damaged } = to;
        if self.damaged != damaged {
            self.damaged = damaged;
            self.depacketizer = depacketizer(self.from, self.access_unit, damaged);
            self.late_layers = 0;
        }
        self.rewriter = match (self.from, to) {
            (StreamCodec::H264Uc, StreamCodec::H264Uc) => Rewrite::Pass,
            (StreamCodec::H264Uc, _) => {
                Rewrite::ToAvc(Box::new(UcToAvc::new(LayerTarget::default())))
            }
            (_, StreamCodec::H264Uc) => Rewrite::ToUc(Box::new(AvcToUc::new(AvcToUcConfig {
                bitrate_bps: kbps.min(2_000).saturating_mul(1_000),
                ..AvcToUcConfig::default()
            }))),
            _ => Rewrite::Pass,
        };
        let config = match to {
            // One source for everything: a Lync client takes mode 0 streams from any sender.
            StreamCodec::H264Uc => PacketizerConfig {
                format: PacketizerFormat::UcSvc { source_per_layer: false },
                max_payload,
            },
            StreamCodec::H264 { single_nal: true } => {
                let mode = match fragments_in_mode_0 {
                    true => PacketizationMode::SingleNalOrFragments,
                    false => PacketizationMode::SingleNal,
                };
                PacketizerConfig::avc(mode, max_payload)
            }
            _ => PacketizerConfig::avc(PacketizationMode::NonInterleaved, max_payload),
        };
        self.packetizer = Some(Packetizer::new(config));
        self.waiting = Some(now);
        self.gate = gate(damaged);
    }

    /// Nothing but a keyframe goes through from now on.
    pub(super) fn hold_back(&mut self, now: Instant) {
        if self.waiting.is_none_or(|since| now >= since + PATIENCE) {
            self.waiting = Some(now);
            self.gate = gate(self.damaged);
        }
    }

    pub(super) fn push(
        &mut self,
        header: RtpHeader,
        payload: &[u8],
        now: Instant,
    ) -> Result<(), DepacketizeError> {
        let meta = PayloadMeta {
            ssrc: header.ssrc.0,
            sequence: header.sequence.0,
            timestamp: header.timestamp,
            marker: header.marker,
        };
        self.last_push = now;
        self.flush_at = self.flush_at.or_else(|| Some(self.tick_from(now + REORDER)));
        self.depacketizer.push(meta, payload)
    }

    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.flush_at
    }

    /// What waits for missing packets is given out when they have had their time.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.flush_at.is_none_or(|at| at > now) {
            return;
        }
        let due = self.last_push + REORDER;
        if due <= now {
            self.flush_at = None;
            self.depacketizer.flush();
        } else {
            self.flush_at = Some(self.tick_from(due));
        }
    }

    /// The first tick that is not before `at`.
    fn tick_from(&self, at: Instant) -> Instant {
        let past = at.saturating_duration_since(self.began).as_nanos() % TICK.as_nanos();
        let past = Duration::from_nanos(u64::try_from(past).unwrap_or(0));
        if past.is_zero() { at } else { at + (TICK - past) }
    }

    pub(super) fn poll_access_unit(&mut self) -> Option<AccessUnit> {
        self.depacketizer.poll_access_unit()
    }

    /// How many layers have come after their pictures since this was asked last.
    pub(super) fn take_late_layers(&mut self) -> u64 {
        let all = self.depacketizer.late_layers();
        all.saturating_sub(core::mem::replace(&mut self.late_layers, all))
    }

    /// Gives the memory of an access unit back.
    pub(super) fn discard(&mut self, unit: AccessUnit) {
        self.depacketizer.recycle(unit);
    }

    /// Rewrites an access unit and hands its packets to `send`, in order.
    pub(super) fn forward(
        &mut self,
        unit: AccessUnit,
        output: &mut VideoOutput,
        payload_type: u8,
        now: Instant,
        mut send: impl FnMut(RtpHeader, usize, &mut dyn FnMut(&mut [u8])),
    ) -> Picture {
        if !self.is_of_stream(&unit, now) {
            self.depacketizer.recycle(unit);
            return Picture { other: true, ..Picture::default() };
        }
        let mut picture = self.look(&unit, now);
        if let Some(packetizer) = self.packetizer.as_mut().filter(|_| !picture.held_back) {
            let out = match &mut self.rewriter {
                Rewrite::ToAvc(rewriter) => rewriter.process(&unit),
                Rewrite::ToUc(rewriter) => rewriter.process(&unit),
                Rewrite::Pass => Some(&unit),
            };
            if let Some(out) = out {
                output.begin(&unit, picture.damaged || unit.lost_before() > 0, now);
                let payloads = packetizer.packetize(out);
                picture.oversized = payloads.oversized();
                for payload in payloads.iter() {
                    let header = output.next(payload_type, payload.marker);
                    picture.packets += 1;
                    send(header, payload.len(), &mut |room| {
                        payload.write_to(room);
                    });
                }
            }
        }
        self.depacketizer.recycle(unit);
        picture
    }

    /// Whether it belongs to the simulcast stream that is passed. When that one has fallen silent
    /// another one takes its place, at a keyframe.
    fn is_of_stream(&mut self, unit: &AccessUnit, now: Instant) -> bool {
        let stream = unit.iter().map(|nal| nal.stream).min().unwrap_or(0);
        let (passed, last) = self.stream;
        let silent = now.saturating_duration_since(last) >= SWITCH;
        if stream != passed && !(silent && unit.is_idr()) {
            return false;
        }
        if stream != passed
            && let Rewrite::ToAvc(rewriter) = &mut self.rewriter
        {
            rewriter.set_target(LayerTarget { stream, ..rewriter.target() });
        }
        self.stream = (stream, now);
        true
    }

    fn look(&mut self, unit: &AccessUnit, now: Instant) -> Picture {
        let keyframe = unit.is_idr();
        if keyframe {
            for nal in unit {
                // Only for the size that statistics show.
                let _ = self.sets.update(nal.bytes);
            }
        }
        if self.gate.accept(unit) {
            self.waiting = None;
        } else if self.damaged == DamagedVideo::Freeze {
            self.waiting.get_or_insert(now);
        }
        let held_back = self.waiting.is_some_and(|since| now < since + PATIENCE);
        Picture {
            keyframe,
            damaged: unit.is_damaged(),
            wants_keyframe: self.gate.poll_keyframe_request().is_some(),
            temporal_id: unit.temporal_id(),
            size: if keyframe { self.size() } else { None },
            held_back,
            ..Picture::default()
        }
    }

    fn size(&self) -> Option<(u32, u32)> {
        self.sets.iter_sps().next().map(|sps| (sps.width(), sps.height()))
    }
}

/// The numbers of the video that goes out by one stream.
#[derive(Debug)]
pub(super) struct VideoOutput {
    ssrc: Ssrc,
    next: SequenceNumber,
    timestamps: Rewriter,
    timestamp: u32,
}

impl VideoOutput {
    pub(super) fn new(ssrc: u32, first: u16, first_timestamp: u32) -> Self {
        let (ssrc, next) = (Ssrc(ssrc), SequenceNumber(first));
        let timestamps = Rewriter::new(ssrc, next, first_timestamp, 90_000);
        Self { ssrc, next, timestamps, timestamp: first_timestamp }
    }

    /// A picture begins. After a loss one number is left out: the receiver sees that something is
    /// missing, and how its decoder takes that is its own affair.
    fn begin(&mut self, unit: &AccessUnit, damaged: bool, now: Instant) {
        if damaged {
            self.next = self.next.next();
        }
        // One number per picture: the rewriter only has to carry the timestamps over.
        let header = RtpHeader {
            sequence: self.timestamps_sequence(),
            timestamp: unit.timestamp(),
            ssrc: Ssrc(unit.ssrc()),
            ..RtpHeader::default()
        };
        if let Some(rewritten) = self.timestamps.rewrite(header, now) {
            self.timestamp = rewritten.timestamp;
        }
    }

    fn timestamps_sequence(&self) -> SequenceNumber {
        self.next
    }

    fn next(&mut self, payload_type: u8, marker: bool) -> RtpHeader {
        let sequence = self.next;
        self.next = sequence.next();
        RtpHeader {
            marker,
            payload_type: PayloadType(payload_type),
            sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
        }
    }
}

/// Where damaged pictures go on the gate still knows which losses spread.
fn gate(damaged: DamagedVideo) -> LossGate {
    let policy = match damaged {
        DamagedVideo::Freeze => LossPolicy::Freeze,
        DamagedVideo::WholeSlices | DamagedVideo::Conceal => LossPolicy::Continue,
    };
    LossGate::new(GateConfig { policy, ..GateConfig::default() })
}

fn depacketizer(from: StreamCodec, access_unit: usize, damaged: DamagedVideo) -> Depacketizer {
    let format = match from {
        StreamCodec::H264Uc => PayloadFormat::UcSvc,
        _ => PayloadFormat::Avc,
    };
    let truncated = match damaged {
        DamagedVideo::Conceal => TruncatedSlices::Keep,
        DamagedVideo::Freeze | DamagedVideo::WholeSlices => TruncatedSlices::Discard,
    };
    let limits = Limits { access_unit_octets: access_unit, ..Limits::default() };
    Depacketizer::new(DepacketizerConfig { format, limits, truncated })
}

/// Room for the header in front of a payload.
pub(super) fn write_packet(
    buffer: &mut BytesMut,
    header: RtpHeader,
    len: usize,
    payload: &mut dyn FnMut(&mut [u8]),
) {
    buffer.clear();
    buffer.extend_from_slice(&header.to_bytes());
    buffer.resize(RtpHeader::LEN + len, 0);
    if let Some(room) = buffer.get_mut(RtpHeader::LEN..) {
        payload(room);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use linkspan_svc::{AccessUnitReader, ExtractOptions, extract};

    use super::*;

    const PICTURE: Duration = Duration::from_nanos(1_000_000_000 / 30);

    fn stream() -> Vec<u8> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/media/");
        std::fs::read(format!("{folder}lync-t3-640x360.264")).unwrap()
    }

    /// The pictures of a stream, the layers numbered in the priority ids of their prefixes.
    fn pictures(stream: &[u8]) -> Vec<AccessUnit> {
        let mut reader = AccessUnitReader::new(stream);
        let (mut units, mut unit) = (Vec::new(), AccessUnit::default());
        while reader.read_into(&mut unit) {
            let mut numbered = AccessUnit::new(0);
            for nal in &unit {
                let mut octets = nal.bytes.to_vec();
                if let [head, first, _, third, ..] = &mut octets[..]
                    && matches!(*head & 0x1f, 14 | 20)
                {
                    *first = *first & 0xc0 | *third >> 5;
                }
                numbered.push(&octets);
            }
            units.push(numbered);
        }
        units
    }

    /// A Lync sender, the video path of the gateway, and a plain receiver.
    struct Bench {
        path: VideoPath,
        output: VideoOutput,
        packetizer: Packetizer,
        sequences: BTreeMap<u32, SequenceNumber>,
        start: Instant,
        receiver: Depacketizer,
        /// When each picture went out, and its octets.
        passed: Vec<(Duration, Vec<u8>)>,
        /// What was said of each picture, and the octets of its payloads.
        pictures: Vec<(Picture, usize)>,
    }

    impl Bench {
        fn new() -> Self {
            Self::with_damaged(DamagedVideo::Conceal)
        }

        fn with_damaged(damaged: DamagedVideo) -> Self {
            Self::with_receiver(VideoReceiver {
                codec: StreamCodec::H264 { single_nal: false },
                max_payload: 1_100,
                fragments_in_mode_0: false,
                damaged,
            })
        }

        fn with_receiver(receiver: VideoReceiver) -> Self {
            let start = Instant::now();
            let mut path = VideoPath::new(StreamCodec::H264Uc, 1 << 20, start, start);
            path.set_receiver(receiver, 1_000, start);
            Self {
                path,
                output: VideoOutput::new(9, 1, 0),
                packetizer: Packetizer::new(PacketizerConfig::uc_svc(1_100)),
                sequences: BTreeMap::new(),
                start,
                receiver: Depacketizer::new(DepacketizerConfig::new(PayloadFormat::Avc)),
                passed: Vec::new(),
                pictures: Vec::new(),
            }
        }

        /// Sends a picture `after` the start, each layer on the source that `source` names.
        fn send(&mut self, unit: &AccessUnit, after: Duration, source: fn(u8) -> u32) {
            self.send_part(unit, usize::MAX, after, source);
        }

        /// The same, of which only the first packets arrive.
        fn send_part(
            &mut self,
            unit: &AccessUnit,
            arrive: usize,
            after: Duration,
            source: fn(u8) -> u32,
        ) {
            self.wait(after);
            let now = self.start + after;
            let timestamp = u32::try_from(after.as_micros() * 9 / 100).unwrap();
            for (at, payload) in (0..).zip(self.packetizer.packetize(unit).iter()) {
                let ssrc = source(payload.prid());
                let sequence = self.sequences.entry(ssrc).or_insert(SequenceNumber(1));
                let header = RtpHeader {
                    marker: payload.marker,
                    sequence: *sequence,
                    timestamp,
                    ssrc: Ssrc(ssrc),
                    ..RtpHeader::default()
                };
                *sequence = sequence.next();
                if at < arrive {
                    self.path.push(header, &payload.to_vec(), now).unwrap();
                }
            }
            self.collect(after);
        }

        /// Lets time pass, with every timer at its time.
        fn wait(&mut self, until: Duration) {
            while let Some(at) = self.path.poll_timeout().filter(|at| *at < self.start + until) {
                self.path.handle_timeout(at);
                self.collect(at - self.start);
            }
        }

        fn collect(&mut self, after: Duration) {
            let now = self.start + after;
            let (receiver, passed) = (&mut self.receiver, &mut self.passed);
            while let Some(unit) = self.path.poll_access_unit() {
                let mut sent = 0;
                let output = &mut self.output;
                let picture = self.path.forward(unit, output, 96, now, |header, len, payload| {
                    sent += len;
                    let mut octets = vec![0; len];
                    payload(&mut octets);
                    let meta = PayloadMeta {
                        ssrc: header.ssrc.0,
                        sequence: header.sequence.0,
                        timestamp: header.timestamp,
                        marker: header.marker,
                    };
                    receiver.push(meta, &octets).unwrap();
                    while let Some(unit) = receiver.poll_access_unit() {
                        passed.push((after, unit.annex_b().to_vec()));
                    }
                });
                self.pictures.push((picture, sent));
            }
        }

        /// Twelve pictures; of one of them four packets arrive, the beginning of its first slice, and the rest is lost.
        fn sends_with_loss(damaged: DamagedVideo, at: usize) -> Vec<(Picture, usize)> {
            let mut bench = Self::with_damaged(damaged);
            bench.packetizer = Packetizer::new(PacketizerConfig::uc_svc(300));
            for (index, unit) in pictures(&stream()).iter().take(12).enumerate() {
                let arrive = if index == at { 4 } else { usize::MAX };
                bench.send_part(unit, arrive, PICTURE * u32::try_from(index).unwrap(), |_| 100);
            }
            bench.wait(Duration::from_secs(1));
            bench.pictures
        }

        fn octets(&self) -> Vec<u8> {
            self.passed.iter().flat_map(|(_, octets)| octets.clone()).collect()
        }
    }

    #[test]
    fn layers_on_sources_of_their_own_come_out_as_one_stream() {
        let stream = stream();
        let units = pictures(&stream);
        let mut bench = Bench::new();
        for (index, unit) in (0..).zip(&units) {
            bench.send(unit, PICTURE * index, |prid| 100 + u32::from(prid));
        }
        assert_eq!(bench.sequences.len(), 3);
        bench.wait(Duration::from_secs(60));
        assert_eq!(bench.passed.len(), units.len());
        assert!(bench.octets() == extract(&stream, &ExtractOptions::avc_base()));
        assert_eq!(bench.path.take_late_layers(), 0);
    }

    #[test]
    fn the_last_picture_of_a_stream_that_stops_goes_out_in_time() {
        let units = pictures(&stream());
        let mut bench = Bench::new();
        // The second source is new: whether its picture is the next one, nobody knows yet.
        for (index, unit) in (0..).zip(&units[..2]) {
            bench.send(unit, PICTURE * index, |prid| 100 + u32::from(prid));
        }
        bench.wait(Duration::from_secs(60));
        let times: Vec<_> = bench.passed.iter().map(|(after, _)| *after).collect();
        // 120 ms behind the second picture, at the next tick.
        assert_eq!(times, [Duration::ZERO, 8 * TICK]);
        assert_eq!(bench.path.poll_timeout(), None);
    }

    #[test]
    fn a_receiver_of_mode_0_gets_fragments_where_it_is_known_to_read_them() {
        let units = pictures(&stream());
        let pass = |fragments_in_mode_0| {
            let codec = StreamCodec::H264 { single_nal: true };
            let damaged = DamagedVideo::Conceal;
            let receiver = VideoReceiver { codec, max_payload: 300, fragments_in_mode_0, damaged };
            let mut bench = Bench::with_receiver(receiver);
            for (index, unit) in (0..).zip(&units[..8]) {
                bench.send(unit, PICTURE * index, |_| 100);
            }
            bench.octets()
        };
        let base = extract(&stream(), &ExtractOptions::avc_base());
        assert!(base.starts_with(&pass(true)));
        // Otherwise what does not fit is left out.
        assert!(pass(false).len() < pass(true).len());
    }

    #[test]
    fn what_a_decoder_can_use_of_a_damaged_picture_goes_on_as_configured() {
        let octets = |damaged, at| -> Vec<usize> {
            Bench::sends_with_loss(damaged, at).iter().map(|(_, sent)| *sent).collect()
        };
        let whole = octets(DamagedVideo::Conceal, usize::MAX);
        assert!(whole.len() == 12 && whole.iter().all(|sent| *sent > 0));
        // The keyframe that begins the picture is damaged: its beginning begins it.
        let conceal = octets(DamagedVideo::Conceal, 0);
        assert!((500..whole[0]).contains(&conceal[0]), "{conceal:?}");
        assert_eq!(conceal[1..], whole[1..]);
        for damaged in [DamagedVideo::WholeSlices, DamagedVideo::Freeze] {
            assert_eq!(octets(damaged, 0), [0; 12]);
        }
        // A later base picture.
        let conceal = octets(DamagedVideo::Conceal, 4);
        assert!((500..whole[4]).contains(&conceal[4]), "{conceal:?}");
        assert_eq!(conceal[5..], whole[5..]);
        let slices = octets(DamagedVideo::WholeSlices, 4);
        assert_eq!((slices[4], &slices[5..]), (0, &whole[5..]));
        let freeze = octets(DamagedVideo::Freeze, 4);
        assert_eq!((&freeze[..4], &freeze[4..]), (&whole[..4], &[0; 8][..]));
    }

    #[test]
    fn a_damaged_keyframe_is_told_apart_from_a_whole_one_behind_a_loss() {
        let damaged = Bench::sends_with_loss(DamagedVideo::Conceal, 0)[0].0;
        assert!(damaged.keyframe && damaged.damaged && damaged.wants_keyframe);
        let mut bench = Bench::new();
        let units = pictures(&stream());
        bench.send(&units[0], Duration::ZERO, |_| 100);
        bench.send_part(&units[1], 0, PICTURE, |_| 100);
        bench.send(&units[0], PICTURE * 2, |_| 100);
        bench.wait(Duration::from_secs(1));
        let last = bench.pictures.last().unwrap().0;
        assert!(last.keyframe && !last.damaged && !last.wants_keyframe);
    }

    #[test]
    fn a_picture_of_a_single_source_waits_for_nothing() {
        let units = pictures(&stream());
        let mut bench = Bench::new();
        for (index, unit) in (0..).zip(&units) {
            bench.send(unit, PICTURE * index, |_| 100);
        }
        let times: Vec<_> = bench.passed.iter().map(|(after, _)| *after).collect();
        let sent: Vec<_> = (0..).zip(&units).map(|(index, _)| PICTURE * index).collect();
        assert_eq!(times, sent);
    }

    #[test]
    fn layers_behind_their_picture_are_told_once() {
        let units = pictures(&stream());
        let mut bench = Bench::new();
        for (index, unit) in (0..).zip(&units[..4]) {
            bench.send(unit, PICTURE * index, |prid| 100 + u32::from(prid));
        }
        // A base picture, and one of the highest layer with the same timestamp.
        for unit in &units[4..6] {
            bench.send(unit, PICTURE * 4, |prid| 100 + u32::from(prid));
        }
        bench.wait(Duration::from_secs(1));
        assert_eq!(bench.passed.len(), 5);
        assert_eq!((bench.path.take_late_layers(), bench.path.take_late_layers()), (1, 0));
    }
}
