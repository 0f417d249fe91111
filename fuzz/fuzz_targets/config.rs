#![no_main]
//! Bytes as `config.json` of a model folder: no panic, no hang, no memory by a number that the file says.

use zoetrope_models::checkpoint::Checkpoint;
use zoetrope_models::contract::media_plan::{MediaMetadata, PlanOptions};
use zoetrope_models::loading;
use zoetrope_models::weights::{LoadOptions, Precision};

mod folder;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let checkpoint = Checkpoint::Folder(folder::with("config.json", data));
    let Ok(processor) = loading::open_processor(&checkpoint) else { return };
    let picture = MediaMetadata::picture((640, 480));
    if let Ok(plans) = processor.plan(&[], &[picture], &PlanOptions::default()) {
        std::hint::black_box(processor.visual_spans(&plans[0], None));
    }
    // Lists what a model of these sizes would ask for; nothing is read or allocated.
    std::hint::black_box(loading::open_listed(&checkpoint, LoadOptions::cpu(Precision::Auto)).is_ok());
});
