//! The conversation as the authors' demos and evaluations write it, for each language model.

use zoetrope_text::Tokenizer;

use super::config::LanguageModel;
use super::planning;
use crate::contract::media_plan::{MediaKind, MediaPlan};
use crate::contract::position::Position;
use crate::contract::prompt::{
    GenerationPrompt, Message, MessagePart, Placement, Prompt, PromptToken, Role, VisualSpan,
};
use crate::error::ModelResult;
use crate::processing::{PromptBuilder, check_spans};

/// How a language model writes turns.
pub(super) struct Template {
    /// Between turns, and behind the system text.
    separator: &'static str,
    /// Before what the user says.
    user: &'static str,
    /// After a turn that shows one picture or video; `None`: the words follow in the same turn, after a space.
    media_end: Option<&'static str>,
    /// After the question.
    question_end: &'static str,
    /// Before the reply.
    assistant: &'static str,
    /// Whether a space stands before the reply. The model says it with the first word.
    space: bool,
    /// Ends a reply, and a reply of the model.
    pub(super) reply_end: &'static str,
    /// Between the end of a reply and the next turn.
    after_reply: &'static str,
}

impl LanguageModel {
    /// Its template.
    pub(super) fn template(self) -> &'static Template {
        match self {
            LanguageModel::Vicuna => &Template {
                separator: "###",
                user: "Human: ",
                media_end: Some("\n"),
                question_end: "\n###",
                assistant: "Assistant:",
                space: true,
                reply_end: "###",
                after_reply: "",
            },
            LanguageModel::Mistral => &Template {
                separator: "",
                user: "[INST] ",
                media_end: Some(" [/INST] "),
                question_end: " ",
                assistant: "[/INST]",
                space: true,
                reply_end: "</s>",
                after_reply: " ",
            },
            LanguageModel::Phi3 => &Template {
                separator: "",
                user: "<|user|>\n",
                media_end: None,
                question_end: "<|end|>\n",
                assistant: "<|assistant|>",
                space: false,
                reply_end: "<|end|>",
                after_reply: "",
            },
        }
    }
}

/// What a prompt is built from.
pub(super) struct PromptWriter<'a> {
    pub(super) template: &'a Template,
    /// Token that begins every prompt.
    pub(super) first: Option<u32>,
    pub(super) plans: &'a [MediaPlan],
    pub(super) spans: &'a [Vec<VisualSpan>],
    pub(super) placements: &'a [Placement],
}

/// The words of all system messages, in order.
pub(super) fn system_text(messages: &[Message]) -> String {
    let system = messages.iter().filter(|message| message.role == Role::System);
    system.flat_map(|message| &message.parts).filter_map(text).collect()
}

fn text(part: &MessagePart) -> Option<&str> {
    if let MessagePart::Text(text) = part { Some(text) } else { None }
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
        let (mut out, mut placement, template) = (PromptBuilder::default(), 0, self.template);
        let system = system_text(messages);
        out.untrusted(&system);
        out.trusted(template.separator);
        for message in messages {
            match message.role {
                Role::System => {}
                Role::User => self.user(message, &system, &mut placement, &mut out),
                Role::Assistant => {
                    out.trusted(template.assistant);
                    let said: String = message.parts.iter().filter_map(text).collect();
                    out.reply(&if template.space { format!(" {said}") } else { said });
                    out.reply_end(template.reply_end);
                    out.trusted(template.after_reply);
                }
            }
        }
        if let GenerationPrompt::Reply(begin) = end {
            out.trusted(template.assistant);
            if !begin.is_empty() {
                out.untrusted(&if template.space { format!(" {begin}") } else { begin.to_string() });
            }
        }
        let mut prompt = out.finish(tokenizer)?;
        if let Some(first) = self.first {
            prompt.tokens.insert(0, PromptToken::Text(first));
            prompt.targets.iter_mut().for_each(|target| *target += 1);
            prompt.positions = (0..prompt.tokens.len() as u32).map(Position::text).collect();
        }
        Ok(prompt)
    }

    /// What a user shows and says. Where a picture or video has a turn of its own, the words before it have, too.
    fn user(&self, message: &Message, system: &str, placement: &mut usize, out: &mut PromptBuilder) {
        let template = self.template;
        let mut repeated = if self.plans.first().is_some_and(planning::repeats_system) { system } else { "" };
        let mut open = false;
        for part in &message.parts {
            match (part, template.media_end) {
                (MessagePart::Text(text), _) => {
                    if !open {
                        out.trusted(template.user);
                        open = true;
                    }
                    out.untrusted(std::mem::take(&mut repeated));
                    out.untrusted(text);
                }
                (MessagePart::Media(_), Some(media_end)) => {
                    if open {
                        out.trusted(media_end);
                        out.trusted(template.separator);
                        open = false;
                    }
                    out.trusted(template.user);
                    self.show(*placement, out);
                    out.trusted(media_end);
                    out.trusted(template.separator);
                    *placement += 1;
                }
                (MessagePart::Media(_), None) => {
                    if !open {
                        out.trusted(template.user);
                        open = true;
                    }
                    self.show(*placement, out);
                    out.trusted(if self.tells(*placement) { "\n" } else { " " });
                    *placement += 1;
                }
            }
        }
        if !open {
            out.trusted(template.user);
        }
        out.trusted(template.question_end);
    }

    fn plan(&self, placement: usize) -> &MediaPlan {
        &self.plans[self.placements[placement].media]
    }

    /// Whether the times of a placement's frames are told.
    fn tells(&self, placement: usize) -> bool {
        let plan = self.plan(placement);
        plan.kind == MediaKind::Video && planning::tells_times(plan)
    }

    /// The visual tokens of one placement between their marks, after its subtitles, before the times of its frames.
    fn show(&self, placement: usize, out: &mut PromptBuilder) {
        let plan = self.plan(placement);
        if !plan.captions.is_empty() {
            let lines: Vec<&str> = plan.captions.iter().map(|(_, line)| line.as_str()).collect();
            out.trusted("This video's subtitles are listed below: ");
            out.untrusted(&lines.join(" "));
            out.trusted("\n");
        }
        let name = if plan.kind == MediaKind::Video { "Video" } else { "Image" };
        out.trusted(&format!("<{name}>"));
        for span in &self.spans[self.placements[placement].media] {
            out.visual(placement, span.tokens);
        }
        out.trusted(&format!("</{name}>"));
        if self.tells(placement) {
            let second = |seconds: f64| format!("{:.1}", (seconds * 10.0).round_ties_even() / 10.0);
            let times: Vec<String> = plan.frames.iter().map(|frame| second(frame.prompt_time)).collect();
            let n = times.len();
            out.trusted(&format!(" The video contains {n} frames sampled at {} seconds.", times.join(", ")));
        }
    }
}
