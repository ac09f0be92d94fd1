//! Statistics and telephone events over a lossy network: figures and digits come out right.

use std::time::{Duration, Instant};

use linkspan_rtp::{
    Arrival, DtmfConfig, DtmfReceiver, DtmfSender, NtpClock, NtpTime, ReceiverStats, SenderStats,
    SequenceNumber, Ssrc,
};

/// xorshift64: repeatable, and independent of what is tested.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

#[test]
fn each_digit_is_heard_once_under_half_the_packets_lost() {
    let digits = "0123456789*#ABCD!55500";
    let mut lost_digits = 0;
    for seed in 1..200u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let start = Instant::now();
        let mut sender = DtmfSender::new(DtmfConfig::default());
        let mut receiver = DtmfReceiver::default();
        sender.send(digits, start).unwrap();
        let mut heard = String::new();
        let mut late = None;
        for tick in 0..400u32 {
            let now = start + Duration::from_millis(20) * tick;
            while let Some(packet) = sender.poll_packet(now, 160 * tick) {
                if random.below(2) == 0 {
                    continue;
                }
                // One in eight is overtaken by its successor, one in eight comes twice.
                let mut arrivals = vec![packet];
                match random.below(8) {
                    0 => arrivals.push(packet),
                    1 => late = Some(arrivals.remove(0)),
                    _ => arrivals.extend(late.take()),
                }
                for packet in arrivals {
                    let event = receiver.on_packet(packet.timestamp, &packet.payload).unwrap();
                    heard.extend(event.and_then(|event| event.to_char()));
                }
            }
        }
        assert!(!sender.is_sending() && sender.poll_timeout().is_none());
        // Never twice, never out of order; a digit of 11 packets is lost whole once in 2,048.
        let mut expected = digits.chars();
        assert!(heard.chars().all(|digit| expected.any(|e| e == digit)), "seed {seed}: {heard}");
        lost_digits += digits.len() - heard.len();
    }
    assert!(lost_digits < 20, "{lost_digits} of {}", 199 * digits.len());
}

#[test]
fn a_digit_longer_than_its_field_is_one_digit() {
    let config = DtmfConfig { duration: Duration::from_secs(20), ..DtmfConfig::default() };
    let start = Instant::now();
    let mut sender = DtmfSender::new(config);
    sender.send("1", start).unwrap();
    let mut receiver = DtmfReceiver::default();
    let mut heard = 0;
    for tick in 0..1100u32 {
        let now = start + Duration::from_millis(20) * tick;
        while let Some(packet) = sender.poll_packet(now, 160 * tick) {
            heard += usize::from(
                receiver.on_packet(packet.timestamp, &packet.payload).unwrap().is_some(),
            );
        }
    }
    assert_eq!((heard, sender.is_sending()), (1, false));
    // A peer that sends segments, as RFC 4733 §2.5.1.3 has it.
    let mut receiver = DtmfReceiver::default();
    let mut segment = |timestamp: u32, duration: u16| {
        let [d0, d1] = duration.to_be_bytes();
        receiver.on_packet(timestamp, &[1, 10, d0, d1]).unwrap()
    };
    assert!(segment(1000, 0xffff).is_some());
    assert!(segment(1000 + 0xffff, 160).is_none());
    assert!(segment(1000 + 2 * 0xffff, 160).is_some(), "the one before was short: a new digit");
}

#[test]
fn lync_hears_three_packets_at_the_start() {
    let config = linkspan_rtp::ms::dtmf_config(Duration::from_millis(160));
    let start = Instant::now();
    let mut sender = DtmfSender::new(config);
    sender.send("7", start).unwrap();
    let first: Vec<_> = std::iter::from_fn(|| sender.poll_packet(start, 99)).collect();
    assert_eq!(first.len(), 3);
    assert!(first.iter().all(|packet| packet.timestamp == 99));
    assert_eq!(first.iter().filter(|packet| packet.marker).count(), 1);
    assert!(sender.send("x", start).is_err());
}

