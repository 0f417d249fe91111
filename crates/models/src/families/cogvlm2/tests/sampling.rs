//! Which frames: the worked numbers of the authors' samplers.

use super::*;
use crate::contract::media_plan::MediaPlan;
use crate::error::ModelError;

/// `frames` frames at `fps / 1001 * 1000` or `fps` a second.
fn clip(frames: i64, ticks: i64, scale: u32) -> MediaMetadata {
    let times: Vec<Time> = (0..frames).map(|n| Time::new(n * ticks, scale)).collect();
    MediaMetadata::video((320, 240), times, (frames * ticks) as f64 / f64::from(scale))
}

fn plan(media: &MediaMetadata, options: &PlanOptions) -> MediaPlan {
    processor("video").plan(&[], std::slice::from_ref(media), options).unwrap().remove(0)
}

fn indices(media: &MediaMetadata, options: &PlanOptions) -> Vec<usize> {
    plan(media, options).frames.iter().map(|frame| frame.index).collect()
}

#[test]
fn chat_sampling_takes_the_frame_nearest_to_each_second() {
    let shown = indices(&clip(300, 1, 30), &with("sampling", "seconds"));
    assert_eq!(shown, [0, 30, 60, 90, 120, 150, 180, 210, 240, 270, 299]);
}

#[test]
fn chat_sampling_gives_six_frames_of_five_seconds() {
    assert_eq!(indices(&clip(150, 1, 30), &PlanOptions::default()).len(), 6);
}

#[test]
fn chat_sampling_stops_at_24_seconds() {
    let shown = plan(&clip(3000, 1, 30), &PlanOptions::default()).frames;
    assert_eq!((shown.len(), shown[23].index, shown[23].prompt_time), (24, 690, 23.0));
    let most = PlanOptions { max_frames: Some(100), ..PlanOptions::default() };
    assert_eq!(plan(&clip(3000, 1, 30), &most).frames.len(), 24);
}

/// The number of seconds is rounded to even, as Python does: a last frame at 2.5 s ends at second 2, one at 3.5 s at 4.
#[test]
fn halves_of_seconds_are_rounded_to_even() {
    assert_eq!(indices(&clip(6, 1, 2), &PlanOptions::default()).len(), 3);
    assert_eq!(indices(&clip(8, 1, 2), &PlanOptions::default()).len(), 5);
}

const UNIFORM: [usize; 24] = [
    0, 78, 156, 234, 312, 391, 469, 547, 625, 703, 782, 860, 938, 1016, 1095, 1173, 1251, 1329, 1407, 1486, 1564, 1642,
    1720, 1799,
];

#[test]
fn base_sampling_spreads_24_frames_over_the_first_minute() {
    assert_eq!(indices(&clip(2700, 1, 30), &with("sampling", "uniform")), UNIFORM);
    // Times in milliseconds, as Matroska has them.
    let times: Vec<Time> = (0..2700).map(|n| Time::new((n * 1000 + 15) / 30, 1000)).collect();
    let rounded = MediaMetadata::video((320, 240), times, 90.0);
    assert_eq!(indices(&rounded, &with("sampling", "uniform")), UNIFORM);
}

/// `int(60 * 29.97)` is 1798: the last frame is number 1797.
#[test]
fn base_sampling_rounds_the_frames_of_a_minute_down() {
    let shown = indices(&clip(3000, 1001, 30_000), &with("sampling", "uniform"));
    assert_eq!((shown.len(), shown[1], shown[23]), (24, 78, 1797));
}

#[test]
fn base_sampling_repeats_frames_of_short_clips() {
    let shown = indices(&clip(10, 1, 5), &with("sampling", "uniform"));
    let want: Vec<usize> = (0..24).map(|n| n * 9 / 23).collect();
    assert_eq!(shown, want);
}

#[test]
fn the_base_checkpoint_is_known_by_its_name() {
    let of = |named: bool| {
        let config = checkpoint("video").config().unwrap();
        let config = Config::from_json(&config, &Value::Null, named).unwrap();
        (config.template, config.sampling().name())
    };
    assert_eq!((of(false), of(true)), ((config::Template::Chat, "seconds"), (config::Template::Base, "uniform")));
}

