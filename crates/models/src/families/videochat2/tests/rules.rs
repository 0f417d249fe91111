//! Worked numbers: frames, tiles, position tables, views.

use super::*;
use crate::contract::media_plan::View;
use crate::contract::settings::Settings;

fn indices(media: &MediaMetadata, options: &PlanOptions) -> Vec<usize> {
    let processor = processor_of(&plain_config("VideoChat2_it_mistral"));
    let plan = processor.plan(&[], std::slice::from_ref(media), options).unwrap().remove(0);
    plan.frames.iter().map(|frame| frame.index).collect()
}

#[test]
fn frames_of_a_clip_of_300_are_those_of_mvbench() {
    let want = [9, 28, 46, 65, 84, 102, 121, 140, 159, 177, 196, 215, 233, 252, 271, 289];
    assert_eq!(indices(&clip((64, 48), 300, 30), &PlanOptions::default()), want);
}

#[test]
fn frames_of_a_bounded_clip_of_900_are_those_of_mvbench() {
    let options = PlanOptions { start: Some(5.0), end: Some(12.0), max_frames: Some(8), ..PlanOptions::default() };
    assert_eq!(indices(&clip((64, 48), 900, 30), &options), [163, 189, 215, 242, 268, 294, 321, 347]);
}

/// Half to even: parts of 2.5 frames.
#[test]
fn banker_s_rounding_of_frames() {
    assert_eq!(
        indices(&clip((64, 48), 11, 1), &PlanOptions { max_frames: Some(4), ..PlanOptions::default() }),
        [1, 3, 6, 9]
    );
}

#[test]
fn a_picture_in_time_is_shown_once() {
    let frames = indices(&clip((64, 48), 5, 1), &PlanOptions::default());
    assert!(frames.is_sorted_by(|a, b| a < b), "{frames:?}");
}

#[test]
fn tiles_are_those_of_the_authors_rule() {
    for (name, grid) in goldens()["grids"].as_object().unwrap() {
        let (size, most) = name.split_once(' ').unwrap();
        let (width, height) = size.split_once('x').unwrap();
        let size = (width.parse().unwrap(), height.parse().unwrap());
        let ours = planning::tile_grid(size, 224, most.parse().unwrap());
        assert_eq!(json!([ours.0, ours.1]), *grid, "{name}");
    }
}

/// 96 tokens for each tile, row by row, then for the whole: 96 (w h + 1).
#[test]
fn tokens_of_tiles_are_96_each_and_96_for_the_whole() {
    let config = json!({"model_config": {"model_cls": "VideoChat2_it_hd_mistral", "dynamic_config": {"hd_num": 6}}});
    let processor = processor_of(&config);
    let plan = |media: MediaMetadata, tiles: usize| {
        let settings = Settings::default().with("tiles", tiles);
        processor.plan(&[], &[media], &PlanOptions { settings, ..PlanOptions::default() }).unwrap().remove(0)
    };
    for (tiles, grid, tokens) in [(6, (3, 2), 672), (12, (4, 3), 1248), (1, (1, 1), 192)] {
        let plan = plan(clip((640, 480), 300, 30), tiles);
        assert_eq!(processor.visual_spans(&plan, None)[0].tokens, tokens, "at most {tiles} tiles");
        let whole = plan.views.last().unwrap();
        assert_eq!((whole.resized, plan.views[0].resized), ((224, 224), (224 * grid.0, 224 * grid.1)));
        let corner = |view: &View| (view.window.left / 224, view.window.top / 224);
        let corners: Vec<_> = plan.views[..plan.views.len() - 1].iter().map(corner).collect();
        let want: Vec<_> = (0..grid.1 as i32).flat_map(|y| (0..grid.0 as i32).map(move |x| (x, y))).collect();
        assert_eq!(corners, want);
    }
}

