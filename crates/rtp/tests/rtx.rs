//! Retransmission over a lossy network: what is asked for comes, once, unchanged and in time.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code outside #[test]")]

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use linkspan_rtp::{
    GenericNack, PayloadType, ReorderBuffer, ReorderConfig, Reordered, Retransmission, RtpBuilder,
    RtpHeader, RtpPacket, RtxError, RtxFormat, RtxReceiver, RtxReceiverConfig, RtxSender,
    RtxSenderConfig, SequenceNumber, Ssrc,
};
use proptest::prelude::*;

const FORMATS: [RtxFormat; 2] = [
    RtxFormat { original: PayloadType(96), retransmission: PayloadType(97) },
    RtxFormat { original: PayloadType(98), retransmission: PayloadType(99) },
];
const MEDIA: Ssrc = Ssrc(0xaaaa_0001);
const RTX: Ssrc = Ssrc(0xbbbb_0001);
const OURS: Ssrc = Ssrc(7);

/// A packet with everything that a header may have.
fn original(media: Ssrc, number: u16, padding: u8) -> Vec<u8> {
    let header = RtpHeader {
        marker: number.is_multiple_of(3),
        payload_type: FORMATS[usize::from(number & 1)].original,
        sequence: SequenceNumber(number),
        timestamp: 3000 * u32::from(number),
        ssrc: media,
    };
    let csrcs = [Ssrc(1), Ssrc(2)];
    let payload: Vec<u8> = number.to_be_bytes().repeat(1 + usize::from(number % 50));
    RtpBuilder {
        header,
        csrcs: &csrcs[..usize::from(number % 3)],
        extension: number.is_multiple_of(5).then_some((0xbede, &[0x10, 7, 0, 0][..])),
        payload: &payload,
        padding,
    }
    .to_bytes()
    .unwrap()
}

fn sender(config: RtxSenderConfig, media: Ssrc, rtx: Ssrc, now: Instant) -> RtxSender {
    RtxSender::new(config, media, rtx, &FORMATS, [3; 32], now)
}

fn keep(sender: &mut RtxSender, octets: &[u8], now: Instant) {
    sender.on_sent(&RtpPacket::parse(octets).unwrap(), now);
}

fn nack(media: Ssrc, numbers: &[u16]) -> GenericNack {
    let numbers: Vec<_> = numbers.iter().copied().map(SequenceNumber).collect();
    GenericNack::of(OURS, media, &numbers)
}

fn poll(sender: &mut RtxSender, now: Instant) -> Option<Vec<u8>> {
    let mut out = vec![9; 3];
    sender.poll_packet(now, &mut out)?;
    Some(out)
}

#[test]
fn a_packet_comes_back_as_it_was_in_both_ways_of_multiplexing() {
    let now = Instant::now();
    for rtx in [RTX, MEDIA] {
        let mut sender = sender(RtxSenderConfig::default(), MEDIA, rtx, now);
        let mut receiver = RtxReceiver::new(RtxReceiverConfig::default(), &FORMATS);
        receiver.associate(MEDIA, rtx).unwrap();
        let numbers = 65_500u16..=65_535;
        for number in numbers.clone() {
            let padding = if number.is_multiple_of(7) { 4 } else { 0 };
            keep(&mut sender, &original(MEDIA, number, padding), now);
        }
        receiver.on_received(MEDIA, SequenceNumber(65_499), now).unwrap();
        receiver.on_received(MEDIA, SequenceNumber(0), now).unwrap();
        let asked = receiver.poll_nack(OURS, receiver.poll_timeout().unwrap()).unwrap();
        assert_eq!(sender.on_nack(&asked, now), numbers.len());
        let mut previous: Option<SequenceNumber> = None;
        for number in numbers {
            let packet = poll(&mut sender, now).unwrap();
            let packet = RtpPacket::parse(&packet).unwrap();
            assert_eq!((packet.ssrc(), packet.padding_len()), (rtx, 0));
            assert!(previous.is_none_or(|previous| packet.sequence() == previous.next()));
            previous = Some(packet.sequence());
            let mut out = Vec::new();
            receiver.recover(&packet, &mut out, now).unwrap();
            // RFC 4588 §4: all but the padding.
            assert_eq!(out, original(MEDIA, number, 0));
            assert_eq!(receiver.recover(&packet, &mut out, now), Err(RtxError::NotMissing));
        }
        assert_eq!((receiver.missing(), receiver.poll_timeout()), (0, None));
        assert_eq!((sender.queued(), sender.poll_timeout()), (0, None));
    }
}

