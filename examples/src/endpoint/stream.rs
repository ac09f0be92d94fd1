//! One m-line of an endpoint: its transport, what it sends and what it receives.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use linkspan_gateway::{
    Incoming, MediaKey, MediaTransport, RemoteMedia, Side, StreamKind, StreamStatistics,
    TransportConfig, TransportEvent,
};
use linkspan_rtp::{Compound, PayloadType, Pli, RtcpPacket, RtpHeader, RtpPacket, Ssrc, ms};
use linkspan_sdp as sdp;

use super::audio::{AudioSink, AudioSource, Codec};
use super::convert;
use super::video::{VideoFormat, VideoSink, VideoSource};
use crate::{Datagram, MediaNet};

#[derive(Debug)]
pub(super) struct Stream {
    side: Side,
    pub(super) transport: MediaTransport,
    pub(super) rtp: SocketAddr,
    pub(super) rtcp: SocketAddr,
    /// Our keys, in the order of the lines of an offer.
    pub(super) keys: Vec<MediaKey>,
    pub(super) agreed: Option<sdp::AgreedMedia>,
    pub(super) pairs: Vec<(u16, SocketAddr)>,
    pub(super) media: Media,
    request: Request,
    pub(super) counted: Counted,
    /// The first octets of every payload sent, in clear.
    pub(super) heads: Vec<[u8; 16]>,
}

#[derive(Debug)]
pub(super) enum Media {
    Audio(Box<AudioSource>, AudioSink),
    Video(Option<Box<VideoSource>>, Box<VideoSink>),
}

/// Messages that ask for video.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    pub(super) keyframe_requests_sent: u64,
    pub(super) keyframe_requests_received: u64,
    pub(super) source_requests_sent: u64,
    pub(super) source_requests_received: u64,
}

/// When to ask for video, and when to ask for a keyframe once more.
#[derive(Clone, Copy, Debug, Default)]
struct Request {
    next: Option<Instant>,
    number: u16,
    /// A refresh is to be asked for when the pictures stop.
    refresh: bool,
    refreshed: Option<(Instant, u64)>,
}

impl Stream {
    pub(super) fn new(
        side: Side,
        config: TransportConfig,
        keys: Vec<MediaKey>,
        media: Media,
        refresh: bool,
        seed: [u8; 32],
        now: Instant,
    ) -> Self {
        Self {
            side,
            rtp: config.rtp,
            rtcp: config.rtcp,
            transport: MediaTransport::new(config, seed, now),
            keys,
            agreed: None,
            pairs: Vec::new(),
            media,
            request: Request { refresh, ..Request::default() },
            counted: Counted::default(),
            heads: Vec::new(),
        }
    }

    pub(super) fn kind(&self) -> StreamKind {
        match self.media {
            Media::Audio(..) => StreamKind::Audio,
            Media::Video(..) => StreamKind::Video,
        }
    }

    /// Offer and answer have agreed on this line.
    pub(super) fn agree(&mut self, agreed: sdp::AgreedMedia, now: Instant) -> Result<(), String> {
        if !agreed.accepted {
            self.agreed = Some(agreed);
            return Ok(());
        }
        let key = |crypto: &Option<sdp::Crypto>| {
            let crypto = crypto.as_ref().filter(|_| agreed.encryption);
            crypto.map(|c| MediaKey::parse(&c.suite, &c.key_params)).transpose()
        };
        let send = key(&agreed.local_crypto).map_err(|error| error.to_string())?;
        let receive = key(&agreed.remote.crypto).map_err(|error| error.to_string())?;
        let mut remote = RemoteMedia::new(agreed.remote.address);
        remote.rtcp = agreed.remote.rtcp_address;
        remote.rtcp_mux = agreed.rtcp_mux;
        remote.ice = agreed.remote.ice.as_ref().map(convert::remote_ice);
        remote.ssrc_range = agreed.remote.ssrc_range;
        remote.reduced_size = agreed.rtcp_rsize;
        self.transport.connect(remote, send, receive, now).map_err(|error| error.to_string())?;
        self.set_formats(&agreed);
        if self.request.next.is_none() && matches!(self.media, Media::Video(..)) {
            self.request.next = Some(now);
        }
        self.agreed = Some(agreed);
        Ok(())
    }

    fn set_formats(&mut self, agreed: &sdp::AgreedMedia) {
        let named = |name: &str| {
            let mut codecs = agreed.codecs.iter();
            codecs.find(|codec| codec.codec.name.eq_ignore_ascii_case(name)).cloned()
        };
        match &mut self.media {
            Media::Audio(source, sink) => {
                let events = named("telephone-event");
                sink.set_event_type(events.as_ref().map(|codec| codec.receive_pt));
                let events = events.map(|codec| codec.send_pt);
                for codec in Codec::ALL {
                    if let Some(agreed) = named(codec.name()) {
                        source.set_format(agreed.send_pt, codec, events);
                        break;
                    }
                }
            }
            Media::Video(source, sink) => {
                let Some(codec) = agreed.main_codec() else { return };
                let format = if codec.codec.name.eq_ignore_ascii_case("X-H264UC") {
                    VideoFormat::UcSvc
                } else {
                    VideoFormat::Avc { single_nal: convert::is_single_nal(codec) }
                };
                if let Some(source) = source {
                    source.set_format(codec.send_pt, format);
                }
                let types = agreed.codecs.iter().map(|codec| codec.receive_pt).collect();
                sink.set_format(types, format);
            }
        }
    }

