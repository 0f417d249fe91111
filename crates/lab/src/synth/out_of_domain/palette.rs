//! Colors that go together: a few random ones, and what lies between and around them.

use crate::synth::rng::SynthRng;

/// RGB levels from 0 to 255.
pub(super) type Levels = [f32; 3];

/// A few colors of one image.
pub(super) struct Palette(Vec<Levels>);

impl Palette {
    /// Two to six colors, mostly of little saturation, as in photographs.
    pub(super) fn sample(rng: &mut SynthRng) -> Self {
        let count = rng.range_inclusive(2, 6);
        let (low, high) = (rng.uniform(0.0, 90.0), rng.uniform(120.0, 255.0));
        let colorful = rng.unit_f32() * rng.unit_f32();
        let color = |rng: &mut SynthRng| {
            let gray = rng.uniform(low, high);
            std::array::from_fn(|_| (gray + (rng.unit_f32() - 0.5) * 320.0 * colorful).clamp(0.0, 255.0))
        };
        Palette((0..count).map(|_| color(rng)).collect())
    }

    /// A color near one of them.
    pub(super) fn near(&self, rng: &mut SynthRng) -> Levels {
        let base = self.0[rng.below(self.0.len())];
        let lighter = rng.uniform(-30.0, 30.0);
        base.map(|level| (level + lighter + rng.uniform(-14.0, 14.0)).clamp(0.0, 255.0))
    }

    /// The color at `share`, from 0 to 1, of the way through all of them.
    pub(super) fn along(&self, share: f32) -> Levels {
        let at = share.clamp(0.0, 1.0) * (self.0.len() - 1) as f32;
        let first = (at as usize).min(self.0.len() - 2);
        mix(self.0[first], self.0[first + 1], at - first as f32)
    }
}

/// `share` of the way from one color to another.
pub(super) fn mix(from: Levels, to: Levels, share: f32) -> Levels {
    std::array::from_fn(|c| from[c] + (to[c] - from[c]) * share)
}
