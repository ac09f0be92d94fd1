//! Sound: G.711 µ-law, a test tone, and WAV files.

use std::io;
use std::path::Path;

/// Samples a second of every telephone-band codec.
pub const SAMPLE_RATE_HZ: u32 = 8_000;
/// Octets of a 20 ms packet of G.711.
pub const PACKET_OCTETS: usize = 160;

/// A tone whose pitch rises and falls, so that no two packets are alike, in µ-law.
///
/// ```
/// let tone = linkspan_examples::synthesise(440.0, 50);
/// assert_eq!(tone.len(), 50 * 160);
/// assert_ne!(tone[..160], tone[160..320]);
/// ```
pub fn synthesise(pitch_hz: f64, packets: usize) -> Vec<u8> {
    let rate = f64::from(SAMPLE_RATE_HZ);
    let mut phase = 0.0_f64;
    let mut time = 0.0_f64;
    let mut sample = || {
        let vibrato = 1.0 + 0.05 * (core::f64::consts::TAU * 1.3 * time).sin();
        phase = (phase + pitch_hz * vibrato / rate).fract();
        time += 1.0 / rate;
        let level = 9_000.0 + 2_000.0 * (core::f64::consts::TAU * 0.7 * time).sin();
        ulaw_from_linear(round_to_sample(level * (core::f64::consts::TAU * phase).sin()))
    };
    (0..packets * PACKET_OCTETS).map(|_| sample()).collect()
}

/// ITU-T G.711 µ-law of one 16-bit sample.
pub fn ulaw_from_linear(sample: i16) -> u8 {
    const BIAS: u16 = 0x84;
    const CLIP: u16 = 32_635;
    let sign: u8 = if sample < 0 { 0x80 } else { 0 };
    let magnitude = sample.unsigned_abs().min(CLIP) + BIAS;
    // The segment is the place of the highest bit above bit 7.
    let exponent = 8 - magnitude.leading_zeros().min(8);
    let [_, mantissa] = ((magnitude >> (exponent + 3)) & 0x0f).to_be_bytes();
    let [.., exponent] = exponent.to_be_bytes();
    !(sign | exponent << 4 | mantissa)
}

/// The 16-bit sample of one µ-law octet.
pub fn linear_from_ulaw(octet: u8) -> i16 {
    let octet = !octet;
    let exponent = (octet >> 4) & 7;
    let magnitude = ((i16::from(octet & 0x0f) << 3) + 0x84) << exponent;
    let magnitude = magnitude - 0x84;
    if octet & 0x80 == 0 { magnitude } else { -magnitude }
}

/// Reads a WAV file (16-bit PCM or µ-law, any rate that is a multiple of 8,000 Hz, any number of
/// channels) as µ-law at 8,000 Hz, mono.
///
/// # Errors
/// When the file cannot be read or is in another form.
pub fn read_wav(path: &Path) -> io::Result<Vec<u8>> {
    parse_wav(&std::fs::read(path)?)
}

/// Writes µ-law at 8,000 Hz as a 16-bit PCM WAV file.
///
/// # Errors
/// When the file cannot be written.
pub fn write_wav(path: &Path, ulaw: &[u8]) -> io::Result<()> {
    std::fs::write(path, wav_from_ulaw(ulaw))
}

fn parse_wav(file: &[u8]) -> io::Result<Vec<u8>> {
    let refuse = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
    let Some((b"RIFF", rest)) = file.split_first_chunk::<4>() else {
        return Err(refuse("not a RIFF file"));
    };
    let Some((b"WAVE", mut rest)) = rest.get(4..).and_then(|rest| rest.split_first_chunk::<4>())
    else {
        return Err(refuse("not a WAVE file"));
    };
    let mut form = None;
    while let Some((head, after)) = rest.split_first_chunk::<8>() {
        let [i, j, k, l, a, b, c, d] = *head;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        let body = after.get(..length.min(after.len())).unwrap_or_default();
        match &[i, j, k, l] {
            b"fmt " => form = Form::parse(body),
            b"data" => {
                let form = form.ok_or_else(|| refuse("no usable fmt chunk before the data"))?;
                return form.ulaw(body).ok_or_else(|| {
                    refuse("neither 16-bit PCM nor u-law at a multiple of 8000 Hz")
                });
            }
            _ => {}
        }
        rest = after.get(length + (length & 1)..).unwrap_or_default();
    }
    Err(refuse("no data chunk"))
}

/// The part of a `fmt ` chunk that matters.
#[derive(Clone, Copy)]
struct Form {
    format: u16,
    channels: usize,
    rate_hz: u32,
    bits: u16,
}

