//! What packet loss does to video with and without temporal layers: the table of `linkspan-svc`.
//!
//! ```text
//! cargo run --release --example svc-loss -- STREAM.264              # a stream with temporal layers
//! cargo run --release --example svc-loss -- --check FILE STREAM.264 # FILE holds the table already
//! ```
//!
//! The stream is sent as X-H264UC, each layer on a source of its own, and so is the same picture
//! encoded without layers at the same bit rate. Packets are lost at random; a
//! [`Protector`] keeps those of the base layer and sends them again when the receiver misses them.
//! Behind the receiver's [`LossGate`] stands OpenH264's decoder: each picture that the gate passes
//! must come out exactly as it was sent, or the program fails.
#![allow(
    clippy::indexing_slicing,
    reason = "pictures are numbered by the program itself; its input is a file of the user's"
)]

mod encoder;

use std::collections::HashMap;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use encoder::{Encoder, Picture, Settings};
use linkspan_svc::{
    AccessUnit, AccessUnitReader, AvcToUc, AvcToUcConfig, Depacketizer, DepacketizerConfig,
    GateConfig, Layering, LossGate, Packetizer, PacketizerConfig, PayloadFormat, PayloadMeta,
    Protection, ProtectionConfig, Protector, ReferenceRule,
};
use openh264::decoder::Decoder;
use openh264::formats::YUVSource;

/// What packet loss does to video with and without temporal layers.
#[derive(Debug, Parser)]
struct Arguments {
    /// How often each case is run, with other losses each time.
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// Fail unless this file holds the table line by line.
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
    /// Decode what arrives for this many seeds of each case; the last row is always decoded.
    #[arg(long, default_value_t = 1)]
    decode: u64,
    /// A 1280x720 stream with temporal layers in prefix NAL units.
    input: PathBuf,
}

/// Shares of packets lost, in percent.
const LOSSES: [u64; 6] = [0, 5, 10, 20, 30, 50];
/// Milliseconds from one picture to the next, and from a request to its answer.
const PICTURE_MS: u64 = 33;
const ROUND_TRIP_MS: u64 = 20;
/// How often the receiver asks for a base packet: its pictures wait as long as that takes.
const REQUESTS: u64 = 20;

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    let octets = std::fs::read(&arguments.input)?;
    let layered = Video::new(octets)?;
    let flat = Video::new(without_layers(&layered)?)?;
    let mut cases = [
        Case { video: flat, protects: false, errors: HashMap::new() },
        Case { video: layered.clone(), protects: false, errors: HashMap::new() },
        Case { video: layered, protects: true, errors: HashMap::new() },
    ];
    let mut table = vec![
        "| loss | no layers | 3 layers | 3 layers, base protected |".to_owned(),
        "|---|---|---|---|".to_owned(),
    ];
    for percent in LOSSES {
        let mut row = format!("| {percent} % |");
        for case in &mut cases {
            let decoded = if percent == 50 { u64::MAX } else { arguments.decode };
            let outcome = case.run(percent, arguments.seeds, decoded)?;
            row += &format!(" {outcome} |");
        }
        println!("{row}");
        table.push(row);
    }
    let Some(file) = &arguments.check else { return Ok(true) };
    let text = std::fs::read_to_string(file)?;
    let missing: Vec<_> = table.iter().filter(|row| !text.lines().any(|l| l == *row)).collect();
    missing.iter().for_each(|row| eprintln!("not in {}: {row}", file.display()));
    Ok(missing.is_empty())
}

/// A stream and the pictures that it shows.
#[derive(Clone)]
struct Video {
    units: Vec<AccessUnit>,
    pictures: Vec<Vec<u8>>,
    octets: usize,
}

impl Video {
    fn new(stream: Vec<u8>) -> Result<Self, Box<dyn Error>> {
        let units: Vec<AccessUnit> = AccessUnitReader::new(&stream).collect();
        let mut decoder = Decoder::new()?;
        let mut pictures = Vec::new();
        for unit in &units {
            pictures.push(decode(&mut decoder, unit)?.ok_or("a picture does not decode")?);
        }
        Ok(Self { units, pictures, octets: stream.len() })
    }
}