/// The short side to 224, then the middle.
#[test]
fn a_frame_without_tiles_is_cropped_in_the_middle() {
    let config = json!({"model_config": {"model_cls": "VideoChat2_it_mistral"}});
    let processor = processor_of(&config);
    let view = |size: (u32, u32)| {
        let plan = processor.plan(&[], &[MediaMetadata::picture(size)], &PlanOptions::default()).unwrap().remove(0);
        (plan.views[0].resized, plan.views[0].window.left, plan.views[0].window.top)
    };
    assert_eq!(view((1920, 1080)), ((398, 224), 87, 0));
    assert_eq!(view((480, 640)), ((224, 298), 0, 37));
    assert_eq!(view((100, 101)), ((224, 226), 0, 1));
    assert_eq!(view((224, 229)), ((224, 229), 0, 2));
    // 96 tokens whatever the frames.
    let plan = processor.plan(&[], &[clip((64, 48), 300, 30)], &PlanOptions::default()).unwrap().remove(0);
    assert_eq!((processor.visual_spans(&plan, None)[0].tokens, plan.patches()), (96, 16 * 196));
}

/// A picture has a table of its own; those of other frames and grids are interpolated.
#[test]
fn position_tables_are_those_of_the_authors_code() {
    let want = tensors("tables");
    let config = Config::load(&toy_folder()).unwrap().vision;
    for frames in [1, 2, 4, 7] {
        let theirs = &want[&frames.to_string()];
        let ours = Tensor::from_vec(positions::table(&config, frames), theirs.dims(), &Device::Cpu).unwrap();
        // A bicubic sum of 16 values up to 1, in another order.
        let off = worst(&ours, theirs);
        assert!(off <= 16.0 * f64::from(f32::EPSILON), "{frames} frames: off by {off}");
    }
    let published = config::VisionConfig { hidden: 1024, side: 224, patch: 16, ..config };
    for frames in [1, 8, 16] {
        let all = positions::table(&published, frames);
        let step = if frames == 1 { 15 } else { 196 * frames / 13 };
        let rows: Vec<&[f32]> = all.chunks(1024).step_by(step).collect();
        let some: Vec<f32> = rows.iter().flat_map(|row| row.iter().step_by(93).copied()).collect();
        let theirs = &want[&format!("published.{frames}")];
        let off = worst(&Tensor::from_vec(some, theirs.dims(), &Device::Cpu).unwrap(), theirs);
        assert!(off <= 4.0 * f64::from(f32::EPSILON), "{frames} frames at the published size: off by {off}");
    }
}

/// CLIP's in the demos and in the MVBench notebook, ImageNet's in HD.
#[test]
fn mean_and_deviation_are_those_of_the_published_runs() {
    let mean = |config: &Value, settings: Settings| {
        let options = PlanOptions { settings, ..PlanOptions::default() };
        let plan = processor_of(config).plan(&[], &[MediaMetadata::picture((40, 40))], &options).unwrap().remove(0);
        planning::norm(&plan).0[0]
    };
    let plain = plain_config("VideoChat2_it_vicuna");
    assert_eq!(mean(&plain, Settings::default()), 0.481_454_66);
    assert_eq!(mean(&toy_config(), Settings::default()), 0.485);
    assert_eq!(mean(&plain, Settings::default().with("norm", "imagenet")), 0.485);
}

#[test]
fn a_budget_takes_tiles_away_before_it_is_refused() {
    let processor = processor_of(&toy_config());
    let plan = |budget: usize| {
        let options = PlanOptions { max_visual_tokens: Some(budget), ..PlanOptions::default() };
        processor.plan(&[], &[clip((80, 50), 8, 1)], &options)
    };
    let units = |budget: usize| plan(budget).unwrap()[0].units();
    assert_eq!((units(24), units(23), units(16)), (3, 2, 2));
    assert_eq!(plan(15).unwrap_err().to_string(), "16 visual tokens do not fit in the 15 that are left");
}
