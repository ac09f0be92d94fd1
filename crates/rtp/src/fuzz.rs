//! Bodies of the fuzz targets. They assert what the crate promises, not only that nothing panics.

use std::time::{Duration, Instant};

use crate::ms::{Feedback, PictureLoss, ReportExtension};
use crate::{
    Compound, DtmfPayload, DtmfReceiver, ExtensionForm, GenericNack, HeaderExtension, PayloadType,
    PlayoutBuffer, PlayoutConfig, RedundantAudio, ReorderBuffer, ReorderConfig, Reordered,
    RtcpPacket, RtpBuilder, RtpHeader, RtpPacket, RtpPacketMut, RtxFormat, RtxReceiver,
    RtxReceiverConfig, RtxSender, RtxSenderConfig, SequenceNumber, Ssrc, UlpFec,
};

/// RTP packets: what is read can be written again, and editing changes the header alone.
pub fn rtp(data: &[u8]) {
    let Ok(packet) = RtpPacket::parse(data) else { return };
    let parts = packet.header_len() + packet.payload().len() + usize::from(packet.padding_len());
    assert_eq!(parts, data.len());
    let csrcs: Vec<Ssrc> = packet.csrcs().collect();
    let builder = RtpBuilder {
        header: packet.header(),
        csrcs: &csrcs,
        extension: packet.extension().map(|extension| (extension.profile, extension.data)),
        payload: packet.payload(),
        padding: packet.padding_len(),
    };
    let written = builder.to_bytes().unwrap_or_default();
    // All but the padding, whose octets may be anything.
    let kept = data.len() - usize::from(packet.padding_len());
    assert_eq!(written.get(..kept), data.get(..kept));
    if let Some(extension) = packet.extension() {
        for element in extension.elements().map_while(Result::ok) {
            let end = element.at + element.data.len();
            assert_eq!(extension.data.get(element.at..end), Some(element.data));
        }
    }
    if let Ok(red) = RedundantAudio::parse(packet.payload()) {
        let octets: usize = red.blocks().map(|block| block.data.len()).sum();
        assert!(octets < packet.payload().len());
    }

    let mut edited = data.to_vec();
    if let Ok(mut packet) = RtpPacketMut::parse(&mut edited) {
        packet.set_ssrc(Ssrc(1));
        packet.set_sequence(SequenceNumber(2));
        assert_eq!(packet.payload_mut().len(), builder.payload.len());
    }
    assert_eq!(edited.get(12..), data.get(12..));
}

/// Header extensions: what is read, written again, reads the same.
pub fn extension(data: &[u8]) {
    let Some((profile, data)) = data.split_first_chunk() else { return };
    let extension = HeaderExtension { profile: u16::from_be_bytes(*profile), data };
    let Some(form) = ExtensionForm::of_profile(extension.profile) else {
        assert_eq!(extension.elements().count(), 0);
        return;
    };
    assert_eq!(ExtensionForm::of_profile(form.profile()), Some(form));
    let elements: Vec<_> = extension.elements().map_while(Result::ok).collect();
    let mut written = Vec::new();
    for element in &elements {
        let end = element.at + element.data.len();
        assert_eq!(data.get(element.at..end), Some(element.data));
        assert!(form.write_element(element.id, element.data, &mut written).is_ok());
    }
    form.pad(&mut written);
    assert!(written.len() <= data.len().next_multiple_of(4));
    let again = HeaderExtension { profile: extension.profile, data: &written };
    let again = again.elements().map(|element| element.map(|e| (e.id, e.data)));
    let first: Vec<_> = elements.iter().map(|e| Ok((e.id, e.data))).collect();
    assert_eq!(again.collect::<Vec<_>>(), first);
}

/// Corrections: the first octet says how long the other packets are, the rest is the payload.
pub fn ulpfec(data: &[u8]) {
    let Some((&len, payload)) = data.split_first() else { return };
    let Ok(fec) = UlpFec::parse(payload) else { return };
    let parity: usize = fec.levels().map(|level| level.data.len()).sum();
    assert!(parity < payload.len());
    let packet = vec![0x5a; usize::from(len)];
    let Some(lost) = fec.protected().next() else { return };
    let received = |sequence| (sequence != lost).then_some(&packet[..]);
    if let Some(recovered) = fec.recover(Ssrc(1), received) {
        assert_eq!(recovered.sequence, lost);
        assert!(recovered.octets.len() <= recovered.len.min(12 + parity));
        assert_eq!(RtpPacket::parse(&recovered.octets).map_or(Ssrc(1), |p| p.ssrc()), Ssrc(1));
    }
    assert_eq!(fec.recover(Ssrc(1), |_| Some(&packet[..])), None);
}

