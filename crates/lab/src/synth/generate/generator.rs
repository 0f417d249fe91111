//! Rejection sampling of scenes: canvas, script, names, motions, layout, shades and backdrop.

use super::difficulty::Difficulty;
use super::layout::sample_layout;
use super::motions::{Script, sample_motions};
use super::split::Split;
use crate::synth::backdrop::Backdrop;
use crate::synth::objects::color::Color;
use crate::synth::objects::motion::Motion;
use crate::synth::objects::object::Object;
use crate::synth::objects::shape::Shape;
use crate::synth::rng::SynthRng;
use crate::synth::scene::{MAX_OBJECTS, Scene, Theme};

/// Canvas sizes other than 224 x 224, in pixels.
const ODD_SIZES: [(u32, u32); 6] = [(224, 168), (168, 224), (280, 224), (224, 280), (280, 168), (256, 192)];
/// Least and greatest half extent of an object, in pixels.
const RADII: (f32, f32) = (36.0, 48.0);

impl Scene {
    /// The scene of `seed` in `split`.
    pub fn generate(split: Split, seed: u64, difficulty: &Difficulty) -> Scene {
        let mut rng = SynthRng::new(split.rng_domain(), seed);
        loop {
            if let Some(scene) = sample_scene(&mut rng, difficulty)
                && Split::of(scene.fingerprint()) == split
            {
                return scene;
            }
        }
    }
}

/// A random scene of either split; `None` when the objects do not fit.
fn sample_scene(rng: &mut SynthRng, difficulty: &Difficulty) -> Option<Scene> {
    let odd_size = rng.random_bool(difficulty.odd_size_share);
    let (width, height) = if odd_size { rng.choose(&ODD_SIZES) } else { (224, 224) };
    let clip = rng.random_bool(difficulty.clip_share);
    let range = (*difficulty.seconds.start() as usize, *difficulty.seconds.end() as usize);
    let seconds = if clip { rng.range_inclusive(range.0.max(2), range.1.max(2)) as u32 } else { 0 };
    let objects = if clip { &difficulty.clip_objects } else { &difficulty.objects };
    let (fewest, most) = (*objects.start(), *objects.end());
    let (fewest, most) = (fewest.max(1), most.clamp(1, MAX_OBJECTS));
    let script = if clip { Script::sample(rng) } else { Script::Still };
    let countable = matches!(script, Script::Still | Script::Move);
    let theme = (countable && rng.random_bool(0.45)).then(|| sample_theme(rng));
    let theme_count = rng.range_inclusive(0, most);
    let fewest = if theme.is_some() { fewest.max(theme_count) } else { fewest };
    let count = rng.range_inclusive(fewest, most);
    let objects = (0..200).find_map(|_| {
        let motions = sample_motions(rng, script, count, seconds)?;
        let names = sample_names(rng, theme, theme_count, count)?;
        sample_objects(rng, (width, height), &names, motions)
    })?;
    let mut fills: Vec<[u8; 3]> = objects.iter().map(|object| object.fill).collect();
    fills.extend(objects.iter().filter_map(|object| match object.motion {
        Motion::Becomes(_, _, fill) => Some(fill),
        _ => None,
    }));
    let backdrop = Backdrop::sample(rng, &fills);
    let grain = if rng.random_bool(difficulty.grain_share) { rng.range_inclusive(2, 6) as u8 } else { 0 };
    Some(Scene { width, height, seconds, objects, backdrop, grain, seed: rng.next_u64(), theme })
}

fn sample_theme(rng: &mut SynthRng) -> Theme {
    if rng.random_bool(0.7) { Theme::Shape(rng.choose(&Shape::ALL)) } else { Theme::Color(rng.choose(&Color::ALL)) }
}

/// Shapes and colors of `count` objects, or `None` when two objects are alike in both. With a theme, `theme_count`
/// objects have it; otherwise all shapes and all colors differ.
fn sample_names(
    rng: &mut SynthRng,
    theme: Option<Theme>,
    theme_count: usize,
    count: usize,
) -> Option<Vec<(Shape, Color)>> {
    let (mut shapes, mut colors) = (Shape::ALL, Color::ALL);
    rng.shuffle(&mut shapes);
    rng.shuffle(&mut colors);
    let mut names: Vec<(Shape, Color)> = (0..count).map(|k| (shapes[k], colors[k])).collect();
    match theme {
        Some(Theme::Shape(shape)) => {
            let others: Vec<Shape> = Shape::ALL.into_iter().filter(|other| *other != shape).collect();
            names.iter_mut().for_each(|name| name.0 = rng.choose(&others));
            names[..theme_count].iter_mut().for_each(|name| name.0 = shape);
        }
        Some(Theme::Color(color)) => {
            let others: Vec<Color> = Color::ALL.into_iter().filter(|other| *other != color).collect();
            names.iter_mut().for_each(|name| name.1 = rng.choose(&others));
            names[..theme_count].iter_mut().for_each(|name| name.1 = color);
        }
        None => {}
    }
    rng.shuffle(&mut names);
    let duplicate = (1..count).any(|k| names[..k].contains(&names[k]));
    (!duplicate).then_some(names)
}

/// Objects with trajectories and shades; `None` when they do not fit, when a color change changes nothing, and when it
/// makes two objects alike.
fn sample_objects(
    rng: &mut SynthRng,
    size: (u32, u32),
    names: &[(Shape, Color)],
    motions: Vec<Motion>,
) -> Option<Vec<Object>> {
    let radii: Vec<f32> = names.iter().map(|_| rng.uniform(RADII.0, RADII.1)).collect();
    let trajectories = (0..6).find_map(|_| sample_layout(rng, size, &radii, &motions))?;
    let mut objects = Vec::with_capacity(names.len());
    for (index, (&(shape, color), motion)) in names.iter().zip(motions).enumerate() {
        let motion = match motion {
            Motion::Moves(direction, _) => Motion::Moves(direction, trajectories[index].end),
            Motion::Becomes(second, to, _) => Motion::Becomes(second, to, to.sample_shade(rng)),
            other => other,
        };
        let fill = color.sample_shade(rng);
        let angle = rng.uniform(-0.14, 0.14);
        let (center, radius) = (trajectories[index].start, radii[index]);
        objects.push(Object { shape, color, fill, center, radius, angle, motion });
    }
    let alike = |k: usize, other: usize| {
        let (a, b) = (&objects[k], &objects[other]);
        k != other && a.shape == b.shape && a.final_color() == b.color
    };
    let unchanged =
        |object: &Object| matches!(object.motion, Motion::Becomes(..)) && object.final_color() == object.color;
    let clash = (0..objects.len()).any(|k| unchanged(&objects[k]) || (0..objects.len()).any(|other| alike(k, other)));
    (!clash).then_some(objects)
}