    pub(super) fn is_used(&self) -> bool {
        self.agreed.as_ref().is_some_and(|agreed| agreed.accepted)
    }

    /// A datagram from one of its sockets.
    pub(super) fn handle_datagram(&mut self, datagram: &mut Datagram, now: Instant) {
        let Datagram { local, remote, payload } = datagram;
        match self.transport.handle_input(*local, *remote, payload, now) {
            Ok(Incoming::Rtp(len)) => {
                let packet = payload.get(..len).map(RtpPacket::parse);
                if let Some(Ok(packet)) = packet {
                    self.handle_rtp(&packet, now);
                }
            }
            Ok(Incoming::Rtcp(len)) => {
                let compound = payload.get(..len).map(Compound::parse);
                if let Some(Ok(compound)) = compound {
                    self.handle_rtcp(&compound, now);
                }
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, %local, %remote, "datagram dropped"),
        }
    }

    fn handle_rtp(&mut self, packet: &RtpPacket<'_>, now: Instant) {
        match &mut self.media {
            Media::Audio(_, sink) => sink.push(packet),
            Media::Video(_, sink) => sink.push(packet, now),
        }
    }

    fn handle_rtcp(&mut self, compound: &Compound<'_>, now: Instant) {
        let Media::Video(source, _) = &mut self.media else { return };
        for packet in compound.packets() {
            let wants = match packet {
                Ok(RtcpPacket::Pli(_) | RtcpPacket::Fir(_)) => {
                    self.counted.keyframe_requests_received += 1;
                    true
                }
                Ok(RtcpPacket::ApplicationFeedback(feedback)) => {
                    match ms::Feedback::parse(&feedback) {
                        Ok(ms::Feedback::VideoSourceRequest(request)) => {
                            self.counted.source_requests_received += 1;
                            // The first request asks for video at all.
                            let first = self.counted.source_requests_received == 1;
                            request.source != ms::SOURCE_NONE && (request.key_frame || first)
                        }
                        _ => false,
                    }
                }
                _ => false,
            };
            if let Some(source) = source.as_mut().filter(|_| wants) {
                source.want_keyframe(now);
            }
        }
    }