#[test]
fn the_history_ends_with_its_age_and_its_size() {
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    let max_age = Duration::from_millis(500);
    let config = RtxSenderConfig { packets: 8, max_age, max_packet: 80, ..Default::default() };
    let mut sender = sender(config, MEDIA, RTX, start);
    for number in 0..10 {
        keep(&mut sender, &original(MEDIA, number, 0), start);
    }
    let large = original(MEDIA, 49, 0);
    assert!(large.len() > 80);
    keep(&mut sender, &large, start);
    keep(&mut sender, &original(Ssrc(1), 5, 0), start);
    assert_eq!(sender.on_nack(&nack(MEDIA, &[0, 1, 2, 49]), at(500)), 1, "two were replaced");
    assert_eq!(sender.on_nack(&nack(Ssrc(1), &[5]), at(500)), 0);
    // Queued in time, and too old when its turn comes.
    assert_eq!(sender.on_nack(&nack(MEDIA, &[3]), at(500)), 1);
    assert!(poll(&mut sender, at(500)).is_some());
    assert_eq!(poll(&mut sender, at(501)), None);
    assert_eq!(sender.on_nack(&nack(MEDIA, &[4]), at(501)), 0);
}

#[test]
fn a_packet_is_not_sent_again_within_a_round_trip() {
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    let mut sender = sender(RtxSenderConfig::default(), MEDIA, RTX, start);
    keep(&mut sender, &original(MEDIA, 1, 0), start);
    sender.set_round_trip(Duration::from_millis(80));
    let ask = |sender: &mut RtxSender, ms| sender.on_nack(&nack(MEDIA, &[1, 1]), at(ms));
    assert_eq!(ask(&mut sender, 0), 1);
    assert_eq!(ask(&mut sender, 1), 0, "it waits already");
    assert!(poll(&mut sender, at(2)).is_some());
    assert_eq!(ask(&mut sender, 81), 0);
    assert_eq!(ask(&mut sender, 82), 1);
}

#[test]
fn retransmissions_keep_to_their_rate() {
    let start = Instant::now();
    let burst = 2_000;
    let config = RtxSenderConfig { max_bitrate_bps: 80_000, burst, ..Default::default() };
    let mut sender = sender(config, MEDIA, RTX, start);
    let numbers: Vec<u16> = (1..=400).collect();
    for number in &numbers {
        keep(&mut sender, &original(MEDIA, *number, 0), start);
    }
    sender.on_nack(&nack(MEDIA, &numbers), start);
    let (mut now, mut sent) = (start, 0);
    while let Some(due) = sender.poll_timeout() {
        now = now.max(due);
        if now > start + Duration::from_secs(1) {
            break;
        }
        let before = sent;
        while let Some(packet) = poll(&mut sender, now) {
            sent += packet.len();
        }
        assert!(sent > before, "told to come back for nothing");
        let allowed = 2_000.0 + 10_000.0 * (now - start).as_secs_f64();
        assert!((sent as f64) < allowed + 50.0, "{sent} of {allowed}");
    }
    assert!(sent > 10_000, "{sent}");
}

