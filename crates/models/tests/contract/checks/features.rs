//! Stored features are as good as fresh ones.

use std::time::Duration;

use candle_core::DType;
use zoetrope_models::contract::feature_file::{
    FeatureKey, FeatureRun, FeatureSize, FeatureWriter, FilmIdentity, ModelIdentity, StoredFaults, StoredFeatures,
    write_whole,
};
use zoetrope_models::contract::features::Features;

use crate::compare::{Tolerance, same};
use crate::device::device;
use crate::media::{picture, video};
use crate::pipeline::{encode, plan, prepare, settings_of, with_settings};
use crate::test_family::all;

#[test]
fn features_that_were_written_and_read_project_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("features.safetensors");
    for family in all() {
        let model = family.open_as(DType::F32);
        for settings in settings_of(&*family.processor) {
            let media = [picture(61, 45), video(56, 42, 6)];
            let plans = plan(&*family.processor, &media, &with_settings(settings.clone()));
            for (plan, media) in plans.iter().zip(&media) {
                let what = format!("{} {:?} with {settings:?}", family.name(), plan.kind);
                let fresh = encode(&*model, plan, media);
                fresh.write(&file).unwrap();
                let stored = Features::read(&file, &device()).unwrap();
                assert_eq!(stored.per_unit, fresh.per_unit, "{what}");
                let project = |features: &Features| model.project(plan, features, 0, Some("What is it?")).unwrap();
                same(&what, &project(&stored), &project(&fresh), Tolerance::Exact);
            }
        }
    }
}

#[test]
fn features_are_as_wide_as_the_model_says() {
    for family in all() {
        let (model, media) = (family.open_as(DType::F32), [picture(61, 45)]);
        let plans = plan(&*family.processor, &media, &with_settings(Default::default()));
        let features = encode(&*model, &plans[0], &media[0]);
        let info = family.processor.info();
        assert_eq!(features.rows.dims()[1], info.feature_width, "{}", family.name());
        let tokens = model.project(&plans[0], &features, 0, None).unwrap();
        assert_eq!(tokens.dims()[1], info.hidden, "{}", family.name());
        let frames = media[0].planned(&plans[0]);
        let patches = crate::pipeline::prepare(&*family.processor, &plans[0], &frames, &[1]).remove(0);
        assert_eq!(patches.pixels.dims()[1], info.patch_values, "{}", family.name());
    }
}

/// A film of every family through a file: written run by run, stopped in the middle, read some units at a time.
#[test]
fn features_of_a_film_in_a_file_project_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    for family in all() {
        let (model, processor) = (family.open_as(DType::F32), &*family.processor);
        let media = video(56, 42, 6);
        let plan = &plan(processor, std::slice::from_ref(&media), &with_settings(Default::default()))[0];
        let frames = media.planned(plan);
        let runs = if plan.joint { vec![frames.len()] } else { vec![1; frames.len()] };
        let identity = ModelIdentity { family: family.name().into(), checkpoint: "toy".into(), held_as: "f32".into() };
        let width = processor.info().feature_width;
        let key = || FeatureKey::new(None, "as it is".into(), identity.clone(), plan, width).unwrap();
        let place = folder.path().join(family.name());
        let (mut next, mut all) = (0, Vec::new());
        for (patches, run) in prepare(processor, plan, &frames, &runs).iter().zip(&runs) {
            // Every run by another process.
            let mut writer = FeatureWriter::open(&place, key(), None).unwrap().with_interval(Duration::ZERO);
            assert_eq!(writer.done().next, next, "{}", family.name());
            let features = model.encode(plan, patches).unwrap();
            next += run;
            let per_unit = features.per_unit.iter().map(|&rows| rows as u32).collect();
            let run = FeatureRun { next, last: Some(next - 1), per_unit, ..FeatureRun::default() };
            writer.append(&features, run).unwrap();
            all.push(features);
        }
        FeatureWriter::open(&place, key(), None).unwrap().finish(Vec::new()).unwrap();
        let stored = StoredFeatures::open(&place).unwrap();
        assert_eq!(stored.decoded(plan), *plan, "{}", family.name());
        let fresh = Features::concat(&all).unwrap();
        let units = fresh.per_unit.len();
        let step = if plan.joint { units } else { plan.views.len() };
        for first in (0..units).step_by(step) {
            let project = |features: &Features| model.project(plan, features, first, Some("What is it?")).unwrap();
            let (own, wanted) = (first..first + step, fresh.units(first..first + step).unwrap());
            let read = stored.units(own, &device()).unwrap();
            same(family.name(), &project(&read), &project(&wanted), Tolerance::Exact);
        }
    }
}

/// What a plan says that features take is what they take, in rows and in bytes; behind a header of another program, too.
#[test]
fn features_that_are_written_at_once_have_the_size_that_was_told() {
    let folder = tempfile::tempdir().unwrap();
    for family in all() {
        let (model, processor) = (family.open_as(DType::F32), &*family.processor);
        let width = processor.info().feature_width;
        for settings in settings_of(processor) {
            let media = [picture(61, 45), video(56, 42, 6)];
            let plans = plan(processor, &media, &with_settings(settings.clone()));
            for (plan, media) in plans.iter().zip(&media) {
                let what = format!("{} {:?} with {settings:?}", family.name(), plan.kind);
                let frames = media.planned(plan);
                let patches = prepare(processor, plan, &frames, &[frames.len()]).remove(0);
                let is_pruned = patches.units.iter().any(|unit| unit.keep.iter().flatten().any(|keep| !keep));
                let features = model.encode(plan, &patches).unwrap();
                let (told, rows) = (processor.feature_rows(plan), features.per_unit.iter().sum::<usize>());
                assert!(rows == told || is_pruned && rows < told, "{what}: {rows} rows, told were {told}");
                let identity =
                    ModelIdentity { family: family.name().into(), checkpoint: "toy".into(), held_as: "f32".into() };
                let film = Some(FilmIdentity::of_content(&[7; 32]));
                let key = FeatureKey::new(film, "as it is".into(), identity, plan, width).unwrap();
                let mut bytes = b"of another".to_vec();
                write_whole(&mut bytes, &key, &features, &[], &StoredFaults::default()).unwrap();
                let size = FeatureSize { dtype: features.rows.dtype(), rows, units: features.per_unit.len(), lost: 0 };
                assert_eq!(size.bytes(&key).unwrap(), bytes.len() as u64 - 10, "{what}");
                let file = folder.path().join("whole");
                std::fs::write(&file, bytes).unwrap();
                let stored = StoredFeatures::open_behind(&file, 10).unwrap();
                assert_eq!((stored.key(), &stored.decoded(plan)), (&key, plan), "{what}");
                let read = stored.units(0..features.per_unit.len(), &device()).unwrap();
                same(&what, &read.rows, &features.rows, Tolerance::Exact);
                assert!(StoredFeatures::open(&file).is_err() && StoredFeatures::open_behind(&file, 1 << 40).is_err());
            }
        }
    }
}
