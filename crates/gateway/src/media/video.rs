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

#[cfg(test)]
mod tests;

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
