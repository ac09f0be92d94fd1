//! G.722 at 64 kbit/s (ITU-T G.722 §3 to §5).

/// Encodes G.722: each two samples at 16,000 Hz become an octet.
#[derive(Debug)]
pub(super) struct Encoder {
    low: Band,
    high: Band,
    /// The transmit quadrature mirror filter's memory.
    history: [i32; 24],
}

impl Encoder {
    pub(super) fn new() -> Self {
        Self { low: Band::new(32), high: Band::new(8), history: [0; 24] }
    }

    pub(super) fn encode(&mut self, samples: &[i16]) -> Vec<u8> {
        let pairs = samples.as_chunks::<2>().0;
        pairs.iter().map(|[first, second]| self.encode_pair(*first, *second)).collect()
    }

    fn encode_pair(&mut self, first: i16, second: i16) -> u8 {
        // §3.1: the signal is split into two bands of half the rate.
        self.history.copy_within(2.., 0);
        let [.., even, odd] = &mut self.history;
        (*even, *odd) = (i32::from(first), i32::from(second));
        let pairs = self.history.as_chunks::<2>().0.iter().zip(QMF.iter().zip(QMF.iter().rev()));
        let (mut odd_sum, mut even_sum) = (0, 0);
        for ([even, odd], (forward, backward)) in pairs {
            odd_sum += even * forward;
            even_sum += odd * backward;
        }
        let (low, high) = ((even_sum + odd_sum) >> 14, (even_sum - odd_sum) >> 14);
        self.encode_low(low) | self.encode_high(high) << 6
    }

    fn encode_low(&mut self, sample: i32) -> u8 {
        let error = saturate(sample - self.low.predicted);
        let size = if error >= 0 { error } else { -(error + 1) };
        let decisions = Q6.iter().map(|level| (level * self.low.scale) >> 12);
        let step = 1 + decisions.take_while(|decision| size >= *decision).count();
        // Table 14: the codes of a sign run downwards from the smallest step; the two smallest
        // negative ones stand apart.
        let step = u8::try_from(step).unwrap_or(30);
        let code = match (error < 0, step) {
            (true, 1 | 2) => 64 - step,
            (true, step) => 34 - step,
            (false, step) => 62 - step,
        };
        let upper = usize::from(code >> 2);
        let difference = self.low.scaled(entry(&QM4, upper));
        self.low.adapt_scale(entry(&WL, entry_index(&RL42, upper)), 18_432, 8);
        self.low.adapt_predictor(difference);
        code
    }

    fn encode_high(&mut self, sample: i32) -> u8 {
        let error = saturate(sample - self.high.predicted);
        let size = if error >= 0 { error } else { -(error + 1) };
        let large = size >= (564 * self.high.scale) >> 12;
        let code = match (error < 0, large) {
            (true, true) => 0,
            (true, false) => 1,
            (false, true) => 2,
            (false, false) => 3,
        };
        let difference = self.high.scaled(entry(&QM2, usize::from(code)));
        let weight = entry(&WH, entry_index(&RH2, usize::from(code)));
        self.high.adapt_scale(weight, 22_528, 10);
        self.high.adapt_predictor(difference);
        code
    }
}

/// Decodes G.722: each octet becomes two samples at 16,000 Hz.
#[derive(Debug)]
pub(super) struct Decoder {
    low: Band,
    high: Band,
    /// The receive quadrature mirror filter's memory.
    history: [i32; 24],
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self { low: Band::new(32), high: Band::new(8), history: [0; 24] }
    }

    pub(super) fn decode(&mut self, octets: &[u8]) -> Vec<i16> {
        let mut samples = Vec::with_capacity(octets.len() * 2);
        for octet in octets {
            samples.extend(self.decode_octet(*octet));
        }
        samples
    }

    fn decode_octet(&mut self, octet: u8) -> [i16; 2] {
        let lower = usize::from(octet & 0x3f);
        let upper = usize::from(octet >> 6);
        // §5.1.2 and §4.2: six bits for the output, four for the adaptation.
        let low = clamp(self.low.predicted + self.low.scaled(entry(&QM6, lower)), -16_384, 16_383);
        let difference = self.low.scaled(entry(&QM4, lower >> 2));
        let weight = entry(&WL, entry_index(&RL42, lower >> 2));
        self.low.adapt_scale(weight, 18_432, 8);
        self.low.adapt_predictor(difference);

        let difference = self.high.scaled(entry(&QM2, upper));
        let high = clamp(self.high.predicted + difference, -16_384, 16_383);
        let weight = entry(&WH, entry_index(&RH2, upper));
        self.high.adapt_scale(weight, 22_528, 10);
        self.high.adapt_predictor(difference);
        self.join(low, high)
    }

    /// §4.4: the two bands become one signal of twice the rate.
    fn join(&mut self, low: i32, high: i32) -> [i16; 2] {
        self.history.copy_within(2.., 0);
        let [.., sum, difference] = &mut self.history;
        (*sum, *difference) = (low + high, low - high);
        let pairs = self.history.chunks_exact(2).zip(QMF.iter().zip(QMF.iter().rev()));
        let (mut first, mut second) = (0, 0);
        for (pair, (forward, backward)) in pairs {
            if let [even, odd] = pair {
                second += even * forward;
                first += odd * backward;
            }
        }
        [first >> 11, second >> 11].map(|value| i16::try_from(saturate(value)).unwrap_or(0))
    }
}

