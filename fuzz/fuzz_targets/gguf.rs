#![no_main]
//! Bytes as a GGUF file, and as one whose header is right: no panic, no hang, no memory by a number that the file says.

use zoetrope_models::weights::{Archive, NameTable};

/// Magic, version 3, one tensor, and the architecture as the first of two metadata values.
const HEADER: &[u8] = b"GGUF\x03\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\
                        \x14\0\0\0\0\0\0\0general.architecture\x08\0\0\0\x05\0\0\0\0\0\0\0qwen2";

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else { return };
    let file = if *kind == b'h' { [HEADER, rest].concat() } else { data.to_vec() };
    let path = std::env::temp_dir().join(format!("zoetrope-fuzz-gguf-{}", std::process::id()));
    std::fs::write(&path, &file).expect("a file in the temporary folder");
    let table = NameTable { gguf_architecture: Some("qwen2"), ..NameTable::ours() };
    std::hint::black_box(Archive::gguf(&path, &[table]).map(|archive| archive.layout()).is_ok());
});