    /// Sends what is due.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.transport.poll_timeout().is_some_and(|at| at <= now) {
            self.transport.handle_timeout(now);
        }
        let sends = self.agreed.as_ref().is_some_and(|a| a.accepted && a.direction.sends());
        if !self.transport.is_connected() || !sends {
            return;
        }
        let Self { transport, heads, media, .. } = self;
        let mut send = |header: RtpHeader, payload: &[u8]| {
            if let Some(head) = payload.first_chunk() {
                heads.push(*head);
            }
            let mut packet = BytesMut::with_capacity(RtpHeader::LEN + payload.len() + 64);
            packet.extend_from_slice(&header.to_bytes());
            packet.extend_from_slice(payload);
            if let Err(error) = transport.send_rtp(packet, now) {
                tracing::debug!(%error, "not sent");
            }
        };
        match media {
            Media::Audio(source, _) => source.poll(now, &mut send),
            Media::Video(Some(source), _) => source.poll(now, &mut send),
            Media::Video(None, _) => {}
        }
        self.ask_for_video(now);
    }

    /// Video has to be asked for, on the Lync side at all and on either side when pictures stop.
    fn ask_for_video(&mut self, now: Instant) {
        let Media::Video(_, sink) = &self.media else { return };
        let receives = self.agreed.as_ref().is_some_and(|a| a.direction.receives());
        if !receives || self.request.next.is_none_or(|at| at > now) {
            return;
        }
        let Some(last) = sink.last_picture else {
            self.request.number = 1;
            self.request.next = Some(now + ASK_AGAIN);
            self.send_request(now);
            return;
        };
        let pictures = sink.pictures;
        let quiet = now.saturating_duration_since(last);
        if !self.request.refresh || self.request.refreshed.is_some() {
            self.request.next = None;
        } else if quiet < STOPPED {
            self.request.next = Some(last + STOPPED);
        } else {
            self.request.number = 2;
            self.request.refreshed = Some((now, pictures));
            self.send_request(now);
        }
    }

    fn send_request(&mut self, now: Instant) {
        let own = Ssrc(self.transport.ssrc());
        let media = self.transport.remote_ssrc().map_or(ms::SOURCE_ANY, Ssrc);
        let feedback = self.agreed.as_ref().map(|agreed| agreed.feedback).unwrap_or_default();
        let number = self.request.number;
        let payload_type = self.agreed.as_ref().and_then(sdp::AgreedMedia::main_codec);
        let payload_type = PayloadType(payload_type.map_or(0, |codec| codec.receive_pt));
        let sent = if self.side == Side::Lync && feedback.send_source_request && number == 1 {
            self.counted.source_requests_sent += 1;
            self.transport.send_feedback(
                |out| {
                    // One entry is far below the limit.
                    let _ = source_request(own, number, payload_type).write(out);
                },
                now,
            )
        } else if self.side == Side::Lync && feedback.send_ms_pli {
            self.counted.keyframe_requests_sent += 1;
            let loss =
                ms::PictureLoss { sender: own, media, request_id: number, priority_ids: u64::MAX };
            self.transport.send_feedback(|out| loss.write(out).unwrap_or_default(), now)
        } else {
            self.counted.keyframe_requests_sent += 1;
            self.transport
                .send_feedback(|out| Pli::new(own, media).write(out).unwrap_or_default(), now)
        };
        if let Err(error) = sent {
            tracing::debug!(%error, "request for video not sent");
        }
    }

    /// Hands what the transport wants sent to the sockets; `true` when ICE has just finished.
    pub(super) fn drain(&mut self, net: &MediaNet) -> Option<TransportEvent> {
        while let Some(transmit) = self.transport.poll_transmit() {
            net.send(transmit.local, transmit.remote, &transmit.payload);
        }
        let event = self.transport.poll_event()?;
        if let TransportEvent::Connected { pairs } = &event {
            self.pairs = (1..).zip(pairs).map(|(n, pair)| (n, pair.remote)).collect();
        }
        Some(event)
    }

    /// The far end is reached: what is sent from now on arrives.
    pub(super) fn begin(&mut self, now: Instant) {
        match &mut self.media {
            Media::Audio(source, _) => source.begin(),
            Media::Video(Some(source), _) => source.begin(now),
            Media::Video(None, _) => {}
        }
    }

    /// Whether all of our own was sent, and the refresh that was asked for has come, or was
    /// waited for long enough.
    pub(super) fn is_done(&self, now: Instant) -> bool {
        if !self.is_used() {
            return true;
        }
        match &self.media {
            Media::Audio(source, _) => source.is_done(),
            Media::Video(source, sink) => {
                let settled = |at: Instant, time| now.saturating_duration_since(at) >= time;
                let sent = source.as_ref().is_none_or(|source| {
                    let since = source.done_since();
                    since.is_some_and(|at| source.refreshes > 0 && settled(at, QUIET))
                        || since.is_some_and(|at| settled(at, PATIENCE))
                });
                let refreshed = self.request.refreshed.is_some_and(|(at, before)| {
                    (sink.pictures > before
                        && sink.last_picture.is_some_and(|at| settled(at, QUIET)))
                        || settled(at, PATIENCE)
                });
                sent && (!self.request.refresh || refreshed)
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let source = match &self.media {
            Media::Audio(source, _) => source.poll_timeout(),
            Media::Video(Some(source), _) => source.poll_timeout(),
            Media::Video(None, _) => None,
        };
        let ready = self.is_used() && self.transport.is_connected();
        let own = [source, self.request.next].into_iter().flatten().min().filter(|_| ready);
        [own, self.transport.poll_timeout()].into_iter().flatten().min()
    }

    pub(super) fn statistics(&self) -> StreamStatistics {
        self.transport.statistics()
    }
}

/// What a Lync 2013 client asks for in a small call: 720p at most, 30 pictures a second.
fn source_request(sender: Ssrc, number: u16, payload_type: PayloadType) -> ms::VideoSourceRequest {
    let mut bitrate_histogram = [0; 10];
    if let Some(bin) = bitrate_histogram.get_mut(4) {
        *bin = 1;
    }
    let mut quality_histogram = [0; 8];
    if let Some(bin) = quality_histogram.first_mut() {
        *bin = 1;
    }
    ms::VideoSourceRequest {
        request_id: number,
        key_frame: true,
        entries: vec![ms::VideoSourceEntry {
            payload_type,
            uc_config_mode: 1,
            flags: ms::SourceFlags::default(),
            aspect_ratios: ms::AspectRatios::R16_9,
            max_width: 1_280,
            max_height: 720,
            min_bitrate_bps: 800_000,
            bitrate_per_level_bps: 100_000,
            bitrate_histogram,
            frame_rates: ms::FrameRates::F30,
            must_instances: 0,
            may_instances: 1,
            quality_histogram,
            max_pixels: 921_600,
        }],
        ..ms::VideoSourceRequest::any(sender)
    }
}

/// Until pictures come they are asked for so often.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// Without pictures for so long the sender has finished, and not merely been held up.
const STOPPED: Duration = Duration::from_millis(700);
/// For the last packets to arrive.
const QUIET: Duration = Duration::from_millis(300);
/// For a refresh, at most.
const PATIENCE: Duration = Duration::from_millis(2_500);