/// The adaptive predictor and quantiser scale of one band (§3.5, §3.6).
#[derive(Debug)]
struct Band {
    /// Prediction of the next sample: `s`.
    predicted: i32,
    /// The part of it from the zeros: `sz`.
    from_zeros: i32,
    /// Partly and fully reconstructed signals, newest first: `p`, `r`.
    partial: [i32; 3],
    reconstructed: [i32; 3],
    /// Pole coefficients: `a`.
    poles: [i32; 2],
    /// Quantised differences, newest first: `d`, and zero coefficients: `b`.
    differences: [i32; 7],
    zeros: [i32; 6],
    /// Logarithmic and linear scale: `nabla`, `det`.
    log_scale: i32,
    scale: i32,
}

impl Band {
    fn new(scale: i32) -> Self {
        Self {
            predicted: 0,
            from_zeros: 0,
            partial: [0; 3],
            reconstructed: [0; 3],
            poles: [0; 2],
            differences: [0; 7],
            zeros: [0; 6],
            log_scale: 0,
            scale,
        }
    }

    fn scaled(&self, level: i32) -> i32 {
        (self.scale * level) >> 15
    }

    fn adapt_scale(&mut self, weight: i32, limit: i32, shift: i32) {
        self.log_scale = clamp(((self.log_scale * 127) >> 7) + weight, 0, limit);
        let fraction = usize::try_from((self.log_scale >> 6) & 31).unwrap_or(0);
        let value = entry(&ILB, fraction);
        let down = shift - (self.log_scale >> 11);
        self.scale = if down < 0 { value << -down } else { value >> down } << 2;
    }

    fn adapt_predictor(&mut self, difference: i32) {
        let [_, p1, p2] = &mut self.partial;
        let (old1, old2) = (*p1, *p2);
        let now = saturate(self.from_zeros + difference);
        let reconstructed = saturate(self.predicted + difference);
        let [a1, a2] = self.poles;

        // Second pole, then the first one within what the second allows.
        let same = |x: i32, y: i32| (x < 0) == (y < 0);
        let turned = saturate(a1 << 2);
        let turned = if same(now, old1) { -turned } else { turned }.min(32_767);
        let step = if same(now, old2) { 128 } else { -128 };
        let next2 = clamp(step + (turned >> 7) + ((a2 * 32_512) >> 15), -12_288, 12_288);
        let step = if same(now, old1) { 192 } else { -192 };
        let bound = saturate(15_360 - next2);
        let next1 = clamp(saturate(step + ((a1 * 32_640) >> 15)), -bound, bound);

        // Zeros.
        let step = if difference == 0 { 0 } else { 128 };
        for (zero, old) in self.zeros.iter_mut().zip(self.differences) {
            let step = if same(difference, old) { step } else { -step };
            *zero = saturate(step + ((*zero * 32_640) >> 15));
        }

        self.differences.copy_within(..6, 1);
        let [newest, ..] = &mut self.differences;
        *newest = difference;
        self.partial = [now, now, old1];
        let [_, last, _] = self.reconstructed;
        self.reconstructed = [reconstructed, reconstructed, last];
        self.poles = [next1, next2];
        self.predict();
    }

