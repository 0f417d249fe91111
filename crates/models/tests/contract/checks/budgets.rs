//! Plans: later turns leave earlier ones alone, and limits are kept before a pixel is decoded.

use zoetrope_models::contract::media_plan::{MediaMetadata, MediaPlan, PlanOptions};
use zoetrope_models::contract::prompt::GenerationPrompt;
use zoetrope_models::error::ModelError;

use crate::conversations::{ask, reply};
use crate::media::{picture, video};
use crate::pipeline::{settings_of, with_settings};
use crate::test_family::{TestFamily, all};

fn tokens(family: &TestFamily, plans: &[MediaPlan]) -> usize {
    plans.iter().flat_map(|plan| family.processor.visual_spans(plan, None)).map(|span| span.tokens).sum()
}

fn media() -> [MediaMetadata; 3] {
    [picture(61, 45).metadata, video(64, 48, 10).metadata, picture(120, 90).metadata]
}

#[test]
fn a_later_turn_is_planned_after_the_earlier_ones() {
    for family in all() {
        let processor = &*family.processor;
        for settings in settings_of(processor) {
            let what = format!("{} with {settings:?}", family.name());
            let options = with_settings(settings);
            let first = processor.plan(&[], &media()[..2], &options).expect(&what);
            let second = processor.plan(&first, &media()[2..], &options).expect(&what);
            assert_eq!((first.len(), second.len()), (2, 1), "{what}: plans of each turn");
            let spans =
                |plans: &[MediaPlan]| plans.iter().map(|plan| processor.visual_spans(plan, None)).collect::<Vec<_>>();
            let prompt = |messages: &[_], plans: &[MediaPlan]| {
                processor.prompt(messages, plans, &spans(plans), GenerationPrompt::Reply("")).unwrap()
            };
            let mut messages = vec![ask(&[0, 1], "What is this?")];
            let before = prompt(&messages, &first);
            let plans = [first, second].concat();
            messages.extend([reply("A box."), ask(&[2], "And this?")]);
            let after = prompt(&messages, &plans);
            let (ours, earlier) = (&after.tokens[..before.tokens.len()], &before.tokens);
            let differs = ours.iter().zip(earlier).position(|(a, b)| a != b);
            assert!(differs.is_none(), "{what}: token {differs:?} of the first turn changed with the second");
            assert_eq!(after.positions[..before.positions.len()], before.positions, "{what}: positions");
        }
    }
}

#[test]
fn a_budget_of_visual_tokens_is_for_the_whole_conversation() {
    for family in all() {
        let processor = &*family.processor;
        for settings in settings_of(processor) {
            let plan = |earlier: &[MediaPlan], new: &[MediaMetadata], budget: Option<usize>| {
                let options = PlanOptions { max_visual_tokens: budget, ..with_settings(settings.clone()) };
                processor.plan(earlier, new, &options)
            };
            let whole = plan(&[], &media(), None);
            let all = tokens(family, &whole.unwrap_or_else(|e| panic!("{} with {settings:?}: {e}", family.name())));
            for budget in [1, 5, all / 4, all / 2, all - 1, all, 10 * all] {
                let what = format!("{} with {settings:?}, {budget} of {all} tokens", family.name());
                let turns = plan(&[], &media()[..2], Some(budget))
                    .and_then(|first| Ok([first.clone(), plan(&first, &media()[2..], Some(budget))?].concat()));
                for plans in [plan(&[], &media(), Some(budget)), turns] {
                    match plans {
                        Ok(plans) => {
                            let used = tokens(family, &plans);
                            assert!(used <= budget, "{what}: {used} were planned");
                        }
                        Err(ModelError::Caller(_)) => assert!(budget < all, "{what}: refused"),
                        Err(error) => panic!("{what}: {error:?} is no error of the caller"),
                    }
                }
            }
        }
    }
}
