//! One stream of the engine: a transport, what comes in by it, and what is asked of its peer.

use std::net::SocketAddr;
use std::time::Instant;

use linkspan_rtp::ms::{
    self, AspectRatios, FrameRates, PictureLoss, SourceFlags, VideoSourceEntry, VideoSourceRequest,
};
use linkspan_rtp::{
    Compound, DtmfReceiver, Fir, FirEntry, PayloadType, Pli, Rewriter, RtcpPacket, SequenceNumber,
    Ssrc,
};

use super::command::{AgreedStream, DropReason, StreamCodec, StreamFormat};
use super::feedback::{KeyframeWish, LossWatch, RateWish, RequestGate, SourceRequest};
use super::transport::{MediaTransport, TransportConfig};
use super::video::{VideoOutput, VideoPath};
use crate::id::{StreamId, StreamKind};

/// A stream of the engine.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: StreamId,
    pub(super) kind: StreamKind,
    pub(super) sockets: [SocketAddr; 2],
    pub(super) transport: MediaTransport,
    pub(super) agreed: Option<AgreedStream>,
    /// Audio that goes out.
    pub(super) audio: Rewriter,
    /// Video that goes out.
    pub(super) output: VideoOutput,
    /// Video that comes in: large, and audio has none.
    pub(super) video: Option<Box<VideoPath>>,
    /// When the engine began, from which video counts its ticks.
    began: Instant,
    pub(super) dtmf: DtmfReceiver,
    /// A keyframe is wanted from the peer.
    pub(super) wish: KeyframeWish,
    /// Video is wanted from a Lync peer.
    pub(super) source_request: SourceRequest,
    /// And of which rate.
    rate: RateWish,
    /// Keyframe requests from the peer.
    pub(super) gate: RequestGate,
    /// Losses that the peer reports of our video.
    pub(super) losses: LossWatch,
    /// The peer has asked for no video (`SOURCE_NONE`).
    pub(super) paused: bool,
    /// The conference takes nothing of what comes in.
    muted: bool,
    pub(super) was_connected: bool,
    pub(super) drops: Drops,
    /// The signalling half knows that it is set up.
    pub(super) opened: bool,
    /// Where the engine keeps the peer across the bridge.
    pub(super) peer: Option<usize>,
    /// When the engine will look at it, as far as its queue of deadlines knows.
    pub(super) due: Option<Instant>,
}

/// Drops that have not been reported yet.
#[derive(Debug, Default)]
pub(super) struct Drops {
    reported: [u64; DropReason::ALL.len()],
    pub(super) due: Option<Instant>,
}

impl Drops {
    pub(super) fn pending(&self, counts: &[u64; DropReason::ALL.len()]) -> bool {
        self.reported != *counts
    }
}

/// What the peer of a stream has asked for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Asked {
    pub(super) keyframe: bool,
}

impl Stream {
    pub(super) fn new(
        id: StreamId,
        config: TransportConfig,
        (seed, first): ([u8; 32], u32),
        began: Instant,
        now: Instant,
    ) -> Self {
        let kind = config.kind;
        let (ssrc, clock_hz) = (config.ssrc, config.clock_hz);
        let [.., high, low] = first.to_be_bytes();
        // Below the middle, so that a receiver that joins late sees no early wrap (RFC 3711 §3.3.1).
        let sequence = u16::from_be_bytes([high & 0x7F, low]);
        let timestamp = first.rotate_left(16);
        let next = SequenceNumber(sequence);
        Self {
            id,
            kind,
            sockets: [config.rtp, config.rtcp],
            transport: MediaTransport::new(config, seed, now),
            agreed: None,
            audio: Rewriter::new(Ssrc(ssrc), next, timestamp, clock_hz),
            output: VideoOutput::new(ssrc, sequence, timestamp),
            video: None,
            began,
            dtmf: DtmfReceiver::default(),
            wish: KeyframeWish::default(),
            source_request: SourceRequest::default(),
            rate: RateWish::default(),
            gate: RequestGate::default(),
            losses: LossWatch::default(),
            paused: false,
            muted: false,
            was_connected: false,
            drops: Drops::default(),
            opened: false,
            peer: None,
            due: None,
        }
    }

    /// The format of packets with a payload type from the peer.
    pub(super) fn format_of(&self, payload_type: u8) -> Option<StreamFormat> {
        let formats = &self.agreed.as_ref()?.formats;
        formats.iter().find(|f| f.receive == payload_type).copied()
    }

    /// The format in which the peer takes what another stream carries.
    pub(super) fn format_for(&self, codec: StreamCodec) -> Option<StreamFormat> {
        let formats = &self.agreed.as_ref()?.formats;
        formats.iter().find(|f| f.codec.carries(codec)).copied()
    }

