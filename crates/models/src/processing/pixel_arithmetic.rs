//! Whose rounding a picture or frame is resized and normalized with.

use zoetrope_kernels::image::resize::Order as PassOrder;

/// What every gray level of a channel becomes where pictures are floats from 0 to 1 before they are normalized
/// (torchvision's `ToTensor` and `Normalize`): `(level / 255 - mean) / std`.
pub fn unit_gray_levels(mean: f32, std: f32) -> [f32; 256] {
    std::array::from_fn(|level| (level as f32 / 255.0 - mean) / std)
}

/// A library and its version, as far as they differ in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelArithmetic {
    /// Pillow before 13, of the time of most authors' checkpoints.
    OldPillow,
    /// Pillow 13: transformers' Pillow backend for pictures.
    Pillow,
    /// torchvision: transformers' default backend for pictures, and its only one for videos.
    Torchvision,
}

impl PixelArithmetic {
    /// The order of the passes of a resize.
    pub fn pass_order(self) -> PassOrder {
        match self {
            PixelArithmetic::OldPillow => PassOrder::HorizontalFirst,
            PixelArithmetic::Pillow => PassOrder::Pillow13,
            PixelArithmetic::Torchvision => PassOrder::Torchvision,
        }
    }

    /// What every gray level of a channel becomes: `(level rescale - mean) / std`. Pillow's and torchvision's paths
    /// differ in the last bit.
    pub fn gray_levels(self, rescale: f64, mean: f32, std: f32) -> [f32; 256] {
        std::array::from_fn(|level| match self {
            PixelArithmetic::OldPillow | PixelArithmetic::Pillow => ((level as f64 * rescale) as f32 - mean) / std,
            PixelArithmetic::Torchvision => {
                let unit = (1.0 / rescale) as f32;
                (level as f32 - mean * unit) / (std * unit)
            }
        })
    }
}
