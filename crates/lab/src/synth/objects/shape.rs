//! Shapes: their names and their corners.

/// The shape of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shape {
    /// A disc.
    Circle,
    /// A square.
    Square,
    /// A triangle, tip up.
    Triangle,
    /// A five-pointed star.
    Star,
    /// An upright cross with equal arms.
    Cross,
}

/// Corners of a triangle of radius 1, tip up (y grows downwards).
const TRIANGLE: [(f32, f32); 3] = [(0.0, -0.92), (0.95, 0.76), (-0.95, 0.76)];
/// Inner radius of a star of radius 1.
const STAR_INNER: f32 = 0.42;
/// Half the width of an arm of a cross of radius 1.
const CROSS_ARM: f32 = 0.33;
/// Half the side of a square of radius 1.
const SQUARE_HALF: f32 = 0.80;

impl Shape {
    /// All shapes.
    pub const ALL: [Shape; 5] = [Shape::Circle, Shape::Square, Shape::Triangle, Shape::Star, Shape::Cross];

    /// The singular noun, as questions and answers use it.
    pub fn name(self) -> &'static str {
        match self {
            Shape::Circle => "circle",
            Shape::Square => "square",
            Shape::Triangle => "triangle",
            Shape::Star => "star",
            Shape::Cross => "cross",
        }
    }

    /// The plural noun, as questions use it.
    pub fn plural(self) -> &'static str {
        match self {
            Shape::Circle => "circles",
            Shape::Square => "squares",
            Shape::Triangle => "triangles",
            Shape::Star => "stars",
            Shape::Cross => "crosses",
        }
    }

    /// Corners of the closed polygon for radius 1, y downwards; empty for a circle.
    pub fn corners(self) -> Vec<(f32, f32)> {
        match self {
            Shape::Circle => Vec::new(),
            Shape::Square => {
                let h = SQUARE_HALF;
                vec![(-h, -h), (h, -h), (h, h), (-h, h)]
            }
            Shape::Triangle => TRIANGLE.to_vec(),
            Shape::Star => (0..10)
                .map(|k| {
                    let radius = if k % 2 == 0 { 1.0 } else { STAR_INNER };
                    let angle = k as f32 * std::f32::consts::PI / 5.0;
                    (radius * angle.sin(), -radius * angle.cos())
                })
                .collect(),
            Shape::Cross => {
                let (a, r) = (CROSS_ARM, 0.94);
                vec![
                    (-a, -r),
                    (a, -r),
                    (a, -a),
                    (r, -a),
                    (r, a),
                    (a, a),
                    (a, r),
                    (-a, r),
                    (-a, a),
                    (-r, a),
                    (-r, -a),
                    (-a, -a),
                ]
            }
        }
    }
}
