//! Settings: known ones are accepted and told back, others are refused in words.

use zoetrope_models::contract::Processor;
use zoetrope_models::contract::media_plan::MediaPlan;
use zoetrope_models::contract::settings::{Setting, SettingType, Settings};
use zoetrope_models::error::ModelError;

use crate::media::{picture, video};
use crate::pipeline::{settings_of, with_settings};
use crate::test_family::all;

fn plan(processor: &dyn Processor, settings: Settings) -> Result<Vec<MediaPlan>, ModelError> {
    let media = [picture(40, 30).metadata, video(40, 30, 4).metadata];
    processor.plan(&[], &media, &with_settings(settings))
}

fn refusal(what: &str, processor: &dyn Processor, settings: Settings) -> String {
    match plan(processor, settings) {
        Err(error @ ModelError::Caller(_)) => error.to_string(),
        Err(error) => panic!("{what}: {error:?} is no error of the caller"),
        Ok(_) => panic!("{what}: accepted"),
    }
}

#[test]
fn every_known_value_is_accepted_and_told_back_in_the_plans() {
    for family in all() {
        let info = family.processor.info();
        for settings in settings_of(&*family.processor) {
            let what = format!("{} with {settings:?}", family.name());
            let plans = plan(&*family.processor, settings).unwrap_or_else(|error| panic!("{what}: {error}"));
            for plan in plans {
                // A plan is complete: what applies is in it, defaults as well.
                let told = |setting: &&Setting| match setting.value_type {
                    SettingType::Integer => plan.settings.integer(setting.name).is_some(),
                    SettingType::Flag => plan.settings.flag(setting.name).is_some(),
                    SettingType::Word(_) => plan.settings.word(setting.name).is_some(),
                };
                let silent: Vec<&str> =
                    info.settings.iter().filter(|setting| !told(setting)).map(|setting| setting.name).collect();
                assert!(silent.is_empty(), "{what}: the plan does not tell {silent:?}: {:?}", plan.settings);
                plan.settings.check(info.family, &info.settings).unwrap_or_else(|error| panic!("{what}: {error}"));
            }
        }
    }
}

#[test]
fn unknown_names_are_refused_with_a_list_of_the_known() {
    for family in all() {
        let text = refusal(family.name(), &*family.processor, Settings::default().with("mirge", 2));
        assert!(text.contains("\"mirge\""), "{}: {text}", family.name());
        for setting in &family.processor.info().settings {
            assert!(text.contains(setting.name), "{}: {text} does not list {}", family.name(), setting.name);
        }
    }
}

#[test]
fn wrong_values_are_refused_with_what_would_fit() {
    for family in all() {
        for setting in &family.processor.info().settings {
            let (wrong, fits): (&[serde_json::Value], &str) = match setting.value_type {
                SettingType::Integer => (&[0.into(), (-1).into(), 1.5.into(), "two".into()], "integer"),
                SettingType::Flag => (&[1.into(), "yes".into()], "true or false"),
                SettingType::Word(words) => (&[true.into(), "no such word".into()], words[0]),
            };
            for value in wrong {
                let what = format!("{}: {}={value}", family.name(), setting.name);
                let settings = Settings::default().with(setting.name, value.clone());
                let text = refusal(&what, &*family.processor, settings);
                assert!(text.contains(setting.name) && text.contains(fits), "{what}: {text}");
            }
        }
    }
}
