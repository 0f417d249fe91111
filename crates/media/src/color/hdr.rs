//! High dynamic range (ITU-R BT.2100) shown as standard dynamic range (BT.709):
//!
//! 1. The signal becomes display light: by the PQ curve (SMPTE ST 2084), or by the inverse HLG curve and its system
//!    gamma for a display of 1000 cd/m².
//! 2. The range is compressed by the curve of ITU-R BT.2390 (EETF, 5.4.1) from 1000 cd/m² to 203 cd/m², the reference
//!    white of BT.2408. It is applied to the largest of red, green and blue; the others keep their ratio to it, so hues
//!    stay. Light above 1000 cd/m² is clipped.
//! 3. Primaries are converted to those of BT.709; what lies outside is clipped.
//! 4. Light becomes the signal of a BT.1886 display (gamma 2.4).

use std::sync::OnceLock;

use super::matrix::Affine;
use super::primaries::to_bt709;

/// Light of the mastering display in cd/m².
const SOURCE_PEAK: f64 = 1000.0;
/// Light that becomes white, in cd/m².
const TARGET_PEAK: f64 = 203.0;
/// Steps of the tables: those of a 12-bit signal. All tables of a curve fit into the first-level cache.
const STEPS: usize = 1 << 12;

/// Curves of the two transfer functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transfer {
    /// Perceptual quantizer (code 16).
    Pq,
    /// Hybrid log-gamma (code 18).
    Hlg,
}

impl Transfer {
    /// The transfer function of a code (ITU-T H.273, table 3); `None` for standard dynamic range.
    pub(super) fn new(code: Option<u8>) -> Option<Transfer> {
        match code {
            Some(16) => Some(Transfer::Pq),
            Some(18) => Some(Transfer::Hlg),
            _ => None,
        }
    }

    fn curves(self) -> &'static Curves {
        static PQ: OnceLock<Curves> = OnceLock::new();
        static HLG: OnceLock<Curves> = OnceLock::new();
        match self {
            Transfer::Pq => PQ.get_or_init(|| Curves::new(self)),
            Transfer::Hlg => HLG.get_or_init(|| Curves::new(self)),
        }
    }

    /// Light of a signal between 0 and 1, where 1 is [`SOURCE_PEAK`]. For HLG, before the system gamma.
    fn light(self, signal: f64) -> f64 {
        match self {
            Transfer::Pq => (pq_light(signal) / SOURCE_PEAK).min(1.0),
            Transfer::Hlg if signal <= 0.5 => signal * signal / 3.0,
            Transfer::Hlg => (((signal - 0.559_910_73) / 0.178_832_77).exp() + 0.284_668_92) / 12.0,
        }
    }
}

/// Light in cd/m² of a PQ signal (BT.2100, table 4).
fn pq_light(signal: f64) -> f64 {
    let root = signal.powf(32.0 / 2523.0);
    let ratio = (root - 107.0 / 128.0).max(0.0) / (2413.0 / 128.0 - 2392.0 / 128.0 * root);
    10_000.0 * ratio.powf(8192.0 / 1305.0)
}

/// The PQ signal of light in cd/m².
fn pq_signal(light: f64) -> f64 {
    let power = (light / 10_000.0).powf(1305.0 / 8192.0);
    ((107.0 / 128.0 + 2413.0 / 128.0 * power) / (1.0 + 2392.0 / 128.0 * power)).powf(2523.0 / 32.0)
}

/// BT.2390, 5.4.1, without lift of black: light from 0 to 1 ([`SOURCE_PEAK`]) to light where 1 is [`TARGET_PEAK`].
fn compressed(light: f64) -> f64 {
    let (source, target) = (pq_signal(SOURCE_PEAK), pq_signal(TARGET_PEAK));
    let (signal, largest) = (pq_signal(light * SOURCE_PEAK) / source, target / source);
    let knee = 1.5 * largest - 0.5;
    let mapped = if signal < knee {
        signal
    } else {
        let t = (signal - knee) / (1.0 - knee);
        let (square, cube) = (t * t, t * t * t);
        (2.0 * cube - 3.0 * square + 1.0) * knee
            + (cube - 2.0 * square + t) * (1.0 - knee)
            + (3.0 * square - 2.0 * cube) * largest
    };
    pq_light(mapped * source) / TARGET_PEAK
}

