#![no_main]
//! Bytes as the weights of the embedded model: no panic, no hang, no memory by a number that the file says.

use zoetrope_models::checkpoint::Checkpoint;
use zoetrope_models::loading;
use zoetrope_models::weights::{LoadOptions, Precision};

mod folder;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let checkpoint = Checkpoint::Folder(folder::with("model.safetensors", data));
    std::hint::black_box(loading::open_listed(&checkpoint, LoadOptions::cpu(Precision::Auto)).is_ok());
    std::hint::black_box(loading::open(&checkpoint, LoadOptions::cpu(Precision::Auto)).is_ok());
});
