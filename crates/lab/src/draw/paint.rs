//! A scene at one moment as pixels: backdrop, objects with soft edges (signed distances), grain.

use zoetrope_media::Rgb;

use super::dice::scatter;
use super::scene::{Object, Scene};
use super::shape::Outline;

/// The picture that frame `index` of `scene` shows.
pub(super) fn paint(scene: &Scene, index: usize) -> Rgb {
    let mut image = background(scene);
    for object in &scene.objects {
        if let Some(fill) = object.fill_at(index) {
            stamp(&mut image, object, object.centre_at(scene, index), fill);
        }
    }
    if scene.grain > 0 {
        grain(&mut image, scene, index);
    }
    image
}

fn background(scene: &Scene) -> Rgb {
    let (width, height) = (scene.width, scene.height);
    let mut data = vec![0; width as usize * height as usize * 3];
    for (y, row) in data.chunks_exact_mut(width as usize * 3).enumerate() {
        for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
            pixel.copy_from_slice(&scene.backdrop.at(x as u32, y as u32, width, height));
        }
    }
    Rgb { width, height, data }
}

/// Blends one object over the picture; a pixel half covered is half the object's colour.
fn stamp(image: &mut Rgb, object: &Object, (cx, cy): (f32, f32), fill: [u8; 3]) {
    let outline = Outline::new(object.shape, object.radius, object.angle);
    let reach = object.radius + 2.0;
    let columns = span(cx, reach, image.width);
    for y in span(cy, reach, image.height) {
        for x in columns.clone() {
            let distance = outline.distance(x as f32 + 0.5 - cx, y as f32 + 0.5 - cy);
            let cover = (0.5 - distance).clamp(0.0, 1.0);
            if cover > 0.0 {
                let at = (y as usize * image.width as usize + x as usize) * 3;
                for (level, ink) in image.data[at..at + 3].iter_mut().zip(fill) {
                    let (under, over) = (f32::from(*level), f32::from(ink));
                    *level = (under + (over - under) * cover + 0.5) as u8;
                }
            }
        }
    }
}

/// The pixels of `0..size` within `reach` of `centre`.
fn span(centre: f32, reach: f32, size: u32) -> std::ops::Range<u32> {
    let low = (centre - reach).floor().max(0.0) as u32;
    let high = (centre + reach).ceil().clamp(0.0, size as f32) as u32;
    low..high.max(low)
}

/// Adds to every pixel an even grey noise of at most `scene.grain` levels either way, new in every frame.
fn grain(image: &mut Rgb, scene: &Scene, index: usize) {
    let width = 2 * i32::from(scene.grain) + 1;
    let stream = scatter(scene.seed ^ scatter(index as u64 + 1));
    for (block, pixels) in image.data.chunks_mut(12).enumerate() {
        let word = scatter(stream.wrapping_add((block as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        for (lane, pixel) in pixels.chunks_mut(3).enumerate() {
            let sixteen = (word >> (16 * lane)) as u16;
            let shift = ((i32::from(sixteen) * width) >> 16) - i32::from(scene.grain);
            for level in pixel {
                *level = (i32::from(*level) + shift).clamp(0, 255) as u8;
            }
        }
    }
}