#[test]
fn a_request_is_repeated_after_a_round_trip_and_no_sooner() {
    let start = Instant::now();
    let config = RtxReceiverConfig { max_requests: 3, ..Default::default() };
    let mut receiver = RtxReceiver::new(config, &FORMATS);
    receiver.on_received(MEDIA, SequenceNumber(1), start).unwrap();
    receiver.on_received(MEDIA, SequenceNumber(3), start).unwrap();
    assert_eq!(receiver.poll_nack(OURS, start), None, "packets overtake each other");
    receiver.set_round_trip(Duration::from_millis(40));
    let mut asked = Vec::new();
    while let Some(now) = receiver.poll_timeout() {
        if let Some(nack) = receiver.poll_nack(OURS, now) {
            assert_eq!(nack.sequences().collect::<Vec<_>>(), [SequenceNumber(2)]);
            asked.push(now);
        }
    }
    assert_eq!(asked.len(), 3);
    assert!(asked.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_millis(40)));
    assert_eq!(receiver.missing(), 0, "given up");
    // What merely came late is not asked for.
    receiver.on_received(MEDIA, SequenceNumber(6), start).unwrap();
    receiver.on_received(MEDIA, SequenceNumber(5), start).unwrap();
    let nack = receiver.poll_nack(OURS, start + config.patience).unwrap();
    assert_eq!(nack.sequences().collect::<Vec<_>>(), [SequenceNumber(4)]);
}

#[test]
fn an_unknown_source_belongs_to_the_only_stream_that_asked() {
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    let mut receiver = RtxReceiver::new(RtxReceiverConfig::default(), &FORMATS);
    let (one, two) = (Ssrc(1), Ssrc(2));
    for media in [one, two] {
        for number in [1, 3] {
            receiver.on_received(media, SequenceNumber(number), start).unwrap();
        }
    }
    // Both lack number 2; RFC 4588 §5.3 lets only one of them ask.
    let first = receiver.poll_nack(OURS, at(5)).unwrap();
    assert_eq!(first.media, one);
    assert_eq!(receiver.poll_nack(OURS, at(5)), None);
    let mut senders = [(one, Ssrc(11)), (two, Ssrc(22))]
        .map(|(media, rtx)| sender(RtxSenderConfig::default(), media, rtx, start));
    for (sender, media) in senders.iter_mut().zip([one, two]) {
        keep(sender, &original(media, 2, 0), start);
    }
    let mut out = Vec::new();
    senders[0].on_nack(&first, at(20));
    let packet = poll(&mut senders[0], at(20)).unwrap();
    receiver.recover(&RtpPacket::parse(&packet).unwrap(), &mut out, at(30)).unwrap();
    assert_eq!(out, original(one, 2, 0));
    assert_eq!((receiver.associated(one), receiver.associated(two)), (Some(Ssrc(11)), None));
    // Now the other may.
    let now = receiver.poll_timeout().unwrap();
    let second = receiver.poll_nack(OURS, now).unwrap();
    assert_eq!(second.media, two);
    senders[1].on_nack(&second, now);
    let packet = poll(&mut senders[1], now).unwrap();
    receiver.recover(&RtpPacket::parse(&packet).unwrap(), &mut out, now).unwrap();
    assert_eq!(out, original(two, 2, 0));
    assert_eq!(receiver.associated(two), Some(Ssrc(22)));

    receiver.forget(Ssrc(22));
    assert_eq!(receiver.associated(two), None);
    assert_eq!(
        receiver.recover(&RtpPacket::parse(&packet).unwrap(), &mut out, now),
        Err(RtxError::Unassociated)
    );
}

#[test]
fn what_is_no_retransmission_is_refused() {
    let now = Instant::now();
    let mut receiver = RtxReceiver::new(RtxReceiverConfig::default(), &FORMATS);
    let (mut packet, mut out) = (Vec::new(), Vec::new());
    let header = RtpHeader { payload_type: PayloadType(97), ssrc: RTX, ..Default::default() };
    header.write_packet(&[1], &mut packet);
    let mut recover = |packet: &[u8]| {
        receiver.recover(&RtpPacket::parse(packet).unwrap(), &mut out, now).unwrap_err()
    };
    assert_eq!(recover(&packet), RtxError::Empty);
    packet.push(2);
    assert_eq!(recover(&packet), RtxError::Unassociated);
    packet[1] = 96;
    assert_eq!(recover(&packet), RtxError::NotMine);
    for stream in 0..16 {
        receiver.on_received(Ssrc(stream), SequenceNumber(1), now).unwrap();
    }
    let refused = receiver.on_received(Ssrc(16), SequenceNumber(1), now);
    assert_eq!(refused, Err(RtxError::TooManyStreams));
}