#[test]
fn the_whole_clip_is_an_option() {
    let shown = plan(&clip(18_000, 1, 30), &with("sampling", "whole")).frames;
    assert_eq!((shown.len(), shown[0].index, shown[23].index), (24, 0, 17_999));
    assert!((shown[1].time - 26.066).abs() < 0.01, "{}", shown[1].time);
    assert_eq!(plan(&clip(18_000, 1, 30), &with("sampling", "whole")).settings.word("sampling"), Some("whole"));
    assert_eq!(indices(&clip(5, 1, 30), &with("sampling", "whole")), [0, 1, 2, 3, 4]);
    let meaning = processor("video").info().settings[1].meaning;
    assert!(meaning.contains("for which no checkpoint was trained"), "{meaning}");
}

#[test]
fn a_part_counts_its_seconds_from_its_start() {
    let options = PlanOptions { start: Some(40.0), end: Some(44.0), ..PlanOptions::default() };
    let shown = plan(&clip(3000, 1, 30), &options).frames;
    let told: Vec<(usize, f64)> = shown.iter().map(|frame| (frame.index, frame.prompt_time)).collect();
    assert_eq!(told, [(1200, 40.0), (1230, 41.0), (1260, 42.0), (1290, 43.0), (1319, 44.0)]);
    let twice = PlanOptions { fps: Some(2.0), ..options };
    assert_eq!(indices(&clip(3000, 1, 30), &twice), [1200, 1215, 1230, 1245, 1260, 1275, 1290, 1305, 1319]);
}

#[test]
fn what_cannot_be_sampled_is_refused() {
    for fps in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let options = PlanOptions { fps: Some(fps), ..PlanOptions::default() };
        let refused = processor("video").plan(&[], &[clip(30, 1, 30)], &options);
        assert!(matches!(refused, Err(ModelError::Caller(_))), "{fps}");
    }
    let none = PlanOptions { max_frames: Some(0), ..PlanOptions::default() };
    assert!(processor("video").plan(&[], &[clip(30, 1, 30)], &none).is_err());
    let strip = MediaMetadata::picture((5000, 3));
    let text =
        processor("video").plan(&[], std::slice::from_ref(&strip), &PlanOptions::default()).unwrap_err().to_string();
    assert!(text.contains("5000x3"), "{text}");
    assert!(processor("image").plan(&[], &[strip], &PlanOptions::default()).is_ok());
    let empty = MediaMetadata::picture((0, 3));
    KINDS.iter().for_each(|kind| {
        assert!(processor(kind).plan(&[], std::slice::from_ref(&empty), &PlanOptions::default()).is_err())
    });
}

/// The short side becomes that of the picture, the long side is rounded down; the square in the middle is seen.
#[test]
fn frames_are_cut_to_the_square_in_their_middle() {
    let view = |size: (u32, u32)| {
        let media = MediaMetadata::picture(size);
        let view = processor("video").plan(&[], &[media], &PlanOptions::default()).unwrap()[0].views[0];
        (view.resized, view.window.left, view.window.top)
    };
    // (37 - 28) / 2 = 4.5 is rounded to even.
    assert_eq!(view((320, 240)), ((37, 28), 4, 0));
    assert_eq!(view((240, 320)), ((28, 37), 0, 4));
    assert_eq!(view((276, 200)), ((38, 28), 5, 0));
    assert_eq!(view((10, 10)), ((28, 28), 0, 0));
    // A picture model squeezes.
    let picture = processor("image").plan(&[], &[MediaMetadata::picture((320, 240))], &PlanOptions::default()).unwrap();
    assert_eq!((picture[0].views[0].resized, picture[0].views[0].window.left), ((42, 42), 0));
}

/// Where frames do not come at a constant rate, moments are spread, not numbers of frames: slides of 25 s.
#[test]
fn slides_get_as_many_frames_as_they_stay() {
    let times: Vec<Time> = (0..6).map(|n| Time::new(1000 * (25 * n + n % 2), 1000)).collect();
    let slides = MediaMetadata::video((64, 64), times, 150.0);
    let options = PlanOptions { max_frames: Some(6), ..with("sampling", "uniform") };
    // Slides start at 0, 26, 50, 76, ...: in the first minute the last one that starts does so at 50 s.
    assert_eq!(indices(&slides, &options), [0, 0, 0, 1, 1, 2]);
    let whole = PlanOptions { max_frames: Some(6), ..with("sampling", "whole") };
    // At 0, 25.2, 50.4, 75.6, 100.8 and 126 s.
    assert_eq!(indices(&slides, &whole), [0, 0, 2, 2, 4, 5]);
}
