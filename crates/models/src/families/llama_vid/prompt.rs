//! The conversation as Vicuna v1 writes it, with media in front of the question that they are shown for.

use zoetrope_text::Tokenizer;

use super::planning::{self, LLAVA, OFF, PART};
use crate::contract::media_plan::MediaPlan;
use crate::contract::prompt::{GenerationPrompt, Message, MessagePart, Placement, Prompt, Role, VisualSpan};
use crate::error::ModelResult;
use crate::processing::{PromptBuilder, check_spans, in_order};

/// System messages of `vicuna_v1` (also `imgsp_v1`, the training's) and of `llava_v1`.
const VICUNA_SYSTEM: &str = "A chat between a curious user and an artificial intelligence assistant. \
                             The assistant gives helpful, detailed, and polite answers to the user's questions.";
const LLAVA_SYSTEM: &str = "A chat between a curious human and an artificial intelligence assistant. \
                            The assistant gives helpful, detailed, and polite answers to the human's questions.";

/// What stands around a film, and around a part of one.
const FILM: (&str, &str) = (
    "Below is a movie. Memorize the content and answer my question after watching this movie.",
    "Now the movie end.\n",
);
const FILM_PART: (&str, &str) = (
    "Below is a part of movie. Memorize the content and answer my question after this movie part. \
     The movie part start.\n",
    "\nThe movie part end.\n",
);

/// What begins a prompt, and what ends a reply.
const BEGIN: &str = "<s>";
const REPLY_END: &str = "</s>";

/// One picture or video in front of a question.
struct Showing {
    /// Number of the message.
    message: usize,
    /// Number of the picture or video.
    media: usize,
}

/// Where media are shown, in the order of placements.
///
/// The media of the last message that shows any stand in the newest question, whose words the context tokens hear, as
/// in the reference's chat. Media of earlier messages stay where they are. A conversation that ends with a reply is one
/// to learn from: there, as in the reference's training (`imgsp_v1`), media are shown again in every later question.
fn showings(messages: &[Message], media: usize) -> ModelResult<Vec<Showing>> {
    in_order(messages, media)?;
    let shown = |message: usize| {
        let media = |part: &MessagePart| if let MessagePart::Media(media) = part { Some(*media) } else { None };
        messages[message].parts.iter().filter_map(media).collect::<Vec<usize>>()
    };
    let questions: Vec<usize> = (0..messages.len()).filter(|number| messages[*number].role == Role::User).collect();
    let learns = messages.last().is_some_and(|last| last.role == Role::Assistant);
    let mut all = Vec::new();
    for (at, &message) in questions.iter().enumerate() {
        let (until, later) = questions.split_at(at + 1);
        let newest = later.is_empty();
        let moves = !newest && later.iter().all(|later| shown(*later).is_empty());
        let media = match (learns || newest, moves) {
            (true, _) => until.iter().map(|own| shown(*own)).rfind(|own| !own.is_empty()).unwrap_or_default(),
            (false, true) => Vec::new(),
            (false, false) => shown(message),
        };
        all.extend(media.into_iter().map(|media| Showing { message, media }));
    }
    Ok(all)
}

/// Media with the question that the context tokens hear: the message's own words, nothing of the template.
pub(super) fn placements(messages: &[Message], media: usize) -> ModelResult<Vec<Placement>> {
    let question = |message: &Message| {
        let text = |part: &MessagePart| if let MessagePart::Text(text) = part { Some(text.clone()) } else { None };
        message.parts.iter().filter_map(text).collect::<String>()
    };
    let all = showings(messages, media)?.into_iter();
    let placement = |one: Showing| Placement { media: one.media, instruction: Some(question(&messages[one.message])) };
    Ok(all.map(placement).collect())
}

/// What a prompt is built from.
pub(super) struct PromptWriter<'a> {
    pub(super) plans: &'a [MediaPlan],
    pub(super) spans: &'a [Vec<VisualSpan>],
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
        let showings = showings(messages, self.plans.len())?;
        let mut out = PromptBuilder::default();
        out.trusted(BEGIN);
        self.system(messages, &mut out);
        let mut placement = 0;
        for (number, message) in messages.iter().enumerate() {
            let texts = message.parts.iter().filter_map(|part| match part {
                MessagePart::Text(text) => Some(text.as_str()),
                MessagePart::Media(_) => None,
            });
            match message.role {
                Role::System => {}
                Role::User => {
                    out.trusted("USER: ");
                    for showing in showings.iter().filter(|showing| showing.message == number) {
                        self.show(placement, showing.media, &mut out);
                        placement += 1;
                    }
                    texts.for_each(|text| out.untrusted(text));
                    out.trusted(" ");
                }
                Role::Assistant => {
                    // The space belongs to the reply's first token, which the model says.
                    out.trusted("ASSISTANT:");
                    out.reply(&format!(" {}", texts.collect::<String>()));
                    out.reply_end(REPLY_END);
                }
            }
        }
        if let GenerationPrompt::Reply(begin) = end {
            out.trusted("ASSISTANT:");
            if !begin.is_empty() {
                out.untrusted(&format!(" {begin}"));
            }
        }
        out.finish(tokenizer)
    }

    /// The conversation's own system messages, or the template's: that of the first media.
    fn system(&self, messages: &[Message], out: &mut PromptBuilder) {
        let of_system = messages.iter().filter(|message| message.role == Role::System);
        let mut said = false;
        for part in of_system.flat_map(|message| &message.parts) {
            if let MessagePart::Text(text) = part {
                out.untrusted(text);
                out.trusted(" ");
                said = true;
            }
        }
        if !said {
            let template = self.plans.first().and_then(|plan| plan.settings.word(planning::TEMPLATE));
            out.trusted(if template == Some(LLAVA) { LLAVA_SYSTEM } else { VICUNA_SYSTEM });
            out.trusted(" ");
        }
    }

    /// A picture or video and a line feed; a film with its subtitles, each after the frame that it follows.
    fn show(&self, placement: usize, media: usize, out: &mut PromptBuilder) {
        let (plan, spans) = (&self.plans[media], &self.spans[media]);
        let (before, after) = match planning::film(plan) {
            OFF => {
                spans.iter().for_each(|span| out.visual(placement, span.tokens));
                return out.trusted("\n");
            }
            PART => FILM_PART,
            _ => FILM,
        };
        out.trusted(before);
        let mut captions = plan.captions.iter().peekable();
        for span in spans {
            out.visual(placement, span.tokens);
            let mut first = true;
            while let Some((_, words)) = captions.next_if(|(frame, _)| *frame < span.frames.end) {
                if !first {
                    out.trusted(" ");
                }
                out.untrusted(words);
                first = false;
            }
        }
        out.trusted(after);
    }
}
