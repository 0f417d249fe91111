//! What can be drawn: shapes (as signed distances), colours and directions, with their names.

use super::dice::Dice;

/// The shape of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shape {
    /// A disc.
    Circle,
    /// A square, sides nearly level.
    Square,
    /// An equilateral triangle, tip up.
    Triangle,
    /// A star of five points.
    Star,
    /// An upright cross with equal arms.
    Cross,
}

/// The corners of a triangle of radius 1, tip up (y grows downwards).
const TRIANGLE: [(f32, f32); 3] = [(0.0, -0.92), (0.95, 0.76), (-0.95, 0.76)];
/// Inner radius of the star.
const STAR_INNER: f32 = 0.42;
/// Half the width of an arm of the cross.
const CROSS_ARM: f32 = 0.33;
/// Half the side of the square.
const SQUARE_HALF: f32 = 0.80;

impl Shape {
    /// All shapes.
    pub const ALL: [Shape; 5] = [Shape::Circle, Shape::Square, Shape::Triangle, Shape::Star, Shape::Cross];

    /// The word for one.
    pub fn name(self) -> &'static str {
        match self {
            Shape::Circle => "circle",
            Shape::Square => "square",
            Shape::Triangle => "triangle",
            Shape::Star => "star",
            Shape::Cross => "cross",
        }
    }

    /// The word for several.
    pub fn plural(self) -> &'static str {
        match self {
            Shape::Circle => "circles",
            Shape::Square => "squares",
            Shape::Triangle => "triangles",
            Shape::Star => "stars",
            Shape::Cross => "crosses",
        }
    }

    /// The outline of the shape as corners for radius 1; empty for a circle.
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

/// The edge of a drawn object.
pub(super) struct Outline {
    shape: Shape,
    corners: Vec<(f32, f32)>,
    radius: f32,
    turn: (f32, f32),
}

impl Outline {
    /// Of `shape` with half extent `radius` (pixels), tilted by `angle` (radians).
    pub(super) fn new(shape: Shape, radius: f32, angle: f32) -> Outline {
        let corners = shape.corners().iter().map(|(x, y)| (x * radius, y * radius)).collect();
        Outline { shape, corners, radius, turn: angle.sin_cos() }
    }

    /// Signed distance (negative inside) of a point to the edge; both from the middle of the object, in pixels.
    pub(super) fn distance(&self, dx: f32, dy: f32) -> f32 {
        let (sin, cos) = self.turn;
        let (dx, dy) = (dx * cos + dy * sin, dy * cos - dx * sin);
        match self.shape {
            Shape::Circle => dx.hypot(dy) - self.radius * 0.92,
            _ => polygon_distance(&self.corners, dx, dy),
        }
    }
}

/// Signed distance (negative inside) of a point to the closed polygon `corners`.
fn polygon_distance(corners: &[(f32, f32)], x: f32, y: f32) -> f32 {
    let mut nearest = f32::MAX;
    let mut inside = false;
    let mut previous = corners.len().wrapping_sub(1);
    for (index, &(ax, ay)) in corners.iter().enumerate() {
        let (bx, by) = corners[previous];
        let (ex, ey) = (bx - ax, by - ay);
        let (wx, wy) = (x - ax, y - ay);
        let along = ((wx * ex + wy * ey) / (ex * ex + ey * ey)).clamp(0.0, 1.0);
        let (dx, dy) = (wx - ex * along, wy - ey * along);
        nearest = nearest.min(dx * dx + dy * dy);
        if (ay > y) != (by > y) && (wx * ey < ex * wy) == (ey > 0.0) {
            inside = !inside;
        }
        previous = index;
    }
    if inside { -nearest.sqrt() } else { nearest.sqrt() }
}

/// The colour of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Colour {
    /// Red.
    Red,
    /// Green.
    Green,
    /// Blue.
    Blue,
    /// Yellow.
    Yellow,
    /// Orange.
    Orange,
    /// Purple.
    Purple,
    /// White.
    White,
    /// Black.
    Black,
}

/// Largest change of a channel between two objects of the same colour name, in 8-bit levels.
const JITTER: i32 = 12;

impl Colour {
    /// All colours.
    pub const ALL: [Colour; 8] = [
        Colour::Red,
        Colour::Green,
        Colour::Blue,
        Colour::Yellow,
        Colour::Orange,
        Colour::Purple,
        Colour::White,
        Colour::Black,
    ];

    /// The word.
    pub fn name(self) -> &'static str {
        match self {
            Colour::Red => "red",
            Colour::Green => "green",
            Colour::Blue => "blue",
            Colour::Yellow => "yellow",
            Colour::Orange => "orange",
            Colour::Purple => "purple",
            Colour::White => "white",
            Colour::Black => "black",
        }
    }

    /// The middle of what is called by this name.
    pub fn rgb(self) -> [u8; 3] {
        match self {
            Colour::Red => [214, 32, 36],
            Colour::Green => [40, 158, 64],
            Colour::Blue => [36, 82, 216],
            Colour::Yellow => [246, 220, 44],
            Colour::Orange => [244, 136, 20],
            Colour::Purple => [142, 52, 182],
            Colour::White => [243, 243, 243],
            Colour::Black => [18, 18, 18],
        }
    }

    /// A shade of the colour that keeps its name.
    pub fn shade(self, dice: &mut Dice) -> [u8; 3] {
        let grey = matches!(self, Colour::White | Colour::Black);
        let common = dice.within(0, 2 * JITTER as usize) as i32 - JITTER;
        self.rgb().map(|level| {
            let own = if grey { 0 } else { dice.within(0, JITTER as usize) as i32 - JITTER / 2 };
            (i32::from(level) + common / 2 + own).clamp(0, 255) as u8
        })
    }

    /// The name whose middle is nearest to `rgb`.
    pub fn nearest(rgb: [u8; 3]) -> Colour {
        let mut best = (u32::MAX, Colour::Red);
        for colour in Colour::ALL {
            let apart = apart_squared(colour.rgb(), rgb);
            if apart < best.0 {
                best = (apart, colour);
            }
        }
        best.1
    }
}

/// Squared distance of two colours in 8-bit levels.
pub(super) fn apart_squared(left: [u8; 3], right: [u8; 3]) -> u32 {
    left.iter().zip(right).map(|(l, r)| u32::from(l.abs_diff(r)).pow(2)).sum()
}

/// The way an object moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Towards smaller x.
    Left,
    /// Towards larger x.
    Right,
    /// Towards smaller y.
    Up,
    /// Towards larger y.
    Down,
}

impl Direction {
    /// All directions.
    pub const ALL: [Direction; 4] = [Direction::Left, Direction::Right, Direction::Up, Direction::Down];

    /// The word.
    pub fn name(self) -> &'static str {
        match self {
            Direction::Left => "left",
            Direction::Right => "right",
            Direction::Up => "up",
            Direction::Down => "down",
        }
    }
}
