//! As many visual tokens as are counted: in spans, from the projector, and in prompts.

use candle_core::DType;
use zoetrope_models::contract::prompt::{GenerationPrompt, PromptToken, VisualSpan};

use crate::compare::finite;
use crate::conversations::{Conversation, conversations};
use crate::pipeline::{Embedded, embed_conversation, settings_of, with_settings};
use crate::test_family::{TestFamily, all};

fn tokens(spans: &[VisualSpan]) -> usize {
    spans.iter().map(|span| span.tokens).sum()
}

/// The frames of all spans are all frames, in order.
fn cover_all_frames(what: &str, spans: &[VisualSpan], frames: usize) {
    let mut next = 0;
    for span in spans {
        assert!(span.frames.start == next && span.frames.end > next, "{what}: frames {:?} after {next}", span.frames);
        next = span.frames.end;
    }
    assert_eq!(next, frames, "{what}: frames of all spans");
}

fn check(what: &str, family: &TestFamily, conversation: &Conversation, embedded: &Embedded) {
    let placements = family.processor.placements(&conversation.messages, embedded.plans.len()).unwrap();
    assert_eq!(placements.len(), embedded.visual.len(), "{what}: placements");
    let mut shown = vec![Vec::new(); placements.len()];
    for token in &embedded.prompt.tokens {
        if let PromptToken::Visual { placement, row } = *token {
            shown[placement as usize].push(row);
        }
    }
    for (number, (placement, visual)) in placements.iter().zip(&embedded.visual).enumerate() {
        let what = format!("{what}, placement {number}");
        let (plan, spans) = (&embedded.plans[placement.media], &embedded.spans[placement.media]);
        let counted = tokens(spans);
        assert_eq!(visual.dims(), [counted, family.processor.info().hidden], "{what}: what the projector gave");
        finite(&what, visual);
        let rows: Vec<u32> = (0..counted as u32).collect();
        assert_eq!(shown[number], rows, "{what}: rows that the prompt shows");
        cover_all_frames(&what, spans, plan.frames.len());
        // Before pruning has counted there are at least as many, span by span.
        let most = family.processor.visual_spans(plan, None);
        cover_all_frames(&what, &most, plan.frames.len());
        let fits = spans.iter().zip(&most).all(|(span, most)| span.frames == most.frames && span.tokens <= most.tokens);
        assert!(fits, "{what}: {spans:?} after counting, {most:?} before");
    }
    let (prompt, rows) = (&embedded.prompt, embedded.x_td.dims()[0]);
    assert_eq!((prompt.tokens.len(), prompt.positions.len()), (rows, rows), "{what}: tokens and positions");
    let last = prompt.positions.last().unwrap();
    assert_eq!((prompt.next_position().id, prompt.next_position().expert), (last.id + 1, 0), "{what}: next position");
}

#[test]
fn visual_tokens_are_as_many_as_are_counted() {
    for family in all() {
        let model = family.open_as(DType::F32);
        for settings in settings_of(&*family.processor) {
            for conversation in conversations() {
                let what = format!("{}, {} with {settings:?}", family.name(), conversation.name);
                let options = with_settings(settings.clone());
                let embedded = embed_conversation(&*model, &conversation, &options, GenerationPrompt::Reply(""));
                check(&what, family, &conversation, &embedded);
            }
        }
    }
}