    /// Whether packets may go to the peer, by what was agreed.
    pub(super) fn sends(&self) -> bool {
        !self.paused && self.agreed.as_ref().is_some_and(|a| a.sends)
    }

    pub(super) fn receives(&self) -> bool {
        !self.muted && self.takes()
    }

    fn takes(&self) -> bool {
        self.agreed.as_ref().is_some_and(|a| a.receives)
    }

    /// The conference mutes the sender, or does no more.
    pub(super) fn mute(&mut self, muted: bool, now: Instant) {
        if self.muted && !muted && self.kind == StreamKind::Video {
            self.wish.want(now);
        }
        self.muted = muted;
    }

    /// New values for the stream, the first ones or later ones.
    pub(super) fn connect(
        &mut self,
        agreed: AgreedStream,
        now: Instant,
    ) -> Result<(), super::ConnectError> {
        let (send, receive) = (agreed.send_key.clone(), agreed.receive_key.clone());
        self.transport.connect(agreed.remote.clone(), send, receive, now)?;
        let started = !self.takes() && agreed.receives;
        let stopped = self.takes() && !agreed.receives;
        if self.kind == StreamKind::Video {
            let codec = agreed.formats.first().map(|f| f.codec);
            if codec != self.video.as_deref().map(VideoPath::codec) {
                let most = agreed.access_unit_octets;
                self.video =
                    codec.map(|codec| Box::new(VideoPath::new(codec, most, self.began, now)));
            }
            if started && agreed.feedback.source_request {
                self.source_request.start(now);
            }
            if stopped {
                self.source_request.stop();
                self.wish.arrived();
            }
        }
        self.agreed = Some(agreed);
        if stopped && self.kind == StreamKind::Video {
            self.send_source_none(now);
        }
        Ok(())
    }

    /// Reads feedback of the peer, about what goes to it.
    pub(super) fn read_feedback(&mut self, compound: &[u8], now: Instant) -> Asked {
        let mut asked = Asked::default();
        let Ok(compound) = Compound::parse(compound) else { return asked };
        for packet in compound.packets().flatten() {
            self.read_report(&packet, now);
            let number = match &packet {
                RtcpPacket::Pli(pli) => match PictureLoss::from_pli(pli) {
                    Ok(request) => request.map(|r| u32::from(r.request_id)),
                    Err(_) => None,
                },
                RtcpPacket::Fir(fir) => {
                    let own = self.transport.ssrc();
                    // RFC 5104 §4.3.1.2: the same sequence number is the same request.
                    let entry = fir.entries.iter().find(|e| e.ssrc.0 == own);
                    let Some(entry) = entry.or_else(|| fir.entries.first()) else { continue };
                    Some(FIR | u32::from(entry.sequence))
                }
                RtcpPacket::ApplicationFeedback(feedback) => match ms::Feedback::parse(feedback) {
                    Ok(ms::Feedback::VideoSourceRequest(request)) => {
                        let resumed = self.paused && request.source != ms::SOURCE_NONE;
                        self.paused = request.source == ms::SOURCE_NONE;
                        if self.paused || !(request.key_frame || resumed) {
                            continue;
                        }
                        Some(VSR | u32::from(request.request_id))
                    }
                    _ => continue,
                },
                _ => continue,
            };
            self.transport.statistics_mut().keyframes_requested += 1;
            self.losses.asked();
            asked.keyframe |= self.gate.pass(number, now);
        }
        asked.keyframe |= self.losses.poll(now);
        asked
    }

    /// What the peer lacks of our video.
    fn read_report(&mut self, packet: &RtcpPacket, now: Instant) {
        let reports = match packet {
            RtcpPacket::SenderReport(report) => &report.reports,
            RtcpPacket::ReceiverReport(report) => &report.reports,
            _ => return,
        };
        let own = Ssrc(self.transport.ssrc());
        let ours = reports.iter().find(|report| report.ssrc == own);
        if let Some(report) = ours.filter(|_| self.kind == StreamKind::Video) {
            self.losses.reported(report.fraction_lost, now);
        }
    }