    fn predict(&mut self) {
        let [_, r1, r2] = self.reconstructed;
        let [a1, a2] = self.poles;
        let term = |coefficient: i32, value: i32| (coefficient * saturate(value + value)) >> 15;
        let from_poles = saturate(term(a1, r1) + term(a2, r2));
        let products = self.zeros.iter().zip(self.differences).map(|(b, d)| term(*b, d));
        self.from_zeros = saturate(products.sum());
        self.predicted = saturate(from_poles + self.from_zeros);
    }
}

fn clamp(value: i32, low: i32, high: i32) -> i32 {
    value.max(low).min(high)
}

fn saturate(value: i32) -> i32 {
    clamp(value, -32_768, 32_767)
}

fn entry(table: &[i32], at: usize) -> i32 {
    table.get(at).copied().unwrap_or(0)
}

fn entry_index(table: &[usize], at: usize) -> usize {
    table.get(at).copied().unwrap_or(0)
}

/// Coefficients of the quadrature mirror filter, every other one.
const QMF: [i32; 12] = [3, -11, 12, 32, -210, 951, 3_876, -805, 362, -156, 53, -11];
/// Decision levels of the lower band.
const Q6: [i32; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1_023,
    1_121, 1_219, 1_339, 1_458, 1_612, 1_765, 1_980, 2_195, 2_557, 2_919,
];
const WL: [i32; 8] = [-60, -30, 58, 172, 334, 538, 1_198, 3_042];
const RL42: [usize; 16] = [0, 7, 6, 5, 4, 3, 2, 1, 7, 6, 5, 4, 3, 2, 1, 0];
const WH: [i32; 3] = [0, -214, 798];
const RH2: [usize; 4] = [2, 1, 2, 1];
const ILB: [i32; 32] = [
    2_048, 2_093, 2_139, 2_186, 2_233, 2_282, 2_332, 2_383, 2_435, 2_489, 2_543, 2_599, 2_656,
    2_714, 2_774, 2_834, 2_896, 2_960, 3_025, 3_091, 3_158, 3_228, 3_298, 3_371, 3_444, 3_520,
    3_597, 3_676, 3_756, 3_838, 3_922, 4_008,
];
const QM2: [i32; 4] = [-7_408, -1_616, 7_408, 1_616];
const QM4: [i32; 16] = [
    0, -20_456, -12_896, -8_968, -6_288, -4_240, -2_584, -1_200, 20_456, 12_896, 8_968, 6_288,
    4_240, 2_584, 1_200, 0,
];
const QM6: [i32; 64] = [
    -136, -136, -136, -136, -24_808, -21_904, -19_008, -16_704, -14_984, -13_512, -12_280, -11_192,
    -10_232, -9_360, -8_576, -7_856, -7_192, -6_576, -6_000, -5_456, -4_944, -4_464, -4_008,
    -3_576, -3_168, -2_776, -2_400, -2_032, -1_688, -1_360, -1_040, -728, 24_808, 21_904, 19_008,
    16_704, 14_984, 13_512, 12_280, 11_192, 10_232, 9_360, 8_576, 7_856, 7_192, 6_576, 6_000,
    5_456, 4_944, 4_464, 4_008, 3_576, 3_168, 2_776, 2_400, 2_032, 1_688, 1_360, 1_040, 728, 432,
    136, -432, -136,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_comes_back_with_its_pitch_and_level() {
        for pitch in [300.0_f64, 1_000.0, 5_000.0] {
            let wave = |n: u32| (f64::from(n) * pitch * core::f64::consts::TAU / 16_000.0).sin();
            #[allow(clippy::cast_possible_truncation, reason = "within the range of a sample")]
            let samples: Vec<i16> = (0..16_000).map(|n| (wave(n) * 10_000.0) as i16).collect();
            let coded = Encoder::new().encode(&samples);
            assert_eq!(coded.len(), 8_000);
            let decoded = Decoder::new().decode(&coded);
            // The filters of both halves delay by 22 samples.
            let (mut noise, mut signal) = (0.0, 0.0);
            for (sent, heard) in samples.iter().zip(&decoded[22..]).skip(400) {
                signal += f64::from(*sent).powi(2);
                noise += (f64::from(*sent) - f64::from(*heard)).powi(2);
            }
            let ratio = 10.0 * (signal / noise).log10();
            assert!(ratio > 15.0, "{pitch} Hz: {ratio:.1} dB");
        }
    }

    #[test]
    fn silence_stays_quiet() {
        let coded = Encoder::new().encode(&[0; 3_200]);
        let decoded = Decoder::new().decode(&coded);
        assert!(decoded.iter().all(|sample| sample.abs() < 16));
    }
}
