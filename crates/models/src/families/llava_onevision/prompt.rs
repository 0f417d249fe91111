//! The conversation as the checkpoint's code would write it, as tokens.

use zoetrope_text::{ChatTemplate, Tokenizer};

use super::config::{Config, Convention};
use crate::contract::media_plan::{MediaKind, MediaPlan};
use crate::contract::prompt::{GenerationPrompt, Message, MessagePart, Placement, Prompt, Role, VisualSpan};
use crate::error::{ModelError, ModelResult};
use crate::processing::{PromptBuilder, TemplatedPrompt};

/// The system message of the authors' `qwen_1_5` template where the caller has none.
const SYSTEM: &str = "You are a helpful assistant.";

/// What a prompt is built from.
pub(super) struct PromptWriter<'a> {
    /// The convention, and what its template writes for media.
    pub config: &'a Config,
    /// Tokenizer of the checkpoint.
    pub tokenizer: &'a Tokenizer,
    /// Chat template of the checkpoint (transformers convention only).
    pub template: Option<&'a ChatTemplate>,
    /// A plan of each picture or video.
    pub plans: &'a [MediaPlan],
    /// Its visual tokens.
    pub spans: &'a [Vec<VisualSpan>],
    /// Where media are shown.
    pub placements: &'a [Placement],
}

impl PromptWriter<'_> {
    /// The prompt of a conversation.
    pub(super) fn write(&self, messages: &[Message], end: GenerationPrompt<'_>) -> ModelResult<Prompt> {
        if self.spans.len() != self.plans.len() {
            let text = format!("visual tokens were counted for {} media, not {}", self.spans.len(), self.plans.len());
            return Err(ModelError::Bug(text));
        }
        let mut out = PromptBuilder::default();
        let generate = matches!(end, GenerationPrompt::Reply(_));
        match (self.config.convention, self.template) {
            (Convention::Transformers, Some(template)) => {
                let [image, video] = &self.config.placeholders;
                let (plans, placements) = (self.plans, self.placements);
                let prompt = TemplatedPrompt { template, placeholders: [image, video], messages, plans, placements };
                prompt.write(generate, &mut out, |placement, out| self.show(placement, out))?;
            }
            (convention, _) => self.by_rule(convention, messages, generate, &mut out),
        }
        if let GenerationPrompt::Reply(begin) = end {
            out.untrusted(begin);
        }
        // Published templates of transformers write a space where the header of the next reply has none.
        for header in ["<|im_start|>assistant\n", "<|im_start|>assistant \n"] {
            out.learn_replies(header, "<|im_end|>");
        }
        out.finish(self.tokenizer)
    }

    /// Without a template. The original begins with a system message in any case, and shows media where they stand;
    /// transformers has none of its own, and shows pictures, then videos, then what is said.
    fn by_rule(&self, convention: Convention, messages: &[Message], generate: bool, out: &mut PromptBuilder) {
        if convention == Convention::Original && messages.first().is_none_or(|first| first.role != Role::System) {
            out.trusted(&format!("<|im_start|>system\n{SYSTEM}<|im_end|>\n"));
        }
        let mut placement = 0;
        for message in messages {
            out.trusted(&format!("<|im_start|>{}\n", message.role.name()));
            let rank = |part: &MessagePart| match (convention, part) {
                (Convention::Original, _) => 0,
                (_, MessagePart::Media(media)) if self.plans[*media].kind == MediaKind::Image => 0,
                (_, MessagePart::Media(_)) => 1,
                (_, MessagePart::Text(_)) => 2,
            };
            let mut parts = Vec::with_capacity(message.parts.len());
            for part in &message.parts {
                parts.push((part, placement));
                placement += usize::from(matches!(part, MessagePart::Media(_)));
            }
            parts.sort_by_key(|(part, _)| rank(part));
            for (part, placement) in parts {
                match part {
                    MessagePart::Text(text) => out.untrusted(text),
                    MessagePart::Media(_) => {
                        self.show(placement, out);
                        out.trusted("\n");
                    }
                }
            }
            out.trusted("<|im_end|>\n");
        }
        if generate {
            out.trusted("<|im_start|>assistant\n");
        }
    }

    /// The visual tokens of one placement.
    fn show(&self, placement: usize, out: &mut PromptBuilder) {
        let spans = &self.spans[self.placements[placement].media];
        out.visual(placement, spans.iter().map(|span| span.tokens).sum());
    }
}