/// A network, seeded: loss, delay and jitter, one millisecond a step.
struct Network {
    random: u64,
    loss_percent: u64,
    delay_ms: u64,
    jitter_ms: u64,
}

impl Network {
    fn below(&mut self, limit: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % limit
    }

    /// When a packet sent now arrives.
    fn carry(&mut self, now_ms: u64) -> Option<u64> {
        let lost = self.below(100) < self.loss_percent;
        let arrival = now_ms + self.delay_ms + self.below(self.jitter_ms + 1);
        (!lost).then_some(arrival)
    }
}

/// What became of a stream.
#[derive(Debug, Default)]
struct Outcome {
    sent: usize,
    delivered: usize,
    lost_first: usize,
    retransmitted: usize,
    requests: HashMap<u16, Vec<u64>>,
}

fn run(mut network: Network, session_multiplexed: bool, packets: u16) -> Outcome {
    let start = Instant::now();
    let at = |ms: u64| start + Duration::from_millis(ms);
    let rtx = if session_multiplexed { MEDIA } else { RTX };
    let mut sender = sender(RtxSenderConfig::default(), MEDIA, rtx, start);
    let config = RtxReceiverConfig { give_up: Duration::from_millis(800), ..Default::default() };
    let mut receiver = RtxReceiver::new(config, &FORMATS);
    if session_multiplexed {
        receiver.associate(MEDIA, rtx).unwrap();
    }
    let mut buffer = ReorderBuffer::new(ReorderConfig { capacity: 1024, hold: config.give_up });
    let (mut forward, mut back) = (BTreeMap::new(), BTreeMap::new());
    let (mut outcome, mut serial) = (Outcome::default(), 0u32);
    let first = 65_000u16;
    let mut expected = SequenceNumber(first);
    let end = 5 * u64::from(packets) + 2000;
    for ms in 0..end {
        let now = at(ms);
        if ms % 5 == 0 && ms / 5 < u64::from(packets) {
            let number = first.wrapping_add(u16::try_from(ms / 5).unwrap());
            let packet = original(MEDIA, number, 0);
            keep(&mut sender, &packet, now);
            outcome.sent += 1;
            // The first and the last come through: without them nothing tells of a loss.
            let kept = number == first || ms / 5 + 1 == u64::from(packets);
            let arrival = network.carry(ms).or_else(|| kept.then_some(ms + 1));
            outcome.lost_first += usize::from(arrival.is_none());
            serial += 1;
            arrival.map(|arrival| forward.insert((arrival, serial), (false, packet)));
        }
        while let Some(packet) = poll(&mut sender, now) {
            outcome.retransmitted += 1;
            serial += 1;
            network.carry(ms).map(|arrival| forward.insert((arrival, serial), (true, packet)));
        }
        while let Some(entry) = forward.first_entry().filter(|entry| entry.key().0 <= ms) {
            let (is_again, octets) = entry.remove();
            let packet = RtpPacket::parse(&octets).unwrap();
            let mut whole = Vec::new();
            if is_again {
                if let Err(error) = receiver.recover(&packet, &mut whole, now) {
                    assert!(matches!(error, RtxError::NotMissing | RtxError::Unassociated));
                    continue;
                }
            } else {
                receiver.on_received(packet.ssrc(), packet.sequence(), now).unwrap();
                whole.extend_from_slice(&octets);
            }
            let sequence = RtpPacket::parse(&whole).unwrap().sequence();
            let _late_or_twice = buffer.push(sequence, whole, now);
        }
        while receiver.poll_timeout().is_some_and(|due| due <= now) {
            let Some(nack) = receiver.poll_nack(OURS, now) else { break };
            for sequence in nack.sequences() {
                outcome.requests.entry(sequence.0).or_default().push(ms);
            }
            serial += 1;
            network.carry(ms).map(|arrival| back.insert((arrival, serial), nack));
        }
        while let Some(entry) = back.first_entry().filter(|entry| entry.key().0 <= ms) {
            sender.on_nack(&entry.remove(), now);
        }
        buffer.handle_timeout(now);
        while let Some(item) = buffer.poll() {
            match item {
                Reordered::Packet { sequence, item } => {
                    assert_eq!(sequence, expected);
                    assert_eq!(item, original(MEDIA, sequence.0, 0));
                    outcome.delivered += 1;
                    expected = sequence.next();
                }
                Reordered::Lost { first, count } => {
                    assert_eq!(first, expected);
                    expected = first.wrapping_add(count);
                }
                Reordered::Restarted => unreachable!("restarted"),
            }
        }
        assert!(receiver.missing() <= config.max_missing);
    }
    assert_eq!(expected.distance_from(SequenceNumber(first)).cast_unsigned(), packets);
    assert_eq!((receiver.missing(), sender.queued()), (0, 0));
    outcome
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    /// In order, unchanged, each once; nobody asks too often or too soon.
    #[test]
    fn lost_packets_come_back(
        loss_percent in 0..=30u64,
        delay_ms in 1..100u64,
        jitter_ms in 0..4u64,
        session_multiplexed: bool,
        seed in 1..u64::MAX,
    ) {
        let network = Network { random: seed, loss_percent, delay_ms, jitter_ms };
        let outcome = run(network, session_multiplexed, 1000);
        for times in outcome.requests.values() {
            prop_assert!(times.len() <= 4);
            // The first may be repeated at the round trip that was assumed, 100 ms.
            let enough = (2 * delay_ms).min(100);
            prop_assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= enough), "{:?}", times);
        }
        let lost = outcome.sent - outcome.delivered;
        // Four requests, each lost one way or the other: 7 % of those lost at 30 %.
        prop_assert!(lost * 5 <= outcome.lost_first + 10, "{} of {}", lost, outcome.lost_first);
        if loss_percent == 0 {
            prop_assert_eq!((lost, outcome.retransmitted), (0, 0));
        }
    }
}

