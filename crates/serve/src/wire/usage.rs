//! Usage by modality, and the frames that an answer was made of.

use serde_json::{Value, json};
use zoetrope_engine::{
    FinishReason, MediaClock, MediaUsage, RequestPlan, TokenCounts, TokenLogprob, TokenLogprobs, TurnReport,
};

/// Tokens of the prompt by modality, in the spelling of SGLang and in that of vLLM.
fn details(tokens: &TokenCounts) -> Value {
    let TokenCounts { text, image, video, reused, .. } = *tokens;
    json!({
        "cached_tokens": reused, "text_tokens": text, "image_tokens": image, "video_tokens": video,
        "multimodal_tokens": {"image": image, "video": video},
    })
}

/// `usage` of chat and completions.
pub(crate) fn chat(tokens: &TokenCounts) -> Value {
    json!({
        "prompt_tokens": tokens.prompt, "completion_tokens": tokens.generated,
        "total_tokens": tokens.prompt + tokens.generated, "prompt_tokens_details": details(tokens),
    })
}

/// `usage` of responses.
pub(crate) fn responses(tokens: &TokenCounts) -> Value {
    json!({
        "input_tokens": tokens.prompt, "output_tokens": tokens.generated,
        "total_tokens": tokens.prompt + tokens.generated, "input_tokens_details": details(tokens),
        "output_tokens_details": {"reasoning_tokens": 0},
    })
}

/// The `zoetrope` object of an answer: which frames were used, at which times, and what each stage took. `clocks`
/// are those of the media.
pub(crate) fn report(report: &TurnReport, clocks: &[MediaClock]) -> Value {
    json!({ "media": media(&report.media, clocks), "seconds": report.timings })
}

/// The frames of media.
fn media(all: &[MediaUsage], clocks: &[MediaClock]) -> Vec<Value> {
    let one = |(number, media): (usize, &MediaUsage)| {
        let clock = clocks.get(number).copied().unwrap_or_default();
        let before = media.tokens_before_pruning / media.frames.len().max(1);
        let frame = |frame: &zoetrope_engine::FrameUsage| {
            json!({
                "index": frame.index, "time": frame.time.max(clock.start), "source_time": frame.source_time,
                "tokens": frame.tokens,
                "tokens_before_pruning": before.max(frame.tokens),
            })
        };
        let mut value = json!({
            "name": media.name, "kind": media.kind, "duration": clock.duration,
            "source": [media.source.0, media.source.1],
            "frames": media.frames.iter().map(frame).collect::<Vec<_>>(),
            "tokens": media.tokens, "tokens_before_pruning": media.tokens_before_pruning,
        });
        if !media.faults.is_none() {
            value["faults"] = serde_json::to_value(media.faults).unwrap_or_default();
        }
        value
    };
    all.iter().enumerate().map(one).collect()
}

/// What `/v1/plan` says.
pub(crate) fn plan(
    id: &str,
    plan: &RequestPlan,
    clocks: &[MediaClock],
    limit: usize,
    cost: (Value, Option<f64>),
) -> Value {
    let (bytes, seconds) = cost;
    let TokenCounts { text, image, video, prompt, .. } = plan.tokens;
    let cached = !plan.media.is_empty() && plan.media.iter().all(|media| media.features.is_some());
    json!({
        "object": "plan", "model": id, "media": media(&plan.media, clocks),
        "tokens": {"text": text, "image": image, "video": video, "prompt": prompt, "limit": limit},
        "bytes": bytes, "seconds": seconds, "cached": cached, "fits": prompt < limit,
    })
}

/// `finish_reason` of chat and completions.
pub(crate) fn finish(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop | FinishReason::Cancelled => "stop",
        FinishReason::Length | FinishReason::Time => "length",
    }
}

/// What stands for the logarithm of 0, which JSON does not have; as OpenAI has it.
const LEAST_LOGPROB: f64 = -9999.0;

/// A token with its log-probability, and the likeliest ones.
pub(crate) fn logprobs(token: &TokenLogprobs) -> Value {
    let one = |token: &TokenLogprob| {
        let logprob = token.logprob.max(LEAST_LOGPROB);
        json!({"token": token.text(), "logprob": logprob, "bytes": token.bytes})
    };
    let mut value = one(&token.chosen);
    value["top_logprobs"] = json!(token.top.iter().map(one).collect::<Vec<_>>());
    value
}