    /// Sends what is due of keyframe and source requests. True when signalling has to ask for a
    /// keyframe, because the peer knows no RTCP message for it.
    pub(super) fn send_requests(&mut self, now: Instant) -> bool {
        if !self.transport.is_connected() {
            return false;
        }
        let feedback = self.agreed.as_ref().map(|a| a.feedback).unwrap_or_default();
        if let Some((number, keyframe)) = self.source_request.poll(now) {
            let statistics = self.transport.statistics();
            let other = self.rate.judge(statistics.received.packets, statistics.lost);
            let number = if other { self.source_request.next_number() } else { number };
            self.send_source_request(number, keyframe, now);
        }
        let Some(number) = self.wish.poll(now) else { return false };
        self.transport.statistics_mut().keyframe_requests_sent += 1;
        let sender = Ssrc(self.transport.ssrc());
        let media = Ssrc(self.transport.remote_ssrc().unwrap_or(0));
        let [.., low] = number.to_be_bytes();
        // Before the first packet the SSRC is not known: FIR and PLI would name nobody.
        let sent = if feedback.ms_pli {
            let request = PictureLoss { sender, media, request_id: number, priority_ids: 1 };
            self.transport.send_feedback(|out| request.write(out), now)
        } else if feedback.fir {
            let entries = vec![FirEntry { ssrc: media, sequence: low }];
            let request = Fir { sender, entries };
            self.transport.send_feedback(|out| request.write(out), now)
        } else if feedback.pli || feedback.source_request {
            let request = Pli::new(sender, media);
            self.transport.send_feedback(|out| request.write(out), now)
        } else {
            return true;
        };
        // A request that was not sent is repeated in its time.
        let _ = sent;
        false
    }

    /// Takes what has been dropped since the last report.
    pub(super) fn take_drops(&mut self) -> Vec<(DropReason, u64)> {
        let dropped = self.transport.dropped();
        let mut new = Vec::new();
        let counts = DropReason::ALL.iter().zip(&dropped);
        for ((reason, count), reported) in counts.zip(&mut self.drops.reported) {
            if *count > *reported {
                new.push((*reason, *count - *reported));
                *reported = *count;
            }
        }
        new
    }

    pub(super) fn drop_one(&mut self, reason: DropReason) {
        self.transport.statistics_mut().drop_one(reason);
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let requests = if self.transport.is_connected() {
            [self.wish.poll_timeout(), self.source_request.poll_timeout()]
        } else {
            [None; 2]
        };
        let video = self.video.as_deref().and_then(VideoPath::poll_timeout);
        requests
            .into_iter()
            .chain([video, self.drops.due, self.transport.poll_timeout()])
            .chain([self.losses.poll_timeout()])
            .flatten()
            .min()
    }

    fn send_source_request(&mut self, number: u16, keyframe: bool, now: Instant) {
        let Some(agreed) = &self.agreed else { return };
        let formats = &agreed.formats;
        let uc = formats.iter().find(|f| f.codec == StreamCodec::H264Uc);
        let Some(format) = uc.or_else(|| formats.first()) else { return };
        let entry = source_entry(format.receive, self.rate.of(agreed.max_video_kbps));
        let request = VideoSourceRequest {
            request_id: number,
            key_frame: keyframe,
            entries: vec![entry],
            ..VideoSourceRequest::any(Ssrc(self.transport.ssrc()))
        };
        let sent = self.transport.send_feedback(|out| request.write(out), now);
        if sent.is_ok() {
            self.transport.statistics_mut().source_requests_sent += 1;
        }
    }

    fn send_source_none(&mut self, now: Instant) {
        if !self.agreed.as_ref().is_some_and(|a| a.feedback.source_request) {
            return;
        }
        let number = self.source_request.next_number();
        let request = VideoSourceRequest::none(Ssrc(self.transport.ssrc()), number);
        // Lost, it costs some packets that are dropped here.
        let _ = self.transport.send_feedback(|out| request.write(out), now);
    }
}

/// What is asked of a Lync sender: one stream, as large as the bit rate carries, of the profile
/// that every receiver takes.
fn source_entry(payload_type: u8, kbps: u32) -> VideoSourceEntry {
    let (max_width, max_height) = match kbps {
        0..=399 => (424, 240),
        400..=1_199 => (640, 480),
        1_200..=2_499 => (1_280, 720),
        _ => (1_920, 1_080),
    };
    // Ten bins up to the limit, and the receiver in the last one.
    let per_level = kbps.saturating_mul(1_000) / 10;
    let mut bitrate_histogram = [0; 10];
    if let Some(last) = bitrate_histogram.last_mut() {
        *last = 1;
    }
    let mut quality_histogram = [0; 8];
    if let Some(first) = quality_histogram.first_mut() {
        *first = 1;
    }
    VideoSourceEntry {
        payload_type: PayloadType(payload_type),
        uc_config_mode: 1,
        flags: SourceFlags::CONSTRAINED_BASELINE_ONLY,
        aspect_ratios: AspectRatios::R4_3 | AspectRatios::R16_9,
        max_width,
        max_height,
        min_bitrate_bps: 0,
        bitrate_per_level_bps: per_level,
        bitrate_histogram,
        frame_rates: FrameRates::F7_5 | FrameRates::F15 | FrameRates::F30,
        must_instances: 0,
        may_instances: 1,
        quality_histogram,
        max_pixels: u32::from(max_width) * u32::from(max_height),
    }
}

/// Marks that keep the numbers of different messages apart.
const FIR: u32 = 1 << 16;
const VSR: u32 = 2 << 16;
