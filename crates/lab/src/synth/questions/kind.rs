//! Kinds of questions.

use serde::{Deserialize, Serialize};

/// What a question is about. Recipes and reports spell the names as the committed model's data does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QuestionKind {
    /// The color of an object.
    #[serde(rename = "colour", alias = "color")]
    Color,
    /// The shape of an object.
    Shape,
    /// How many objects there are, of any kind or of one shape or color.
    Count,
    /// Which place of the 3 x 3 grid an object is at.
    Place,
    /// Whether an object is there (yes or no).
    Exists,
    /// The direction in which an object moves.
    Direction,
    /// Which of two objects appears or disappears first.
    Order,
    /// The second of an event.
    When,
    /// What an object does.
    Event,
    /// The color an object changes to.
    Becomes,
    /// Something about an object that is not there; the right answer says so.
    Absent,
    /// All objects, from left to right.
    Describe,
}

impl QuestionKind {
    /// All kinds.
    pub const ALL: [QuestionKind; 12] = [
        QuestionKind::Color,
        QuestionKind::Shape,
        QuestionKind::Count,
        QuestionKind::Place,
        QuestionKind::Exists,
        QuestionKind::Direction,
        QuestionKind::Order,
        QuestionKind::When,
        QuestionKind::Event,
        QuestionKind::Becomes,
        QuestionKind::Absent,
        QuestionKind::Describe,
    ];

    /// The name in recipes, on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            QuestionKind::Color => "colour",
            QuestionKind::Shape => "shape",
            QuestionKind::Count => "count",
            QuestionKind::Place => "place",
            QuestionKind::Exists => "exists",
            QuestionKind::Direction => "direction",
            QuestionKind::Order => "order",
            QuestionKind::When => "when",
            QuestionKind::Event => "event",
            QuestionKind::Becomes => "becomes",
            QuestionKind::Absent => "absent",
            QuestionKind::Describe => "describe",
        }
    }

    /// The kind with this name; "color" is accepted, too.
    ///
    /// # Errors
    /// A sentence that lists the names, when no kind has this one.
    pub fn named(name: &str) -> Result<QuestionKind, String> {
        let known = if name == "color" { QuestionKind::Color.name() } else { name };
        QuestionKind::ALL.into_iter().find(|kind| kind.name() == known).ok_or_else(|| {
            let names = QuestionKind::ALL.map(QuestionKind::name).join(", ");
            format!("no question kind is called {name}; there are {names}")
        })
    }

    /// Weight with which the kind is sampled among those that a scene allows.
    pub(super) fn weight(self) -> f32 {
        match self {
            QuestionKind::Absent => 0.5,
            QuestionKind::Describe => 0.6,
            _ => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipes_and_reports_agree_on_the_names() {
        for kind in QuestionKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
            assert_eq!(QuestionKind::named(kind.name()), Ok(kind));
        }
        assert_eq!(serde_json::from_str::<QuestionKind>("\"color\"").unwrap(), QuestionKind::Color);
        assert_eq!(QuestionKind::named("color"), Ok(QuestionKind::Color));
        assert!(QuestionKind::named("smell").unwrap_err().contains("smell"));
    }
}
