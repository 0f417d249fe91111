//! A picture, or a clip of a camera that moves over one or two canvases.

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};
use zoetrope_media::{Frame, Time};

use super::canvas::Canvas;
use super::image_kinds;
use crate::synth::generate::split::Split;
use crate::synth::objects::motion::FRAMES_PER_SECOND;
use crate::synth::rng::{SynthRng, mix64};

/// Sides of a picture in pixels.
const SIDES: (usize, usize) = (112, 336);
/// A canvas is larger than what is seen of it by this much.
const MARGIN: f32 = 1.4;
/// Longest clip in seconds.
const MOST_SECONDS: usize = 14;

/// A picture or a clip that shows no scene of drawn shapes.
pub struct OutOfDomain {
    width: u32,
    height: u32,
    seconds: u32,
    shots: Vec<Shot>,
    grain: u8,
    seed: u64,
}

/// What is seen until the film is cut.
struct Shot {
    canvas: Canvas,
    /// Pixels a frame.
    pan: (f32, f32),
    /// Change of scale a frame.
    zoom: f32,
    /// Amplitude of an unsteady hand in pixels.
    shake: f32,
    /// Part of the canvas that moves on its own: from where, and pixels a frame.
    actor: Option<Actor>,
}

struct Actor {
    from: (f32, f32),
    step: (f32, f32),
    radius: f32,
}

impl OutOfDomain {
    /// The picture or clip of `seed`; a clip with probability `clip_share`. The streams of the two splits differ.
    pub fn generate(split: Split, seed: u64, clip_share: f32) -> OutOfDomain {
        let domain = match split {
            Split::Train => "out of domain/train",
            Split::HeldOut => "out of domain/held out",
        };
        let mut rng = SynthRng::new(domain, seed);
        let side = |rng: &mut SynthRng| rng.range_inclusive(SIDES.0, SIDES.1);
        let is_clip = rng.random_bool(clip_share);
        let (mut width, mut height) = if rng.random_bool(0.3) { (224, 224) } else { (side(&mut rng), side(&mut rng)) };
        let mut seconds = 0;
        if is_clip {
            seconds = rng.range_inclusive(2, MOST_SECONDS);
            // Long clips are small, so that no sample has many more tokens than others.
            let shrink = (5.0 / seconds as f32).sqrt().min(1.0);
            (width, height) = ((width as f32 * shrink) as usize, (height as f32 * shrink) as usize);
        }
        let shots = if is_clip && rng.random_bool(0.3) { 2 } else { 1 };
        let shots = (0..shots).map(|_| Shot::sample(&mut rng, (width, height))).collect();
        let grain = if rng.random_bool(0.5) { rng.range_inclusive(1, 14) as u8 } else { 0 };
        OutOfDomain { width: width as u32, height: height as u32, seconds: seconds as u32, shots, grain, seed }
    }

    /// Whether this is a clip; otherwise it is one picture.
    pub fn is_clip(&self) -> bool {
        self.seconds > 0
    }

    /// Number of frames; 1 for a picture.
    fn frames(&self) -> usize {
        (self.seconds * FRAMES_PER_SECOND).max(1) as usize
    }

    /// Presentation times of all frames; zero for a picture.
    pub fn times(&self) -> Vec<Time> {
        (0..self.frames() as i64).map(|index| Time::new(index, FRAMES_PER_SECOND)).collect()
    }

