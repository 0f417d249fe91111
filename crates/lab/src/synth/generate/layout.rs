//! Random layout of the objects on the canvas. A place of the 3 x 3 grid is sampled first, so that every place is
//! equally likely, then a point in it. A layout is valid when no two objects come close to each other at any time.

use crate::synth::objects::motion::{Direction, Motion};
use crate::synth::rng::SynthRng;
use crate::synth::scene::PLACE_MARGIN;

/// The straight way of an object's center, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Trajectory {
    /// The center at the start.
    pub(super) start: (f32, f32),
    /// The center at the end; equal to the start unless the object moves.
    pub(super) end: (f32, f32),
}

/// Least gap between the extents of two objects, in pixels.
const GAP: f32 = 6.0;
/// Least distance of an extent from the border, in pixels.
const BORDER: f32 = 3.0;
/// Shortest and longest move as a share of the canvas.
const TRAVEL: (f32, f32) = (0.42, 0.72);

/// Trajectories of objects with `radii` and `motions` on a canvas of `size`, all in pixels; `None` when some object did
/// not fit.
pub(super) fn sample_layout(
    rng: &mut SynthRng,
    size: (u32, u32),
    radii: &[f32],
    motions: &[Motion],
) -> Option<Vec<Trajectory>> {
    // Movers need most room, so they come first.
    let mut order: Vec<usize> = (0..motions.len()).collect();
    order.sort_by_key(|index| !matches!(motions[*index], Motion::Moves(..)));
    let mut placed: Vec<Option<Trajectory>> = vec![None; motions.len()];
    for index in order {
        let found = (0..24).find_map(|_| {
            let new = sample_trajectory(rng, size, radii[index], &motions[index])?;
            let far = |other: &Trajectory, radius: f32| distance(&new, other) >= radii[index] + radius + GAP;
            let free = placed.iter().zip(radii).all(|(other, radius)| other.is_none_or(|other| far(&other, *radius)));
            free.then_some(new)
        });
        placed[index] = Some(found?);
    }
    placed.into_iter().collect()
}

fn sample_trajectory(
    rng: &mut SynthRng,
    (width, height): (u32, u32),
    radius: f32,
    motion: &Motion,
) -> Option<Trajectory> {
    let (width, height) = (width as f32, height as f32);
    let Motion::Moves(direction, _) = motion else {
        let at = (sample_coordinate(rng, width, radius), sample_coordinate(rng, height, radius));
        return Some(Trajectory { start: at, end: at });
    };
    let horizontal = matches!(direction, Direction::Left | Direction::Right);
    let (along, across) = if horizontal { (width, height) } else { (height, width) };
    let room = along - 2.0 * (radius + BORDER);
    let shortest = TRAVEL.0 * along;
    if room < shortest {
        return None;
    }
    let length = rng.uniform(shortest, room.min(TRAVEL.1 * along));
    let low = radius + BORDER + rng.uniform(0.0, room - length);
    let lane = sample_coordinate(rng, across, radius);
    let backwards = matches!(direction, Direction::Left | Direction::Up);
    let (start, end) = if backwards { (low + length, low) } else { (low, low + length) };
    let point = |at: f32| if horizontal { (at, lane) } else { (lane, at) };
    Some(Trajectory { start: point(start), end: point(end) })
}

/// A coordinate in a random third of `size`, away from the border. Where there is room, it also stays away from the
/// lines between the thirds, so that the place has a name.
fn sample_coordinate(rng: &mut SynthRng, size: f32, radius: f32) -> f32 {
    let (edge, third, margin) = (radius + BORDER, size / 3.0, (PLACE_MARGIN + 0.002) * size);
    let inner = if edge < third - margin { third - margin } else { third };
    match rng.below(3) {
        0 => rng.uniform(edge, inner),
        1 => rng.uniform(third + margin, 2.0 * third - margin),
        _ => size - rng.uniform(edge, inner),
    }
}

/// Least distance between two trajectories. They are horizontal or vertical, so this is the distance of their bounding
/// boxes.
fn distance(left: &Trajectory, right: &Trajectory) -> f32 {
    let gap = |a: (f32, f32), b: (f32, f32)| (a.0.min(a.1) - b.0.max(b.1)).max(b.0.min(b.1) - a.0.max(a.1)).max(0.0);
    let dx = gap((left.start.0, left.end.0), (right.start.0, right.end.0));
    let dy = gap((left.start.1, left.end.1), (right.start.1, right.end.1));
    dx.hypot(dy)
}
