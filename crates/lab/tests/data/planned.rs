//! Samples as the model inside the program sees them: plans, prompts, frames that are decoded ahead.

use std::path::Path;
use std::sync::Arc;

use zoetrope_engine::PatchStream;
use zoetrope_lab::data::{DecodedSample, PlannedSample, PromptRun, ReadAhead, read_ahead};
use zoetrope_lab::sample::Sample;
use zoetrope_models::checkpoint::Checkpoint;
use zoetrope_models::contract::Processor;
use zoetrope_models::contract::media_plan::PlanOptions;
use zoetrope_models::loading;

use crate::desk::Desk;

fn processor() -> Arc<dyn Processor> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/models/zoetrope-nano");
    loading::open_processor(&Checkpoint::from(folder.as_path())).expect("a processor")
}

/// All patches of all media.
fn patches(sample: &Sample, processor: &Arc<dyn Processor>) -> Vec<f32> {
    let plans = sample.plan(processor.as_ref(), &PlanOptions::default()).expect("plans");
    let mut values = Vec::new();
    for (media, plan) in sample.media.iter().zip(&plans) {
        for prepared in PatchStream::new(processor, "media", &media.source, plan) {
            let pixels = prepared.map_err(|error| error.to_string()).expect("frames").patches.pixels;
            values.extend(pixels.flatten_all().and_then(|all| all.to_vec1::<f32>()).expect("numbers"));
        }
    }
    values
}

#[test]
fn a_list_of_frames_is_shown_whole_at_its_own_times() {
    let desk = Desk::new();
    let processor = processor();
    let names = ["red.png", "green.png", "blue.png"].repeat(8);
    let times: Vec<f64> = (0..24).map(|n| f64::from(n) * 0.1).collect();
    let row = serde_json::json!({ "video": names, "timestamps": times, "query": "What?", "response": "It." });
    let sample = desk.sample(&row.to_string()).expect("a sample");
    let options = PlanOptions { max_frames: Some(64), ..PlanOptions::default() };
    let planned = PlannedSample::new(&sample, processor.as_ref(), &options).expect("a plan");
    let shown: Vec<f64> = planned.plans[0].frames.iter().map(|frame| frame.prompt_time).collect();
    assert!(shown.iter().zip(&times).all(|(shown, time)| (shown - time).abs() < 1e-9), "{shown:?}");
    assert_eq!(shown.len(), times.len());
    // A picture beside it keeps its own rule.
    let both =
        serde_json::json!({ "video": names[..3], "image": "wide.png", "query": "<image><video>?", "response": "It." });
    let sample = desk.sample(&both.to_string()).expect("a sample");
    let planned = PlannedSample::new(&sample, processor.as_ref(), &options).expect("a plan");
    assert_eq!(planned.plans.iter().map(|plan| plan.frames.len()).collect::<Vec<_>>(), [1, 3]);
}

#[test]
fn answers_alone_are_learned() {
    let desk = Desk::new();
    let processor = processor();
    let row = r#"{"image": "wide.png", "query": "<image>What?", "response": "Two words."}"#;
    let sample = desk.sample(row).expect("a sample");
    let planned = PlannedSample::new(&sample, processor.as_ref(), &PlanOptions::default()).expect("a plan");
    let runs = planned.runs(processor.as_ref()).expect("a text");
    let learned: Vec<&String> =
        runs.iter().filter_map(|run| if let PromptRun::Text(text, true) = run { Some(text) } else { None }).collect();
    assert_eq!(learned, ["Two words.<|im_end|>"]);
    let visual: usize = runs.iter().map(|run| if let PromptRun::Visual(tokens) = run { *tokens } else { 0 }).sum();
    assert_eq!((visual, visual > 0), (planned.visual_tokens(), true));
    assert_eq!(planned.text_tokens() + visual, planned.prompt.tokens.len());
    // More tokens than the model has positions.
    let long = format!(r#"{{"query": "{}", "response": "It."}}"#, "word ".repeat(40_000));
    let error = PlannedSample::new(&desk.sample(&long).expect("a sample"), processor.as_ref(), &PlanOptions::default());
    assert!(error.err().is_some_and(|error| error.to_string().contains("positions")));
}

#[test]
fn samples_that_are_decoded_ahead_give_the_same_patches() {
    let desk = Desk::new();
    let processor = processor();
    let rows = [
        r#"{"video": "clip.gif", "query": "What?", "response": "It."}"#,
        r#"{"video": ["red.png", "wide.png", "blue.png"], "fps": 8, "query": "What?", "response": "It."}"#,
        r#"{"images": ["red.png", "blue.png"], "query": "What?", "response": "It."}"#,
        r#"{"query": "Hi", "response": "Hello."}"#,
    ];
    let samples: Vec<Sample> = rows.iter().map(|row| desk.sample(row).expect("a sample")).collect();
    let (own, model) = (samples.clone(), Arc::clone(&processor));
    let decode = move |number| DecodedSample::new(&own[number as usize], model.as_ref(), &PlanOptions::default());
    let bytes = |decoded: &Result<DecodedSample, _>| decoded.as_ref().map_or(0, |decoded| decoded.bytes);
    let ahead = read_ahead(0..rows.len() as u64, ReadAhead::default(), bytes, decode);
    for (sample, decoded) in samples.iter().zip(ahead) {
        let decoded = decoded.map_err(|error| error.to_string()).expect("frames");
        let wanted = patches(sample, &processor);
        assert_eq!(patches(&decoded.sample, &processor), wanted);
        assert_eq!(decoded.bytes == 0, wanted.is_empty());
    }
    // A frame that is not there is an error, not a sample of fewer frames.
    let noise =
        image::RgbImage::from_fn(64, 64, |x, y| image::Rgb([(x * 37) ^ (y * 91), x * y, x ^ y].map(|v| v as u8)));
    noise.save(desk.path("red.png")).expect("a picture");
    let whole = std::fs::read(desk.path("red.png")).expect("a picture");
    desk.write("red.png", &whole[..whole.len() / 2]);
    let sample = desk.sample(rows[2]).expect("headers are whole");
    let error =
        DecodedSample::new(&sample, processor.as_ref(), &PlanOptions::default()).expect_err("no frame").to_string();
    assert!(error.contains("red.png") || error.contains("media 1"), "{error}");
}
