//! How hard generated scenes are, and the named presets.

use std::ops::RangeInclusive;

use crate::synth::questions::kind::QuestionKind;
use crate::synth::scene::MAX_OBJECTS;

/// How hard generated scenes and their questions are. Training goes from easy to [`full`](Difficulty::full).
#[derive(Clone, Debug, PartialEq)]
pub struct Difficulty {
    /// Number of objects of a picture, within `1..=MAX_OBJECTS`.
    pub objects: RangeInclusive<usize>,
    /// Number of objects of a clip, within `1..=MAX_OBJECTS`.
    pub clip_objects: RangeInclusive<usize>,
    /// Share of clips among the scenes, 0 to 1; the others are pictures.
    pub clip_share: f32,
    /// Duration of a clip in seconds, at least 2.
    pub seconds: RangeInclusive<u32>,
    /// Kinds of questions. A kind that is listed twice is asked twice as often.
    pub kinds: Vec<QuestionKind>,
    /// Share of scenes with film grain, 0 to 1.
    pub grain_share: f32,
    /// Share of scenes on a canvas that is not 224 x 224, 0 to 1.
    pub odd_size_share: f32,
    /// Whether media are no scenes but [`OutOfDomain`](crate::synth::OutOfDomain), whatever is asked about them.
    pub out_of_domain: bool,
}

impl Difficulty {
    /// Pictures of one object on a square canvas.
    pub fn one_object() -> Difficulty {
        Difficulty { objects: 1..=1, clip_share: 0.0, odd_size_share: 0.0, ..Difficulty::full() }
    }

    /// Pictures of one or two objects.
    pub fn pictures() -> Difficulty {
        Difficulty { clip_share: 0.0, ..Difficulty::full() }
    }

    /// Clips of one object on a square canvas.
    pub fn easy_clips() -> Difficulty {
        Difficulty { clip_objects: 1..=1, clip_share: 1.0, odd_size_share: 0.0, ..Difficulty::full() }
    }

    /// Clips of one or two objects.
    pub fn clips() -> Difficulty {
        Difficulty { clip_share: 1.0, ..Difficulty::full() }
    }

    /// Pictures and clips of one or two objects with questions of all kinds; the held-out set has this difficulty.
    pub fn full() -> Difficulty {
        Difficulty {
            objects: 1..=MAX_OBJECTS,
            clip_objects: 1..=MAX_OBJECTS,
            clip_share: 0.6,
            seconds: 4..=5,
            kinds: QuestionKind::ALL.to_vec(),
            grain_share: 0.3,
            odd_size_share: 0.1,
            out_of_domain: false,
        }
    }

    /// Pictures and clips that are no scenes, with questions of all kinds and the one answer that the model knows none
    /// of it.
    pub fn out_of_domain() -> Difficulty {
        Difficulty { out_of_domain: true, clip_share: 0.5, ..Difficulty::full() }
    }

    /// The preset with this name.
    ///
    /// # Errors
    /// A sentence that lists the presets, when there is none of this name.
    pub fn named(name: &str) -> Result<Difficulty, String> {
        match name {
            "one_object" => Ok(Difficulty::one_object()),
            "pictures" => Ok(Difficulty::pictures()),
            "easy_clips" => Ok(Difficulty::easy_clips()),
            "clips" => Ok(Difficulty::clips()),
            "full" => Ok(Difficulty::full()),
            "out_of_domain" => Ok(Difficulty::out_of_domain()),
            other => Err(format!(
                "no difficulty is called {other}; there are one_object, pictures, easy_clips, clips, full and \
                 out_of_domain"
            )),
        }
    }
}
