//! DiffFP, the differential frame pruner (VideoLLaMA3 paper, section 2.2): visual tokens that repeat the frame before
//! are left out.

use crate::contract::features::PrepareState;

/// Difference above which a token is kept, in units of half a gray level: pixels in [-1, 1] are 2/255 apart from one
/// gray level to the next, and the reference multiplies their difference by 255.
const THRESHOLD: f32 = 0.1;

/// Which tokens of some frames are kept: those whose pixels differ from the previous frame's by more than [`THRESHOLD`]
/// on average. The first frame is kept whole, and every
/// frame keeps at least its first token. `pixels` are frames of `per_frame` values, of which `per_token` neighbors make
/// a token; the last frame of the run before is in `state`.
pub(super) fn keep_mask(
    pixels: &[f32],
    per_frame: usize,
    per_token: usize,
    state: &mut PrepareState,
) -> Vec<Vec<bool>> {
    let mut masks = Vec::with_capacity(pixels.len() / per_frame);
    for frame in pixels.chunks_exact(per_frame) {
        let mut mask = vec![true; per_frame / per_token];
        if !state.previous_frame.is_empty() {
            let tokens = frame.chunks_exact(per_token).zip(state.previous_frame.chunks_exact(per_token));
            for (keep, (now, before)) in mask.iter_mut().zip(tokens) {
                let sum: f64 = now.iter().zip(before).map(|(a, b)| f64::from((a - b).abs())).sum();
                *keep = (sum / per_token as f64 * 255.0) as f32 > THRESHOLD;
            }
            if !mask.contains(&true) {
                mask[0] = true;
            }
        }
        state.previous_frame.clear();
        state.previous_frame.extend_from_slice(frame);
        masks.push(mask);
    }
    masks
}
