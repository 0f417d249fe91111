//! Crop, rotation and mirroring of a HEIF picture, in the order in which the container lists them.

use image::{RgbImage, imageops};

use crate::container::items::property::Property;
use crate::container::track::Orientation;
use crate::frame::Rgb;

#[derive(Clone, Debug, PartialEq)]
enum Step {
    /// `clap`: width, height, horizontal and vertical offset of the center.
    Crop([(i64, i64); 4]),
    /// Quarter turns counterclockwise.
    Rotate(u8),
    MirrorLeftRight,
    MirrorTopBottom,
}

/// What has to happen to the decoded picture before it is shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Transforms(Vec<Step>);

impl Transforms {
    /// The transforms among the properties of an item.
    pub(super) fn of<'a>(properties: impl Iterator<Item = &'a Property>) -> Self {
        let step = |property: &Property| match property {
            Property::Crop(aperture) => Some(Step::Crop(*aperture)),
            Property::Rotation(turns) => Some(Step::Rotate(*turns)),
            Property::Mirror(true) => Some(Step::MirrorLeftRight),
            Property::Mirror(false) => Some(Step::MirrorTopBottom),
            _ => None,
        };
        Transforms(properties.filter_map(step).collect())
    }

    /// These transforms and `others` after them.
    pub(super) fn then(mut self, others: Transforms) -> Self {
        self.0.extend(others.0);
        self
    }

    /// The size of a picture of this size afterwards.
    pub(super) fn size(&self, (mut width, mut height): (u32, u32)) -> (u32, u32) {
        for step in &self.0 {
            match step {
                Step::Rotate(1 | 3) => (width, height) = (height, width),
                Step::Crop(aperture) => {
                    if let Some([_, _, w, h]) = crop_rectangle(aperture, width, height) {
                        (width, height) = (w, h);
                    }
                }
                _ => {}
            }
        }
        (width, height)
    }

    /// All rotations and flips together.
    pub(super) fn orientation(&self) -> Orientation {
        let (mut mirrored, mut rotation) = (false, 0);
        for step in &self.0 {
            // A flip after a turn is the flip before the opposite turn; top to bottom is left to right and half a turn.
            (mirrored, rotation) = match step {
                Step::Rotate(turns) => (mirrored, rotation + 360 - 90 * u16::from(turns % 4)),
                Step::MirrorLeftRight => (!mirrored, 360 - rotation),
                Step::MirrorTopBottom => (!mirrored, 540 - rotation),
                Step::Crop(_) => (mirrored, rotation),
            };
            rotation %= 360;
        }
        Orientation { mirrored, rotation }
    }

    /// Applies the transforms.
    pub(super) fn apply(&self, rgb: Rgb) -> Rgb {
        if self.0.is_empty() {
            return rgb;
        }
        let Some(mut image) = RgbImage::from_raw(rgb.width, rgb.height, rgb.data) else { return Rgb::default() };
        for step in &self.0 {
            image = match step {
                Step::Rotate(1) => imageops::rotate270(&image),
                Step::Rotate(2) => imageops::rotate180(&image),
                Step::Rotate(3) => imageops::rotate90(&image),
                Step::Rotate(_) => image,
                Step::MirrorLeftRight => imageops::flip_horizontal(&image),
                Step::MirrorTopBottom => imageops::flip_vertical(&image),
                Step::Crop(aperture) => match crop_rectangle(aperture, image.width(), image.height()) {
                    Some([x, y, width, height]) => imageops::crop_imm(&image, x, y, width, height).to_image(),
                    None => image,
                },
            };
        }
        Rgb { width: image.width(), height: image.height(), data: image.into_raw() }
    }
}

/// Left, top, width and height of a clean aperture; `None` when it makes no sense for a picture of this size.
fn crop_rectangle(aperture: &[(i64, i64); 4], width: u32, height: u32) -> Option<[u32; 4]> {
    let [w, h, x, y] = *aperture;
    let side = |(size, of): (i64, i64), (offset, per): (i64, i64), all: u32| {
        if of <= 0 || per <= 0 {
            return None;
        }
        let length = size / of;
        // The offset is that of the center: twice the left edge is `all - length` plus twice the offset.
        let twice = (i64::from(all) - length).checked_mul(per)?.checked_add(offset.checked_mul(2)?)?;
        let start = twice.div_euclid(2 * per);
        let inside = length > 0 && start >= 0 && start + length <= i64::from(all);
        inside.then_some((start as u32, length as u32))
    };
    let ((left, columns), (top, rows)) = (side(w, x, width)?, side(h, y, height)?);
    Some([left, top, columns, rows])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A 3x2 picture whose red channel is `10 * row + column`.
    fn numbered() -> Rgb {
        let data = (0..2u8).flat_map(|y| (0..3u8).flat_map(move |x| [10 * y + x, 0, 0])).collect();
        Rgb { width: 3, height: 2, data }
    }

    fn apply(properties: &[Property]) -> ((u32, u32), Vec<u8>) {
        let transforms = Transforms::of(properties.iter());
        let image = transforms.apply(numbered());
        assert_eq!(transforms.size((3, 2)), (image.width, image.height));
        ((image.width, image.height), image.data.chunks(3).map(|p| p[0]).collect())
    }

    #[test]
    fn quarter_turns_are_counterclockwise() {
        assert_eq!(apply(&[Property::Rotation(1)]), ((2, 3), vec![2, 12, 1, 11, 0, 10]));
        assert_eq!(apply(&[Property::Rotation(3)]), ((2, 3), vec![10, 0, 11, 1, 12, 2]));
        assert_eq!(apply(&[Property::Rotation(2)]).1, [12, 11, 10, 2, 1, 0]);
        assert_eq!(Transforms::of([Property::Rotation(1)].iter()).orientation().rotation, 270);
        assert_eq!(Transforms::of([Property::Rotation(3)].iter()).orientation().rotation, 90);
        let both = [Property::Mirror(true), Property::Rotation(1)];
        assert_eq!(Transforms::of(both.iter()).orientation(), Orientation { mirrored: true, rotation: 270 });
        let both = [Property::Rotation(1), Property::Mirror(false)];
        assert_eq!(Transforms::of(both.iter()).orientation(), Orientation { mirrored: true, rotation: 270 });
    }

    #[test]
    fn transforms_apply_in_their_order() {
        let (mirror, turn) = (Property::Mirror(true), Property::Rotation(1));
        assert_eq!(apply(&[mirror.clone(), turn.clone()]).1, [0, 10, 1, 11, 2, 12]);
        assert_eq!(apply(&[turn, mirror]).1, [12, 2, 11, 1, 10, 0]);
        assert_eq!(apply(&[Property::Mirror(false)]).1, [10, 11, 12, 0, 1, 2]);
    }

    #[test]
    fn a_crop_inside_applies_and_any_other_does_not() {
        let crop = |w, x| Property::Crop([(w, 1), (1, 1), (x, 2), (-1, 2)]);
        assert_eq!(apply(&[crop(2, 1)]), ((2, 1), vec![1, 2]));
        assert_eq!(apply(&[crop(2, -1)]), ((2, 1), vec![0, 1]));
        for wrong in [crop(4, 0), crop(0, 0), crop(2, 5), crop(2, -5), crop(2, i64::MAX)] {
            assert_eq!(apply(&[wrong]).0, (3, 2));
        }
        assert_eq!(apply(&[Property::Crop([(2, 0), (1, 1), (0, 1), (0, 1)])]).0, (3, 2));
    }
}
