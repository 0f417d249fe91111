//! The conversation as the checkpoint's code would write it, then as ids.

use std::ops::Range;

use serde_json::{Value, json};
use zoetrope_text::{ChatTemplate, Tokenizer};

use super::config::{Config, Convention};
use crate::contract::{ItemPlan, MediaKind, Message, Part, Plan, PlannedFrame, Prompt, Role};
use crate::error::ModelError;

/// What a prompt is built from.
pub(super) struct PromptWriter<'a> {
    /// Token ids of placeholders, and the convention.
    pub config: &'a Config,
    /// Tokenizer of the checkpoint.
    pub tokenizer: &'a Tokenizer,
    /// Chat template of the checkpoint (used in the transformers convention only).
    pub template: Option<&'a ChatTemplate>,
}

/// Text with the byte ranges that came from people.
#[derive(Default)]
struct Marked {
    text: String,
    untrusted: Vec<Range<usize>>,
}

impl Marked {
    fn push(&mut self, ours: &str) {
        self.text.push_str(ours);
    }

    fn push_untrusted(&mut self, theirs: &str) {
        let start = self.text.len();
        self.text.push_str(theirs);
        self.untrusted.push(start..self.text.len());
    }
}

impl PromptWriter<'_> {
    /// Ids of the conversation; `kept[item][frame]` visual tokens survive.
    pub(super) fn write(
        &self,
        messages: &[Message],
        plan: &Plan,
        kept: &[Vec<usize>],
        answer_next: bool,
    ) -> Result<Prompt, ModelError> {
        check(messages, plan, kept)?;
        let text = match (self.config.processor.convention, self.template) {
            (Convention::Transformers, Some(template)) => {
                self.templated(template, messages, plan, kept, answer_next)?
            }
            _ => self.by_rule(messages, plan, kept, answer_next)?,
        };
        let ids = self.tokenizer.encode_marked(&text.text, &text.untrusted)?;
        let (image, video) = (self.config.image_token, self.config.video_token);
        let visual = (0..ids.len()).filter(|&i| ids[i] == image || ids[i] == video).collect();
        let targets = self.targets(&ids)?;
        Ok(Prompt { ids, visual, targets })
    }

    /// The rules of the hub chat template: nothing between the parts of a message.
    fn by_rule(
        &self,
        messages: &[Message],
        plan: &Plan,
        kept: &[Vec<usize>],
        answer_next: bool,
    ) -> Result<Marked, ModelError> {
        let mut out = Marked::default();
        for message in messages {
            out.push(&format!("<|im_start|>{}\n", message.role.name()));
            for part in &message.parts {
                match part {
                    Part::Text(text) => out.push_untrusted(text),
                    Part::Media(item) => {
                        out.push(&self.expansion(&plan.items[*item], &kept[*item])?);
                        out.push("\n");
                    }
                }
            }
            out.push("<|im_end|>\n");
        }
        if answer_next {
            out.push("<|im_start|>assistant\n");
        }
        Ok(out)
    }

    /// The checkpoint's own template, then every placeholder replaced by its item's tokens.
    fn templated(
        &self,
        template: &ChatTemplate,
        messages: &[Message],
        plan: &Plan,
        kept: &[Vec<usize>],
        answer_next: bool,
    ) -> Result<Marked, ModelError> {
        let content: Vec<Value> = messages.iter().map(|m| as_json(m, plan)).collect();
        let rendered = template.render(Value::Array(content), answer_next, serde_json::Map::new())?;
        let of_kind = |kind: MediaKind| {
            let order = messages.iter().flat_map(|m| &m.parts).filter_map(|part| match part {
                Part::Media(item) if plan.items[*item].kind == kind => Some(*item),
                _ => None,
            });
            order.collect::<Vec<_>>().into_iter()
        };
        let (image, video) = (self.pad(self.config.image_token)?, self.pad(self.config.video_token)?);
        let mut queues = [(image, of_kind(MediaKind::Image)), (video, of_kind(MediaKind::Video))];
        let mut out = Marked::default();
        let (mut from, end) = (0, rendered.text.len());
        for range in rendered.untrusted.iter().cloned().chain(std::iter::once(end..end)) {
            self.expand(&rendered.text[from..range.start], &mut queues, plan, kept, &mut out)?;
            if !range.is_empty() {
                out.push_untrusted(&rendered.text[range.clone()]);
            }
            from = range.end;
        }
        match queues.iter_mut().find_map(|(pad, queue)| queue.next().map(|item| (pad.clone(), item))) {
            Some((pad, item)) => {
                Err(ModelError::Caller(format!("the chat template has no {pad} for media item {item}")))
            }
            None => Ok(out),
        }
    }

    fn expand(
        &self,
        text: &str,
        queues: &mut [(String, std::vec::IntoIter<usize>); 2],
        plan: &Plan,
        kept: &[Vec<usize>],
        out: &mut Marked,
    ) -> Result<(), ModelError> {
        let mut rest = text;
        loop {
            let next = queues.iter_mut().filter_map(|(pad, queue)| rest.find(pad.as_str()).map(|at| (at, pad, queue)));
            let Some((at, pad, queue)) = next.min_by_key(|(at, ..)| *at) else { break };
            out.push(&rest[..at]);
            let item = queue.next().ok_or_else(|| {
                ModelError::Caller(format!("the chat template has more {pad} than the request has media"))
            })?;
            out.push(&self.expansion(&plan.items[item], &kept[item])?);
            rest = &rest[at + pad.len()..];
        }
        out.push(rest);
        Ok(())
    }

    /// What stands for one item: placeholders, after a video's stamps as the convention rounds them.
    fn expansion(&self, plan: &ItemPlan, kept: &[usize]) -> Result<String, ModelError> {
        match plan.kind {
            MediaKind::Image => Ok(self.pad(self.config.image_token)?.repeat(kept.iter().sum())),
            MediaKind::Video => {
                let pad = self.pad(self.config.video_token)?;
                let stamp = match self.config.processor.convention {
                    Convention::Original => numpy_stamp,
                    Convention::Transformers => |seconds: f64| format!("{seconds:.1}"),
                };
                Ok(stamped(plan, kept, &pad, stamp))
            }
        }
    }

    fn pad(&self, id: u32) -> Result<String, ModelError> {
        self.tokenizer.token(id).ok_or_else(|| ModelError::Caller(format!("the tokenizer has no token {id}")))
    }

    /// Positions of the assistant's words and of the mark that ends them.
    fn targets(&self, ids: &[u32]) -> Result<Vec<usize>, ModelError> {
        let Some(end) = self.tokenizer.id("<|im_end|>") else { return Ok(Vec::new()) };
        let header = self.tokenizer.encode("<|im_start|>assistant\n")?;
        let mut targets = Vec::new();
        let mut at = 0;
        while at + header.len() <= ids.len() {
            if ids[at..at + header.len()] != header[..] {
                at += 1;
                continue;
            }
            at += header.len();
            if let Some(length) = ids[at..].iter().position(|&id| id == end) {
                targets.extend(at..=at + length);
                at += length + 1;
            }
        }
        Ok(targets)
    }
}

