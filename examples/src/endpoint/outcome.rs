//! What became of a call.

use std::path::Path;
use std::time::Instant;

use linkspan_gateway::StreamKind;
use linkspan_sdp as sdp;

use super::audio::{AudioSink, linear_from_alaw};
use super::g722;
use super::stream::{Media, Stream};
use crate::audio::ulaw_from_linear;

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// Sockets or randomness failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// An address cannot be read.
    #[error("not a SIP address: {0}")]
    Address(String),
    /// The callee, or somebody on the way, has refused.
    #[error("refused: {status} {reason}")]
    Refused {
        /// Status code.
        status: u16,
        /// Reason phrase, and the diagnostics that came with it.
        reason: String,
    },
    /// Nobody called within the time.
    #[error("nobody called")]
    NoCall,
    /// Nobody answered within the time.
    #[error("nobody answered")]
    NoAnswer,
    /// A description could not be agreed on.
    #[error("no agreement: {0}")]
    Disagreed(String),
    /// No way was found for the media.
    #[error("no media path for {0}")]
    NoPath(StreamKind),
    /// The connection or the dialog was lost.
    #[error("lost: {0}")]
    Lost(String),
    /// A step of the signalling was refused by our own engine.
    #[error(transparent)]
    Verb(#[from] linkspan_sip::VerbError),
    /// Something did not come back as it was sent.
    #[error("not returned unchanged: {0}")]
    Changed(String),
}

/// What was sent and received in a call.
#[derive(Clone, Debug, Default)]
pub struct CallReport {
    /// From the answer to the end.
    pub seconds: f64,
    /// We hung up.
    pub hung_up: bool,
    /// Why it ended, in words.
    pub cause: String,
    /// Its m-lines that were used.
    pub streams: Vec<StreamReport>,
}

impl CallReport {
    /// The stream of a kind.
    pub fn stream(&self, kind: StreamKind) -> Option<&StreamReport> {
        self.streams.iter().find(|stream| stream.kind == kind)
    }
}

/// One m-line of a call, seen from the endpoint.
#[derive(Clone, Debug)]
pub struct StreamReport {
    /// Audio or video.
    pub kind: StreamKind,
    /// Main codec.
    pub codec: String,
    /// SRTP both ways.
    pub encrypted: bool,
    /// ICE was used.
    pub ice: bool,
    /// RTP packets sent.
    pub sent: u64,
    /// RTP packets received.
    pub received: u64,
    /// Octets of payload sent.
    pub sent_octets: u64,
    /// Octets of payload received.
    pub received_octets: u64,
    /// Packets that never came.
    pub lost: u64,
    /// Pictures sent (video), packets of the clip sent (audio).
    pub units_sent: u64,
    /// Pictures received.
    pub units_received: u64,
    /// Pictures received with a part missing.
    pub damaged: u64,
    /// Keyframes received.
    pub keyframes: u64,
    /// Temporal layers received; 0 where the stream tells none.
    pub temporal_layers: u8,
    /// NAL units too large for the peer's packetization mode.
    pub oversized: u64,
    /// Picture loss indications and intra requests sent.
    pub keyframe_requests_sent: u64,
    /// Picture loss indications and intra requests received.
    pub keyframe_requests_received: u64,
    /// Lync's video source requests sent.
    pub source_requests_sent: u64,
    /// Lync's video source requests received.
    pub source_requests_received: u64,
    /// Keyframes sent because they were asked for.
    pub refreshes: u64,
    /// RTCP compound packets received.
    pub rtcp_received: u64,
    /// Digits received.
    pub digits: String,
    /// The video stream that was sent, in Annex B form.
    pub sent_stream: Vec<u8>,
    /// The video stream that was received, in Annex B form.
    pub received_stream: Vec<u8>,
    /// The audio payloads that were received, with their payload types, in order.
    pub received_audio: Vec<(u8, Vec<u8>)>,
    /// The first octets of every payload sent, before encryption.
    pub heads: Vec<[u8; 16]>,
}

impl StreamReport {
    /// What was heard, as µ-law at 8,000 Hz; G.711 and G.722 only.
    pub fn heard(&self) -> Vec<u8> {
        let mut heard = Vec::new();
        let mut decoder = g722::Decoder::new();
        for (payload_type, payload) in &self.received_audio {
            match payload_type {
                0 => heard.extend_from_slice(payload),
                8 => heard.extend(payload.iter().map(|o| ulaw_from_linear(linear_from_alaw(*o)))),
                9 => {
                    let samples = decoder.decode(payload);
                    let halves = samples.chunks_exact(2).map(|pair| {
                        let sum: i32 = pair.iter().map(|sample| i32::from(*sample)).sum();
                        ulaw_from_linear(i16::try_from(sum / 2).unwrap_or(0))
                    });
                    heard.extend(halves);
                }
                _ => {}
            }
        }
        heard
    }

    /// Writes what was received: a picture stream or a WAV file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_received(&self, path: &Path) -> std::io::Result<()> {
        match self.kind {
            StreamKind::Audio => crate::write_wav(path, &self.heard()),
            StreamKind::Video => std::fs::write(path, &self.received_stream),
        }
    }
}

/// What a stream has come to; takes what it kept.
pub(super) fn report_of(stream: &mut Stream, now: Instant) -> StreamReport {
    let statistics = stream.statistics();
    let agreed = stream.agreed.as_ref();
    let codec = agreed.and_then(sdp::AgreedMedia::main_codec);
    let mut report = StreamReport {
        kind: stream.kind(),
        codec: codec.map(|codec| codec.codec.name.clone()).unwrap_or_default(),
        encrypted: statistics.encrypted,
        ice: agreed.is_some_and(|agreed| agreed.remote.ice.is_some()),
        sent: statistics.sent.packets,
        received: statistics.received.packets,
        sent_octets: statistics.sent.payload_octets,
        received_octets: statistics.received.payload_octets,
        lost: statistics.lost,
        units_sent: 0,
        units_received: 0,
        damaged: 0,
        keyframes: 0,
        temporal_layers: 0,
        oversized: 0,
        keyframe_requests_sent: stream.counted.keyframe_requests_sent,
        keyframe_requests_received: stream.counted.keyframe_requests_received,
        source_requests_sent: stream.counted.source_requests_sent,
        source_requests_received: stream.counted.source_requests_received,
        refreshes: 0,
        rtcp_received: statistics.rtcp_received,
        digits: String::new(),
        sent_stream: Vec::new(),
        received_stream: Vec::new(),
        received_audio: Vec::new(),
        heads: core::mem::take(&mut stream.heads),
    };
    match &mut stream.media {
        Media::Audio(source, sink) => {
            report.units_sent = source.clip_packets;
            report.digits = core::mem::take(&mut sink.digits);
            report.received_audio = audio_payloads(sink);
            report.codec = source.codec().to_owned();
        }
        Media::Video(source, sink) => {
            sink.flush(now);
            report.units_received = sink.pictures;
            report.damaged = sink.damaged;
            report.keyframes = sink.keyframes;
            report.temporal_layers = sink.temporal_layers;
            report.received_stream = core::mem::take(&mut sink.received);
            if let Some(source) = source {
                report.units_sent = source.pictures;
                report.oversized = source.oversized;
                report.refreshes = source.refreshes;
                report.sent_stream = core::mem::take(&mut source.sent);
            }
        }
    }
    report
}

fn audio_payloads(sink: &AudioSink) -> Vec<(u8, Vec<u8>)> {
    sink.payloads().map(|(payload_type, payload)| (payload_type, payload.to_vec())).collect()
}
