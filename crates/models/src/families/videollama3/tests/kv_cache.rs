//! Keys and values held as floats and as whole numbers.

use candle_core::CudaDevice;

use super::*;
use crate::parts::cache::KvDtype;
use crate::parts::precision::Dtypes;

const DTYPES: [KvDtype; 3] = [KvDtype::Float(DType::F32), KvDtype::Float(DType::BF16), KvDtype::Int8];

fn holding(kv_cache: Option<KvDtype>, weights: Precision) -> VideoLlama3 {
    VideoLlama3::open(&golden().join("toy-hf"), Dtypes { weights, kv_cache }, &Device::Cpu).unwrap()
}

/// Logits of rows that are read some at a time, `lens` of them, and a cache that is too small at first.
fn in_parts(model: &VideoLlama3, rows_td: &Tensor, lens: &[usize]) -> Vec<f32> {
    let (mut cache, mut first, mut all) = (model.new_cache(3).unwrap(), 0, Vec::new());
    for &n in lens {
        let part = rows_td.narrow(0, first, n).unwrap();
        let rows: Vec<usize> = (0..n).collect();
        // Rows that are read twice, and forgotten in between.
        let read = |cache: &mut KvCache| {
            cache.truncate(first);
            cache.grow(first + n).unwrap();
            numbers(&model.step(&part, &mut Memory::Cache(cache), &rows).unwrap())
        };
        let once = read(&mut cache);
        assert_eq!(read(&mut cache), once);
        all.extend(once);
        first += n;
        assert_eq!(cache.len(), first);
    }
    all
}

/// A key or value is off like a value of a row before an int8 product (see the packings' test), and a layer has seven
/// such products: the bound of those holds for the cache alone.
#[test]
fn every_way_to_hold_keys_and_values_gives_logits_near_those_without_a_cache() {
    let case = &json("goldens.json")["cases"]["mixed"];
    for weights in [DType::F32.into(), Precision::Packed(Kind::Bf16)] {
        let plain = holding(None, weights);
        let rows_td = run(&plain, case).embedded;
        let t = rows_td.dim(0).unwrap();
        let want = plain.step(&rows_td, &mut Memory::Packed(&[t]), &(0..t).collect::<Vec<_>>()).unwrap();
        let want = numbers(&want);
        let size = |x: &mut dyn Iterator<Item = f32>| x.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        for (kv_cache, bound) in DTYPES.into_iter().zip([0.02, 0.02, 0.06]) {
            let ours = in_parts(&holding(Some(kv_cache), weights), &rows_td, &[t - 40, 1, 30, 3, 6]);
            let off = size(&mut ours.iter().zip(&want).map(|(a, b)| a - b)) / size(&mut want.iter().copied());
            assert!(off < bound, "{weights:?} {kv_cache:?}: {off}");
        }
    }
}

#[test]
fn bytes_of_a_token_follow_how_keys_and_values_are_held() {
    let of = |kv_cache, weights| {
        let info = holding(kv_cache, weights).info();
        (info.kv_cache, info.cache_bytes_per_token)
    };
    let l = toy().config().language.clone();
    let rows = 2 * l.layers * l.kv_heads;
    for weights in [DType::F32.into(), Precision::Packed(Kind::Int8)] {
        assert_eq!(of(Some(DType::F32.into()), weights), ("f32", rows * 4 * l.head_dim));
        assert_eq!(of(Some(DType::BF16.into()), weights), ("bf16", rows * 2 * l.head_dim));
        assert_eq!(of(Some(KvDtype::Int8), weights), ("int8", rows * (l.head_dim + 4)));
    }
    assert_eq!(of(None, DType::F32.into()).0, "f32");
    assert_eq!(of(None, Precision::Packed(Kind::F32)).0, "f32");
    assert_eq!(of(None, Precision::Packed(Kind::Int8)).0, "bf16");
}

#[test]
fn int8_is_refused_on_another_device_before_anything_is_read() {
    let dtypes = Dtypes { weights: DType::F32.into(), kv_cache: Some(KvDtype::Int8) };
    let error = VideoLlama3::open(Path::new("nowhere"), dtypes, &Device::Cuda(CudaDevice)).err().unwrap();
    assert!(error.to_string().contains("not supported: keys and values in int8"), "{error}");
}
