//! Media of rows: where they lie, frames as clips, parts of videos, decoding ahead.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zoetrope_lab::data::DataOptions;
use zoetrope_lab::sample::Sample;

use crate::desk::{Desk, png};

/// The first pixel of each frame of the first media.
fn pixels(sample: &Sample, indices: &[usize]) -> Vec<(usize, [u8; 3])> {
    let source = &sample.media[0].source;
    let pixel = |frame: Result<zoetrope_engine::SourceFrame, _>| {
        let frame: zoetrope_engine::SourceFrame =
            frame.map_err(|error: zoetrope_media::MediaError| error.to_string()).expect("a frame");
        let data = &frame.frame.image.data;
        (frame.frame.index, [data[0], data[1], data[2]])
    };
    source.frames(indices).map(pixel).collect()
}

fn about(media: &str) -> String {
    format!(r#"{{{media}, "query": "What?", "response": "It."}}"#)
}

#[test]
fn paths_start_from_the_media_folder_and_leave_it_only_when_they_may() {
    let desk = Desk::new();
    desk.write("pictures/sub/own.png", &png((4, 4), [1, 2, 3]));
    let mut options = DataOptions { media: Some(desk.path("pictures")), ..DataOptions::default() };
    let absolute = desk.path("red.png").display().to_string();
    let inside = desk.path("pictures/sub/own.png").display().to_string();
    let rows = |options: &DataOptions| {
        ["sub/own.png", "sub/../sub/own.png", "../red.png", &absolute, &inside, &format!("file://{inside}")]
            .map(|path| desk.sample_with(&about(&format!("\"image\": \"{path}\"")), options).is_ok())
    };
    assert_eq!(rows(&options), [true, true, false, false, true, true]);
    options.outside = true;
    assert_eq!(rows(&options), [true; 6]);
}

#[test]
fn a_list_of_pictures_where_a_video_should_be_is_one_clip() {
    let desk = Desk::new();
    let pictures = r#"["red.png", "green.png", "wide.png"]"#;
    for (media, wanted) in [
        (format!("\"video\": {pictures}"), "{video 16x6 at 0 1 2 until 3}"),
        (format!("\"videos\": [{pictures}]"), "{video 16x6 at 0 1 2 until 3}"),
        (format!("\"frames\": {pictures}, \"fps\": 4"), "{video 16x6 at 0 0.25 0.5 until 0.75}"),
        (format!("\"video\": {pictures}, \"timestamps\": [1, \"1.5\", 3.5]"), "{video 16x6 at 0 0.5 2.5 until 4.5}"),
        (r#""video": [{"path": "red.png", "time": 3}]"#.to_string(), "{video 8x6 at 0 until 1}"),
        (format!("\"video\": {pictures}, \"timestamps\": [1, 2, 5], \"clip\": [1, 2]"), "{video 16x6 at 0 until 1}"),
    ] {
        assert_eq!(desk.words(&about(&media)), format!("user: {wanted}What? | assistant: It."), "{media}");
    }
    let sample = desk.sample(&about(&format!("\"video\": {pictures}"))).expect("a sample");
    assert!(sample.media[0].source.is_chosen(), "all frames are shown");
    assert_eq!(pixels(&sample, &[0, 1, 1]), [(0, [255, 0, 0]), (1, [0, 255, 0]), (1, [0, 255, 0])]);
    // One `<video>` and several pictures.
    let tagged = r#"{"images": ["red.png", "blue.png"], "query": "<video>What?", "response": "It."}"#;
    assert_eq!(desk.words(tagged), "user: {video 8x6 at 0 1 until 2}What? | assistant: It.");
}

#[test]
fn a_part_of_a_video_is_a_video_with_its_own_frames() {
    let desk = Desk::new();
    let sample = desk.sample(&about(r#""video": "clip.gif", "start": 1.0, "end": "0:02""#)).expect("a sample");
    let first = pixels(&sample, &[0, 1]);
    let close = |pixel: [u8; 3], gray: u8| pixel.iter().all(|value| value.abs_diff(gray) < 6);
    assert!(first[0].0 == 0 && close(first[0].1, 80) && first[1].0 == 1 && close(first[1].1, 120), "{first:?}");
    assert!(sample.media[0].source.frames(&[2]).next().is_none_or(|frame| frame.is_err()));
}

#[test]
fn pictures_may_be_in_the_row() {
    let desk = Desk::new();
    let encoded = STANDARD.encode(png((5, 7), [1, 2, 3]));
    let rows = [
        format!(r#""image": "data:image/png;base64,{encoded}""#),
        format!(r#""images": [{{"bytes": "{encoded}", "path": "gone.png"}}]"#),
    ];
    for media in rows {
        assert_eq!(desk.words(&about(&media)), "user: {image 5x7}What? | assistant: It.");
    }
}
