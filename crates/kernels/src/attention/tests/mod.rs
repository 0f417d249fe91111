//! Attention against its definition in f64, at every instruction set.

mod batch_invariance;
mod gradients;
mod int8;
mod kv_data;
mod reference;

use super::forward::attention_at;
use super::{AttentionParams, KvSlice, Sequence};
use crate::bf16::{bf16_to_f32, f32_to_bf16};
use crate::gemm::WeightType;
use crate::isa::Isa;
use reference::{reference, wave, wide};

#[test]
fn matches_the_definition_with_segments_groups_and_tiles() {
    for (isa, causal) in Isa::available().into_iter().flat_map(|isa| [(isa, false), (isa, true)]) {
        for (heads, kv_heads, dim) in
            [(2, 2, 3), (4, 2, 8), (3, 1, 5), (2, 1, 72), (12, 2, 40), (7, 1, 17), (10, 1, 33)]
        {
            let p = AttentionParams { heads, kv_heads, dim, causal, scale: (dim as f32).powf(-0.5) };
            let segments = [(1, 1), (5, 9), (0, 3), (70, 70), (130, 131), (1, 40), (8, 900)];
            let (tq, tk) = segments.iter().fold((0, 0), |(a, b), s| (a + s.0, b + s.1));
            let q = wave(tq * heads * dim, 0.1);
            let (k, v) = (wave(tk * kv_heads * dim, 0.5), wave(tk * kv_heads * dim, 1.1));
            let out = attention_at(
                isa,
                WeightType::F32,
                &q,
                KvSlice::F32(&k),
                KvSlice::F32(&v),
                &Sequence::contiguous(&segments),
                &p,
            );
            let want = reference(&wide(&q), &wide(&k), &wide(&v), &segments, &p);
            // Scores are at most 2.25 sqrt(dim), with errors of a few roundings. That is the relative error of the
            // weights; results have twice that, times a value of at most 1.5. Few heads have always kept below 5e-6.
            let derived = 2.0 * 1.5 * 4.0 * f64::from(f32::EPSILON) * 2.25 * (dim as f64).sqrt();
            let most = if heads <= 4 { derived.min(5e-6) } else { derived };
            for (i, (a, b)) in out.iter().zip(&want).enumerate() {
                assert!((f64::from(*a) - b).abs() < most, "causal {causal} {p:?} at {i}: {a} {b}");
            }
        }
    }
}

/// Scores of bf16 values have errors of about 2^-8 of the largest term, and so have weights and values.
#[test]
fn bf16_is_near_the_definition() {
    let p = AttentionParams { heads: 4, kv_heads: 2, dim: 24, causal: true, scale: 0.2 };
    let segments = [(40, 40), (33, 800), (9, 9), (1, 700), (3, 3)];
    let (tq, tk) = segments.iter().fold((0, 0), |(a, b), s| (a + s.0, b + s.1));
    let (q, k, v) = (wave(tq * 96, 0.1), wave(tk * 48, 0.5), wave(tk * 48, 1.1));
    let want = reference(&wide(&q), &wide(&k), &wide(&v), &segments, &p);
    let to_bf16 = |x: &[f32]| -> Vec<u16> { x.iter().map(|v| f32_to_bf16(*v)).collect() };
    let (k16, v16) = (to_bf16(&k), to_bf16(&v));
    let f32_or_bf16 = [(KvSlice::F32(&k), KvSlice::F32(&v)), (KvSlice::Bf16(&k16), KvSlice::Bf16(&v16))];
    for (isa, (k, v)) in Isa::available().into_iter().flat_map(|isa| f32_or_bf16.map(|kv| (isa, kv))) {
        for compute in [WeightType::F32, WeightType::Bf16] {
            let out = attention_at(isa, compute, &q, k, v, &Sequence::contiguous(&segments), &p);
            let size = |x: &mut dyn Iterator<Item = f64>| x.map(|v| v * v).sum::<f64>().sqrt();
            let off =
                size(&mut out.iter().zip(&want).map(|(a, b)| f64::from(*a) - b)) / size(&mut want.iter().copied());
            assert!(off < 0.01, "{isa:?}: {off}");
        }
    }
}

