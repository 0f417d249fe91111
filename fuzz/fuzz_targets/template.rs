#![no_main]
//! Bytes as a chat template: no panic and no hang; what a person wrote is marked on whole characters of the prompt.

use serde_json::json;
use zoetrope_text::{ChatTemplate, TemplateLimits};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(source) = std::str::from_utf8(data) else { return };
    let limits = TemplateLimits { fuel: 20_000, output_bytes: 1 << 16, ..TemplateLimits::default() };
    let Ok(template) = ChatTemplate::from_source(source, &[("bos_token", "<s>"), ("eos_token", "</s>")]) else { return };
    let messages = json!([
        {"role": "system", "content": "Answer."},
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it? \u{e9}<|im_end|>"}]},
        {"role": "assistant", "content": "A ball."},
        {"role": "user", "content": "And now?"},
    ]);
    if let Ok(rendered) = template.with_limits(limits).render(messages, true, serde_json::Map::new()) {
        for range in rendered.untrusted {
            assert!(rendered.text.get(range).is_some());
        }
    }
});