/// The luma of the picture in an access unit.
fn decode(decoder: &mut Decoder, unit: &AccessUnit) -> Result<Option<Vec<u8>>, Box<dyn Error>> {
    let Some(picture) = decoder.decode(unit.annex_b())? else { return Ok(None) };
    let (width, height) = picture.dimensions();
    let mut luma = Vec::with_capacity(width * height);
    for row in picture.y().chunks(picture.strides().0).take(height) {
        luma.extend_from_slice(row.get(..width).unwrap_or(row));
    }
    Ok(Some(luma))
}

/// The same pictures, encoded without layers at the same bit rate.
fn without_layers(video: &Video) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut encoder = Encoder::new(&Settings {
        sizes: &[(1_280, 720, 1_200_000)],
        temporal_layers: 1,
        prefix_nal_units: false,
        slice_octets: 0,
        idr_every: 0,
    })?;
    let mut decoder = Decoder::new()?;
    let (mut picture, mut out) = (Picture::new(1_280, 720), Vec::new());
    for (number, unit) in (0..).zip(&video.units) {
        let Some(source) = decoder.decode(unit.annex_b())? else { continue };
        let (width, height) = source.dimensions();
        let strides = source.strides();
        for (plane, (from, stride, width, height)) in picture.planes.iter_mut().zip([
            (source.y(), strides.0, width, height),
            (source.u(), strides.1, width / 2, height / 2),
            (source.v(), strides.2, width / 2, height / 2),
        ]) {
            plane.clear();
            for row in from.chunks(stride).take(height) {
                plane.extend_from_slice(row.get(..width).unwrap_or(row));
            }
        }
        encoder.encode(&mut picture, number, &mut out)?;
    }
    let share = out.len() as f64 / video.octets as f64;
    eprintln!("without layers: {} octets, {share:.2} times the layered stream", out.len());
    Ok(out)
}

/// One column of the table.
struct Case {
    video: Video,
    protects: bool,
    /// Mean squared errors of one picture shown in the place of another; `None` is no picture yet.
    errors: HashMap<(usize, Option<usize>), f64>,
}

impl Case {
    fn run(&mut self, percent: u64, seeds: u64, decoded: u64) -> Result<String, Box<dyn Error>> {
        let (mut shown, mut error, mut pictures) = (0, 0.0, 0);
        let mut base = [0; 2];
        for seed in 1..=seeds {
            let received = self.send(percent, seed);
            let passed = pass(received);
            if seed <= decoded {
                self.compare(&passed)?;
            }
            let numbers: Vec<usize> = passed.iter().map(number_of).collect();
            let is_base = |n: &usize| self.tid(*n) == 0;
            base[0] += numbers.iter().filter(|n| is_base(n)).count();
            base[1] += (0..self.video.units.len()).filter(is_base).count();
            shown += numbers.len();
            pictures += self.video.units.len();
            let mut last = None;
            for n in 0..self.video.units.len() {
                if numbers.binary_search(&n).is_ok() {
                    last = Some(n);
                }
                error += self.error(n, last);
            }
        }
        if self.protects && base[0] != base[1] {
            return Err(format!("{} of {} base pictures at {percent} %", base[0], base[1]).into());
        }
        let error = error / pictures as f64;
        let quality = if error == 0.0 {
            "exact".to_owned()
        } else {
            format!("{:.1} dB", 10.0 * (255.0 * 255.0 / error).log10())
        };
        Ok(format!("{} %, {quality}", shown * 100 / pictures))
    }

    fn tid(&self, number: usize) -> u8 {
        self.video.units[number].temporal_id().unwrap_or(0)
    }

    fn error(&mut self, number: usize, shown: Option<usize>) -> f64 {
        if shown == Some(number) {
            return 0.0;
        }
        let pictures = &self.video.pictures;
        *self.errors.entry((number, shown)).or_insert_with(|| {
            // Every eighth row: the figure moves by hundredths.
            let rows = |n: usize| pictures[n].chunks(1_280).step_by(8);
            let grey = [128; 1_280];
            let (mut sum, mut samples) = (0, 0);
            for (at, wanted) in rows(number).enumerate() {
                // Before anything has been shown there is grey.
                let other = shown.and_then(|other| rows(other).nth(at)).unwrap_or(&grey);
                let square = |(a, b): (&u8, &u8)| u64::from(a.abs_diff(*b)).pow(2);
                sum += wanted.iter().zip(other).map(square).sum::<u64>();
                samples += wanted.len();
            }
            sum as f64 / samples as f64
        })
    }

