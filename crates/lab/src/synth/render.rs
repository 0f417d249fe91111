//! Rendering: one frame of a scene as pixels, from back to front: backdrop, anti-aliased objects, film grain.

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};
use zoetrope_media::{Frame, Rgb, Time};

use super::objects::motion::FRAMES_PER_SECOND;
use super::objects::object::Object;
use super::objects::sdf::ShapeSdf;
use super::rng::{GAMMA, mix64};
use super::scene::Scene;

impl Scene {
    /// Renders frame `index`; an index past the end shows the state after the end.
    pub fn frame(&self, index: usize) -> Frame {
        Frame { index, time: Time::new(index as i64, FRAMES_PER_SECOND), image: render(self, index) }
    }
}

fn render(scene: &Scene, index: usize) -> Rgb {
    let mut image = render_backdrop(scene);
    for object in &scene.objects {
        if let Some(fill) = object.fill_at(index) {
            blend_object(&mut image, object, object.center_at(index, scene.frames()), fill);
        }
    }
    if scene.grain > 0 {
        add_grain(&mut image, scene, index);
    }
    image
}

fn render_backdrop(scene: &Scene) -> Rgb {
    let (width, height) = (scene.width, scene.height);
    let mut data = vec![0; width as usize * height as usize * 3];
    for (y, row) in data.chunks_exact_mut(width as usize * 3).enumerate() {
        for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
            pixel.copy_from_slice(&scene.backdrop.pixel(x as u32, y as u32, width, height));
        }
    }
    Rgb { width, height, data }
}

/// Alpha-blends one object over the picture; alpha is the share of the pixel that the object covers.
fn blend_object(image: &mut Rgb, object: &Object, (cx, cy): (f32, f32), fill: [u8; 3]) {
    let sdf = ShapeSdf::new(object.shape, object.radius, object.angle);
    let reach = object.radius + 2.0;
    let columns = pixel_range(cx, reach, image.width);
    for y in pixel_range(cy, reach, image.height) {
        for x in columns.clone() {
            let distance = sdf.distance(x as f32 + 0.5 - cx, y as f32 + 0.5 - cy);
            let alpha = (0.5 - distance).clamp(0.0, 1.0);
            if alpha > 0.0 {
                let at = (y as usize * image.width as usize + x as usize) * 3;
                for (level, fill) in image.data[at..at + 3].iter_mut().zip(fill) {
                    let (under, over) = (f32::from(*level), f32::from(fill));
                    *level = (under + (over - under) * alpha + 0.5) as u8;
                }
            }
        }
    }
}

/// The pixels of `0..size` within `reach` of `center`.
fn pixel_range(center: f32, reach: f32, size: u32) -> std::ops::Range<u32> {
    let low = (center - reach).floor().max(0.0) as u32;
    let high = (center + reach).ceil().clamp(0.0, size as f32) as u32;
    low..high.max(low)
}

/// Adds uniform gray noise in `-scene.grain..=scene.grain` to every pixel, different in every frame. One random word
/// serves four pixels, 16 bits each.
fn add_grain(image: &mut Rgb, scene: &Scene, index: usize) {
    let width = 2 * i32::from(scene.grain) + 1;
    let seed = mix64(scene.seed ^ mix64(index as u64 + 1));
    // The generator adds GAMMA before its first output, which must be `mix64(seed)`.
    let mut rng = SplitMix64::seed_from_u64(seed.wrapping_sub(GAMMA));
    for pixels in image.data.chunks_mut(12) {
        let word = rng.next_u64();
        for (lane, pixel) in pixels.chunks_mut(3).enumerate() {
            let sixteen = (word >> (16 * lane)) as u16;
            let shift = ((i32::from(sixteen) * width) >> 16) - i32::from(scene.grain);
            for level in pixel {
                *level = (i32::from(*level) + shift).clamp(0, 255) as u8;
            }
        }
    }
}
