//! The pieces of a chat completion.

use axum::response::sse::Event;
use serde_json::{Value, json};
use zoetrope_engine::{FinishReason, Stage, TurnEvent};

use super::sse::{Writer, data};
use crate::turn::Turn;
use crate::wire::chat::StreamOptions;
use crate::wire::usage;

/// What stays the same in all pieces of an answer.
pub(super) struct Head {
    pub(super) id: String,
    pub(super) created: u64,
    pub(super) model: String,
    /// The tool whose arguments the reply is, when one was forced.
    pub(super) tool: Option<String>,
}

impl Head {
    /// `finish_reason` of a reply.
    pub(super) fn finish(&self, reason: FinishReason) -> &'static str {
        match (usage::finish(reason), &self.tool) {
            ("stop", Some(_)) => "tool_calls",
            (reason, _) => reason,
        }
    }
}

/// Writes the pieces.
pub(super) struct ChatWriter {
    head: Head,
    options: StreamOptions,
    replies: usize,
    /// Of each reply: log-probabilities of tokens whose text is still to come.
    logprobs: Vec<Vec<Value>>,
    /// Replies that have ended.
    ended: usize,
    /// How the last reply ended: it is told with the report.
    last: Option<(usize, &'static str)>,
}

impl ChatWriter {
    pub(super) fn new(head: Head, options: StreamOptions, replies: usize) -> Self {
        ChatWriter { head, options, replies, logprobs: vec![Vec::new(); replies], ended: 0, last: None }
    }

    fn chunk(&self, choices: Value) -> Value {
        let Head { id, created, model, .. } = &self.head;
        let mut chunk = json!({
            "id": id, "object": "chat.completion.chunk", "created": created, "model": model, "choices": choices,
        });
        if self.options.include_usage {
            chunk["usage"] = Value::Null;
        }
        chunk
    }

    fn delta(&mut self, reply: usize, delta: &Value, reason: Option<&str>) -> Event {
        data(&self.delta_chunk(reply, delta, reason))
    }

    fn delta_chunk(&mut self, reply: usize, delta: &Value, reason: Option<&str>) -> Value {
        let tokens = self.logprobs.get_mut(reply).map(std::mem::take).filter(|tokens| !tokens.is_empty());
        let logprobs = tokens.map(|tokens| json!({"content": tokens, "refusal": null}));
        let choice = json!({"index": reply, "delta": delta, "logprobs": logprobs, "finish_reason": reason});
        self.chunk(json!([choice]))
    }

    fn text(&mut self, reply: usize, text: &str) -> Event {
        match &self.head.tool {
            None => self.delta(reply, &json!({"content": text}), None),
            Some(_) => {
                let call = json!({"index": 0, "function": {"arguments": text}});
                self.delta(reply, &json!({"tool_calls": [call]}), None)
            }
        }
    }

    fn first(&mut self, reply: usize) -> Event {
        let delta = match &self.head.tool {
            None => json!({"role": "assistant", "content": ""}),
            Some(name) => {
                let id = format!("call_{}", crate::ids::random());
                let function = json!({"name": name, "arguments": ""});
                let call = json!({"index": 0, "id": id, "type": "function", "function": function});
                json!({"role": "assistant", "content": null, "tool_calls": [call]})
            }
        };
        self.delta(reply, &delta, None)
    }
}

/// The word for a stage.
fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Decode => "decode",
        Stage::Encode => "encode",
        Stage::Read => "read",
    }
}

impl Writer for ChatWriter {
    fn begin(&mut self, _: &Turn) -> Vec<Event> {
        (0..self.replies).map(|reply| self.first(reply)).collect()
    }

    fn event(&mut self, turn: &Turn, event: TurnEvent) -> Vec<Event> {
        match event {
            TurnEvent::Progress { stage, done, total } if self.options.include_progress => {
                let mut chunk = self.chunk(json!([]));
                chunk["zoetrope"] = json!({"stage": stage_name(stage), "done": done, "total": total});
                vec![data(&chunk)]
            }
            TurnEvent::Logprobs { reply, logprobs } => {
                if let Some(waiting) = self.logprobs.get_mut(reply) {
                    waiting.push(usage::logprobs(&logprobs));
                }
                Vec::new()
            }
            TurnEvent::Text { reply, text } => vec![self.text(reply, &text)],
            TurnEvent::Finished { reply, reason, .. } => {
                let reason = self.head.finish(reason);
                self.ended += 1;
                if self.ended == self.replies {
                    self.last = Some((reply, reason));
                    return Vec::new();
                }
                vec![self.delta(reply, &json!({}), Some(reason))]
            }
            TurnEvent::Done(report) => {
                let report_value = usage::report(&report, &turn.clocks);
                let mut events = Vec::new();
                if let Some((reply, reason)) = self.last {
                    let mut chunk = self.delta_chunk(reply, &json!({}), Some(reason));
                    chunk["zoetrope"] = report_value.clone();
                    events.push(data(&chunk));
                }
                if self.options.include_usage {
                    let mut chunk = self.chunk(json!([]));
                    chunk["usage"] = usage::chat(&report.tokens);
                    chunk["zoetrope"] = report_value;
                    events.push(data(&chunk));
                }
                events.push(Event::default().data("[DONE]"));
                events
            }
            TurnEvent::Failed(error) => vec![data(&turn.error(&error).body()), Event::default().data("[DONE]")],
            TurnEvent::Progress { .. } | TurnEvent::Prompt(_) | TurnEvent::Token { .. } => Vec::new(),
        }
    }
}
