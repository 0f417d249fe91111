//! Pixels, features, visual tokens, logits, continuations and gradients of the authors' code.

use super::*;
use crate::contract::embed;
use crate::kv::{BLOCK, KvCache, SequenceRun};

const CASES: [&str; 3] = ["image", "video", "film"];

/// `[F, 3, S, S]` as patches `[F * G * G, 3 * P * P]`.
fn as_patches(pixels: &Tensor, patch: usize) -> Tensor {
    let (f, _, side, _) = pixels.dims4().unwrap();
    let g = side / patch;
    let split = pixels.reshape(&[f, 3, g, patch, g, patch][..]).unwrap();
    split.permute(&[0, 2, 4, 1, 3, 5][..]).unwrap().reshape((f * g * g, 3 * patch * patch)).unwrap()
}

#[test]
fn pixels_are_those_of_clips_image_processor() {
    let (model, goldens, want) = (toy(), json(), tensors("cases"));
    let same = |what: &str, case: &Case| {
        let ours = numbers(&case.run(&model).patches.pixels);
        let theirs = numbers(&as_patches(&want[&format!("{what}.pixels")], 14));
        let differ = ours.iter().zip(&theirs).position(|(a, b)| a != b);
        assert_eq!((ours.len(), differ), (theirs.len(), None), "{what}");
    };
    same("image", &case("image", &goldens));
    same("video", &case("video", &goldens));
    let mut cropped = case("image", &goldens);
    cropped.options.settings.set("pad", false);
    same("cropped", &cropped);
}

#[test]
fn features_and_visual_tokens_match_the_authors_code() {
    let (model, goldens, want) = (toy(), json(), tensors("cases"));
    for name in CASES {
        let run = case(name, &goldens).run(&model);
        // Films were stored without the class token; here it is stored, too, and not looked at.
        let frames = if name == "film" { "video" } else { name };
        let noise = |key: &str| &goldens["noise"][key];
        let features = format!("{frames}.features");
        close(&features, &run.features.rows, &want[&features], noise(&features));
        let visual = format!("{name}.visual");
        close(&visual, &run.visual, &want[&visual], noise(&visual));
    }
}

#[test]
fn every_way_of_pooling_matches_the_authors_code() {
    let (model, goldens, want) = (toy(), json(), tensors("cases"));
    for (name, grid, tokens) in [("grid2", 2, 5), ("grid3", 3, 17), ("all", 4, 17)] {
        let mut case = case("video", &goldens);
        case.options.settings.set("grid", grid);
        let run = case.run(&model);
        assert_eq!(run.visual.dim(0).unwrap(), 3 * tokens, "{name}: three frames");
        let key = format!("visual.{name}");
        close(&key, &run.visual, &want[&key], &goldens["noise"][&key]);
    }
}

/// The toy's position table is of 4 x 4 patches.
#[test]
fn a_position_table_of_another_resolution_is_stretched_as_the_authors_code_does() {
    let (goldens, want) = (json(), tensors("cases"));
    let folder = tempfile::tempdir().unwrap();
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"] {
        std::fs::copy(golden().join("toy").join(name), folder.path().join(name)).unwrap();
    }
    std::fs::copy(golden().join("toy/bert-base-uncased/vocab.txt"), folder.path().join("vocab.txt")).unwrap();
    std::fs::write(folder.path().join("preprocessor_config.json"), r#"{"size": 84}"#).unwrap();
    let model = open(&Checkpoint::from(folder.path()), LoadOptions::cpu(DType::F32));
    let pixels = as_patches(&want["large.pixels"], 14);
    let units = vec![crate::contract::features::Unit { grid: [1, 6, 6], keep: None }];
    let rows = model.vision.forward(&Patches { pixels, units }).unwrap();
    close("large", &rows, &want["large.features"], &goldens["noise"]["large.features"]);
}

/// Rows `[T, D]` of a case, and their positions.
fn embedded(model: &LlamaVid, run: &Run) -> Tensor {
    embed(model, &run.prompt.tokens, std::slice::from_ref(&run.visual)).unwrap()
}

