//! Frames of another size than the planned one: a recording whose sides change on the way.

use zoetrope_media::{Frame, Rgb, Time};
use zoetrope_models::contract::features::PrepareState;
use zoetrope_models::contract::media_plan::{MediaPlan, PlanOptions};

use crate::media::video;
use crate::test_family::{TestFamily, all};

/// A frame of one light gray.
fn light(width: u32, height: u32) -> Frame {
    let data = vec![250; (width * height * 3) as usize];
    Frame { index: 0, time: Time::new(0, 2), image: Rgb { width, height, data } }
}

/// Share of the first view that `frame` takes.
fn share(family: &TestFamily, plan: &MediaPlan, frame: &Frame) -> f64 {
    let image = family.processor.view_image(plan, 0, frame).unwrap();
    let pixels = image.data.chunks(3);
    pixels.clone().filter(|pixel| pixel[0] > 200).count() as f64 / pixels.len() as f64
}

#[test]
fn frames_of_another_shape_are_not_squeezed() {
    for family in all() {
        let what = family.name();
        let mut media = video(48, 32, 4).metadata;
        media.sizes.push((96, 64));
        let plan = family.processor.plan(&[], &[media], &PlanOptions::default()).unwrap().remove(0);
        assert_eq!(plan.source, (96, 64), "{what}: planned for the largest");
        let frames = [light(96, 64), light(48, 32), light(16, 96)];
        let [whole, small, narrow] = frames.each_ref().map(|frame| share(family, &plan, frame));
        // A row of a small view is a tenth of it: the edge of a frame falls between two rows.
        assert!((whole - small).abs() < 0.1, "{what}: {small} of the shape of {whole}, half as large");
        // Of the rectangle of the planned frame, a sixth of its height is wide: 1/9. A square has a little more room.
        assert!(narrow > 0.05 && narrow < 0.25, "{what}: {narrow}");
        assert_eq!(
            frames.each_ref().map(|frame| plan.shows_with_bars((frame.image.width, frame.image.height))),
            [false, false, true]
        );
        let units = |frames: &[Frame]| {
            let patches = family.processor.prepare(&plan, frames, &mut PrepareState::default()).unwrap();
            (patches.pixels.dims().to_vec(), patches.units.iter().map(|unit| unit.grid).collect::<Vec<_>>())
        };
        let same = [light(96, 64), light(96, 64), light(96, 64)];
        assert_eq!(units(&frames), units(&same), "{what}");
    }
}