/// RTCP: what is read survives writing, and each packet read alone is the same.
pub fn rtcp(data: &[u8]) {
    let Ok(compound) = Compound::parse(data) else { return };
    for packet in compound.packets().flatten() {
        let mut written = Vec::new();
        if packet.write(&mut written).is_err() {
            continue;
        }
        assert_eq!(RtcpPacket::parse(&written).as_ref(), Ok(&packet));
        match &packet {
            RtcpPacket::ApplicationFeedback(feedback) => match Feedback::parse(feedback) {
                Ok(Feedback::VideoSourceRequest(request)) => {
                    let again = request.to_feedback().map(|packet| Feedback::parse(&packet));
                    assert_eq!(again, Ok(Ok(Feedback::VideoSourceRequest(request))));
                }
                Ok(Feedback::DominantSpeakers(speakers)) => {
                    let again = speakers.to_feedback().map(|packet| Feedback::parse(&packet));
                    assert_eq!(again, Ok(Ok(Feedback::DominantSpeakers(speakers))));
                }
                _ => {}
            },
            RtcpPacket::Pli(pli) => {
                if let Ok(Some(request)) = PictureLoss::from_pli(pli) {
                    assert_eq!(PictureLoss::from_pli(&request.to_pli()), Ok(Some(request)));
                }
            }
            RtcpPacket::ReceiverReport(report) => extensions(&report.extension),
            RtcpPacket::SenderReport(report) => extensions(&report.extension),
            RtcpPacket::Nack(nack) => assert!(nack.sequences().count() <= 17 * nack.pairs.len()),
            _ => {}
        }
    }
}

fn extensions(data: &[u8]) {
    for extension in ReportExtension::iter(data).flatten() {
        let mut written = Vec::new();
        if extension.write(&mut written).is_ok() {
            let again: Vec<_> = ReportExtension::iter(&written).flatten().collect();
            assert_eq!(again, [extension]);
        }
    }
}

/// A script of pushes and pauses: what comes out of the reorder buffer is in order, complete and
/// bounded.
pub fn reorder(script: &[u8]) {
    let start = Instant::now();
    let hold = Duration::from_millis(40);
    let mut buffer = ReorderBuffer::new(ReorderConfig { capacity: 16, hold });
    let mut now = start;
    let mut expected: Option<SequenceNumber> = None;
    for step in script.chunks(3) {
        let &[pause, high, low] = step else { return };
        now += Duration::from_millis(u64::from(pause & 0x1f));
        // Mostly steps near zero, sometimes any number.
        let sequence =
            if pause & 0x20 == 0 { u16::from(low & 0x3f) } else { u16::from_be_bytes([high, low]) };
        let _refused = buffer.push(SequenceNumber(sequence), sequence, now);
        buffer.handle_timeout(now);
        while let Some(out) = buffer.poll() {
            match out {
                Reordered::Packet { sequence, item } => {
                    assert_eq!(sequence.0, item);
                    assert!(expected.is_none_or(|expected| expected == sequence));
                    expected = Some(sequence.next());
                }
                Reordered::Lost { first, count } => {
                    assert!(expected.is_none_or(|expected| expected == first) && count > 0);
                    expected = Some(first.wrapping_add(count));
                }
                Reordered::Restarted => expected = None,
            }
        }
        assert!(buffer.waiting() < 16);
        assert_eq!(buffer.waiting() > 0, buffer.poll_timeout().is_some());
        assert!(buffer.poll_timeout().is_none_or(|due| due > now && due <= now + hold));
    }
}

/// Packets with any numbers and timestamps at any time: what is played is in order, and nothing
/// waits longer than it may.
pub fn playout(script: &[u8]) {
    let start = Instant::now();
    let config = PlayoutConfig { capacity: 16, ..PlayoutConfig::default() };
    let mut buffer = PlayoutBuffer::new(config);
    let (mut now, mut expected) = (start, None::<SequenceNumber>);
    let mut rest = script;
    while let Some((&[kind, number, stamp], next)) = rest.split_first_chunk() {
        rest = next;
        now += Duration::from_millis(u64::from(kind & 0x3f));
        let sequence = match kind & 0x40 {
            0 => SequenceNumber(u16::from(number)),
            _ => SequenceNumber(u16::from(number) << 8),
        };
        let timestamp = u32::from(stamp) << if kind & 0x80 == 0 { 5 } else { 24 };
        let _refused = buffer.push(sequence, timestamp, stamp & 1 == 1, sequence, now);
        assert!((config.min_delay..=config.max_delay).contains(&buffer.delay()));
        assert!(buffer.waiting() <= 16);
        buffer.handle_timeout(now);
        while let Some(out) = buffer.poll() {
            match out {
                Reordered::Packet { sequence, item } => {
                    assert_eq!(sequence, item);
                    assert!(expected.is_none_or(|expected| expected == sequence));
                    expected = Some(sequence.next());
                }
                Reordered::Lost { first, count } => {
                    assert!(expected.is_none_or(|expected| expected == first) && count > 0);
                    expected = Some(first.wrapping_add(count));
                }
                Reordered::Restarted => expected = None,
            }
        }
        let latest = now + config.max_delay;
        assert!(buffer.poll_timeout().is_none_or(|due| due > now && due <= latest));
    }
}