/// Exponent of the HLG system gamma on luminance, for a display of 1000 cd/m² (BT.2100, table 5).
const SYSTEM_GAMMA: f64 = 0.2;

/// Tables of one transfer function. Those over light are indexed by its square root, which spreads the dark end.
struct Curves {
    /// Light of a signal.
    light: [f32; STEPS],
    /// Factor of the system gamma over luminance; `None` for PQ.
    system: Option<[f32; STEPS]>,
    /// Factor of the compression over the largest component.
    gain: [f32; STEPS],
    /// 8-bit signal of light.
    encoded: [u8; STEPS],
}

impl Curves {
    fn new(transfer: Transfer) -> Curves {
        let table = |f: &dyn Fn(f64) -> f64| -> [f32; STEPS] {
            std::array::from_fn(|i| f(i as f64 / (STEPS - 1) as f64) as f32)
        };
        // The factor has a limit at 0, where the quotient has none.
        let gain = |root: f64| compressed((root * root).max(1e-9)) / (root * root).max(1e-9);
        let encoded = |root: f64| (root.powf(2.0 / 2.4) * 255.0).round();
        Curves {
            light: table(&|signal| transfer.light(signal)),
            system: match transfer {
                Transfer::Pq => None,
                Transfer::Hlg => Some(table(&|root| root.powf(2.0 * SYSTEM_GAMMA))),
            },
            gain: table(&gain),
            encoded: table(&encoded).map(|v| v as u8),
        }
    }
}

/// The conversion of one stream.
pub(super) struct ToneMap {
    affine: Affine,
    curves: &'static Curves,
    /// Linear RGB of the stream to linear RGB of BT.709.
    primaries: [[f32; 3]; 3],
}

impl ToneMap {
    /// The conversion for planes that `affine` makes a signal of. `primaries` is the code of the stream.
    pub(super) fn new(transfer: Transfer, affine: Affine, primaries: Option<u8>) -> ToneMap {
        let primaries = to_bt709(primaries).map(|row| row.map(|x| x as f32));
        ToneMap { affine, curves: transfer.curves(), primaries }
    }

    /// The 8-bit pixel of three values on the 15-bit scale.
    #[inline(always)]
    pub(super) fn pixel(&self, y: i32, u: i32, v: i32) -> [u8; 3] {
        let curves = self.curves;
        let mut light = self.affine.rgb(y, u, v).map(|signal| entry(&curves.light, signal));
        if let Some(system) = &curves.system {
            let luminance = 0.2627 * light[0] + 0.678 * light[1] + 0.0593 * light[2];
            let factor = entry(system, luminance.sqrt());
            light = light.map(|x| x * factor);
        }
        let largest = light[0].max(light[1]).max(light[2]);
        let gain = entry(&curves.gain, largest.sqrt());
        self.primaries.map(|[r, g, b]| {
            let shown = (r * light[0] + g * light[1] + b * light[2]) * gain;
            // The root of a negative number is no number, which becomes black.
            entry(&curves.encoded, shown.sqrt())
        })
    }
}

/// The entry of a table over 0 to 1 that is nearest to `x`; the first or last one outside.
#[inline(always)]
fn entry<T: Copy>(table: &[T; STEPS], x: f32) -> T {
    let last = (STEPS - 1) as f32;
    // Comparisons in this form are one instruction each, and make a NaN 0.
    let x = if x > 0.0 { x * last } else { 0.0 };
    let x = if x < last { x } else { last };
    // Numbers from 2^23 on are whole: the sum rounds, and its low bits are the index. A cast would check for overflow.
    table[(x + 8_388_608.0).to_bits() as usize & (STEPS - 1)]
}

#[cfg(test)]
mod tests {
    use super::super::description::Color;
    use super::super::matrix::Matrix;
    use super::*;

