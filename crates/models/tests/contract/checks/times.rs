//! Which frames of a video are shown: those on screen, wherever the clock of the file begins and however long each
//! stays.

use zoetrope_models::contract::media_plan::{MediaKind, MediaMetadata, MediaPlan, PlanOptions};

use crate::media::{video, video_at};
use crate::test_family::{TestFamily, all};

fn plan(family: &TestFamily, media: &MediaMetadata, options: &PlanOptions) -> MediaPlan {
    let planned = family.processor.plan(&[], std::slice::from_ref(media), options);
    planned.unwrap_or_else(|error| panic!("{}: {error}", family.name())).remove(0)
}

fn part(start: f64, end: Option<f64>) -> PlanOptions {
    PlanOptions { start: Some(start), end, ..PlanOptions::default() }
}

fn at_most(frames: usize) -> PlanOptions {
    PlanOptions { max_frames: Some(frames), ..PlanOptions::default() }
}

/// 40 frames in 1.6 s, then six that stay for 5 s each, on a clock that begins at `first` milliseconds.
fn burst_then_stills(first: i64) -> MediaMetadata {
    let starts = (0..40).map(|n| 40 * n).chain((0..6).map(|n| 1600 + 5000 * n));
    video_at(&starts.map(|start| first + start).collect::<Vec<_>>(), first + 31_600)
}

/// A slide every 30 s for 4 minutes.
fn slides() -> MediaMetadata {
    video_at(&(0..8).map(|n| 30_000 * n).collect::<Vec<_>>(), 240_000)
}

#[test]
fn frames_are_in_order_and_in_the_part_that_was_asked_for() {
    for family in all() {
        let video = video(64, 48, 40).metadata;
        for (start, end, most) in [(None, None, None), (Some(4.0), Some(12.0), None), (None, None, Some(3))] {
            let what = format!("{}: {start:?} to {end:?}, at most {most:?}", family.name());
            let options = PlanOptions { start, end, max_frames: most, ..PlanOptions::default() };
            let plan = plan(family, &video, &options);
            assert_eq!(plan.kind, MediaKind::Video, "{what}");
            assert!(!plan.frames.is_empty() && plan.frames.len() <= most.unwrap_or(usize::MAX), "{what}");
            assert!(plan.frames.is_sorted_by(|a, b| a.index < b.index), "{what}: {:?}", plan.frames);
            for frame in &plan.frames {
                assert_eq!(frame.time, video.timeline.start_of(frame.index), "{what}");
                let inside = start.unwrap_or(0.0) <= frame.time && frame.time < end.unwrap_or(f64::INFINITY);
                assert!(inside, "{what}: {frame:?}");
            }
        }
    }
}

#[test]
fn frames_are_spread_over_time_however_dense_they_are() {
    for family in all() {
        let plan = plan(family, &burst_then_stills(0), &at_most(8));
        let what = format!("{}: {:?}", family.name(), plan.frames);
        // As many of the first 1.6 s as an even spread over the part that is shown has: a family may show the first
        // seconds only.
        let told: Vec<f64> = plan.frames.iter().map(|frame| frame.prompt_time).collect();
        let step = (told[told.len() - 1] - told[0]) / (told.len() - 1).max(1) as f64;
        let even = (1.6 / step).ceil() as usize;
        let dense = plan.frames.iter().filter(|frame| frame.time < 1.6).count();
        assert!(dense <= even, "{what}: {dense} frames of the first 1.6 s, one each {step} s are {even}");
        assert!(plan.frames.len() >= 5, "{what}");
        assert!(plan.frames.is_sorted_by(|a, b| a.index <= b.index && a.prompt_time < b.prompt_time), "{what}");
    }
}

#[test]
fn a_part_begins_with_the_frame_on_screen() {
    for family in all() {
        let shown = |start, end| {
            let plan = plan(family, &slides(), &part(start, end));
            let told = plan.frames.iter().all(|frame| frame.prompt_time >= start);
            assert!(told, "{} from {start}: {:?}", family.name(), plan.frames);
            plan.frames.iter().map(|frame| frame.index).collect::<Vec<_>>()
        };
        let only = |slide: usize, shown: Vec<usize>| {
            assert!(shown.iter().all(|index| *index == slide), "{}: {shown:?}, not {slide}", family.name());
        };
        only(1, shown(40.0, Some(50.0)));
        only(1, shown(59.5, Some(60.0)));
        only(7, shown(225.0, None));
        assert_eq!(shown(100.0, Some(130.0))[0], 3, "{}", family.name());
        for outside in [part(240.0, None), part(-3.0, Some(0.0))] {
            assert!(family.processor.plan(&[], &[slides()], &outside).is_err(), "{}", family.name());
        }
    }
}

#[test]
fn seconds_count_from_the_first_frame() {
    for family in all() {
        for options in [PlanOptions::default(), at_most(5), part(2.0, Some(20.0))] {
            let own = plan(family, &burst_then_stills(0), &options);
            for first in [36_001_400, -1200, 1_700_000_000_000] {
                let what = format!("{} from {first} ms", family.name());
                let later = plan(family, &burst_then_stills(first), &options);
                assert_eq!(later.frames.len(), own.frames.len(), "{what}");
                for (own, later) in own.frames.iter().zip(&later.frames) {
                    assert_eq!((later.index, later.time), (own.index, own.time), "{what}");
                    assert!((later.prompt_time - own.prompt_time).abs() < 1e-6, "{what}: {later:?}");
                    let source = own.time + first as f64 / 1000.0;
                    assert!((later.source_time - source).abs() < 1e-6, "{what}: {later:?}");
                }
            }
        }
    }
}

#[test]
fn one_frame_is_a_video_too() {
    for family in all() {
        for (end, options) in [(65_000, PlanOptions::default()), (65_000, part(30.0, None)), (5000, at_most(1))] {
            let plan = plan(family, &video_at(&[5000], end), &options);
            let what = format!("{}: {:?}", family.name(), plan.frames);
            assert!(!plan.frames.is_empty() && plan.frames.iter().all(|frame| frame.index == 0), "{what}");
            assert_eq!((plan.frames[0].time, plan.frames[0].source_time), (0.0, 5.0), "{what}");
        }
    }
}
