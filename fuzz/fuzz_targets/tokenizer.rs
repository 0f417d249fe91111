#![no_main]
//! Bytes as `tokenizer.json`: no panic and no hang while it is read; what was read encodes and decodes any text.

use zoetrope_text::Tokenizer;

const TEXT: &str = "What happens in the video, <|im_end|> a red ball?\n\u{1F600} e\u{301} 12 345";

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(tokenizer) = Tokenizer::from_bytes(data) else { return };
    for untrusted in [&[][..], &[0..TEXT.len()]] {
        if let Ok(ids) = tokenizer.encode_marked(TEXT, untrusted) {
            std::hint::black_box(tokenizer.decode(&ids, true).is_ok());
        }
    }
});
