//! Signed distance fields of shapes, for edges that are anti-aliased.

use super::shape::Shape;

/// Signed distance field (SDF) of one object.
pub(in crate::synth) struct ShapeSdf {
    shape: Shape,
    corners: Vec<(f32, f32)>,
    radius: f32,
    /// Sine and cosine of the rotation.
    sin_cos: (f32, f32),
}

impl ShapeSdf {
    /// The field of `shape` with half extent `radius` (pixels), rotated by `angle` (radians).
    pub(in crate::synth) fn new(shape: Shape, radius: f32, angle: f32) -> ShapeSdf {
        let corners = shape.corners().iter().map(|(x, y)| (x * radius, y * radius)).collect();
        ShapeSdf { shape, corners, radius, sin_cos: angle.sin_cos() }
    }

    /// Distance in pixels, negative inside, from the edge to the point `(dx, dy)` relative to the object's center.
    pub(in crate::synth) fn distance(&self, dx: f32, dy: f32) -> f32 {
        let (sin, cos) = self.sin_cos;
        let (dx, dy) = (dx * cos + dy * sin, dy * cos - dx * sin);
        match self.shape {
            Shape::Circle => dx.hypot(dy) - self.radius * 0.92,
            _ => polygon_distance(&self.corners, dx, dy),
        }
    }
}

/// Distance, negative inside, from the edge of the closed polygon `corners` to a point.
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