#[test]
fn decoder_inputs_and_logits_match_the_authors_code() {
    let (model, goldens, want) = (toy(), json(), tensors("cases"));
    for name in CASES {
        let run = case(name, &goldens).run(&model);
        let x_td = embedded(&model, &run);
        let t = x_td.dim(0).unwrap();
        let sums = format!("{name}.embeds_sum");
        close(&sums, &x_td.sum(1).unwrap(), &want[&sums], &goldens["noise"][&sums]);
        let rows: Vec<usize> = (t - want[&format!("{name}.logits")].dim(0).unwrap()..t).collect();
        let logits = model.forward(&x_td, &run.prompt.positions, &mut KvContext::Varlen(&[t]), &rows).unwrap();
        let key = format!("{name}.logits");
        close(&key, &logits, &want[&key], &goldens["noise"][&key]);
    }
}

#[test]
fn greedy_continuation_is_identical_for_64_tokens() {
    let (model, goldens, want) = (toy(), json(), tensors("cases"));
    for name in CASES {
        let run = case(name, &goldens).run(&model);
        let theirs: Vec<i64> = want[&format!("{name}.greedy")].to_vec1().unwrap();
        let (mut x, mut past) = (embedded(&model, &run), 0);
        let blocks: Vec<u32> = (0..(run.prompt.tokens.len() + 64).div_ceil(BLOCK) as u32).collect();
        let (kv, dtype) = (model.processor.info().kv, model.weights.kv_dtype());
        let mut cache = KvCache::new(kv, blocks.len(), dtype, &Device::Cpu).unwrap();
        let mut ids = Vec::new();
        while ids.len() < theirs.len() {
            let new = x.dim(0).unwrap();
            let positions: Vec<Position> = (past..past + new).map(|id| Position::text(id as u32)).collect();
            let runs = [SequenceRun { past, new, blocks: &blocks }];
            let mut context = KvContext::Paged { cache: &mut cache, runs: &runs };
            let logits = model.forward(&x, &positions, &mut context, &[new - 1]).unwrap();
            let id = logits.argmax(1).unwrap().to_vec1::<u32>().unwrap()[0];
            ids.push(i64::from(id));
            past += new;
            x = model.embed_tokens(&[id]).unwrap();
        }
        assert_eq!(ids, theirs, "{name}");
    }
}

#[test]
fn gradients_match_the_authors_code() {
    let (goldens, want) = (json(), tensors("gradients"));
    let tables = names::tables(&checkpoint()).unwrap();
    let archive = Archive::open(&checkpoint(), &tables).unwrap();
    let weights = Weights::open(vec![archive], LoadOptions::training()).unwrap();
    let model = LlamaVid::load(&checkpoint(), weights).unwrap();
    let run = case("video", &goldens).run(&model);
    let x_td = embedded(&model, &run);
    let t = x_td.dim(0).unwrap();
    let rows: Vec<usize> = (t - 12..t).collect();
    let logits = model.forward(&x_td, &run.prompt.positions, &mut KvContext::Varlen(&[t]), &rows).unwrap();
    let width = logits.dim(1).unwrap();
    let targets: Vec<u32> = (0..12).map(|n| ((7 * n + 11) % width) as u32).collect();
    let log_sum = logits.exp().unwrap().sum_keepdim(1).unwrap().log().unwrap();
    let ids = Tensor::from_vec(targets, (12, 1), &Device::Cpu).unwrap();
    let loss = (log_sum - logits.gather(&ids, 1).unwrap()).unwrap().mean_all().unwrap();
    let theirs = goldens["gradients"]["loss"].as_f64().unwrap();
    assert!((f64::from(loss.to_scalar::<f32>().unwrap()) - theirs).abs() < 1e-5, "{loss:?}, {theirs}");
    let store = loss.backward().unwrap();
    let variables = model.weights.variables();
    let mut compared = 0;
    for (ours, variable) in &variables {
        let Origin::Tensor(published) = (tables[0].origin)(ours).unwrap() else { continue };
        let Some(theirs) = want.get(&published) else { continue };
        close(&published, store.get(variable).unwrap(), theirs, &goldens["gradients"]["noise"][&published]);
        compared += 1;
    }
    assert_eq!(compared, want.len());
}
