//! A folder of pictures is a clip of its frames.

use std::path::Path;

use zoetrope_media::{OpenOptions, Time, open, tracks};

/// A picture of one shade.
fn write(folder: &Path, name: &str, shade: u8) {
    image::RgbImage::from_pixel(6, 4, image::Rgb([shade; 3])).save(folder.join(name)).expect("written");
}

fn shades(folder: &Path, options: &OpenOptions, indices: &[usize]) -> Vec<u8> {
    let clip = open(folder, options).expect("a clip");
    clip.frames(indices).expect("frames").map(|frame| frame.expect("a frame").image.data[0]).collect()
}

#[test]
fn frames_are_in_natural_order_at_the_rate_that_is_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, shade) in [("f10.png", 30), ("f9.png", 20), ("f1.png", 10), (".hidden", 0)] {
        if name.starts_with('.') {
            std::fs::write(folder.path().join(name), "x").expect("written")
        } else {
            write(folder.path(), name, shade)
        }
    }
    let options = OpenOptions::default();
    let clip = open(folder.path(), &options).expect("a clip");
    assert!(!clip.is_still());
    assert_eq!(tracks(folder.path(), &options).expect("tracks")[0].frames, Some(3));
    assert_eq!((clip.width(), clip.height(), clip.info().container.as_str()), (6, 4, "folder"));
    assert_eq!((clip.times(), clip.end()), (&[Time::new(0, 1), Time::new(1, 1), Time::new(2, 1)][..], 3.0));
    assert_eq!(shades(folder.path(), &options, &[0, 1, 1, 2]), [10, 20, 20, 30]);
    let options = OpenOptions { frame_rate: Some(2.5), ..options };
    let clip = open(folder.path(), &options).expect("a clip");
    assert_eq!((clip.times()[2], clip.end()), (Time::new(8, 10), 1.2));
    let error = open(folder.path(), &OpenOptions { frame_rate: Some(1e12), ..options }).expect_err("out of range");
    assert!(error.to_string().contains("1000000000000 frames a second"), "{error}");
}

#[test]
fn seconds_in_all_names_are_the_times() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, shade) in [("b_0.5s.png", 10), ("a_2.25s.png", 20)] {
        write(folder.path(), name, shade);
    }
    let options = OpenOptions::default();
    let clip = open(folder.path(), &options).expect("a clip");
    assert_eq!((clip.times(), clip.end()), (&[Time::new(1, 2), Time::new(9, 4)][..], 4.0));
    assert_eq!(shades(folder.path(), &options, &[0, 1]), [10, 20]);
    write(folder.path(), "c_02.250s.png", 0);
    let error = open(folder.path(), &options).expect_err("one time twice");
    assert!(error.to_string().contains("a_2.25s.png and c_02.250s.png have the same time"), "{error}");
    // One name without seconds, and none counts.
    write(folder.path(), "d.png", 0);
    assert_eq!(open(folder.path(), &options).expect("a clip").end(), 4.0);
}

#[test]
fn a_folder_of_other_things_is_refused_and_a_broken_picture_is_left_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = OpenOptions::default();
    write(folder.path(), "1.png", 10);
    write(folder.path(), "2.png", 20);
    let whole = std::fs::read(folder.path().join("1.png")).expect("a picture");
    std::fs::write(folder.path().join("3.png"), &whole[..whole.len() / 2]).expect("written");
    let mut frames = open(folder.path(), &options).expect("a clip").frames(&[0, 1, 2]).expect("frames");
    assert_eq!((frames.by_ref().filter(Result::is_ok).count() + frames.lost(), frames.lost() <= 1), (3, true));
    std::fs::remove_file(folder.path().join("3.png")).expect("removed");
    let refused = |name: &str| {
        let error = open(folder.path(), &options).expect_err(name).to_string();
        assert!(error.contains(name) && error.contains("pictures"), "{error}");
    };
    std::fs::write(folder.path().join("notes.txt"), "no picture").expect("written");
    refused("notes.txt");
    std::fs::remove_file(folder.path().join("notes.txt")).expect("removed");
    std::fs::create_dir(folder.path().join("deeper")).expect("made");
    refused("deeper");
}
