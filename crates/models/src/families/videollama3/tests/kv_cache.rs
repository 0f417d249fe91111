//! Keys and values kept as floats and as int8.

use super::*;

const DTYPES: [KvDtype; 3] = [KvDtype::Float(DType::F32), KvDtype::Float(DType::BF16), KvDtype::Int8];

fn keeping(kv_dtype: Option<KvDtype>, precision: Precision) -> VideoLlama3 {
    open_as(&checkpoint("toy-hf"), LoadOptions { kv_dtype, ..LoadOptions::cpu(precision) }).unwrap()
}

/// Logits of rows that are read some at a time, `lens` of them.
fn in_parts(model: &VideoLlama3, rows_td: &Tensor, lens: &[usize]) -> Vec<f32> {
    let (mut cached, mut first, mut all) = (Cached::new(model, lens.iter().sum()), 0, Vec::new());
    for &n in lens {
        let part = rows_td.narrow(0, first, n).unwrap();
        let rows: Vec<usize> = (0..n).collect();
        // Rows that are read twice, and forgotten in between.
        let mut read = || {
            cached.len = first;
            numbers(&cached.forward(model, &part, &rows))
        };
        let once = read();
        assert_eq!(read(), once);
        all.extend(once);
        first += n;
    }
    all
}

/// A key or value is off like a value of a row before an int8 product (see the packings' test), and a layer has seven
/// such products: the bound of those holds for the cache alone.
#[test]
fn every_way_to_keep_keys_and_values_gives_logits_near_those_without_a_cache() {
    let case = &json("goldens.json")["cases"]["mixed"];
    for precision in [DType::F32.into(), Precision::Packed(WeightType::Bf16)] {
        let plain = keeping(None, precision);
        let rows_td = run(&plain, case).embedded;
        let t = rows_td.dim(0).unwrap();
        let want = numbers(&logits_of(&plain, &rows_td, &(0..t).collect::<Vec<_>>()));
        let size = |x: &mut dyn Iterator<Item = f32>| x.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        for (kv_dtype, bound) in DTYPES.into_iter().zip([0.02, 0.02, 0.06]) {
            let ours = in_parts(&keeping(Some(kv_dtype), precision), &rows_td, &[t - 40, 1, 30, 3, 6]);
            let off = size(&mut ours.iter().zip(&want).map(|(a, b)| a - b)) / size(&mut want.iter().copied());
            assert!(off < bound, "{precision:?} {kv_dtype:?}: {off}");
        }
    }
}

#[test]
fn bytes_of_a_token_follow_how_keys_and_values_are_kept() {
    let of = |kv_dtype, precision| {
        let model = keeping(kv_dtype, precision);
        let dtype = model.weights.kv_dtype();
        (dtype.name(), model.processor.info().kv.bytes_per_token(dtype))
    };
    let l = language(&toy());
    let rows = 2 * l.layers * l.kv_heads;
    for precision in [DType::F32.into(), Precision::Packed(WeightType::Int8)] {
        assert_eq!(of(Some(DType::F32.into()), precision), ("f32", rows * 4 * l.head_dim));
        assert_eq!(of(Some(DType::BF16.into()), precision), ("bf16", rows * 2 * l.head_dim));
        assert_eq!(of(Some(KvDtype::Int8), precision), ("int8", rows * (l.head_dim + 4)));
    }
    assert_eq!(of(None, DType::F32.into()).0, "f32");
    assert_eq!(of(None, Precision::Packed(WeightType::F32)).0, "f32");
    assert_eq!(of(None, Precision::Packed(WeightType::Int8)).0, "bf16");
}