    /// Decodes what was passed; every picture must be the one that was sent.
    fn compare(&self, passed: &[AccessUnit]) -> Result<(), Box<dyn Error>> {
        let mut decoder = Decoder::new()?;
        for unit in passed {
            let number = number_of(unit);
            if decode(&mut decoder, unit)?.as_ref() != Some(&self.video.pictures[number]) {
                return Err(format!("picture {number} was passed, and decodes otherwise").into());
            }
        }
        Ok(())
    }

    /// What arrives, in the order of time: the packets that are not lost, and those of the base that
    /// the receiver missed and got on request.
    fn send(&self, percent: u64, seed: u64) -> Vec<(PayloadMeta, Vec<u8>)> {
        let layering = Layering::Temporal { layers: 3 };
        let mut rewriter = AvcToUc::new(AvcToUcConfig { layering, ..AvcToUcConfig::default() });
        let mut packetizer = Packetizer::new(PacketizerConfig::uc_svc(1_150));
        let base = if self.protects { Protection::Retransmit } else { Protection::None };
        let mut protector =
            Protector::new(ProtectionConfig { base, ..ProtectionConfig::default() });
        let (mut sequences, mut random) = ([0u16; 64], Random(seed));
        let mut arrivals: Vec<(u64, PayloadMeta, Vec<u8>)> = Vec::new();
        for (number, unit) in (0..).zip(&self.video.units) {
            let Some(uc) = rewriter.process(unit) else { continue };
            for payload in packetizer.packetize(uc).iter() {
                let sequence = &mut sequences[usize::from(payload.prid())];
                let meta = PayloadMeta {
                    ssrc: u32::from(payload.prid()),
                    sequence: *sequence,
                    timestamp: unit.timestamp(),
                    marker: payload.marker,
                };
                *sequence = sequence.wrapping_add(1);
                let octets = payload.to_vec();
                protector.sent(meta.ssrc, meta.sequence, payload.layer(), &octets);
                let sent = number * PICTURE_MS;
                if !random.loses(percent) {
                    arrivals.push((sent, meta, octets));
                    continue;
                }
                let answer = protector.retransmit(meta.ssrc, meta.sequence).map(<[u8]>::to_vec);
                let mut requests = 1..=REQUESTS;
                if let Some((octets, n)) = answer.zip(requests.find(|_| !random.loses(percent))) {
                    arrivals.push((sent + n * ROUND_TRIP_MS, meta, octets));
                }
            }
        }
        arrivals.sort_by_key(|(at, ..)| *at);
        arrivals.into_iter().map(|(_, meta, payload)| (meta, payload)).collect()
    }
}

/// The access units that the receiver's gate passes.
fn pass(packets: Vec<(PayloadMeta, Vec<u8>)>) -> Vec<AccessUnit> {
    let mut config = DepacketizerConfig::new(PayloadFormat::UcSvc);
    config.limits.reorder_ticks = u32::try_from(REQUESTS * ROUND_TRIP_MS * 90 + 9_000).unwrap_or(0);
    config.limits.reorder_packets = 512;
    let mut depacketizer = Depacketizer::new(config);
    let references = ReferenceRule::First;
    let mut gate = LossGate::new(GateConfig { references, ..GateConfig::default() });
    let mut passed = Vec::new();
    let mut take = |depacketizer: &mut Depacketizer| {
        while let Some(unit) = depacketizer.poll_access_unit() {
            if gate.accept(&unit) && unit.has_slices() {
                passed.push(unit);
            }
        }
    };
    for (meta, payload) in packets {
        // What is refused is late, or a duplicate.
        let _ = depacketizer.push(meta, &payload);
        take(&mut depacketizer);
    }
    depacketizer.flush();
    take(&mut depacketizer);
    passed
}

/// Pictures are 3000 ticks apart, from 0.
fn number_of(unit: &AccessUnit) -> usize {
    usize::try_from(unit.timestamp() / 3_000).unwrap_or(usize::MAX)
}

/// Losses that come again with the same seed.
struct Random(u64);

impl Random {
    fn loses(&mut self, percent: u64) -> bool {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % 100 < percent
    }
}
