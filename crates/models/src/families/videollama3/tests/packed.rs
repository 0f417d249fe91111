//! Packed weights: near f32, the same from a converted folder as from memory, and gradients through them.

use zoetrope_kernels::packed::Kind;

use super::*;
use crate::families;

/// Logits of every row of a golden case.
fn logits(model: &VideoLlama3, case: &str) -> Tensor {
    let run = run(model, &json("goldens.json")["cases"][case]);
    let t = run.prompt.ids.len();
    model.step(&run.embedded, &mut Memory::Packed(&[t]), &(0..t).collect::<Vec<_>>()).unwrap()
}

/// Size of the difference as a share of the size of `want`.
fn apart(ours: &Tensor, want: &Tensor) -> f64 {
    let size = |values: Vec<f32>| values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    size(numbers(&(ours - want).unwrap())) / size(numbers(want))
}

fn packed(kind: Kind) -> VideoLlama3 {
    VideoLlama3::open(&golden().join("toy-hf"), Precision::Packed(kind), &Device::Cpu).unwrap()
}

/// A product's relative error is about 2^-9 in bf16, 1/127 of a few standard deviations in int8 and ten times that in
/// 4-bit, for weights and for rows; errors of a dozen products in a row add like a random walk.
#[test]
fn every_packing_gives_logits_near_those_of_f32() {
    for case in CASES {
        let want = logits(&toy(), case);
        for (kind, bound) in [(Kind::F32, 1e-5), (Kind::Bf16, 0.02), (Kind::Int8, 0.06), (Kind::Int4, 0.6)] {
            let off = apart(&logits(&packed(kind), case), &want);
            assert!(off < bound, "{case} {kind:?}: {off}");
        }
    }
}

#[test]
fn a_converted_folder_is_complete_and_answers_as_the_model_that_was_packed_in_memory() {
    for kind in [Kind::Bf16, Kind::Int8, Kind::Int4] {
        let folder = tempfile::tempdir().unwrap();
        families::convert(&golden().join("toy-hf"), folder.path(), kind, None).unwrap();
        let converted = VideoLlama3::open(folder.path(), Precision::Auto, &Device::Cpu).unwrap();
        assert_eq!(converted.info().weights, format!("{kind:?}").to_lowercase());
        assert_eq!(converted.info().parameters, toy().info().parameters);
        assert_eq!(numbers(&logits(&converted, "mixed")), numbers(&logits(&packed(kind), "mixed")), "{kind:?}");
        let text = families::convert(&golden().join("toy-hf"), folder.path(), kind, None).err().unwrap().to_string();
        assert!(text.contains("exists already"), "{text}");
        let text = VideoLlama3::open(folder.path(), DType::F32, &Device::Cpu).err().unwrap().to_string();
        assert!(text.contains(&format!("as {kind:?} only")), "{text}");
    }
}

#[test]
fn a_small_model_is_f32_unless_it_was_converted() {
    let model = VideoLlama3::open(&golden().join("toy-hf"), Precision::Auto, &Device::Cpu).unwrap();
    assert_eq!(model.info().weights, "f32");
}

/// The gradient to the rows that go in, through all packed layers, is near that through the float ones.
#[test]
fn gradients_pass_through_packed_layers() {
    let (float, case) = (toy(), &json("goldens.json")["cases"]["text"]);
    let slope = |model: &VideoLlama3| {
        let x = candle_core::Var::from_tensor(&run(&float, case).embedded).unwrap();
        let t = x.dim(0).unwrap();
        let loss =
            model.step(x.as_tensor(), &mut Memory::Packed(&[t]), &[t - 1]).unwrap().sqr().unwrap().sum_all().unwrap();
        loss.backward().unwrap().get(&x).unwrap().clone()
    };
    let want = slope(&float);
    for (kind, bound) in [(Kind::F32, 1e-4), (Kind::Bf16, 0.05), (Kind::Int8, 0.15)] {
        let off = apart(&slope(&packed(kind)), &want);
        assert!(off < bound, "{kind:?}: {off}");
    }
}
