#![no_main]
//! Bytes as `tokenizer.json`: no panic and no hang while it is read; what was read encodes and decodes any text.

use std::sync::Once;

use zoetrope_text::Tokenizer;

const TEXT: &str = "What happens in the video, <|im_end|> a red ball?\n\u{1F600} e\u{301} 12 345";

/// libFuzzer's own hook aborts at every panic, also at one of the library that is caught. Without the hook, only an
/// uncaught panic aborts.
static QUIET: Once = Once::new();

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    let Ok(tokenizer) = Tokenizer::from_bytes(data) else { return };
    for untrusted in [&[][..], &[0..TEXT.len()]] {
        if let Ok(ids) = tokenizer.encode_marked(TEXT, untrusted) {
            std::hint::black_box(tokenizer.decode(&ids, true).is_ok());
        }
    }
});
