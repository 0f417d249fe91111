//! Stored features are as good as fresh ones.

use candle_core::DType;
use zoetrope_models::contract::features::Features;

use crate::compare::{Tolerance, same};
use crate::device::device;
use crate::media::{picture, video};
use crate::pipeline::{encode, plan, settings_of, with_settings};
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
