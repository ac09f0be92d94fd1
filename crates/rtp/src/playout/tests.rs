use super::*;

/// xorshift64: repeatable.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// What left the buffer, and when in milliseconds.
#[derive(Debug, Default)]
struct Played {
    packets: Vec<(u16, u64)>,
    lost: u32,
    refused: u32,
}

/// Packets with their arrival in microseconds, number and marker, timestamps 160 apart.
fn play(config: PlayoutConfig, mut arrivals: Vec<(u64, u16, bool)>) -> (Played, Vec<Duration>) {
    arrivals.sort_unstable();
    let start = Instant::now();
    let mut buffer = PlayoutBuffer::new(config);
    let (mut played, mut delays) = (Played::default(), Vec::new());
    let mut arrivals = arrivals.into_iter().peekable();
    loop {
        let arrival = arrivals.peek().map(|(us, ..)| start + Duration::from_micros(*us));
        let now = match (arrival, buffer.poll_timeout()) {
            (Some(arrival), Some(due)) => arrival.min(due),
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => return (played, delays),
        };
        if arrival == Some(now) {
            let (_, number, marker) = arrivals.next().unwrap();
            let timestamp = 160 * u32::from(number);
            let taken = buffer.push(SequenceNumber(number), timestamp, marker, number, now);
            played.refused += u32::from(taken.is_err());
            assert!(buffer.poll_timeout().is_none_or(|due| due <= now + config.max_delay));
            delays.push(buffer.delay());
        }
        buffer.handle_timeout(now);
        while let Some(item) = buffer.poll() {
            match item {
                Reordered::Packet { sequence, item } => {
                    assert_eq!(sequence.0, item);
                    let ms = u64::try_from((now - start).as_millis()).unwrap();
                    played.packets.push((item, ms));
                }
                Reordered::Lost { count, .. } => played.lost += u32::from(count),
                Reordered::Restarted => unreachable!("restarted"),
            }
        }
    }
}

/// 20 ms apart, each up to `jitter_us` late.
fn jittered(packets: u16, jitter_us: u64, random: &mut Random) -> Vec<(u64, u16, bool)> {
    let arrival = |number: u16| 20_000 * u64::from(number);
    (0..packets).map(|n| (arrival(n) + random.below(jitter_us + 1), n, n == 0)).collect()
}

#[test]
fn a_fixed_delay_plays_evenly_and_counts_what_comes_too_late() {
    let config = PlayoutConfig::fixed(8000, Duration::from_millis(60));
    let mut random = Random(3);
    let mut arrivals = jittered(500, 55_000, &mut random);
    arrivals[0].0 = 0;
    arrivals[100].0 += 200_000;
    arrivals.remove(200);
    let (played, delays) = play(config, arrivals);
    assert_eq!((played.packets.len(), played.lost, played.refused), (498, 2, 1));
    assert!(delays.iter().all(|delay| *delay == Duration::from_millis(60)));
    for (number, ms) in played.packets {
        assert!((20 * u64::from(number) + 60).abs_diff(ms) <= 1, "{number} at {ms}");
    }
}

#[test]
fn the_delay_finds_the_jitter_and_loses_next_to_nothing() {
    for (jitter_ms, seed) in [(0u64, 1), (50, 2), (120, 3), (250, 4)] {
        let mut random = Random(seed);
        let arrivals = jittered(2000, 1000 * jitter_ms, &mut random);
        let (played, delays) = play(PlayoutConfig::default(), arrivals);
        let last = delays.last().unwrap().as_millis();
        let expected = u128::from(jitter_ms.max(40));
        assert!((expected * 8 / 10..=expected + 5).contains(&last), "{last} for {jitter_ms}");
        assert!(played.packets.len() > 1980, "{} of 2000 at {jitter_ms}", played.packets.len());
        // Those overtaken by the very first to come were never waited for.
        let first = usize::from(played.packets[0].0);
        assert_eq!(first + played.packets.len() + played.lost as usize, 2000);
    }
}

#[test]
fn the_delay_shrinks_at_a_talk_spurt_or_unheard() {
    let mut random = Random(5);
    let calm = |arrivals: &mut Vec<(u64, u16, bool)>| {
        arrivals.iter_mut().filter(|a| a.1 >= 200).for_each(|a| a.0 = 20_000 * u64::from(a.1));
    };
    let mut arrivals = jittered(3000, 200_000, &mut random);
    calm(&mut arrivals);
    let (_, delays) = play(PlayoutConfig::default(), arrivals.clone());
    assert!(delays[250] > Duration::from_millis(100));
    assert_eq!(delays[2999], Duration::from_millis(40));
    // One part in a hundred of 20 ms.
    let steps = delays[250..].windows(2).map(|pair| pair[0].saturating_sub(pair[1]));
    assert!(steps.max().unwrap() <= Duration::from_micros(200));
    arrivals[600].2 = true;
    let (_, delays) = play(PlayoutConfig::default(), arrivals);
    assert!(delays[600] + Duration::from_millis(20) < delays[599], "{:?}", &delays[598..602]);
}

#[test]
fn drifting_clocks_and_new_timestamps_are_followed() {
    // The sender's clock is 500 parts in a million slow: a minute is 30 ms too long.
    let arrivals = (0..30_000u16).map(|n| (20_010 * u64::from(n), n, n == 0)).collect();
    let (played, delays) = play(PlayoutConfig::default(), arrivals);
    assert_eq!((played.lost, played.refused), (0, 0));
    assert!(*delays.last().unwrap() < Duration::from_millis(60), "{:?}", delays.last());

    let start = Instant::now();
    let mut buffer = PlayoutBuffer::new(PlayoutConfig::default());
    for (number, timestamp) in [1_000_000u32, 1_000_160, 77, 237, 3_000_000_000].iter().enumerate()
    {
        let now = start + Duration::from_millis(20 * number as u64);
        let sequence = SequenceNumber(u16::try_from(number).unwrap());
        buffer.push(sequence, *timestamp, false, (), now).unwrap();
        assert!(buffer.waiting.values().all(|w| w.due <= now + Duration::from_millis(400)));
    }
    assert!(buffer.delay() < Duration::from_millis(60));
}

#[test]
fn order_jumps_and_capacity() {
    let now = Instant::now();
    let mut buffer = PlayoutBuffer::new(PlayoutConfig { capacity: 3, ..Default::default() });
    let mut push = |number: u16| {
        buffer.push(SequenceNumber(number), 160 * u32::from(number), false, number, now)
    };
    for number in [65_535, 1, 0, 3] {
        assert_eq!(push(number), Ok(()));
    }
    assert_eq!((push(0), push(65_535)), (Err(ReorderError::Duplicate), Err(ReorderError::Late)));
    assert_eq!((push(30_000), push(4)), (Err(ReorderError::Jump), Ok(())));
    assert_eq!((push(30_000), push(30_001)), (Err(ReorderError::Jump), Ok(())));
    buffer.handle_timeout(now + Duration::from_secs(1));
    let packet = |n| Reordered::Packet { sequence: SequenceNumber(n), item: n };
    let out: Vec<_> = std::iter::from_fn(|| buffer.poll()).collect();
    assert_eq!(out, [packet(65_535), packet(0), Reordered::Restarted, packet(30_001)]);
    assert_eq!((buffer.waiting(), buffer.poll_timeout()), (0, None));
}
