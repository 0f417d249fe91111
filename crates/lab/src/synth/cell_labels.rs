//! What each cell of a grid over a frame shows: the class labels of the visual tokens.

use super::objects::color::Color;
use super::objects::sdf::ShapeSdf;
use super::objects::shape::Shape;
use super::scene::Scene;

/// What a cell shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellLabel {
    /// The backdrop alone.
    Backdrop,
    /// Mostly one object.
    Object {
        /// Its shape.
        shape: Shape,
        /// Its color in this frame.
        color: Color,
        /// Column and row, `0..3` each, of the place of the 3 x 3 grid that contains its center in this frame.
        place: (usize, usize),
    },
    /// Too little of an object to tell, or two objects of similar area.
    Unclear,
}

/// Sample points per side of a cell.
const POINTS: usize = 6;
/// Fewest of the `POINTS * POINTS` sample points that an object must cover to label the cell.
const MIN_COVERED: usize = 5;

impl Scene {
    /// Labels of a grid of `rows` x `columns` cells over frame `index`, row by row.
    pub fn cell_labels(&self, index: usize, (rows, columns): (usize, usize)) -> Vec<CellLabel> {
        let frames = self.frames();
        let shown: Vec<_> = self.objects.iter().filter_map(|object| Some((object, object.color_at(index)?))).collect();
        let counts: Vec<Vec<usize>> = shown
            .iter()
            .map(|(object, _)| {
                let sdf = ShapeSdf::new(object.shape, object.radius, object.angle);
                self.count_covered(&sdf, object.center_at(index, frames), rows, columns)
            })
            .collect();
        (0..rows * columns)
            .map(|cell| {
                let all: usize = counts.iter().map(|count| count[cell]).sum();
                let largest = (0..shown.len()).max_by_key(|k| counts[*k][cell]);
                match largest {
                    _ if all == 0 => CellLabel::Backdrop,
                    Some(k) if counts[k][cell] >= MIN_COVERED && counts[k][cell] >= 2 * (all - counts[k][cell]) => {
                        let (object, color) = shown[k];
                        let place = self.place_at(object.center_at(index, frames));
                        CellLabel::Object { shape: object.shape, color, place }
                    }
                    _ => CellLabel::Unclear,
                }
            })
            .collect()
    }

    /// For each cell, the number of sample points inside the shape `sdf` around the center `(cx, cy)`.
    fn count_covered(&self, sdf: &ShapeSdf, (cx, cy): (f32, f32), rows: usize, columns: usize) -> Vec<usize> {
        let at = |k: usize, cells: usize, size: u32| (k as f32 + 0.5) * size as f32 / (cells * POINTS) as f32;
        let mut counts = vec![0; rows * columns];
        for y in 0..rows * POINTS {
            for x in 0..columns * POINTS {
                let inside = sdf.distance(at(x, columns, self.width) - cx, at(y, rows, self.height) - cy) < 0.0;
                counts[y / POINTS * columns + x / POINTS] += usize::from(inside);
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::{Difficulty, Motion, Split};

    /// The color name of a cell must be that of its pixels, whatever happens in the clip.
    #[test]
    fn cells_say_what_the_pixels_show() {
        let difficulty = Difficulty { grain_share: 0.0, ..Difficulty::full() };
        let (mut objects, mut changed) = (0, 0);
        for seed in 0..60 {
            let scene = Scene::generate(Split::Train, seed, &difficulty);
            let last = scene.frames() - 1;
            let image = scene.frame(last).image;
            let grid = (8, 8);
            for (n, cell) in scene.cell_labels(last, grid).into_iter().enumerate() {
                let CellLabel::Object { color, shape, place } = cell else { continue };
                let object = scene.objects.iter().find(|object| object.shape == shape && object.final_color() == color);
                let object = object.expect("a cell names an object of the scene");
                assert_eq!(place, scene.place_at(object.center_at(last, scene.frames())));
                let fill = object.fill_at(last).expect("it is there");
                let (x0, x1) = (n % 8 * scene.width as usize / 8, (n % 8 + 1) * scene.width as usize / 8);
                let (y0, y1) = (n / 8 * scene.height as usize / 8, (n / 8 + 1) * scene.height as usize / 8);
                let pixel = |x: usize, y: usize| &image.data[(y * scene.width as usize + x) * 3..][..3];
                assert!((y0..y1).any(|y| (x0..x1).any(|x| pixel(x, y) == fill)), "seed {seed}, cell {n}");
                objects += 1;
                changed += usize::from(matches!(object.motion, Motion::Becomes(..)));
            }
        }
        assert!(objects > 200 && changed > 20, "{objects} {changed}");
    }

    #[test]
    fn an_object_that_is_gone_has_no_cell_and_every_object_there_has_one() {
        let difficulty = Difficulty::clips();
        for seed in 0..100 {
            let scene = Scene::generate(Split::Train, seed, &difficulty);
            for index in [0, scene.frames() - 1] {
                let labels = scene.cell_labels(index, (4, 4));
                for object in &scene.objects {
                    let color = object.color_at(index);
                    let named = |cell: &CellLabel| matches!(cell, CellLabel::Object { shape, color: c, .. } if *shape == object.shape && Some(*c) == color);
                    assert_eq!(labels.iter().any(named), color.is_some(), "seed {seed}, frame {index}: {object:?}");
                }
            }
        }
    }
}