impl Form {
    fn parse(body: &[u8]) -> Option<Self> {
        let (&[f0, f1, c0, c1, r0, r1, r2, r3, _, _, _, _, _, _, b0, b1], _) =
            body.split_first_chunk::<16>()?;
        Some(Self {
            format: u16::from_le_bytes([f0, f1]),
            channels: usize::from(u16::from_le_bytes([c0, c1])),
            rate_hz: u32::from_le_bytes([r0, r1, r2, r3]),
            bits: u16::from_le_bytes([b0, b1]),
        })
    }

    fn ulaw(self, body: &[u8]) -> Option<Vec<u8>> {
        let decimate = (self.rate_hz / SAMPLE_RATE_HZ) as usize;
        if self.channels == 0 || decimate == 0 || !self.rate_hz.is_multiple_of(SAMPLE_RATE_HZ) {
            return None;
        }
        let samples: Vec<i16> = match (self.format, self.bits) {
            (1, 16) => body
                .chunks_exact(2)
                .filter_map(|pair| pair.try_into().ok())
                .map(i16::from_le_bytes)
                .collect(),
            (7, 8) => body.iter().copied().map(linear_from_ulaw).collect(),
            _ => return None,
        };
        // The first channel; the mean of the samples that become one is a filter good enough here.
        let mono: Vec<i32> = samples.iter().step_by(self.channels).map(|s| i32::from(*s)).collect();
        let mean = |group: &[i32]| {
            let sum: i32 = group.iter().sum();
            let mean = sum / i32::try_from(group.len()).unwrap_or(1);
            ulaw_from_linear(i16::try_from(mean).unwrap_or(0))
        };
        Some(mono.chunks(decimate).map(mean).collect())
    }
}

fn wav_from_ulaw(ulaw: &[u8]) -> Vec<u8> {
    let octets = u32::try_from(ulaw.len() * 2).unwrap_or(u32::MAX - 36);
    let mut file = Vec::with_capacity(44 + ulaw.len() * 2);
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&(36 + octets).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt ");
    file.extend_from_slice(&16_u32.to_le_bytes());
    file.extend_from_slice(&[1, 0, 1, 0]);
    file.extend_from_slice(&SAMPLE_RATE_HZ.to_le_bytes());
    file.extend_from_slice(&(SAMPLE_RATE_HZ * 2).to_le_bytes());
    file.extend_from_slice(&[2, 0, 16, 0]);
    file.extend_from_slice(b"data");
    file.extend_from_slice(&octets.to_le_bytes());
    for octet in ulaw {
        file.extend_from_slice(&linear_from_ulaw(*octet).to_le_bytes());
    }
    file
}

#[allow(clippy::cast_possible_truncation, reason = "clamped to the range of a sample first")]
fn round_to_sample(value: f64) -> i16 {
    value.round().clamp(f64::from(i16::MIN), f64::from(i16::MAX)) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ulaw_octet_survives_the_way_through_linear() {
        // 0x7f is minus zero; its sample is plain zero, whose octet is 0xff.
        for octet in (0..=255_u8).filter(|octet| *octet != 0x7f) {
            assert_eq!(ulaw_from_linear(linear_from_ulaw(octet)), octet, "{octet:#04x}");
        }
        // ITU-T G.711 table 2a: the end points and the zero.
        assert_eq!(linear_from_ulaw(0x00), -32_124);
        assert_eq!(linear_from_ulaw(0x80), 32_124);
        assert_eq!(linear_from_ulaw(0xff), 0);
        assert_eq!(ulaw_from_linear(i16::MIN), 0x00);
        assert_eq!(ulaw_from_linear(i16::MAX), 0x80);
    }

    #[test]
    fn wav_files_come_back_as_they_were_written() {
        let tone = synthesise(440.0, 10);
        assert_eq!(parse_wav(&wav_from_ulaw(&tone)).unwrap(), tone);
    }

    #[test]
    fn sixteen_kilohertz_stereo_is_reduced() {
        let mut file = wav_from_ulaw(&[0xff; 400]);
        file[22] = 2;
        file[24..28].copy_from_slice(&16_000_u32.to_le_bytes());
        assert_eq!(parse_wav(&file).unwrap(), [0xff; 100]);
        file[24..28].copy_from_slice(&44_100_u32.to_le_bytes());
        assert!(parse_wav(&file).is_err());
    }

    #[test]
    fn broken_wav_files_are_refused() {
        let file = wav_from_ulaw(&[1, 2, 3, 4]);
        for length in 0..44 {
            assert!(parse_wav(&file[..length]).is_err(), "{length}");
        }
    }
}
