//! The conversation as the authors' code writes it, as tokens at its own positions.

use zoetrope_text::Tokenizer;

use super::config::Config;
use super::planning;
use crate::contract::media_plan::{MediaKind, MediaPlan};
use crate::contract::position::Position;
use crate::contract::prompt::{
    GenerationPrompt, Message, MessagePart, Placement, Prompt, PromptToken, Role, VisualSpan,
};
use crate::error::{ModelError, ModelResult};
use crate::processing::PromptBuilder;

/// The expert of visual tokens; text has 0.
const VISUAL_EXPERT: u8 = 1;

/// What a prompt is built from.
pub(super) struct PromptWriter<'a> {
    pub config: &'a Config,
    pub tokenizer: &'a Tokenizer,
    pub plans: &'a [MediaPlan],
    pub spans: &'a [Vec<VisualSpan>],
    pub placements: &'a [Placement],
}

/// A prompt that is being written.
struct Draft {
    out: PromptBuilder,
    /// Placements that have been written.
    placements: usize,
    /// Whether a question waits for its answer.
    asked: bool,
    /// What the operator says, which the next question begins with.
    system: Vec<String>,
    /// What stands before and after a question.
    around: (&'static str, &'static str),
}

impl PromptWriter<'_> {
    /// The whole conversation.
    pub(super) fn write(&self, messages: &[Message], end: GenerationPrompt<'_>) -> ModelResult<Prompt> {
        self.check()?;
        let (bos, eos) = (self.token(self.config.bos)?, self.token(self.config.stop[0])?);
        // Earlier replies are a part of the question. The last one of a conversation to learn from is what is learned.
        let learned = match end {
            GenerationPrompt::None => messages.iter().rposition(|message| message.role == Role::Assistant),
            GenerationPrompt::Reply(_) => None,
        };
        let around = planning::template(self.config, self.plans).around_question();
        let mut draft =
            Draft { out: PromptBuilder::default(), placements: 0, asked: false, system: Vec::new(), around };
        draft.out.trusted(&bos);
        for (number, message) in messages.iter().enumerate() {
            match message.role {
                Role::System => draft.system.extend(texts(message).map(str::to_string)),
                Role::User => self.question(message, &mut draft),
                Role::Assistant if learned == Some(number) => {
                    draft.learned_reply(message, &eos, number + 1 < messages.len())
                }
                Role::Assistant => draft.earlier_reply(message),
            }
        }
        if let GenerationPrompt::Reply(begin) = end {
            draft.ask_if_not();
            draft.out.separate();
            draft.out.untrusted(begin);
        }
        let mut prompt = draft.out.finish(self.tokenizer)?;
        prompt.positions = positions(&prompt.tokens, self.config.language.experts > 1);
        Ok(prompt)
    }

    /// Spans for every frame of every plan.
    fn check(&self) -> ModelResult<()> {
        let counted: Vec<usize> = self.spans.iter().map(Vec::len).collect();
        let planned: Vec<usize> = self.plans.iter().map(|plan| plan.frames.len()).collect();
        if counted == planned {
            return Ok(());
        }
        Err(ModelError::Bug(format!("visual tokens were counted for {counted:?} frames, the plans have {planned:?}")))
    }

    fn token(&self, id: u32) -> ModelResult<String> {
        self.tokenizer.token(id).ok_or_else(|| ModelError::Caller(format!("the tokenizer has no token {id}")))
    }

    /// A question: what it shows stands before its first word.
    fn question(&self, message: &Message, draft: &mut Draft) {
        if draft.asked {
            draft.out.trusted("\n");
        }
        for part in &message.parts {
            if matches!(part, MessagePart::Media(_)) {
                self.show(draft.placements, &mut draft.out);
                draft.placements += 1;
            }
        }
        draft.ask(texts(message));
    }

    /// The visual tokens of one placement. Numbers are encoded on their own, as the authors' code does.
    fn show(&self, placement: usize, out: &mut PromptBuilder) {
        let media = self.placements[placement].media;
        let plan = &self.plans[media];
        let numbered = planning::frames_are_numbered(plan);
        for (frame, span) in plan.frames.iter().zip(&self.spans[media]) {
            out.visual(placement, span.tokens);
            if numbered {
                // A picture is a video of one frame.
                let seconds = if plan.kind == MediaKind::Video { frame.prompt_time } else { 0.0 };
                out.trusted(&format!("{:.0}", (seconds + 1e-9).floor().max(0.0)));
                out.separate();
            }
        }
    }
}

/// The texts of a message.
fn texts(message: &Message) -> impl Iterator<Item = &str> {
    message.parts.iter().filter_map(|part| if let MessagePart::Text(text) = part { Some(text.as_str()) } else { None })
}

impl Draft {
    /// A question of these texts; further ones before the answer belong to it.
    fn ask<'a>(&mut self, texts: impl Iterator<Item = &'a str>) {
        self.out.trusted(self.around.0);
        for text in std::mem::take(&mut self.system) {
            self.out.untrusted(&text);
            self.out.trusted("\n");
        }
        texts.for_each(|text| self.out.untrusted(text));
        self.out.trusted(self.around.1);
        self.asked = true;
    }

    fn ask_if_not(&mut self) {
        if !self.asked {
            self.ask(std::iter::empty());
        }
    }

    fn earlier_reply(&mut self, message: &Message) {
        self.ask_if_not();
        self.out.trusted(" ");
        texts(message).for_each(|text| self.out.untrusted(text));
        self.out.trusted("\n");
        self.asked = false;
    }

    /// A reply as training has it: encoded on its own, without a space before it, and with its end.
    fn learned_reply(&mut self, message: &Message, end: &str, more: bool) {
        self.ask_if_not();
        self.out.separate();
        texts(message).for_each(|text| self.out.reply(text));
        self.out.reply_end(end);
        if more {
            self.out.trusted("\n");
        }
        self.asked = false;
    }
}

/// The authors' position ids and experts.
///
/// The first and the last visual token of a run count as text. Text has a position of its own; all other visual tokens
/// of a run share one. In models with experts a visual token goes through that of visual tokens when another visual
/// token follows: the last of a run goes through that of text.
pub(super) fn positions(tokens: &[PromptToken], experts: bool) -> Vec<Position> {
    let visual = |at: Option<usize>| {
        at.and_then(|at| tokens.get(at)).is_some_and(|token| matches!(token, PromptToken::Visual { .. }))
    };
    let inner = |at: Option<usize>| {
        let Some(at) = at else { return false };
        visual(Some(at)) && visual(at.checked_sub(1)) && visual(Some(at + 1))
    };
    let mut id = 0;
    let mut position = |at: usize| {
        if at > 0 && !(inner(Some(at)) && inner(Some(at - 1))) {
            id += 1;
        }
        let expert = if experts && visual(Some(at)) && visual(Some(at + 1)) { VISUAL_EXPERT } else { 0 };
        Position { id, expert }
    };
    (0..tokens.len()).map(&mut position).collect()
}
