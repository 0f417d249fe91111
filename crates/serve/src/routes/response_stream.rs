//! The events of a response.

use axum::response::sse::Event;
use serde_json::{Value, json};
use zoetrope_engine::{FinishReason, MediaClock, TurnEvent, TurnReport};

use super::sse::Writer;
use crate::turn::Turn;
use crate::wire::usage;

/// What stays the same in all events of a response.
pub(super) struct Head {
    pub(super) id: String,
    pub(super) item: String,
    pub(super) created: u64,
    pub(super) model: String,
    pub(super) instructions: Option<String>,
}

impl Head {
    /// The response with what it says so far.
    pub(super) fn response(&self, status: &str, output: &Value) -> Value {
        json!({
            "id": self.id, "object": "response", "created_at": self.created, "status": status, "model": self.model,
            "output": output, "instructions": self.instructions, "error": null, "incomplete_details": null,
            "parallel_tool_calls": false, "tools": [], "tool_choice": "none", "metadata": {}, "store": false,
            "previous_response_id": null, "temperature": null, "top_p": null, "usage": null,
        })
    }

    /// The message of the response.
    pub(super) fn item(&self, status: &str, content: &Value) -> Value {
        json!({"id": self.item, "type": "message", "status": status, "role": "assistant", "content": content})
    }

    /// The complete response.
    pub(super) fn complete(
        &self,
        text: &str,
        reason: FinishReason,
        report: &TurnReport,
        clocks: &[MediaClock],
    ) -> Value {
        let status = if usage::finish(reason) == "stop" { "completed" } else { "incomplete" };
        let content = json!([{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]);
        let mut response = self.response(status, &json!([self.item(status, &content)]));
        if status == "incomplete" {
            response["incomplete_details"] = json!({"reason": "max_output_tokens"});
        }
        response["usage"] = usage::responses(&report.tokens);
        response["zoetrope"] = usage::report(report, clocks);
        response
    }
}

/// Writes the events, numbered.
pub(super) struct ResponseWriter {
    head: Head,
    number: usize,
    text: String,
    reason: FinishReason,
}

impl ResponseWriter {
    pub(super) fn new(head: Head) -> Self {
        ResponseWriter { head, number: 0, text: String::new(), reason: FinishReason::Length }
    }

    fn event(&mut self, kind: &str, mut body: Value) -> Event {
        body["type"] = json!(kind);
        body["sequence_number"] = json!(self.number);
        self.number += 1;
        Event::default().event(kind).data(body.to_string())
    }

    /// An event of the one part of the one message.
    fn of_part(&mut self, kind: &str, name: &str, value: Value) -> Event {
        let mut body = json!({"item_id": self.head.item, "output_index": 0, "content_index": 0});
        body[name] = value;
        self.event(kind, body)
    }

    fn part(&self) -> Value {
        json!({"type": "output_text", "text": self.text, "annotations": [], "logprobs": []})
    }
}

impl Writer for ResponseWriter {
    fn begin(&mut self, _: &Turn) -> Vec<Event> {
        let response = self.head.response("in_progress", &json!([]));
        let item = self.head.item("in_progress", &json!([]));
        let part = self.part();
        vec![
            self.event("response.created", json!({"response": response})),
            self.event("response.in_progress", json!({"response": response})),
            self.event("response.output_item.added", json!({"output_index": 0, "item": item})),
            self.of_part("response.content_part.added", "part", part),
        ]
    }

    fn event(&mut self, turn: &Turn, event: TurnEvent) -> Vec<Event> {
        match event {
            TurnEvent::Text { text, .. } => {
                self.text.push_str(&text);
                let mut body = json!({"item_id": self.head.item, "output_index": 0, "content_index": 0});
                body["delta"] = json!(text);
                body["logprobs"] = json!([]);
                vec![ResponseWriter::event(self, "response.output_text.delta", body)]
            }
            TurnEvent::Finished { reason, .. } => {
                self.reason = reason;
                Vec::new()
            }
            TurnEvent::Done(report) => {
                let response = self.head.complete(&self.text, self.reason, &report, &turn.clocks);
                let (text, part) = (json!(self.text), self.part());
                let item = response["output"][0].clone();
                let last = match response["status"].as_str() {
                    Some("completed") => "response.completed",
                    _ => "response.incomplete",
                };
                vec![
                    self.of_part("response.output_text.done", "text", text),
                    self.of_part("response.content_part.done", "part", part),
                    ResponseWriter::event(self, "response.output_item.done", json!({"output_index": 0, "item": item})),
                    ResponseWriter::event(self, last, json!({"response": response})),
                ]
            }
            TurnEvent::Failed(error) => {
                let mut response = self.head.response("failed", &json!([]));
                let error = turn.error(&error);
                response["error"] = json!({"code": error.code, "message": error.message});
                vec![ResponseWriter::event(self, "response.failed", json!({"response": response}))]
            }
            _ => Vec::new(),
        }
    }
}
