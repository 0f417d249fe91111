//! What a container states wrongly of its frames is corrected from the frames themselves: real files, their tables
//! changed.

use std::path::Path;

use zoetrope_media::container::movie::Movie;

use crate::bytes::read;

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)).unwrap()
}

/// Where the box `kind` lies; it must be there once.
fn place(bytes: &[u8], kind: &[u8; 4]) -> usize {
    let places: Vec<usize> = (0..bytes.len() - 4).filter(|&at| bytes[at..at + 4] == *kind).collect();
    assert_eq!(places.len(), 1, "{}", String::from_utf8_lossy(kind));
    places[0]
}

fn without(mut bytes: Vec<u8>, kind: &[u8; 4]) -> Vec<u8> {
    let at = place(&bytes, kind);
    bytes[at..at + 4].copy_from_slice(b"free");
    bytes
}

fn keyframes(movie: &Movie) -> Vec<usize> {
    movie.track.samples.iter().enumerate().filter(|(_, sample)| sample.keyframe).map(|(n, _)| n).collect()
}

/// Samples in the order in which they are shown.
fn order(movie: &Movie) -> Vec<usize> {
    let samples = &movie.track.samples;
    let mut shown: Vec<usize> = (0..samples.len()).filter(|&n| samples[n].shown).collect();
    shown.sort_by_key(|&n| samples[n].pts);
    shown
}

const FILES: [&str; 6] = [
    "codec/h264-high.mp4",
    "codec/h264-edit.mp4",
    "codec/h264-open.mp4",
    "codec/h264-interlaced.mp4",
    "codec/hevc-main.mp4",
    "codec/av1.mp4",
];

#[test]
fn keyframes_are_those_where_decoding_can_start() {
    for name in FILES {
        let truth = read(&golden(name)).unwrap();
        let (right, count) = (keyframes(&truth), truth.track.samples.len());
        assert!(right.len() < count, "{name}: {right:?} of {count}");
        assert!(!truth.warnings.iter().any(|text| text.contains("keyframes")), "{name}: {:?}", truth.warnings);

        let all = read(&without(golden(name), b"stss")).unwrap();
        assert_eq!(keyframes(&all), right, "{name} with every frame called a keyframe");
        assert!(all.warnings.iter().any(|text| text.contains("frames keyframes")), "{name}");
        assert_eq!(order(&all), order(&truth), "{name}");

        // Every entry one too high: the frames after the keyframes.
        let mut late = golden(name);
        let table = place(&late, b"stss") + 12;
        for entry in 0..right.len() {
            late[table + 4 * entry + 3] += 1;
        }
        assert_eq!(keyframes(&read(&late).unwrap()), right, "{name} with the frames after the keyframes");
    }
}

#[test]
fn without_presentation_times_frames_are_in_the_order_of_the_pictures() {
    let mut reordered = 0;
    for name in FILES {
        if !golden(name).windows(4).any(|window| window == b"ctts") {
            continue;
        }
        // The edit list counts from the first presentation time.
        let has_edits = golden(name).windows(4).any(|window| window == b"edts");
        let bytes = if has_edits { without(golden(name), b"edts") } else { golden(name) };
        let truth = read(&bytes).unwrap();
        let movie = read(&without(bytes, b"ctts")).unwrap();
        assert_eq!(order(&movie), order(&truth), "{name}");
        let reorders = !order(&truth).is_sorted();
        let told = movie.warnings.iter().any(|text| text.contains("no presentation times"));
        assert_eq!(told, reorders, "{name}: {:?}", movie.warnings);
        reordered += usize::from(reorders);
        let times: Vec<i64> = order(&movie).iter().map(|&n| movie.track.samples[n].pts).collect();
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{name}: {times:?}");
    }
    assert!(reordered >= 3, "{reordered}");
}

#[test]
fn joined_recordings_follow_each_other() {
    for name in ["codec/h264-high.ts", "containers/hevc.ts", "containers/plain.ts"] {
        let (one, single) = (read(&golden(name)).unwrap(), golden(name));
        let two = read(&[&single[..], &single].concat()).unwrap();
        let count = one.track.samples.len();
        assert_eq!(two.track.samples.len(), 2 * count, "{name}");
        let (first, second) = (order(&one), order(&two));
        assert_eq!(second[..first.len()], first, "{name}");
        let moved: Vec<usize> = first.iter().map(|n| n + count).collect();
        assert_eq!(second[second.len() - moved.len()..], moved, "{name}");
        assert!(two.warnings.iter().any(|text| text.contains("the clock jumps 1 times")), "{name}: {:?}", two.warnings);
        let length = |movie: &Movie| {
            let times: Vec<i64> = order(movie).iter().map(|&n| movie.track.samples[n].pts).collect();
            times[times.len() - 1] - times[0]
        };
        assert!((length(&two) - 2 * length(&one)).abs() < 90_000, "{name}: {} and {}", length(&two), length(&one));
    }
}
