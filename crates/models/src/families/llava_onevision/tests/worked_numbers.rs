//! Counts, sizes and samples of the published sizes: the worked numbers of the model sheet, and tables that the authors'
//! code and transformers made.

use super::super::config::{Config, Convention};
use super::super::{geometry, planning};
use super::*;

/// The published configuration in the rules of `convention`: the toy's files with the published sizes.
fn published(convention: Convention) -> Config {
    let mut c = Config::load(&checkpoint("toy-hf")).unwrap();
    (c.vision.image, c.vision.patch, c.convention) = (384, 14, convention);
    let swap = |(a, b): (u32, u32)| if convention == Convention::Original { (a, b) } else { (b, a) };
    c.pinpoints = (1..=6).flat_map(|a| (1..=6).map(move |b| swap((384 * a, 384 * b)))).collect();
    c.max_tiles = Some(9);
    c
}

fn plan(c: &Config, media: MediaMetadata, options: &PlanOptions) -> MediaPlan {
    planning::plan(c, &[], &[media], options).unwrap().remove(0)
}

fn tokens(c: &Config, plan: &MediaPlan) -> usize {
    planning::visual_spans(c, plan).iter().map(|span| span.tokens).sum()
}

fn number(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

/// C5: (width, height), best size, crops, after unpadding (rows, columns), final (rows, columns), tokens.
type Worked = ((u32, u32), (u32, u32), usize, (usize, usize), (usize, usize), usize);
const C5: [Worked; 9] = [
    ((640, 480), (768, 768), 5, (40, 54), (40, 54), 2929),
    ((1344, 336), (1536, 384), 5, (27, 108), (27, 108), 3672),
    ((1280, 720), (1536, 768), 9, (54, 96), (54, 96), 5967),
    ((1920, 1080), (1920, 1152), 16, (75, 135), (60, 108), 7269),
    ((336, 336), (384, 384), 2, (27, 27), (27, 27), 1485),
    ((384, 384), (384, 384), 2, (27, 27), (27, 27), 1485),
    ((1024, 899), (1152, 1152), 10, (71, 81), (71, 81), 6551),
    ((100, 1000), (384, 1152), 4, (81, 9), (81, 9), 1539),
    ((3000, 3000), (2304, 2304), 37, (162, 162), (81, 81), 7371),
];

#[test]
fn pictures_have_the_worked_numbers_of_c5() {
    for convention in [Convention::Original, Convention::Transformers] {
        let c = published(convention);
        for (size, best, crops, unpadded, scaled, count) in C5 {
            let plan = plan(&c, MediaMetadata::picture(size), &PlanOptions::default());
            let (tiles, grid) = planning::tiles(&c, &plan).unwrap();
            assert_eq!(tiles, (best.0 as usize / 384, best.1 as usize / 384), "{size:?}");
            assert_eq!((plan.views.len(), grid.cropped, grid.scaled), (crops, unpadded, scaled), "{size:?}");
            assert_eq!(tokens(&c, &plan), count, "{size:?}");
        }
    }
}

/// The hand check of C5: rows 7 to 47 are left of 54, and the picture is resized to 768 x 576.
#[test]
fn a_picture_of_640_by_480_is_cut_as_in_the_hand_check() {
    let c = published(Convention::Original);
    let grid = geometry::tile_grid(&c, (640, 480));
    assert_eq!((grid.resized, grid.offset), ((768, 576), (0, 96)));
    let tokens = geometry::token_grid(&c, (640, 480), grid.tiles);
    assert_eq!((tokens.first, tokens.cropped), ((7, 0), (40, 54)));
    // Base view, then tiles row by row; of each 378 of 384 pixels are seen.
    let plan = plan(&c, MediaMetadata::picture((640, 480)), &PlanOptions::default());
    let corners = plan.views.iter().map(|view| (view.resized, view.window.left, view.window.top)).collect::<Vec<_>>();
    let tile = |left, top| ((768, 576), left, top);
    let want = [((384, 384), 0, 0), tile(0, -96), tile(384, -96), tile(0, 288), tile(384, 288)];
    assert_eq!(corners, want);
    assert!(plan.views.iter().all(|view| (view.window.width, view.window.height, view.grid) == (378, 378, (27, 27))));
}

#[test]
fn counts_match_the_authors_code_and_transformers_at_many_sizes() {
    let (original, transformers) = (published(Convention::Original), published(Convention::Transformers));
    let rows = json("plan.json");
    let rows = rows["sizes"].as_array().unwrap();
    let mut different = Vec::new();
    for row in rows {
        let size = (number(&row[0]) as u32, number(&row[1]) as u32);
        for (c, best, count) in [(&original, [&row[2], &row[3]], &row[4]), (&transformers, [&row[5], &row[6]], &row[7])]
        {
            let plan = plan(c, MediaMetadata::picture(size), &PlanOptions::default());
            let tiles = planning::tiles(c, &plan).unwrap().0;
            assert_eq!([tiles.0 * 384, tiles.1 * 384], best.map(number), "{size:?}");
            // Null where the authors' code fails.
            if let Some(count) = count.as_u64() {
                assert_eq!(tokens(c, &plan) as u64, count, "{:?} {size:?}", c.convention);
            }
        }
        if row[4] != row[7] && !row[4].is_null() {
            different.push((size, number(&row[4]), number(&row[7])));
        }
    }
    // The sizes of the model sheet where the two conventions count differently.
    let known = [((820, 369), 2349, 2403), ((1107, 820), 5567, 5731), ((1107, 1722), 7329, 7294)];
    assert_eq!(different, known);
    assert!(rows.len() > 200);
}

fn clip(frames: usize, rate: f64) -> MediaMetadata {
    let times = (0..frames).map(|i| Time::new((i as f64 / rate * 1e9).round() as i64, 1_000_000_000));
    MediaMetadata::video((1280, 720), times.collect::<Vec<_>>(), frames as f64 / rate)
}

fn indices(plan: &MediaPlan) -> Vec<usize> {
    plan.frames.iter().map(|frame| frame.index).collect()
}

#[test]
fn videos_and_several_pictures_have_the_worked_numbers_of_c6() {
    let c = published(Convention::Original);
    let ten_seconds = || clip(300, 30.0);
    let trained = plan(&c, ten_seconds(), &PlanOptions { fps: Some(1.0), ..PlanOptions::default() });
    assert_eq!(indices(&trained), (0..10).map(|n| 30 * n).collect::<Vec<_>>());
    assert_eq!((trained.views[0].resized, tokens(&c, &trained)), ((384, 384), 1961));
    let uniform = plan(&c, ten_seconds(), &PlanOptions::default());
    assert_eq!((indices(&uniform)[..5].to_vec(), indices(&uniform)[31]), (vec![0, 9, 19, 28, 38], 299));
    assert_eq!(tokens(&c, &uniform), 6273);
    let sixteen = plan(&c, ten_seconds(), &PlanOptions { max_frames: Some(16), ..PlanOptions::default() });
    assert_eq!(tokens(&c, &sixteen), 3137);
    for n in [2, 3, 12] {
        let plans = planning::plan(&c, &[], &vec![MediaMetadata::picture((640, 480)); n], &PlanOptions::default());
        assert_eq!(plans.unwrap().iter().map(|plan| tokens(&c, plan)).sum::<usize>(), 730 * n);
    }
}

#[test]
fn sampling_matches_the_authors_code_and_transformers() {
    let rows = json("plan.json");
    for row in rows["sampling"].as_array().unwrap() {
        let media = clip(number(&row["total"]), row["rate"].as_f64().unwrap());
        for (convention, key) in [(Convention::Original, "original"), (Convention::Transformers, "transformers")] {
            let Some(want) = row[key].as_array() else { continue };
            // transformers has no limit of frames.
            let most = if convention == Convention::Original { 32 } else { usize::MAX };
            let most = row["frames"].as_u64().map_or(most, |frames| frames as usize);
            let options = PlanOptions { fps: row["fps"].as_f64(), max_frames: Some(most), ..PlanOptions::default() };
            let ours = indices(&plan(&published(convention), media.clone(), &options));
            assert_eq!(ours, want.iter().map(number).collect::<Vec<_>>(), "{key} {row}");
        }
    }
}

#[test]
fn the_only_picture_is_tiled_and_later_ones_are_not() {
    let c = published(Convention::Transformers);
    let picture = || MediaMetadata::picture((640, 480));
    let of = |plans: &[MediaPlan]| {
        plans.iter().map(|plan| plan.settings.word("tiles").unwrap().to_string()).collect::<Vec<_>>()
    };
    let planned = |earlier: &[MediaPlan], new: &[MediaMetadata], tiles: Option<&str>| {
        let settings = tiles.map_or(Settings::default(), |tiles| Settings::default().with("tiles", tiles));
        planning::plan(&c, earlier, new, &PlanOptions { settings, ..PlanOptions::default() }).unwrap()
    };
    let first = planned(&[], &[picture()], None);
    assert_eq!(of(&first), ["anyres"]);
    // What an earlier turn showed stays as it is.
    assert_eq!(of(&planned(&first, &[picture()], None)), ["pad"]);
    assert_eq!(of(&planned(&[], &[picture(), picture()], None)), ["pad", "pad"]);
    assert_eq!(of(&planned(&[], &[picture(), clip(30, 30.0)], None)), ["anyres", "auto"]);
    assert_eq!(of(&planned(&[], &[picture(), picture()], Some("anyres"))), ["anyres", "anyres"]);
    assert_eq!(of(&planned(&[], &[picture()], Some("pad"))), ["pad"]);
}

#[test]
fn padding_is_of_the_mean_color_and_bars_around_tiles_are_black() {
    let c = published(Convention::Original);
    let tiled = plan(&c, MediaMetadata::picture((100, 50)), &PlanOptions::default());
    let pad = PlanOptions { settings: Settings::default().with("tiles", "pad"), ..PlanOptions::default() };
    let padded = plan(&c, MediaMetadata::picture((101, 50)), &pad);
    assert_eq!((planning::background(&c, &tiled), planning::background(&c, &padded)), ([0; 3], [127; 3]));
    assert_eq!((padded.views[0].canvas, padded.views[0].resized), ((101, 101), (384, 384)));
}

#[test]
fn a_budget_takes_tiles_first_and_then_frames() {
    let c = published(Convention::Transformers);
    let media = [MediaMetadata::picture((640, 480)), clip(300, 30.0)];
    let of = |budget: usize, tiles: &str| {
        let settings = Settings::default().with("tiles", tiles);
        let options = PlanOptions { max_visual_tokens: Some(budget), settings, ..PlanOptions::default() };
        let plans = planning::plan(&c, &[], &media, &options)?;
        Ok::<_, ModelError>((plans[0].views.len(), plans[1].frames.len()))
    };
    assert_eq!(of(2929 + 6273, "auto").unwrap(), (5, 32));
    assert_eq!(of(730 + 6273, "auto").unwrap(), (1, 32));
    assert_eq!(of(730 + 10 * 196 + 1, "auto").unwrap(), (1, 10));
    assert_eq!(of(2929 + 5 * 196 + 1, "anyres").unwrap(), (5, 5));
    let error = of(900, "auto").unwrap_err().to_string();
    assert!(error.starts_with("a budget of 900 visual tokens") && error.ends_with("at least 927"), "{error}");
}

#[test]
fn a_rate_and_uniform_sampling_do_not_go_together() {
    let c = published(Convention::Original);
    let settings = Settings::default().with("sampling", "uniform");
    let options = PlanOptions { fps: Some(2.0), settings, ..PlanOptions::default() };
    let error = planning::plan(&c, &[], &[clip(30, 30.0)], &options).unwrap_err().to_string();
    assert_eq!(error, "2 frames per second and setting sampling=uniform, which has no rate");
    let options = PlanOptions { settings: Settings::default().with("sampling", "fps"), ..PlanOptions::default() };
    assert_eq!(indices(&plan(&c, clip(90, 30.0), &options)), [0, 30, 60]);
}

#[test]
fn extreme_pictures_have_tokens_too() {
    for convention in [Convention::Original, Convention::Transformers] {
        let c = published(convention);
        for size in [(1, 1), (1, 100_000), (100_000, 1), (65_535, 3), (2, 65_535), (65_535, 65_535)] {
            let plan = plan(&c, MediaMetadata::picture(size), &PlanOptions::default());
            let (tiles, grid) = planning::tiles(&c, &plan).unwrap();
            assert_eq!(plan.views.len(), 1 + tiles.0 * tiles.1);
            assert!(grid.cropped.0 >= 1 && grid.cropped.1 >= 1 && grid.scaled.0 >= 1, "{size:?}: {grid:?}");
        }
        let none = planning::plan(&c, &[], &[MediaMetadata::picture((0, 5))], &PlanOptions::default());
        assert!(none.unwrap_err().to_string().contains("0x5 pixels"));
    }
}