    /// The whole conversion in float64 without tables, of a limited 10-bit BT.2020 code.
    fn reference(transfer: Transfer, [y, cb, cr]: [i32; 3]) -> [u8; 3] {
        let y = (f64::from(y) - 64.0) / 876.0;
        let (cb, cr) = ((f64::from(cb) - 512.0) / 896.0, (f64::from(cr) - 512.0) / 896.0);
        let (r, b) = (y + 1.4746 * cr, y + 1.8814 * cb);
        let signal = [r, (y - 0.2627 * r - 0.0593 * b) / 0.678, b].map(|x| x.clamp(0.0, 1.0));
        let mut light = signal.map(|x| transfer.light(x));
        if transfer == Transfer::Hlg {
            let factor = (0.2627 * light[0] + 0.678 * light[1] + 0.0593 * light[2]).powf(0.2);
            light = light.map(|x| x * factor);
        }
        let largest = light.into_iter().fold(1e-12, f64::max);
        let gain = compressed(largest) / largest;
        // BT.2087, conversion from BT.2020 to BT.709.
        let rows = [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]];
        rows.map(|[r, g, b]| {
            let shown = ((r * light[0] + g * light[1] + b * light[2]) * gain).clamp(0.0, 1.0);
            (shown.powf(1.0 / 2.4) * 255.0).round() as u8
        })
    }

    fn tone_map(transfer: Transfer) -> ToneMap {
        let color = Color { matrix: Some(9), ..Color::default() };
        ToneMap::new(transfer, Affine::new(Matrix::new(color, true), Some(false), 10), Some(9))
    }

    #[test]
    fn pixels_equal_the_definition_in_float64() {
        for transfer in [Transfer::Pq, Transfer::Hlg] {
            let map = tone_map(transfer);
            for y in (64..=940).step_by(12) {
                for (cb, cr) in [(512, 512), (400, 512), (512, 640), (620, 450), (300, 700), (560, 560)] {
                    let [got, want] = [map.pixel(y << 5, cb << 5, cr << 5), reference(transfer, [y, cb, cr])];
                    let off = (0..3).map(|c| got[c].abs_diff(want[c])).max().unwrap();
                    assert!(off <= 1, "{transfer:?} {y} {cb} {cr}: {got:?}, not {want:?}");
                }
            }
        }
    }

    #[test]
    fn published_points_of_the_curves_hold() {
        // BT.2408, table 1: reference white is 58 % of PQ and 75 % of HLG.
        assert!((pq_signal(203.0) - 0.58).abs() < 0.002);
        assert!((pq_light(pq_signal(77.0)) - 77.0).abs() < 1e-6);
        let white = Transfer::Hlg.light(0.75);
        assert!((white.powf(1.2) * SOURCE_PEAK - 203.0).abs() < 1.0);
        assert!((Transfer::Hlg.light(1.0) - 1.0).abs() < 1e-6 && (pq_light(1.0) - 10_000.0).abs() < 1e-6);
        // Black stays black, the peak is white, and light never falls.
        assert!((compressed(1.0) - 1.0).abs() < 1e-9 && compressed(0.0) < 1e-6);
        assert!((1..=1000).all(|i| compressed(f64::from(i) / 1e3) > compressed(f64::from(i - 1) / 1e3)));
    }

    #[test]
    fn gray_stays_gray_and_wild_values_are_clipped() {
        for transfer in [Transfer::Pq, Transfer::Hlg] {
            let map = tone_map(transfer);
            for y in 0..1024 {
                let [r, g, b] = map.pixel(y << 5, 1 << 14, 1 << 14);
                assert!(r.abs_diff(g) <= 1 && g.abs_diff(b) <= 1, "{y}: {r} {g} {b}");
            }
            assert_eq!(map.pixel(0, 1 << 14, 1 << 14), [0; 3]);
            assert_eq!(map.pixel(1023 << 5, 1 << 14, 1 << 14), [255; 3]);
            map.pixel(i32::MAX, i32::MIN, i32::MAX);
        }
    }
}
