//! What each cell of an even grid over a scene shows: the labels of the visual tokens.

use super::scene::Scene;
use super::shape::{Colour, Outline, Shape};

/// What a cell shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// The backdrop alone.
    Backdrop,
    /// Mostly or only an object.
    Object {
        /// Its shape.
        shape: Shape,
        /// Its colour now.
        colour: Colour,
        /// Column and row (0..3 each) of the 3 x 3 grid that its middle lies in now.
        place: (usize, usize),
    },
    /// Too little of an object to tell, or two objects alike in area.
    Unclear,
}

/// Points a side at which a cell is looked at.
const POINTS: usize = 6;
/// Fewest of the `POINTS * POINTS` points that an object must have to be what the cell shows.
const ENOUGH: usize = 5;

impl Scene {
    /// The cells of a grid of `rows` x `columns` over frame `index`, row by row.
    pub fn cells(&self, index: usize, (rows, columns): (usize, usize)) -> Vec<Cell> {
        let shown: Vec<_> = self.objects.iter().filter_map(|object| Some((object, object.colour_at(index)?))).collect();
        let counts: Vec<Vec<usize>> = shown
            .iter()
            .map(|(object, _)| {
                let outline = Outline::new(object.shape, object.radius, object.angle);
                self.covered(&outline, object.centre_at(self, index), rows, columns)
            })
            .collect();
        (0..rows * columns)
            .map(|cell| {
                let all: usize = counts.iter().map(|count| count[cell]).sum();
                let most = (0..shown.len()).max_by_key(|k| counts[*k][cell]);
                match most {
                    _ if all == 0 => Cell::Backdrop,
                    Some(k) if counts[k][cell] >= ENOUGH && counts[k][cell] >= 2 * (all - counts[k][cell]) => {
                        let (object, colour) = shown[k];
                        let place = self.cell(object.centre_at(self, index));
                        Cell::Object { shape: object.shape, colour, place }
                    }
                    _ => Cell::Unclear,
                }
            })
            .collect()
    }

    /// Of every cell, the number of points inside `outline` around `centre`.
    fn covered(&self, outline: &Outline, (cx, cy): (f32, f32), rows: usize, columns: usize) -> Vec<usize> {
        let at = |k: usize, cells: usize, size: u32| (k as f32 + 0.5) * size as f32 / (cells * POINTS) as f32;
        let mut counts = vec![0; rows * columns];
        for y in 0..rows * POINTS {
            for x in 0..columns * POINTS {
                let inside = outline.distance(at(x, columns, self.width) - cx, at(y, rows, self.height) - cy) < 0.0;
                counts[y / POINTS * columns + x / POINTS] += usize::from(inside);
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::{Act, Difficulty, Split};

    /// The name of a cell's colour must be that of its pixels, whatever happens in the clip.
    #[test]
    fn cells_say_what_the_pixels_show() {
        let difficulty = Difficulty { grain: 0.0, ..Difficulty::full() };
        let (mut objects, mut changed) = (0, 0);
        for seed in 0..60 {
            let scene = Scene::new(Split::Train, seed, &difficulty);
            let last = scene.frames() - 1;
            let image = scene.frame(last).image;
            let grid = (8, 8);
            for (n, cell) in scene.cells(last, grid).into_iter().enumerate() {
                let Cell::Object { colour, shape, place } = cell else { continue };
                let object =
                    scene.objects.iter().find(|object| object.shape == shape && object.last_colour() == colour);
                let object = object.expect("a cell names an object of the scene");
                assert_eq!(place, scene.cell(object.centre_at(&scene, last)));
                let fill = object.fill_at(last).expect("it is there");
                let (x0, x1) = (n % 8 * scene.width as usize / 8, (n % 8 + 1) * scene.width as usize / 8);
                let (y0, y1) = (n / 8 * scene.height as usize / 8, (n / 8 + 1) * scene.height as usize / 8);
                let pixel = |x: usize, y: usize| &image.data[(y * scene.width as usize + x) * 3..][..3];
                assert!((y0..y1).any(|y| (x0..x1).any(|x| pixel(x, y) == fill)), "seed {seed}, cell {n}");
                objects += 1;
                changed += usize::from(matches!(object.act, Act::Becomes(..)));
            }
        }
        assert!(objects > 200 && changed > 20, "{objects} {changed}");
    }

    #[test]
    fn an_object_that_is_gone_has_no_cell_and_every_object_there_has_one() {
        let difficulty = Difficulty::clips();
        for seed in 0..100 {
            let scene = Scene::new(Split::Train, seed, &difficulty);
            for index in [0, scene.frames() - 1] {
                let cells = scene.cells(index, (4, 4));
                for object in &scene.objects {
                    let colour = object.colour_at(index);
                    let named = |cell: &Cell| matches!(cell, Cell::Object { shape, colour: c, .. } if *shape == object.shape && Some(*c) == colour);
                    assert_eq!(cells.iter().any(named), colour.is_some(), "seed {seed}, frame {index}: {object:?}");
                }
            }
        }
    }
}
