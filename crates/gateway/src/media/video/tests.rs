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
