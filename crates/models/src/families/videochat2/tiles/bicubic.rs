//! Bicubic interpolation of floats as torch's `interpolate(mode="bicubic", align_corners=False)` does it: four values
//! around a point whatever the scale, so that shrinking leaves values out (no antialiasing), and no rounding.

use rayon::prelude::*;

/// Keys' parameter in torch.
const A: f32 = -0.75;

/// Four places and their weights.
type Taps = [(usize, f32); 4];

/// Values `[height, width, channels]` of a picture of `from` (height, width) at the size `to`.
pub(in crate::families::videochat2) fn resize(
    values: &[f32],
    from: (usize, usize),
    to: (usize, usize),
    channels: usize,
) -> Vec<f32> {
    if from == to {
        return values.to_vec();
    }
    let (across, down) = (taps(from.1, to.1), taps(from.0, to.0));
    let (line, wide) = (from.1 * channels, to.1 * channels);
    let mut rows = vec![0.0; from.0 * wide];
    rows.par_chunks_mut(wide.max(1)).zip(values.par_chunks(line.max(1))).for_each(|(out, row)| {
        for (pixel, taps) in out.chunks_mut(channels).zip(&across) {
            for (channel, value) in pixel.iter_mut().enumerate() {
                *value = taps.iter().map(|(at, weight)| row[at * channels + channel] * weight).sum();
            }
        }
    });
    let mut out = vec![0.0; to.0 * wide];
    out.par_chunks_mut(wide.max(1)).zip(&down).for_each(|(out, taps)| {
        let rows = taps.map(|(at, weight)| (&rows[at * wide..][..wide], weight));
        for (x, value) in out.iter_mut().enumerate() {
            *value = rows.iter().map(|(row, weight)| row[x] * weight).sum();
        }
    });
    out
}

/// For each of `to` values: the four of `from` around it. The edge repeats beyond itself.
fn taps(from: usize, to: usize) -> Vec<Taps> {
    let scale = from as f32 / to as f32;
    let one = |number: usize| {
        let place = scale * (number as f32 + 0.5) - 0.5;
        let first = place.floor();
        let t = place - first;
        let near = |x: f32| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
        let far = |x: f32| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
        let weights = [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)];
        std::array::from_fn(|k| {
            let at = (first as i64 + k as i64 - 1).clamp(0, from as i64 - 1);
            (at as usize, weights[k])
        })
    };
    (0..to).map(one).collect()
}
