//! Contact sheets of the default model's training scenes: `cargo run -p zoetrope-lab --example contact_sheet --
//! OUT_FOLDER [SEED]`. Writes `pictures.png`, `clips.png` (one clip per row, one second per column) and
//! `out_of_domain.png` (rows of pictures and of clips in turn) at half size and prints the questions.

use std::error::Error;
use std::path::Path;

use zoetrope_lab::synth::{Difficulty, FRAMES_PER_SECOND, OutOfDomain, Scene, Split, SynthRng};
use zoetrope_media::Rgb;

/// Side of a cell in pixels: half of the largest canvas.
const CELL: u32 = 142;
const COLUMNS: u32 = 8;
const ROWS: u32 = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let folder = words.next().ok_or("usage: contact_sheet OUT_FOLDER [SEED]")?;
    let first: u64 = words.next().map(|word| word.parse()).transpose()?.unwrap_or(0);
    let sheets =
        [("pictures.png", Difficulty::pictures()), ("clips.png", Difficulty { clip_share: 1.0, ..Difficulty::full() })];
    for (name, difficulty) in sheets {
        let mut sheet = image::RgbImage::new(COLUMNS * CELL, ROWS * CELL);
        let clips = difficulty.clip_share > 0.0;
        for cell in 0..if clips { ROWS } else { ROWS * COLUMNS } {
            let seed = first + u64::from(cell);
            let scene = Scene::generate(Split::Train, seed, &difficulty);
            if clips {
                for second in 0..scene.seconds.min(COLUMNS) {
                    let frame = scene.frame(((second + 1) * FRAMES_PER_SECOND - 1) as usize);
                    paste(&mut sheet, (second, cell), &frame.image);
                }
            } else {
                paste(&mut sheet, (cell % COLUMNS, cell / COLUMNS), &scene.frame(0).image);
            }
            println!("{name} {cell}: {} objects, {} s, grain {}", scene.objects.len(), scene.seconds, scene.grain);
            for question in scene.conversation(&mut SynthRng::new("sheet", seed), &difficulty.kinds, 8) {
                println!("    {:<10} {} -> {}", question.kind.name(), question.text, question.answer);
            }
        }
        sheet.save(Path::new(&folder).join(name))?;
    }
    let mut sheet = image::RgbImage::new(COLUMNS * CELL, ROWS * CELL);
    for row in 0..ROWS {
        let film = OutOfDomain::generate(Split::Train, first + u64::from(row), 1.0);
        for column in 0..COLUMNS {
            let frame = match row % 2 {
                0 => OutOfDomain::generate(Split::Train, first + u64::from(row * COLUMNS + column), 0.0).frame(0),
                _ => film.frame(film.times().len() * column as usize / COLUMNS as usize),
            };
            paste(&mut sheet, (column, row), &frame.image);
        }
    }
    sheet.save(Path::new(&folder).join("out_of_domain.png"))?;
    Ok(())
}

/// Puts a picture at half its size into a cell of the sheet.
fn paste(sheet: &mut image::RgbImage, (column, row): (u32, u32), picture: &Rgb) {
    for y in 0..(picture.height / 2).min(CELL) {
        for x in 0..(picture.width / 2).min(CELL) {
            let mean = std::array::from_fn(|channel| {
                let level = |dx: u32, dy: u32| {
                    let at = ((2 * y + dy) * picture.width + 2 * x + dx) as usize * 3 + channel;
                    u32::from(picture.data[at])
                };
                ((level(0, 0) + level(1, 0) + level(0, 1) + level(1, 1) + 2) / 4) as u8
            });
            sheet.put_pixel(column * CELL + x, row * CELL + y, image::Rgb(mean));
        }
    }
}
