//! Frames of golden files, for the tests of all families.

use candle_core::Tensor;
use zoetrope_media::{Frame, Rgb, Time};

/// `[F, h, w, 3]` or `[h, w, 3]` bytes as frames, `per_second` a second.
pub(super) fn frames_of(raw: &Tensor, per_second: u32) -> Vec<Frame> {
    let raw = if raw.rank() == 3 { raw.unsqueeze(0).unwrap() } else { raw.clone() };
    let (n, height, width, _) = raw.dims4().unwrap();
    let image = |index: usize| {
        let data = raw.get(index).unwrap().flatten_all().unwrap().to_vec1::<u8>().unwrap();
        Rgb { width: width as u32, height: height as u32, data }
    };
    (0..n).map(|index| Frame { index, time: Time::new(index as i64, per_second), image: image(index) }).collect()
}