/// A script of packets sent and lost, requests, answers, and packets and requests out of nowhere:
/// what comes back is what was sent, and nothing grows.
pub fn rtx(script: &[u8]) {
    let (media, ours, start) = (Ssrc(1), Ssrc(9), Instant::now());
    let format = RtxFormat { original: PayloadType(96), retransmission: PayloadType(97) };
    let config = RtxSenderConfig { packets: 32, max_packet: 64, burst: 300, ..Default::default() };
    let mut sender = RtxSender::new(config, media, Ssrc(2), &[format], [1; 32], start);
    let config = RtxReceiverConfig { max_missing: 20, max_streams: 3, ..Default::default() };
    let mut receiver = RtxReceiver::new(config, &[format]);
    let (mut now, mut sequence) = (start, SequenceNumber(65_500));
    let (mut wire, mut out) = (Vec::new(), Vec::new());
    let mut rest = script;
    while let Some((&[kind, a, b], next)) = rest.split_first_chunk() {
        rest = next;
        now += Duration::from_millis(u64::from(kind >> 4));
        match kind & 7 {
            0 | 1 => {
                sequence = sequence.wrapping_add(1 + u16::from(a & 3));
                let header = RtpHeader {
                    payload_type: PayloadType(96),
                    sequence,
                    ssrc: media,
                    ..Default::default()
                };
                wire.clear();
                header.write_packet(&sequence.0.to_be_bytes(), &mut wire);
                let Ok(packet) = RtpPacket::parse(&wire) else { unreachable!() };
                sender.on_sent(&packet, now);
                if b & 1 == 0 {
                    let _full = receiver.on_received(media, sequence, now);
                }
            }
            2 => {
                while let Some(nack) = receiver.poll_nack(ours, now) {
                    assert!(nack.sequences().count() <= 20);
                    if b & 1 == 0 {
                        sender.on_nack(&nack, now);
                    }
                }
                assert!(receiver.poll_timeout().is_none_or(|due| due > now));
            }
            3 | 4 => {
                while let Some(number) = sender.poll_packet(now, &mut wire) {
                    let Ok(packet) = RtpPacket::parse(&wire) else { unreachable!() };
                    assert_eq!(packet.payload_type(), PayloadType(97));
                    if b & 1 == 0 && receiver.recover(&packet, &mut out, now).is_ok() {
                        let Ok(whole) = RtpPacket::parse(&out) else { unreachable!() };
                        assert_eq!(
                            (whole.sequence(), whole.payload_type()),
                            (number, PayloadType(96))
                        );
                        // A packet out of nowhere may have taken the name of its source.
                        assert_eq!(whole.payload(), number.0.to_be_bytes());
                    }
                }
                assert!(sender.poll_timeout().is_none_or(|due| due > now));
            }
            5 => {
                let pairs = vec![(SequenceNumber(u16::from_be_bytes([a, b])), u16::MAX)];
                sender.on_nack(&GenericNack { sender: ours, media, pairs }, now);
                assert!(sender.queued() <= 64);
            }
            6 => {
                let source = Ssrc(u32::from(a & 3));
                let _full = receiver.on_received(source, SequenceNumber(u16::from(b)), now);
            }
            _ => {
                let (packet, next) = rest.split_at(rest.len().min(usize::from(a & 31)));
                rest = next;
                if let Ok(packet) = RtpPacket::parse(packet)
                    && receiver.recover(&packet, &mut out, now).is_ok()
                {
                    assert!(RtpPacket::parse(&out).is_ok());
                    assert!(out.len() + 2 <= packet.as_bytes().len());
                }
            }
        }
        assert!(receiver.missing() <= 60);
    }
}

/// Telephone-event payloads with their timestamps: no event is reported twice.
pub fn dtmf(script: &[u8]) {
    let mut receiver = DtmfReceiver::default();
    let mut reported = std::collections::HashSet::new();
    for step in script.chunks(6) {
        let &[t0, t1, ref payload @ ..] = step else { return };
        let timestamp = u32::from_be_bytes([0, t0, t1, 0]);
        if let Ok(Some(event)) = receiver.on_packet(timestamp, payload) {
            assert!(reported.insert(timestamp));
            assert_eq!(DtmfPayload::parse(payload).map(|payload| payload.event), Ok(event));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    fn over_seeds(target: &str, body: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for entry in entries {
            body(&std::fs::read(entry.unwrap().path()).unwrap());
        }
    }

    #[test]
    fn seeds() {
        over_seeds("rtp_packet", super::rtp);
        over_seeds("rtp_extension", super::extension);
        over_seeds("rtp_ulpfec", super::ulpfec);
        over_seeds("rtp_rtcp", super::rtcp);
        over_seeds("rtp_reorder", super::reorder);
        over_seeds("rtp_dtmf", super::dtmf);
        over_seeds("rtp_rtx", super::rtx);
        over_seeds("rtp_playout", super::playout);
    }
}
