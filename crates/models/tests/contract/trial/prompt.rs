//! The conversation as tokens at the family's own positions.

use zoetrope_models::contract::media_plan::{MediaKind, MediaPlan};
use zoetrope_models::contract::position::Position;
use zoetrope_models::contract::prompt::{
    GenerationPrompt, Message, MessagePart, Placement, Prompt, PromptToken, Role, VisualSpan,
};
use zoetrope_models::error::ModelResult;
use zoetrope_models::processing::{PromptBuilder, check_spans};
use zoetrope_text::Tokenizer;

use super::planning::{self, BASE};

/// What ends a reply.
pub(super) const REPLY_END: &str = "###";

/// The expert of visual tokens; text has 0.
const VISUAL_EXPERT: u8 = 1;

/// What a prompt is built from.
pub(super) struct PromptWriter<'a> {
    pub(super) plans: &'a [MediaPlan],
    pub(super) spans: &'a [Vec<VisualSpan>],
    pub(super) placements: &'a [Placement],
}

impl PromptWriter<'_> {
    /// The whole conversation.
    pub(super) fn write(
        &self,
        messages: &[Message],
        end: GenerationPrompt<'_>,
        tokenizer: &Tokenizer,
    ) -> ModelResult<Prompt> {
        check_spans(self.plans, self.spans)?;
        // One template for a conversation: that of its first media.
        let base = self.plans.first().is_some_and(|plan| planning::template(&plan.settings) == BASE);
        let (user, assistant) = if base { ("Question: ", "Answer: ") } else { ("Human: ", "Assistant: ") };
        let (mut out, mut placement) = (PromptBuilder::default(), 0);
        out.trusted("<s>");
        for message in messages {
            match message.role {
                Role::System => {}
                Role::User => out.trusted(user),
                Role::Assistant => out.trusted(assistant),
            }
            for part in &message.parts {
                match part {
                    MessagePart::Text(text) if message.role == Role::Assistant => out.reply(text),
                    MessagePart::Text(text) => out.untrusted(text),
                    MessagePart::Media(_) => {
                        self.show(placement, &mut out);
                        placement += 1;
                    }
                }
            }
            if message.role == Role::Assistant {
                out.reply_end(REPLY_END);
            }
            out.trusted("\n");
        }
        if let GenerationPrompt::Reply(begin) = end {
            out.trusted(assistant);
            out.untrusted(begin);
        }
        let mut prompt = out.finish(tokenizer)?;
        prompt.positions = self.positions(&prompt.tokens);
        Ok(prompt)
    }

    /// Visual tokens between marks; in a video a separator and its captions follow each span.
    fn show(&self, placement: usize, out: &mut PromptBuilder) {
        let media = self.placements[placement].media;
        let plan = &self.plans[media];
        out.trusted("<|media|>");
        for span in &self.spans[media] {
            out.visual(placement, span.tokens);
            if plan.kind == MediaKind::Video {
                out.trusted(";");
            }
            for (_, words) in plan.captions.iter().filter(|(frame, _)| span.frames.contains(frame)) {
                out.untrusted(words);
                out.trusted(";");
            }
        }
        out.trusted("<|/media|>");
    }

    /// The visual tokens of a span share one position; a token of text has one of its own.
    fn positions(&self, tokens: &[PromptToken]) -> Vec<Position> {
        let ends = |placement: &Placement| {
            let sum = |end: &mut usize, span: &VisualSpan| {
                *end += span.tokens;
                Some(*end)
            };
            self.spans[placement.media].iter().scan(0, sum).collect::<Vec<usize>>()
        };
        let ends: Vec<Vec<usize>> = self.placements.iter().map(ends).collect();
        let span_of = |token: &PromptToken| match *token {
            PromptToken::Text(_) => None,
            PromptToken::Visual { placement, row } => {
                let span = ends[placement as usize].partition_point(|end| *end <= row as usize);
                Some((placement, span))
            }
        };
        let (mut positions, mut before) = (Vec::<Position>::with_capacity(tokens.len()), None);
        for token in tokens {
            let span = span_of(token);
            let next = positions.last().map_or(0, |last| last.id + 1);
            let id = if span.is_some() && span == before { next - 1 } else { next };
            positions.push(Position { id, expert: if span.is_some() { VISUAL_EXPERT } else { 0 } });
            before = span;
        }
        positions
    }
}
