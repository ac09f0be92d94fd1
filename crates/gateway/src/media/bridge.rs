//! From one leg to the other.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::{Buf as _, BytesMut};
use linkspan_rtp::{PayloadType, RtpHeader, RtpPacket};

use super::command::{DropReason, MediaEvent, StreamCodec};
use super::engine::{give_buffer, take_buffer};
use super::stream::Stream;
use super::transport::SendError;
use super::video::write_packet;

/// What the bridge uses of the engine.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) pool: &'a mut Vec<BytesMut>,
    pub(super) events: &'a mut VecDeque<MediaEvent>,
    pub(super) now: Instant,
}

/// Passes an audio packet, in clear, on to the peer's stream: another header, the same payload.
pub(super) fn audio(
    stream: &mut Stream,
    peer: Option<&mut Stream>,
    mut packet: BytesMut,
    context: &mut Context<'_>,
) {
    let now = context.now;
    let Some((header, start, end)) = layout(&packet) else { return };
    let Some(format) = stream.format_of(header.payload_type.0) else {
        stream.drop_one(DropReason::PayloadType);
        return;
    };
    if !stream.receives() {
        stream.drop_one(DropReason::Inactive);
        return;
    }
    if format.codec == StreamCodec::TelephoneEvent {
        hear_digit(stream, header, packet.get(start..end).unwrap_or_default(), context);
    } else if format.codec != StreamCodec::ComfortNoise {
        stream.transport.statistics_mut().codec = Some(format.codec);
    }
    let Some(peer) = peer.filter(|p| p.agreed.is_some()) else {
        stream.drop_one(DropReason::NotConnected);
        return;
    };
    if !peer.sends() {
        stream.drop_one(DropReason::Inactive);
        return;
    }
    let Some(target) = peer.format_for(format.codec) else {
        // Left out without a gap: the receiver is not to take it for a loss.
        peer.audio.skip(header, now);
        stream.drop_one(DropReason::PayloadType);
        return;
    };
    let Some(header) = peer.audio.rewrite(header, now) else { return };
    let header = RtpHeader { payload_type: PayloadType(target.send), ..header };
    // CSRCs, extension and padding end here: they mean nothing on the other leg.
    packet.truncate(end);
    packet.advance(start - RtpHeader::LEN);
    if let Some(fixed) = packet.get_mut(..RtpHeader::LEN) {
        fixed.copy_from_slice(&header.to_bytes());
    }
    if let Err(error) = peer.transport.send_rtp(packet, now) {
        stream.drop_one(reason_of(error));
    }
}

/// Takes a video packet, in clear, apart.
pub(super) fn video(stream: &mut Stream, packet: BytesMut, context: &mut Context<'_>) {
    let Some((header, start, end)) = layout(&packet) else { return };
    let Some(format) = stream.format_of(header.payload_type.0) else {
        stream.drop_one(DropReason::PayloadType);
        return;
    };
    if !stream.receives() {
        stream.drop_one(DropReason::Inactive);
        return;
    }
    stream.transport.statistics_mut().codec = Some(format.codec);
    let payload = packet.get(start..end).unwrap_or_default();
    let Some(path) = &mut stream.video else { return };
    match path.push(header, payload, context.now) {
        // A packet that came twice or too late is none the worse for that.
        Ok(()) | Err(linkspan_svc::DepacketizeError::Stale) => {}
        Err(_) => {
            stream.drop_one(DropReason::MalformedPayload);
            stream.wish.want(context.now);
        }
    }
    give_buffer(context.pool, packet);
}

/// Passes the pictures that are complete on to the peer's stream.
pub(super) fn pictures(
    stream: &mut Stream,
    mut peer: Option<&mut Stream>,
    context: &mut Context<'_>,
) {
    let now = context.now;
    let Some(mut path) = stream.video.take() else { return };
    while let Some(unit) = path.poll_access_unit() {
        let codec = path.codec();
        let way = peer.as_deref_mut().and_then(|p| {
            let format = p.format_for(codec).filter(|_| p.sends() && p.transport.is_connected())?;
            Some((p, format.send))
        });
        let Some((peer, payload_type)) = way else {
            // Nobody gets it; whoever comes gets a keyframe first.
            stream.drop_one(DropReason::NotConnected);
            path.hold_back(now);
            path.discard(unit);
            continue;
        };
        let (output, transport) = (&mut peer.output, &mut peer.transport);
        let mut failed = 0_usize;
        let picture = path.forward(unit, output, payload_type, now, |header, len, payload| {
            let mut packet = take_buffer(context.pool);
            write_packet(&mut packet, header, len, payload);
            failed += usize::from(transport.send_rtp(packet, now).is_err());
        });
        if picture.other {
            continue;
        }
        if picture.packets > 0 {
            let sent = &mut transport.statistics_mut().sent;
            sent.pictures += 1;
            sent.keyframes += u64::from(picture.keyframe);
        }
        for _ in 0..failed {
            stream.drop_one(DropReason::QueueFull);
        }
        for _ in 0..picture.oversized {
            stream.drop_one(DropReason::OversizeNal);
        }
        if picture.held_back {
            stream.drop_one(DropReason::AwaitingKeyframe);
        }
        if picture.keyframe && !picture.damaged {
            stream.wish.arrived();
        } else if picture.keyframe {
            stream.wish.arrived_damaged(now);
        } else if picture.wants_keyframe {
            // The receiver sees no gap of the sender's: the gateway asks for it.
            stream.wish.want(now);
        }
        stream.source_request.arrived(now);
        let statistics = stream.transport.statistics_mut();
        statistics.received.pictures += 1;
        statistics.received.keyframes += u64::from(picture.keyframe);
        let layers = picture.temporal_id.map_or(0, |id| id.saturating_add(1));
        statistics.temporal_layers = statistics.temporal_layers.max(layers);
        statistics.picture = picture.size.or(statistics.picture);
    }
    for _ in 0..path.take_late_layers() {
        stream.drop_one(DropReason::LateLayer);
    }
    stream.video = Some(path);
}

fn hear_digit(stream: &mut Stream, header: RtpHeader, payload: &[u8], context: &mut Context<'_>) {
    match stream.dtmf.on_packet(header.timestamp, payload) {
        Ok(Some(event)) => {
            stream.transport.statistics_mut().digits += 1;
            let digit = event.to_char().unwrap_or('!');
            context.events.push_back(MediaEvent::Digit { stream: stream.id, digit });
        }
        Ok(None) => {}
        Err(_) => stream.drop_one(DropReason::MalformedPayload),
    }
}

/// Header of a packet, and where its payload begins and ends.
fn layout(packet: &[u8]) -> Option<(RtpHeader, usize, usize)> {
    let view = RtpPacket::parse(packet).ok()?;
    let start = view.header_len();
    Some((view.header(), start, start + view.payload().len()))
}

const fn reason_of(error: SendError) -> DropReason {
    match error {
        SendError::QueueFull => DropReason::QueueFull,
        _ => DropReason::NotConnected,
    }
}
