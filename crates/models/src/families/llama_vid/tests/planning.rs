//! Frames, views, subtitles and the numbers of a film.

use super::*;
use crate::contract::media_plan::Window;

/// A video of `frames` frames, `num / den` a second.
fn video(frames: i64, num: u32, den: u32) -> MediaMetadata {
    let times: Vec<Time> = (0..frames).map(|n| Time::new(n * i64::from(den), num)).collect();
    MediaMetadata::video((640, 360), times, frames as f64 * f64::from(den) / f64::from(num))
}

fn plan_of(media: &MediaMetadata, options: &PlanOptions) -> MediaPlan {
    let processor = LlamaVidProcessor::load(&checkpoint()).unwrap();
    processor.plan(&[], std::slice::from_ref(media), options).unwrap().remove(0)
}

fn indices(media: &MediaMetadata, options: &PlanOptions) -> Vec<usize> {
    plan_of(media, options).frames.iter().map(|frame| frame.index).collect()
}

#[test]
fn three_hundred_frames_at_29_97_are_ten() {
    let taken = indices(&video(300, 30_000, 1001), &PlanOptions::default());
    assert_eq!(taken, (0..10).map(|n| 30 * n).collect::<Vec<_>>());
}

#[test]
fn bankers_rounding_of_the_step_which_is_never_zero() {
    let step = |num: u32, den: u32| indices(&video(200, num, den), &PlanOptions::default())[1];
    assert_eq!([step(5, 2), step(7, 2), step(3, 2), step(24, 1), step(60, 1)][..4], [2, 4, 2, 24]);
    // The reference would step by 0.
    assert_eq!([step(1, 2), step(2, 5), step(1, 10)], [1, 1, 1]);
    let twice = PlanOptions { fps: Some(2.0), ..PlanOptions::default() };
    assert_eq!(indices(&video(100, 25, 1), &twice)[..3], [0, 12, 24]);
}

#[test]
fn a_film_has_a_frame_a_second_without_a_cap() {
    let spans = |hours: f64| {
        let plan = plan_of(&video((hours * 3600.0) as i64, 1, 1), &PlanOptions::default());
        let processor = LlamaVidProcessor::load(&checkpoint()).unwrap();
        let tokens: usize = processor.visual_spans(&plan, None).iter().map(|span| span.tokens).sum();
        (plan.frames.len(), tokens)
    };
    assert_eq!(spans(3.0), (10_800, 21_600));
    assert_eq!(65_536 - spans(3.0).1, 43_936);
    // 2 h 49 min, and a trailer of 90 s.
    assert_eq!(spans(169.0 / 60.0), (10_140, 20_280));
    assert_eq!(spans(0.025), (90, 180));
    assert_eq!((65_536 / 2, 10_800 * 256), (32_768, 2_764_800));
}

#[test]
fn a_limit_spreads_the_frames_over_all_of_the_video() {
    let limited = PlanOptions { max_frames: Some(4), ..PlanOptions::default() };
    assert_eq!(indices(&video(300, 25, 1), &limited), [0, 75, 150, 225]);
    let tokens = PlanOptions { max_visual_tokens: Some(9), ..PlanOptions::default() };
    assert_eq!(indices(&video(300, 25, 1), &tokens), [0, 75, 150, 225]);
    let processor = LlamaVidProcessor::load(&checkpoint()).unwrap();
    let few = PlanOptions { max_visual_tokens: Some(1), ..PlanOptions::default() };
    let error = processor.plan(&[], &[video(300, 25, 1)], &few).unwrap_err().to_string();
    assert!(error.contains("2 visual tokens") && error.contains('1'), "{error}");
    // Rates that would ask for more moments than there are.
    let mut slides = video(4, 1, 30);
    slides.timeline = crate::contract::timeline::Timeline::new([0, 1, 60, 61].map(|s| Time::new(s, 1)), 99.0);
    assert_eq!(indices(&slides, &PlanOptions { fps: Some(1e12), ..PlanOptions::default() }), [0, 1, 2, 3]);
    assert_eq!(indices(&slides, &PlanOptions { fps: Some(1.0 / 30.0), ..PlanOptions::default() }), [0, 1, 2, 3]);
    assert_eq!(indices(&slides, &PlanOptions { fps: Some(0.02), ..PlanOptions::default() }), [0, 1]);
}

#[test]
fn a_subtitle_follows_the_last_frame_before_its_end_and_never_the_last_one_for_an_early_one() {
    let mut media = video(100, 25, 1);
    let words = [
        (-1.0, 0.0, "early"),
        (0.1, 1.0, "one..."),
        (0.5, 1.1, " two\n...lines "),
        (2.0, 90.0, "end"),
        (3.0, 3.5, "..."),
    ];
    media.captions = words.map(|(start, end, text)| Caption { start, end, text: text.to_string() }).to_vec();
    let film = |options: &PlanOptions| plan_of(&media, options).captions;
    let own = |all: &[(usize, &str)]| all.iter().map(|(frame, text)| (*frame, text.to_string())).collect::<Vec<_>>();
    assert_eq!(film(&PlanOptions::default()), own(&[(0, "early"), (0, "one"), (1, "two lines"), (3, "end")]));
    let part = PlanOptions { start: Some(1.0), end: Some(2.0), ..PlanOptions::default() };
    assert_eq!(film(&part), own(&[(0, "two lines")]));
    let told = |options: &PlanOptions| plan_of(&media, options).settings.word("film").unwrap().to_string();
    assert_eq!((told(&PlanOptions::default()), told(&part)), ("whole".to_string(), "part".to_string()));
    let off = PlanOptions { settings: Settings::default().with("film", "off"), ..PlanOptions::default() };
    assert!(film(&off).is_empty());
}

#[test]
fn stills_are_padded_and_frames_of_videos_are_cut() {
    let picture = plan_of(&MediaMetadata::picture((90, 70)), &PlanOptions::default()).views[0];
    let window = |left, top| Window { left, top, width: 56, height: 56 };
    assert_eq!((picture.canvas, picture.resized, picture.window), ((90, 90), (56, 56), window(0, 0)));
    let frame = plan_of(&video(3, 1, 1), &PlanOptions::default()).views[0];
    assert_eq!((frame.canvas, frame.resized, frame.window), ((640, 360), (99, 56), window(21, 0)));
    let processor = LlamaVidProcessor::load(&checkpoint()).unwrap();
    let unpadded = PlanOptions { settings: Settings::default().with("pad", false), ..PlanOptions::default() };
    let thin = [MediaMetadata::picture((1, 60_000))];
    let error = processor.plan(&[], &thin, &unpadded).unwrap_err().to_string();
    assert_eq!(error, "1x60000 is longer than 200 to 1");
    assert!(processor.plan(&[], &thin, &PlanOptions::default()).is_ok());
}