#[test]
fn loss_is_counted_as_appendix_a_3_does() {
    let now = Instant::now();
    let mut stats = ReceiverStats::new(Ssrc(1), 8000);
    let receive = |stats: &mut ReceiverStats, numbers: std::ops::Range<u32>, skip: u32| {
        for number in numbers.filter(|number| skip == 0 || number % skip != 0) {
            let [_, _, a, b] = number.to_be_bytes();
            stats.on_received(SequenceNumber(u16::from_be_bytes([a, b])), 160 * number, 160, now);
        }
    };
    receive(&mut stats, 65_000..65_100, 0);
    let block = stats.report(now);
    assert_eq!((block.fraction_lost, block.cumulative_lost), (0, 0));
    assert_eq!(block.highest_sequence, 65_099);
    // Every fourth lost, over a rollover.
    receive(&mut stats, 65_100..66_100, 4);
    let block = stats.report(now);
    assert_eq!(block.cumulative_lost, 250);
    assert_eq!(block.fraction_lost, 64);
    assert_eq!(block.highest_sequence, 66_099);
    // Nothing new: no share of nothing.
    assert_eq!(stats.report(now).fraction_lost, 0);
    // Duplicates make the loss negative, as RFC 3550 §6.4.1 has it.
    receive(&mut stats, 66_000..66_100, 0);
    receive(&mut stats, 66_000..66_100, 0);
    receive(&mut stats, 66_000..66_100, 0);
    assert_eq!(stats.report(now).cumulative_lost, -50);
}

#[test]
fn a_jump_is_believed_at_the_second_packet() {
    let now = Instant::now();
    let mut stats = ReceiverStats::new(Ssrc(1), 8000);
    let mut receive = |number: u16| stats.on_received(SequenceNumber(number), 0, 10, now);
    assert_eq!(receive(1), Arrival::InOrder { missing: 0 });
    assert_eq!(receive(4), Arrival::InOrder { missing: 2 });
    assert_eq!(receive(3), Arrival::Late);
    assert_eq!(receive(20_000), Arrival::Jump);
    assert_eq!(receive(5), Arrival::InOrder { missing: 0 });
    assert_eq!(receive(20_000), Arrival::Jump);
    assert_eq!(receive(20_001), Arrival::Restart);
    assert_eq!((stats.packets(), stats.expected(), stats.lost()), (1, 1, 0));
}

#[test]
fn jitter_follows_appendix_a_8() {
    // The same sequence through the code of A.8, with arrival times in timestamp units.
    let start = Instant::now();
    let mut stats = ReceiverStats::new(Ssrc(1), 8000);
    let mut random = Random(7);
    let (mut transit, mut jitter) = (None, 0i64);
    for number in 0..500u16 {
        let timestamp = 160 * u32::from(number);
        // In whole units of 125 µs.
        let arrival = i64::from(timestamp) + i64::try_from(random.below(80)).unwrap();
        let now = start + Duration::from_micros(125) * u32::try_from(arrival).unwrap();
        stats.on_received(SequenceNumber(number), timestamp, 160, now);
        let this = arrival - i64::from(timestamp);
        if let Some(last) = transit {
            let difference: i64 = this - last;
            jitter += difference.abs() - ((jitter + 8) >> 4);
        }
        transit = Some(this);
        assert_eq!(i64::from(stats.report(now).jitter), jitter >> 4, "packet {number}");
    }
    assert!(stats.jitter() > Duration::from_millis(2));
}

#[test]
fn reports_tell_the_round_trip() {
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    let clock = NtpClock::new(start, NtpTime::from_unix(Duration::from_secs(1_700_000_000)));
    let mut sender = SenderStats::new(Ssrc(7), 90_000);
    let mut receiver = ReceiverStats::new(Ssrc(7), 90_000);
    assert_eq!(sender.report(clock.at(start), start), None);
    sender.on_sent(9000, 1200, at(0));
    sender.on_sent(9000, 300, at(1));
    let info = sender.report(clock.at(at(100)), at(100)).unwrap();
    assert_eq!((info.packet_count, info.octet_count, info.rtp_timestamp), (2, 1500, 18_000));
    // 30 ms there, 500 ms held, 40 ms back.
    receiver.on_received(SequenceNumber(1), 9000, 1200, at(30));
    receiver.on_sender_report(&info, at(130));
    let block = receiver.report(at(630));
    let round_trip = sender.on_report(&block, clock.at(at(670))).unwrap();
    assert!(round_trip.abs_diff(Duration::from_millis(70)) < Duration::from_micros(50));
    assert_eq!(sender.round_trip(), Some(round_trip));
}
