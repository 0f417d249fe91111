//! Random motions: what happens in a clip as a whole, and the motion of each of its objects.

use crate::synth::objects::color::Color;
use crate::synth::objects::motion::{Direction, Motion};
use crate::synth::rng::SynthRng;

/// What happens in a clip as a whole. A picture is [`Script::Still`].
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Script {
    Still,
    Move,
    Appear,
    AppearInTurn,
    Disappear,
    DisappearInTurn,
    Become,
    Mixed,
}

/// Scripts of clips with their weights.
const SCRIPTS: [(Script, f32); 8] = [
    (Script::Still, 0.06),
    (Script::Move, 0.24),
    (Script::Appear, 0.10),
    (Script::AppearInTurn, 0.12),
    (Script::Disappear, 0.10),
    (Script::DisappearInTurn, 0.10),
    (Script::Become, 0.22),
    (Script::Mixed, 0.12),
];

impl Script {
    /// A random script for a clip.
    pub(super) fn sample(rng: &mut SynthRng) -> Script {
        SCRIPTS[rng.weighted_index(&SCRIPTS.map(|(_, weight)| weight))].0
    }
}

/// The motion of each of `count` objects in a clip of `seconds`. No two events share a second. The end of a move and
/// the shade of a color change are left open (zeros). `None` when there are fewer seconds than events.
pub(super) fn sample_motions(rng: &mut SynthRng, script: Script, count: usize, seconds: u32) -> Option<Vec<Motion>> {
    let mut event_seconds: Vec<u32> = (1..seconds).collect();
    rng.shuffle(&mut event_seconds);
    let mut motions = vec![Motion::Still; count];
    let in_turn = rng.range_inclusive(2, 3).min(count).min(event_seconds.len());
    let open_end = (0.0, 0.0);
    let open_shade = [0; 3];
    match script {
        Script::Still => {}
        Script::Move => motions[0] = Motion::Moves(rng.choose(&Direction::ALL), open_end),
        Script::Appear => motions[0] = Motion::Appears(*event_seconds.first()?),
        Script::Disappear => motions[0] = Motion::Disappears(*event_seconds.first()?),
        Script::Become => {
            motions[0] = Motion::Becomes(*event_seconds.first()?, rng.choose(&Color::ALL), open_shade);
        }
        Script::AppearInTurn => (0..in_turn).for_each(|k| motions[k] = Motion::Appears(event_seconds[k])),
        Script::DisappearInTurn => (0..in_turn).for_each(|k| motions[k] = Motion::Disappears(event_seconds[k])),
        Script::Mixed => {
            let mut choices = [0, 1, 2, 3, 4];
            rng.shuffle(&mut choices);
            for (motion, choice) in motions.iter_mut().zip(choices) {
                *motion = match choice {
                    0 => Motion::Still,
                    1 => Motion::Moves(rng.choose(&Direction::ALL), open_end),
                    2 => Motion::Appears(event_seconds.pop()?),
                    3 => Motion::Disappears(event_seconds.pop()?),
                    _ => Motion::Becomes(event_seconds.pop()?, rng.choose(&Color::ALL), open_shade),
                };
            }
        }
    }
    rng.shuffle(&mut motions);
    Some(motions)
}
