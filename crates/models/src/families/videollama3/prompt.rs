//! The conversation as the checkpoint's code would write it, as tokens.

use zoetrope_text::{ChatTemplate, Tokenizer};

use super::config::{Config, Convention};
use crate::contract::media_plan::{MediaKind, MediaPlan};
use crate::contract::prompt::{GenerationPrompt, Message, MessagePart, Placement, Prompt, VisualSpan};
use crate::error::{ModelError, ModelResult};
use crate::processing::{PromptBuilder, TemplatedPrompt};

/// What a prompt is built from.
pub(super) struct PromptWriter<'a> {
    /// Token ids of placeholders, and the convention.
    pub config: &'a Config,
    /// Tokenizer of the checkpoint.
    pub tokenizer: &'a Tokenizer,
    /// Chat template of the checkpoint (used in the transformers convention only).
    pub template: Option<&'a ChatTemplate>,
}

/// The conversation that is written.
#[derive(Clone, Copy)]
struct Conversation<'a> {
    messages: &'a [Message],
    plans: &'a [MediaPlan],
    spans: &'a [Vec<VisualSpan>],
    placements: &'a [Placement],
}

impl PromptWriter<'_> {
    /// The prompt of a conversation whose media have `visual_spans`.
    pub(super) fn write(
        &self,
        messages: &[Message],
        plans: &[MediaPlan],
        spans: &[Vec<VisualSpan>],
        placements: &[Placement],
        end: GenerationPrompt<'_>,
    ) -> ModelResult<Prompt> {
        let counted: Vec<usize> = spans.iter().map(Vec::len).collect();
        let planned: Vec<usize> = plans.iter().map(|plan| plan.frames.len()).collect();
        if counted != planned {
            let text = format!("visual tokens were counted for {counted:?} frames, the plans have {planned:?}");
            return Err(ModelError::Bug(text));
        }
        let conversation = Conversation { messages, plans, spans, placements };
        let mut out = PromptBuilder::default();
        let generate = matches!(end, GenerationPrompt::Reply(_));
        match (self.config.processor.convention, self.template) {
            (Convention::Transformers, Some(template)) => {
                self.templated(template, conversation, generate, &mut out)?;
            }
            _ => self.by_rule(conversation, generate, &mut out),
        }
        if let GenerationPrompt::Reply(begin) = end {
            out.untrusted(begin);
        }
        out.learn_replies("<|im_start|>assistant\n", "<|im_end|>");
        out.finish(self.tokenizer)
    }

    /// The rules of the hub chat template: nothing between the parts of a message.
    fn by_rule(&self, c: Conversation<'_>, generate: bool, out: &mut PromptBuilder) {
        let mut placement = 0;
        for message in c.messages {
            out.trusted(&format!("<|im_start|>{}\n", message.role.name()));
            for part in &message.parts {
                match part {
                    MessagePart::Text(text) => out.untrusted(text),
                    MessagePart::Media(_) => {
                        self.show(c, placement, out);
                        out.trusted("\n");
                        placement += 1;
                    }
                }
            }
            out.trusted("<|im_end|>\n");
        }
        if generate {
            out.trusted("<|im_start|>assistant\n");
        }
    }

    /// The checkpoint's own template, every placeholder replaced by its media's tokens.
    fn templated(
        &self,
        template: &ChatTemplate,
        c: Conversation<'_>,
        generate: bool,
        out: &mut PromptBuilder,
    ) -> ModelResult<()> {
        let (image, video) = (self.placeholder(self.config.image_token)?, self.placeholder(self.config.video_token)?);
        let Conversation { messages, plans, placements, .. } = c;
        let prompt = TemplatedPrompt { template, placeholders: [&image, &video], messages, plans, placements };
        prompt.write(generate, out, |placement, out| self.show(c, placement, out))
    }

    /// The visual tokens of one placement, those of a video after the times as the convention rounds them.
    fn show(&self, c: Conversation<'_>, placement: usize, out: &mut PromptBuilder) {
        let media = c.placements[placement].media;
        let (plan, spans) = (&c.plans[media], &c.spans[media]);
        for (number, (frame, span)) in plan.frames.iter().zip(spans).enumerate() {
            if plan.kind == MediaKind::Video {
                let time = match self.config.processor.convention {
                    Convention::Original => numpy_time(frame.prompt_time),
                    Convention::Transformers => format!("{:.1}", frame.prompt_time),
                };
                out.trusted(&format!("{}Time {time}s:", if number > 0 { "," } else { "" }));
            }
            out.visual(placement, span.tokens);
        }
    }

    fn placeholder(&self, id: u32) -> ModelResult<String> {
        self.tokenizer.token(id).ok_or_else(|| ModelError::Caller(format!("the tokenizer has no token {id}")))
    }
}

/// One decimal as numpy rounds: ten times the value, half to even.
fn numpy_time(seconds: f64) -> String {
    format!("{:.1}", (seconds * 10.0).round_ties_even() / 10.0)
}
