//! A conversation as the checkpoint's own chat template writes it, each placeholder replaced by its media's tokens.

use serde_json::{Value, json};
use zoetrope_text::ChatTemplate;

use super::prompt_builder::PromptBuilder;
use crate::contract::media_plan::{MediaKind, MediaPlan};
use crate::contract::prompt::{Message, MessagePart, Placement};
use crate::error::{ModelError, ModelResult};

/// A conversation and the template that writes it.
#[derive(Clone, Copy)]
pub struct TemplatedPrompt<'a> {
    /// The template, which is given `content` as a list of `text`, `image` and `video` items.
    pub template: &'a ChatTemplate,
    /// Placeholders that the template writes for a picture and for a video.
    pub placeholders: [&'a str; 2],
    /// The conversation.
    pub messages: &'a [Message],
    /// A plan of each picture or video.
    pub plans: &'a [MediaPlan],
    /// Where they stand.
    pub placements: &'a [Placement],
}

/// Placements that are still to be shown, by placeholder.
type Queues<'a> = [(&'a str, std::vec::IntoIter<usize>); 2];

impl TemplatedPrompt<'_> {
    /// Writes the conversation, with the header of a reply behind it if `generate`; `show` writes the visual tokens of
    /// a placement. A placeholder in what people wrote is text.
    ///
    /// # Errors
    /// [`ModelError::Caller`] when the template fails, or writes more or fewer placeholders than there are media.
    pub fn write(
        &self,
        generate: bool,
        out: &mut PromptBuilder,
        mut show: impl FnMut(usize, &mut PromptBuilder),
    ) -> ModelResult<()> {
        let content: Vec<Value> = self.messages.iter().map(|message| self.as_json(message)).collect();
        let rendered = self.template.render(Value::Array(content), generate, serde_json::Map::new())?;
        let of_kind = |kind: MediaKind| {
            let of = |n: &usize| self.plans[self.placements[*n].media].kind == kind;
            (0..self.placements.len()).filter(of).collect::<Vec<_>>().into_iter()
        };
        let [image, video] = self.placeholders;
        let mut queues = [(image, of_kind(MediaKind::Image)), (video, of_kind(MediaKind::Video))];
        let (mut from, end) = (0, rendered.text.len());
        for range in rendered.untrusted.iter().cloned().chain(std::iter::once(end..end)) {
            expand(&rendered.text[from..range.start], &mut queues, out, &mut show)?;
            if !range.is_empty() {
                out.untrusted(&rendered.text[range.clone()]);
            }
            from = range.end;
        }
        match queues.iter_mut().find_map(|(pad, queue)| queue.next().map(|placement| (*pad, placement))) {
            Some((pad, placement)) => {
                Err(ModelError::Caller(format!("the chat template has no {pad} for media {placement}")))
            }
            None => Ok(()),
        }
    }

    fn as_json(&self, message: &Message) -> Value {
        let part = |part: &MessagePart| match part {
            MessagePart::Text(text) => json!({"type": "text", "text": text}),
            MessagePart::Media(media) => match self.plans[*media].kind {
                MediaKind::Image => json!({"type": "image"}),
                MediaKind::Video => json!({"type": "video"}),
            },
        };
        let content: Vec<Value> = message.parts.iter().map(part).collect();
        json!({"role": message.role.name(), "content": content})
    }
}

/// Text of the template, every placeholder in it replaced by the next placement of its kind.
fn expand(
    text: &str,
    queues: &mut Queues<'_>,
    out: &mut PromptBuilder,
    show: &mut impl FnMut(usize, &mut PromptBuilder),
) -> ModelResult<()> {
    let mut rest = text;
    loop {
        let next = queues.iter_mut().filter_map(|(pad, queue)| rest.find(*pad).map(|at| (at, *pad, queue)));
        let Some((at, pad, queue)) = next.min_by_key(|(at, ..)| *at) else { break };
        out.trusted(&rest[..at]);
        let placement = queue.next().ok_or_else(|| {
            ModelError::Caller(format!("the chat template has more {pad} than the request has media"))
        })?;
        show(placement, out);
        rest = &rest[at + pad.len()..];
    }
    out.trusted(rest);
    Ok(())
}
