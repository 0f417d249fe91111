//! Frames of high resolution (HD): resized to whole tiles in floats, as the authors do with torch; the whole picture is
//! shrunk from that.

pub(super) mod bicubic;

use zoetrope_kernels::image::resize::{Filter, Order};
use zoetrope_media::Rgb;

use crate::contract::media_plan::{MediaPlan, View};
use crate::error::ModelResult;
use crate::processing::{Resample, view_image};

/// How other frames are resized. Bars beside a frame of another shape are black.
pub(super) const RESAMPLE: Resample =
    Resample { filter: Filter::Bicubic, order: Order::HorizontalFirst, background: [0; 3] };

/// A frame resized to its tiles, `[height, width, 3]`, normalized.
pub(super) struct TiledFrame {
    size: (usize, usize),
    pixels: Vec<f32>,
}

impl TiledFrame {
    /// The frame as all tiles of a plan; `norm` are means and deviations in units of full scale.
    ///
    /// # Errors
    /// When a frame has no pixels.
    pub(super) fn new(plan: &MediaPlan, frame: &Rgb, norm: ([f32; 3], [f32; 3])) -> ModelResult<Self> {
        let (width, height) = plan.views[0].resized;
        let size = (height as usize, width as usize);
        let odd; // A frame of another shape than the planned one gets bars.
        let (source, from) = match (frame.width, frame.height) == plan.source {
            true => (&frame.data, (frame.height as usize, frame.width as usize)),
            false => {
                odd = view_image(&View::whole(plan.source, (width, height), (1, 1)), plan.source, frame, RESAMPLE)?;
                (&odd.data, size)
            }
        };
        let values: Vec<f32> = source.iter().map(|&level| f32::from(level)).collect();
        let mut pixels = bicubic::resize(&values, from, size, 3);
        let normal = |value: f32, channel: usize| (value / 255.0 - norm.0[channel]) / norm.1[channel];
        pixels.chunks_mut(3).for_each(|pixel| (0..3).for_each(|n| pixel[n] = normal(pixel[n], n)));
        Ok(TiledFrame { size, pixels })
    }

    /// The pixels of a view, `[height, width, 3]`.
    fn view(&self, view: &View) -> Vec<f32> {
        let window = view.window;
        let (height, width) = (window.height as usize, window.width as usize);
        if view.resized != (self.size.1 as u32, self.size.0 as u32) {
            return bicubic::resize(&self.pixels, self.size, (height, width), 3);
        }
        let (left, top) = (window.left.max(0) as usize, window.top.max(0) as usize);
        let row = |y: usize| &self.pixels[((top + y) * self.size.1 + left) * 3..][..width * 3];
        (0..height).flat_map(row).copied().collect()
    }

    /// Patches of every view, one after the other; inside a patch channel, row, column.
    pub(super) fn patches(&self, plan: &MediaPlan, patch: usize) -> Vec<f32> {
        let mut out = Vec::new();
        for view in &plan.views {
            let (pixels, width) = (self.view(view), view.window.width as usize);
            for (row, column) in (0..view.grid.0).flat_map(|row| (0..view.grid.1).map(move |column| (row, column))) {
                for (channel, y) in (0..3).flat_map(|channel| (0..patch).map(move |y| (channel, y))) {
                    let start = ((row * patch + y) * width + column * patch) * 3 + channel;
                    out.extend(pixels[start..].iter().step_by(3).take(patch));
                }
            }
        }
        out
    }

    /// A view as a picture, when nothing was normalized.
    pub(super) fn picture(&self, view: &View) -> Rgb {
        let byte = |value: &f32| (value * 255.0).round().clamp(0.0, 255.0) as u8;
        let data = self.view(view).iter().map(byte).collect();
        Rgb { width: view.window.width, height: view.window.height, data }
    }
}
