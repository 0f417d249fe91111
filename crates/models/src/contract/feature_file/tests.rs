//! Features on disk, with a plan of made-up frames.

use std::path::Path;
use std::time::Duration;

use candle_core::{DType, Device, Tensor};

use super::*;
use crate::contract::features::Features;
use crate::contract::media_plan::{MediaKind, MediaPlan, PlannedFrame, View};
use crate::contract::settings::Settings;

const WIDTH: usize = 3;

fn plan(frames: usize) -> MediaPlan {
    let frame = |index: usize| {
        let time = index as f64 / 3.0;
        PlannedFrame { index, time, source_time: time, prompt_time: time }
    };
    MediaPlan {
        kind: MediaKind::Video,
        source: (8, 8),
        frames: (0..frames).map(frame).collect(),
        views: vec![View::whole((8, 8), (8, 8), (1, 1))],
        joint: false,
        captions: vec![(0, "Captions do not count.".to_string())],
        settings: Settings::default(),
    }
}

fn key(frames: usize) -> FeatureKey {
    let model = ModelIdentity { family: "f".into(), checkpoint: "c".into(), held_as: "f32".into() };
    FeatureKey::new(None, "r".into(), model, &plan(frames), WIDTH).unwrap()
}

/// Frame `number` has `number % 3 + 1` rows.
fn features(number: usize) -> (Features, Vec<u32>) {
    let rows = number % 3 + 1;
    let values: Vec<f32> = (0..rows * WIDTH).map(|n| number as f32 + n as f32 / 64.0).collect();
    let rows_tensor = Tensor::from_vec(values, (rows, WIDTH), &Device::Cpu).unwrap();
    (Features { rows: rows_tensor, per_unit: vec![rows] }, vec![rows as u32])
}

/// Writes frames from where the writer stands up to `until`. Frame 4 is lost.
fn write(writer: &mut FeatureWriter, until: usize) {
    let mut lost = Vec::new();
    for number in writer.done().next..until {
        if number == 4 {
            lost.push(4);
            continue;
        }
        let (features, per_unit) = features(number);
        let faults = StoredFaults { damaged: number, ..StoredFaults::default() };
        let run = FeatureRun { next: number + 1, last: Some(number), lost: lost.split_off(0), per_unit, faults };
        writer.append(&features, run).unwrap();
    }
}

fn open(place: &Path, store: Option<DType>) -> FeatureWriter {
    FeatureWriter::open(place, key(10), store).unwrap().with_interval(Duration::ZERO)
}

#[test]
fn features_come_back_bit_for_bit_without_the_lost_frame() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("film.zoetrope-features");
    let mut writer = open(&place, None);
    write(&mut writer, 10);
    assert!(!place.exists());
    writer.finish(Vec::new()).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside");
    let stored = StoredFeatures::open(&place).unwrap();
    assert!(stored.key().is_same(&key(10)) && !stored.key().is_same(&key(9)));
    assert_eq!(stored.decoded(&plan(10)).frames.len(), 9);
    assert_eq!(stored.plan().unwrap().captions, plan(10).captions);
    assert_eq!(stored.plan().unwrap().frames.len(), 10);
    assert_eq!((stored.per_unit(), stored.faults().damaged), (vec![1, 2, 3, 1, 3, 1, 2, 3, 1], 9));
    let units = stored.units(3..6, &Device::Cpu).unwrap();
    let fresh = Features::concat(&[features(3).0, features(5).0, features(6).0]).unwrap();
    assert_eq!(units.per_unit, fresh.per_unit);
    assert_eq!(units.rows.to_vec2::<f32>().unwrap(), fresh.rows.to_vec2::<f32>().unwrap());
    assert!(stored.units(8..10, &Device::Cpu).is_err() && stored.units(20..21, &Device::Cpu).is_err());
}

