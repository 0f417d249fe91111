//! Weights to begin training with.

use candle_core::{Device, Tensor};

use crate::error::ModelError;

/// SplitMix64: a full-period generator that needs one word of state.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In (0, 1).
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Box-Muller.
    fn normal(&mut self) -> f32 {
        ((-2.0 * self.unit().ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()) as f32
    }
}

/// Spread of the encoder's query and key biases at the start. Under rotary positions two biases make a score that
/// depends on the distance alone, so heads begin with patterns of places; from zero, place is learnt several times
/// later. In the decoder the same halves the pace (docs/LOG.md).
const POSITION_STD: f32 = 1.5;

/// A tensor to begin training with; the same for the same `seed` and `name`.
pub(super) fn drawn(seed: u64, name: &str, shape: &[usize], device: &Device) -> Result<Tensor, ModelError> {
    let n: usize = shape.iter().product();
    let seeing = name.starts_with("model.vision_model");
    let std = if seeing && (name.ends_with("q_proj.bias") || name.ends_with("k_proj.bias")) {
        POSITION_STD
    } else if shape.len() == 1 {
        0.0
    } else if name.ends_with("embed_tokens.weight") {
        0.1
    } else {
        let fan_in: usize = shape[1..].iter().product();
        (fan_in as f32).powf(-0.5)
    };
    let mean = if shape.len() == 1 && !name.ends_with("bias") { 1.0 } else { 0.0 };
    let mut random = SplitMix(seed);
    for byte in name.bytes() {
        random = SplitMix(random.next() ^ u64::from(byte));
    }
    let values: Vec<f32> = (0..n).map(|_| mean + random.normal() * std).collect();
    Ok(Tensor::from_vec(values, shape, device)?)
}