fn stamped(plan: &ItemPlan, kept: &[usize], pad: &str, stamp: impl Fn(f64) -> String) -> String {
    let one = |(frame, kept): (&PlannedFrame, &usize)| format!("Time {}s:{}", stamp(frame.stamp), pad.repeat(*kept));
    plan.frames.iter().zip(kept).map(one).collect::<Vec<_>>().join(",")
}

/// One decimal as numpy rounds: ten times the value, half to even.
fn numpy_stamp(seconds: f64) -> String {
    format!("{:.1}", (seconds * 10.0).round_ties_even() / 10.0)
}

fn as_json(message: &Message, plan: &Plan) -> Value {
    let part = |part: &Part| match part {
        Part::Text(text) => json!({"type": "text", "text": text}),
        Part::Media(item) => match plan.items[*item].kind {
            MediaKind::Image => json!({"type": "image"}),
            MediaKind::Video => json!({"type": "video"}),
        },
    };
    let content: Vec<Value> = message.parts.iter().map(part).collect();
    json!({"role": message.role.name(), "content": content})
}

fn check(messages: &[Message], plan: &Plan, kept: &[Vec<usize>]) -> Result<(), ModelError> {
    let frames = |items: &[ItemPlan]| items.iter().map(|item| item.frames.len()).collect::<Vec<_>>();
    let given: Vec<usize> = kept.iter().map(Vec::len).collect();
    if frames(&plan.items) != given {
        let text = format!("tokens were counted for {given:?} frames, the plan has {:?}", frames(&plan.items));
        return Err(ModelError::Bug(text));
    }
    let mut shown: Vec<usize> = messages
        .iter()
        .flat_map(|message| &message.parts)
        .filter_map(|part| if let Part::Media(item) = part { Some(*item) } else { None })
        .collect();
    if messages.iter().any(|m| m.role != Role::User && m.parts.iter().any(|p| matches!(p, Part::Media(_)))) {
        return Err(ModelError::Caller("media may stand in user messages only".to_string()));
    }
    shown.sort_unstable();
    if shown != (0..plan.items.len()).collect::<Vec<_>>() {
        let text = format!("the messages show media {shown:?}, the request has {} items", plan.items.len());
        return Err(ModelError::Caller(text));
    }
    Ok(())
}