#[test]
fn a_tenth_lost_becomes_next_to_nothing() {
    let (mut lost_first, mut lost) = (0, 0);
    for seed in 1..10 {
        let network = Network { random: seed, loss_percent: 10, delay_ms: 25, jitter_ms: 2 };
        let outcome = run(network, seed % 2 == 0, 2000);
        lost_first += outcome.lost_first;
        lost += outcome.sent - outcome.delivered;
        let again = outcome.retransmitted;
        assert!(again < 2 * outcome.lost_first, "{again} for {}", outcome.lost_first);
    }
    assert!(lost_first > 1500 && lost * 100 < lost_first, "{lost} of {lost_first}");
}

#[test]
fn what_is_written_is_the_payload_format() {
    let now = Instant::now();
    let mut sender = sender(RtxSenderConfig::default(), MEDIA, RTX, now);
    keep(&mut sender, &original(MEDIA, 0x0102, 8), now);
    sender.on_nack(&nack(MEDIA, &[0x0102]), now);
    let packet = poll(&mut sender, now).unwrap();
    let packet = RtpPacket::parse(&packet).unwrap();
    let read = Retransmission::parse(packet.payload()).unwrap();
    assert_eq!(read.original, SequenceNumber(0x0102));
    let octets = original(MEDIA, 0x0102, 8);
    let source = RtpPacket::parse(&octets).unwrap();
    assert_eq!(read.payload, source.payload());
    assert_eq!((packet.timestamp(), packet.marker()), (source.timestamp(), source.marker()));
    assert!(packet.csrcs().eq(source.csrcs()));
}