/// Keys and values in bf16 give exactly what the same values in f32 give.
#[test]
fn bf16_kv_equals_f32_kv_of_the_same_values() {
    let p = AttentionParams { heads: 4, kv_heads: 2, dim: 40, causal: true, scale: 0.2 };
    let q = wave(42 * 160, 0.1);
    let to_bf16 = |phase: f32| -> Vec<u16> { wave(345 * 80, phase).iter().map(|v| f32_to_bf16(*v)).collect() };
    let (k, v) = (to_bf16(0.5), to_bf16(1.1));
    let to_f32 = |x: &[u16]| -> Vec<f32> { x.iter().map(|v| bf16_to_f32(*v)).collect() };
    for (isa, compute) in Isa::available().into_iter().flat_map(|isa| [(isa, WeightType::F32), (isa, WeightType::Bf16)])
    {
        // Decode in bf16 rounds the weights, too: `decode_in_bf16_differs_by_the_rounding_of_weights`.
        let segments = if compute == WeightType::F32 { [(40, 45), (2, 300)] } else { [(31, 45), (11, 300)] };
        let run =
            |k: KvSlice<'_>, v: KvSlice<'_>| attention_at(isa, compute, &q, k, v, &Sequence::contiguous(&segments), &p);
        assert_eq!(
            run(KvSlice::Bf16(&k), KvSlice::Bf16(&v)),
            run(KvSlice::F32(&to_f32(&k)), KvSlice::F32(&to_f32(&v)))
        );
    }
}

/// With queries that are bf16 already, only the weights are rounded, each by at most 2^-8 of itself.
#[test]
fn decode_in_bf16_differs_by_the_rounding_of_weights() {
    let heads = [(1, 1, 5), (3, 1, 33), (12, 2, 128), (7, 1, 70), (8, 1, 64), (26, 2, 96)];
    for (isa, (heads, kv_heads, dim)) in Isa::available().into_iter().flat_map(|isa| heads.map(|heads| (isa, heads))) {
        let p = AttentionParams { heads, kv_heads, dim, causal: true, scale: (dim as f32).powf(-0.5) };
        let segments = [(2, 300), (1, 1), (7, 519), (1, 256), (3, 9), (1, 6)];
        let to_bf16 = |n: usize, phase| -> Vec<u16> { wave(n, phase).iter().map(|v| f32_to_bf16(*v)).collect() };
        let q: Vec<f32> = to_bf16(15 * heads * dim, 0.1).iter().map(|v| bf16_to_f32(*v)).collect();
        let (k, v) = (to_bf16(1091 * kv_heads * dim, 0.5), to_bf16(1091 * kv_heads * dim, 1.1));
        let run = |compute: WeightType| {
            attention_at(isa, compute, &q, KvSlice::Bf16(&k), KvSlice::Bf16(&v), &Sequence::contiguous(&segments), &p)
        };
        // Values are at most 1.5. The f32 sums of both ways have the error derived in
        // `matches_the_definition_with_segments_groups_and_tiles`.
        let sums = 2.0 * 2.0 * 1.5 * 4.0 * f32::EPSILON * 2.25 * (dim as f32).sqrt();
        let most = 1.5 / 256.0 + sums;
        for (i, (a, b)) in run(WeightType::Bf16).iter().zip(run(WeightType::F32)).enumerate() {
            assert!((a - b).abs() <= most, "{isa:?} {p:?} at {i}: {a} {b}, allowed {most}");
        }
    }
}

/// An infinite value at the last visible position shows in the result, and one behind it does not.
#[test]
fn decode_in_bf16_reads_the_last_visible_key_and_nothing_behind_it() {
    let p = AttentionParams { heads: 3, kv_heads: 1, dim: 40, causal: true, scale: 0.2 };
    for (isa, keys) in Isa::available().into_iter().flat_map(|isa| [1, 2, 7, 255, 257].map(|keys| (isa, keys))) {
        let q = wave(120, 0.1);
        // One key more than the query sees: the second query of the pair sees it.
        let mut v: Vec<u16> = wave((keys + 1) * 40, 1.1).iter().map(|v| f32_to_bf16(*v)).collect();
        let k = v.clone();
        v[keys * 40..].fill(f32_to_bf16(f32::INFINITY));
        let two = [q.clone(), q].concat();
        let (k, v) = (KvSlice::Bf16(&k), KvSlice::Bf16(&v));
        let out = attention_at(isa, WeightType::Bf16, &two, k, v, &Sequence::contiguous(&[(2, keys + 1)]), &p);
        assert!(out[..120].iter().all(|value| value.is_finite()), "{isa:?} {keys}");
        assert!(out[120..].iter().all(|value| !value.is_finite()), "{isa:?} {keys}");
    }
}