    /// End of the last frame in seconds; zero for a picture.
    pub fn end(&self) -> f64 {
        f64::from(self.seconds)
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// Frame `index`.
    pub fn frame(&self, index: usize) -> Frame {
        let number = (index * self.shots.len() / self.frames()).min(self.shots.len() - 1);
        let (shot, mut rng) =
            (&self.shots[number], SynthRng::new("out of domain/frame", self.seed ^ mix64(index as u64)));
        let (t, hand) = (index as f32, [rng.uniform(-1.0, 1.0), rng.uniform(-1.0, 1.0)].map(|unit| unit * shot.shake));
        let scale = 1.0 + shot.zoom * t;
        let (width, height) = (self.width as f32, self.height as f32);
        let view = |x: f32, y: f32| {
            let (cx, cy) = (shot.canvas.width as f32 / 2.0, shot.canvas.height as f32 / 2.0);
            (
                cx + (x - width / 2.0) * scale + shot.pan.0 * t + hand[0],
                cy + (y - height / 2.0) * scale + shot.pan.1 * t + hand[1],
            )
        };
        let color = |x: f32, y: f32| {
            let (mut u, mut v) = view(x, y);
            if let Some(actor) = &shot.actor {
                // Within its circle the canvas is seen as it is where it started.
                let moved = (actor.step.0 * t, actor.step.1 * t);
                let (dx, dy) = (x - actor.from.0 - moved.0, y - actor.from.1 - moved.1);
                if dx * dx + dy * dy < actor.radius * actor.radius {
                    (u, v) = (actor.from.0 + 2.0 * dx, actor.from.1 + 2.0 * dy);
                }
            }
            shot.canvas.at(u, v)
        };
        let mut image = Canvas::picture(self.width, self.height, color);
        if self.grain > 0 {
            add_color_grain(&mut image.data, self.grain, mix64(self.seed ^ !(index as u64)));
        }
        Frame { index, time: Time::new(index as i64, FRAMES_PER_SECOND), image }
    }
}

impl Shot {
    fn sample(rng: &mut SynthRng, (width, height): (usize, usize)) -> Self {
        let size = ((width as f32 * MARGIN) as usize, (height as f32 * MARGIN) as usize);
        let canvas = image_kinds::sample(rng, size);
        let moves = |rng: &mut SynthRng, share: f32| if rng.random_bool(share) { 1.0 } else { 0.0 };
        let pan = moves(rng, 0.6);
        let pan = (pan * rng.uniform(-2.0, 2.0), pan * rng.uniform(-1.0, 1.0));
        let actor = rng.random_bool(0.6).then(|| Actor {
            from: (rng.unit_f32() * width as f32, rng.unit_f32() * height as f32),
            step: (rng.uniform(-4.0, 4.0), rng.uniform(-3.0, 3.0)),
            radius: rng.uniform(0.05, 0.3) * width.min(height) as f32,
        });
        let zoom = moves(rng, 0.4) * rng.uniform(-0.006, 0.006);
        let shake = moves(rng, 0.5) * rng.uniform(0.0, 3.0);
        Shot { canvas, pan, zoom, shake, actor }
    }
}

/// Adds uniform noise in `-grain..=grain` to every level.
fn add_color_grain(levels: &mut [u8], grain: u8, seed: u64) {
    let (width, mut rng) = (2 * i32::from(grain) + 1, SplitMix64::seed_from_u64(seed));
    for four in levels.chunks_mut(4) {
        let word = rng.next_u64();
        for (lane, level) in four.iter_mut().enumerate() {
            let shift = ((i32::from((word >> (16 * lane)) as u16) * width) >> 16) - i32::from(grain);
            *level = (i32::from(*level) + shift).clamp(0, 255) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_frames_and_clips_move() {
        let mut moving = 0;
        for seed in 0..40 {
            let (first, again) =
                (OutOfDomain::generate(Split::Train, seed, 0.5), OutOfDomain::generate(Split::Train, seed, 0.5));
            let (start, end) = (first.frame(0).image, first.frame(first.times().len() - 1).image);
            assert_eq!((start.width, start.height), first.size());
            assert_eq!(start.data, again.frame(0).image.data, "seed {seed}");
            assert!(first.size().0 >= 56 && first.size().1 >= 56, "{:?}", first.size());
            moving += usize::from(first.is_clip() && start.data != end.data);
        }
        assert!(moving > 10, "{moving} of about 20 clips");
    }
}
