//! Where objects go: a cell of a 3 x 3 grid is chosen first (so that every place is equally likely), then a point in
//! it, and a layout is kept only when no two objects come close to each other at any time.

use super::dice::Dice;
use super::scene::Act;
use super::shape::Direction;

/// A place found for an object: the middle at the start and at the end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spot {
    /// Start, in pixels.
    pub from: (f32, f32),
    /// End, in pixels; the start for whatever does not move.
    pub to: (f32, f32),
}

/// Least gap between the extents of two objects, in pixels.
const GAP: f32 = 6.0;
/// Least distance of an extent from the border, in pixels.
const MARGIN: f32 = 3.0;
/// Share of the canvas on both sides of a grid line where a place has no plain name.
pub(super) const PLACE_MARGIN: f32 = 0.055;
/// Shortest and longest way of a mover as a share of the canvas.
const WAY: (f32, f32) = (0.42, 0.72);

/// Places for objects of `radius` that do `acts`, on a canvas of `size`; `None` when a try did not fit.
pub(super) fn layout(dice: &mut Dice, size: (u32, u32), radii: &[f32], acts: &[Act]) -> Option<Vec<Spot>> {
    let mut order: Vec<usize> = (0..acts.len()).collect();
    order.sort_by_key(|index| !matches!(acts[*index], Act::Moves(..)));
    let mut spots: Vec<Option<Spot>> = vec![None; acts.len()];
    for index in order {
        let found = (0..24).find_map(|_| {
            let spot = one(dice, size, radii[index], &acts[index])?;
            let free = spots
                .iter()
                .zip(radii)
                .all(|(other, radius)| other.is_none_or(|other| apart(&spot, &other) >= radii[index] + radius + GAP));
            free.then_some(spot)
        });
        spots[index] = Some(found?);
    }
    spots.into_iter().collect()
}

fn one(dice: &mut Dice, (width, height): (u32, u32), radius: f32, act: &Act) -> Option<Spot> {
    let (width, height) = (width as f32, height as f32);
    let Act::Moves(direction, _) = act else {
        let at = (cell_point(dice, width, radius), cell_point(dice, height, radius));
        return Some(Spot { from: at, to: at });
    };
    let level = matches!(direction, Direction::Left | Direction::Right);
    let (along, across) = if level { (width, height) } else { (height, width) };
    let room = along - 2.0 * (radius + MARGIN);
    let shortest = WAY.0 * along;
    if room < shortest {
        return None;
    }
    let way = dice.between(shortest, room.min(WAY.1 * along));
    let low = radius + MARGIN + dice.between(0.0, room - way);
    let lane = cell_point(dice, across, radius);
    let back = matches!(direction, Direction::Left | Direction::Up);
    let (start, stop) = if back { (low + way, low) } else { (low, low + way) };
    let point = |at: f32| if level { (at, lane) } else { (lane, at) };
    Some(Spot { from: point(start), to: point(stop) })
}

/// A coordinate in a third of `size` chosen evenly, far enough from the border and, where there is room, from the lines
/// between the thirds, so that the place has a plain name.
fn cell_point(dice: &mut Dice, size: f32, radius: f32) -> f32 {
    let (edge, third, margin) = (radius + MARGIN, size / 3.0, (PLACE_MARGIN + 0.002) * size);
    let inner = if edge < third - margin { third - margin } else { third };
    match dice.below(3) {
        0 => dice.between(edge, inner),
        1 => dice.between(third + margin, 2.0 * third - margin),
        _ => size - dice.between(edge, inner),
    }
}

/// Least distance of the ways of two objects. Ways are level or upright, so that the boxes they sweep decide.
fn apart(left: &Spot, right: &Spot) -> f32 {
    let gap = |a: (f32, f32), b: (f32, f32)| (a.0.min(a.1) - b.0.max(b.1)).max(b.0.min(b.1) - a.0.max(a.1)).max(0.0);
    let across = gap((left.from.0, left.to.0), (right.from.0, right.to.0));
    let down = gap((left.from.1, left.to.1), (right.from.1, right.to.1));
    across.hypot(down)
}
