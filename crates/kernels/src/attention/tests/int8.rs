//! Attention over keys and values in int8.

use super::super::forward::{MIN_PREFILL_QUERIES, attention_at};
use super::super::{AttentionParams, Int8Kv, KvSlice, Sequence, quantize_kv};
use super::reference::{reference, wave, wide};
use crate::gemm::WeightType;
use crate::isa::Isa;

/// Int8 rows of `dim` values, their scales, and the values they stand for.
fn quantize(x: &[f32], dim: usize) -> (Vec<u8>, Vec<f32>, Vec<f32>) {
    let (mut bits, mut scales) = (vec![0; x.len()], vec![0.0; x.len() / dim]);
    quantize_kv(x, dim, &mut bits, &mut scales);
    let values = bits.iter().enumerate().map(|(i, bits)| f32::from(*bits as i8) * scales[i / dim]).collect();
    (bits, scales, values)
}

fn most(x: &[f32]) -> f64 {
    x.iter().fold(0.0, |most: f64, value| most.max(f64::from(value.abs())))
}

/// Keys and values in int8 give what their dequantized values in f32 give: exactly in prefill, which dequantizes them,
/// and up to rounding in decode, where scales multiply sums.
#[test]
fn int8_kv_equals_f32_kv_of_the_same_values() {
    for (causal, dim) in [true, false].into_iter().flat_map(|causal| [1, 16, 40, 67].map(|dim| (causal, dim))) {
        let p = AttentionParams { heads: 4, kv_heads: 2, dim, causal, scale: 0.2 };
        let segments = [(40, 45), (2, 300), (1, 3), (7, 7), (8, 200)];
        let (tq, tk) = segments.iter().fold((0, 0), |(a, b), s| (a + s.0, b + s.1));
        let (q, k, v) = (wave(tq * 4 * dim, 0.1), wave(tk * 2 * dim, 0.5), wave(tk * 2 * dim, 1.1));
        let ((k8, k_scales, k), (v8, v_scales, v)) = (quantize(&k, dim), quantize(&v, dim));
        let (k8, v8) = (Int8Kv { values: &k8, scales: &k_scales }, Int8Kv { values: &v8, scales: &v_scales });
        // A score is a sum of `dim` terms; both ways round each term, the sum and the scale.
        let rounding = f64::from(f32::EPSILON);
        let score = 0.2 * dim as f64 * most(&q) * most(&k) * (dim + 3) as f64 * rounding;
        // A weight has twice the error of its score, and a result is a sum of 300 rounded values.
        let bound = most(&v) * ((4.0 * score).exp_m1() + 2.0 * 303.0 * rounding);
        for (isa, compute) in
            Isa::available().into_iter().flat_map(|isa| [(isa, WeightType::F32), (isa, WeightType::Bf16)])
        {
            let run = |k: KvSlice<'_>, v: KvSlice<'_>| {
                attention_at(isa, compute, &q, k, v, &Sequence::contiguous(&segments), &p)
            };
            let (ours, want) = (run(KvSlice::Int8(k8), KvSlice::Int8(v8)), run(KvSlice::F32(&k), KvSlice::F32(&v)));
            let mut first = 0;
            for (queries, _) in segments {
                let own = first..first + queries * 4 * dim;
                first = own.end;
                for (a, b) in ours[own.clone()].iter().zip(&want[own]) {
                    let off = f64::from((a - b).abs());
                    let most = if queries < MIN_PREFILL_QUERIES { bound } else { 0.0 };
                    assert!(off <= most, "{isa:?} {compute:?} causal {causal} {dim}: {a} {b}, allowed {most}");
                }
            }
        }
    }
}

/// The error of a key or value is at most half its scale: 1/254 of the largest value of its row.
#[test]
fn int8_is_near_the_definition() {
    let p = AttentionParams { heads: 4, kv_heads: 2, dim: 24, causal: true, scale: 0.2 };
    let segments = [(40, 40), (33, 800), (9, 9), (1, 700), (3, 3)];
    let (tq, tk) = segments.iter().fold((0, 0), |(a, b), s| (a + s.0, b + s.1));
    let (q, k, v) = (wave(tq * 96, 0.1), wave(tk * 48, 0.5), wave(tk * 48, 1.1));
    let want = reference(&wide(&q), &wide(&k), &wide(&v), &segments, &p);
    let ((k8, k_scales, _), (v8, v_scales, _)) = (quantize(&k, 24), quantize(&v, 24));
    let (k8, v8) = (Int8Kv { values: &k8, scales: &k_scales }, Int8Kv { values: &v8, scales: &v_scales });
    let q_norm = q.chunks(24).map(|q| q.iter().map(|q| f64::from(q.abs())).sum::<f64>()).fold(0.0, f64::max);
    let score = 0.2 * q_norm * most(&k) / 254.0;
    // A weight has at most twice the error of its score; one percent of everything covers the other roundings.
    let bound = 1.01 * most(&v) * ((2.0 * score).exp_m1() + 1.0 / 254.0);
    for isa in Isa::available() {
        let out = attention_at(
            isa,
            WeightType::F32,
            &q,
            KvSlice::Int8(k8),
            KvSlice::Int8(v8),
            &Sequence::contiguous(&segments),
            &p,
        );
        let apart = |(a, b): (&f32, &f64)| f64::from(*a) - b;
        let worst = out.iter().zip(&want).map(apart).fold(0.0, |worst: f64, off| worst.max(off.abs()));
        assert!(worst <= bound, "{isa:?}: {worst}, allowed {bound}");
    }
}

/// A NaN or infinity in a key or value shows in the results of the queries that see it, and nowhere else.
#[test]
fn int8_kv_does_not_hide_values_that_are_not_finite() {
    let p = AttentionParams { heads: 2, kv_heads: 2, dim: 5, causal: true, scale: 0.5 };
    let segments = [(3, 60), (20, 60)];
    let (q, good) = (wave(23 * 10, 0.1), wave(120 * 10, 0.5));
    for (isa, wrong) in Isa::available().into_iter().flat_map(|isa| [(isa, f32::NAN), (isa, f32::INFINITY)]) {
        for wrong_key in [true, false] {
            let mut bad = good.clone();
            // The last position of each sequence, first head.
            (bad[59 * 10 + 2], bad[119 * 10 + 4]) = (wrong, wrong);
            let ((bad, bad_scales, _), (good, good_scales, _)) = (quantize(&bad, 5), quantize(&good, 5));
            let bad = KvSlice::Int8(Int8Kv { values: &bad, scales: &bad_scales });
            let good = KvSlice::Int8(Int8Kv { values: &good, scales: &good_scales });
            let (k, v) = if wrong_key { (bad, good) } else { (good, bad) };
            let out = attention_at(isa, WeightType::F32, &q, k, v, &Sequence::contiguous(&segments), &p);
            for (i, value) in out.iter().enumerate() {
                let (query, head) = (i / 10, i / 5 % 2);
                let sees = head == 0 && (query == 2 || query == 22);
                if sees {
                    assert!(!value.is_finite(), "{isa:?} {wrong} key {wrong_key} at {i}: {value}");
                } else if query < 3 || wrong_key || head == 1 {
                    assert!(value.is_finite(), "{isa:?} {wrong} key {wrong_key} at {i}: {value}");
                }
            }
        }
    }
}