#[test]
fn an_interrupted_file_goes_on_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let mut writer = open(&whole, None);
    write(&mut writer, 10);
    writer.finish(Vec::new()).unwrap();
    let wanted = std::fs::read(&whole).unwrap();
    for stop in 0..10 {
        for torn in 0..4 {
            let place = folder.path().join(format!("stopped-{stop}-{torn}"));
            let mut writer = open(&place, None);
            write(&mut writer, stop);
            drop(writer);
            let beside = |ending: &str| folder.path().join(format!("stopped-{stop}-{torn}.{ending}"));
            let cut = |ending: &str, by: u64| {
                let Ok(file) = std::fs::OpenOptions::new().write(true).open(beside(ending)) else { return };
                let len = file.metadata().unwrap().len();
                file.set_len(len.saturating_sub(by)).unwrap();
            };
            match torn {
                1 => cut("journal", 3),
                2 => cut("part", 5),
                3 => {
                    let more = std::fs::OpenOptions::new().append(true).open(beside("part"));
                    let _ = more.map(|mut file| std::io::Write::write_all(&mut file, &[7; 11]).unwrap());
                }
                _ => {}
            }
            let mut writer = open(&place, None);
            assert!(torn != 0 || writer.done().next == stop || stop == 5, "{} {stop}", writer.done().next);
            write(&mut writer, 10);
            writer.finish(Vec::new()).unwrap();
            assert_eq!(std::fs::read(&place).unwrap(), wanted, "stopped before frame {stop}, torn {torn}");
        }
    }
}

#[test]
fn another_key_or_type_begins_anew_and_two_writers_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("film");
    let mut writer = open(&place, Some(DType::F16));
    write(&mut writer, 6);
    let second = FeatureWriter::open(&place, key(10), None).err().unwrap().to_string();
    assert!(second.contains("another process writes"), "{second}");
    drop(writer);
    assert_eq!(open(&place, Some(DType::F16)).done().next, 6);
    assert_eq!(open(&place, Some(DType::BF16)).done().next, 0);
    assert_eq!(FeatureWriter::open(&place, key(9), None).unwrap().done().next, 0);
    let mut writer = open(&place, None);
    write(&mut writer, 10);
    writer.finish(Vec::new()).unwrap();
    let stored = StoredFeatures::open(&place).unwrap();
    // The numbers of this test are f16 numbers.
    assert_eq!((stored.dtype(), stored.bytes()), (DType::F16, 17 * WIDTH * 2));
    let (units, fresh) = (stored.units(0..1, &Device::Cpu).unwrap(), features(0).0);
    assert_eq!(units.rows.to_vec2::<f32>().unwrap(), fresh.rows.to_vec2::<f32>().unwrap());
}

#[test]
fn damaged_files_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("film");
    let mut writer = open(&place, None);
    write(&mut writer, 10);
    writer.finish(Vec::new()).unwrap();
    let whole = std::fs::read(&place).unwrap();
    for len in [0, 7, 8, 100, whole.len() - 1] {
        std::fs::write(&place, &whole[..len]).unwrap();
        let error = StoredFeatures::open(&place).unwrap_err().to_string();
        assert!(error.contains("film: no ") || error.contains("complete"), "{len}: {error}");
    }
    for at in (0..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x11;
        std::fs::write(&place, bytes).unwrap();
        if let Ok(stored) = StoredFeatures::open(&place) {
            let _ = stored.units(0..stored.per_unit().len(), &Device::Cpu);
        }
    }
}

#[test]
fn a_film_is_known_by_its_bytes_and_not_by_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let film = folder.path().join("film.mp4");
    std::fs::write(&film, vec![7u8; 10_000]).unwrap();
    let identity = FilmIdentity::of(&film).unwrap();
    assert!(identity.is_of(&film).unwrap());
    let copy = folder.path().join("copy.mp4");
    std::thread::sleep(Duration::from_millis(20));
    std::fs::write(&copy, vec![7u8; 10_000]).unwrap();
    assert!(identity.is_of(&copy).unwrap());
    let time = std::fs::metadata(&film).unwrap().modified().unwrap();
    let mut bytes = vec![7u8; 10_000];
    bytes[5_000] = 8;
    std::fs::write(&film, bytes).unwrap();
    std::fs::File::options().write(true).open(&film).unwrap().set_modified(time).unwrap();
    assert!(!identity.is_of(&film).unwrap());
    let pictures = folder.path().join("frames");
    std::fs::create_dir(&pictures).unwrap();
    for name in ["a.png", "b.png"] {
        std::fs::write(pictures.join(name), name).unwrap();
    }
    let identity = FilmIdentity::of(&pictures).unwrap();
    assert!(identity.is_of(&pictures).unwrap());
    std::fs::rename(pictures.join("b.png"), pictures.join("c.png")).unwrap();
    assert!(!identity.is_of(&pictures).unwrap());
}
