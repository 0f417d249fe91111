//! Facts that a conversation asks for and reveals. A question is left out when an earlier turn has revealed its answer,
//! because a model could answer it without looking.

use crate::synth::objects::color::Color;
use crate::synth::objects::shape::Shape;

/// Something that a turn asks for or reveals. Objects are indices into the scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    /// There is some object.
    Mention,
    /// The number of objects.
    TotalCount,
    /// The number of objects that have the scene's theme.
    ThemeCount,
    /// The color of an object at the start.
    ColorOf(usize),
    /// The shape of an object.
    ShapeOf(usize),
    /// What an object does.
    MotionOf(usize),
    /// The direction of the only object that moves.
    MoveDirection,
    /// Some object does nothing. It limits such questions to one per conversation.
    Stillness,
    /// The second of an object's event.
    EventSecondOf(usize),
    /// The color of an object at the end.
    FinalColorOf(usize),
    /// The place of an object.
    PlaceOf(usize),
    /// Some object is absent. It limits such questions to one per conversation.
    Absence,
    /// Whether an object of this color or shape is there.
    Named(Option<Color>, Option<Shape>),
}
