//! The KV cache: what is written is what attention reads, in whichever blocks and runs.

use candle_core::{DType, Device, Tensor, Var};
use zoetrope_kernels::gemm::WeightType;

use super::*;
use crate::ops::{AttentionOptions, attention};

const DTYPES: [KvDtype; 3] = [KvDtype::Float(DType::F32), KvDtype::Float(DType::BF16), KvDtype::Int8];
const SHAPE: KvShape = KvShape { layers: 2, heads: 3, width: 6 };
const OPTIONS: AttentionOptions = AttentionOptions { compute: WeightType::F32, causal: true, scale: 0.5 };

fn cache(blocks: usize, dtype: KvDtype) -> KvCache {
    KvCache::new(SHAPE, blocks, dtype, &Device::Cpu).unwrap()
}

/// Keys, values or queries of `s` positions.
fn rows(s: usize, phase: f32) -> Tensor {
    let values: Vec<f32> = (0..s * 18).map(|i| (i as f32 * 0.37 + phase).sin()).collect();
    Tensor::from_vec(values, (s, 3, 6), &Device::Cpu).unwrap()
}

fn numbers(x: &Tensor) -> Vec<f32> {
    x.flatten_all().unwrap().to_vec1().unwrap()
}

/// Attention of rows `from..to` of a sequence that lies in `blocks`; keys are its queries, values their negatives.
fn attend(cache: &mut KvCache, x: &Tensor, from: usize, to: usize, blocks: &[u32]) -> candle_core::Result<Vec<f32>> {
    let x = x.narrow(0, from, to - from)?;
    let runs = [SequenceRun { past: from, new: to - from, blocks }];
    let mut context = KvContext::Paged { cache, runs: &runs };
    let queries = context.all_rows(to - from)?;
    let mut last = Vec::new();
    for layer in 0..2 {
        last = numbers(&context.attend(layer, &x, &x, &x.neg()?, &queries, OPTIONS)?);
    }
    Ok(last)
}

#[test]
fn runs_of_any_length_in_any_blocks_are_the_whole_sequence() {
    for dtype in DTYPES {
        let (t, x) = (700, rows(700, 0.1));
        let whole = attend(&mut cache(3, dtype), &x, 0, t, &[0, 1, 2]).unwrap();
        let mut other = cache(9, dtype);
        let blocks = [7, 0, 4];
        let mut parts = Vec::new();
        for (from, to) in [(0, 512), (512, 513), (513, 600), (600, 700)] {
            parts.extend(attend(&mut other, &x, from, to, &blocks).unwrap());
        }
        // Fewer than eight queries go through the decode kernel, whose sums run in another order.
        let off = parts.iter().zip(&whole).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off < 1e-4, "{dtype:?}: {off}");
        // What was written last counts, and growing keeps it.
        attend(&mut other, &rows(700, 5.0), 600, 700, &blocks).unwrap();
        other.grow(12).unwrap();
        assert_eq!(attend(&mut other, &x, 600, 700, &blocks).unwrap(), parts[600 * 18..], "{dtype:?}");
        // A copied block is its original.
        other.copy_block(7, 11).unwrap();
        assert_eq!(attend(&mut other, &x, 600, 700, &[11, 0, 4]).unwrap(), parts[600 * 18..], "{dtype:?}");
    }
}

/// A key or value is off by at most 1/254 of the largest of its row in int8, by 1/512 of its size in bf16.
#[test]
fn attention_reads_what_is_kept() {
    let x = rows(40, 0.4);
    let want = numbers(&attention(OPTIONS, &x, &x, &x.neg().unwrap(), &[(40, 40)]).unwrap());
    // A score is off by at most half of the sum of six sizes of at most one, each by 1/254 (two channels that RoPE
    // mixes share a scale, which at most doubles it).
    let score = 0.5 * 6.0 * 2.0 / 254.0;
    let most = (2.0f32 * score).exp_m1() + 1.0 / 254.0 + 1e-5;
    for dtype in DTYPES {
        let ours = attend(&mut cache(1, dtype), &x, 0, 40, &[0]).unwrap();
        let off = ours.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off <= most, "{dtype:?}: {off}, allowed {most}");
    }
}

/// Channels that are far larger than the others leave those their steps, and what was overwritten does not count.
#[test]
fn large_channels_of_keys_do_not_coarsen_the_others() {
    let factors = [1f32, 300.0, 2.0, 1.0, 300.0, 0.0];
    let keys = |s: usize, phase: f32| {
        let value = |i: usize| (i as f32 * 0.37 + phase).sin() * factors[i % 6];
        Tensor::from_vec((0..s * 18).map(value).collect::<Vec<f32>>(), (s, 3, 6), &Device::Cpu).unwrap()
    };
    let mut ours = cache(2, KvDtype::Int8);
    let mut write = |past: usize, k: &Tensor| {
        let runs = [SequenceRun { past, new: k.dim(0).unwrap(), blocks: &[1] }];
        ours.write(0, &runs, k, k).unwrap().0.clone()
    };
    write(0, &(keys(9, 0.3) * 1000.0).unwrap());
    write(0, &keys(20, 0.1));
    let kept = write(20, &keys(40, 0.9));
    let want = Tensor::cat(&[keys(20, 0.1), keys(40, 0.9)], 0).unwrap();
    let values = crate::ops::dequantized_for_test(&kept, 1, 60);
    let off = (values - want).unwrap().abs().unwrap().flatten_to(1).unwrap().max(0).unwrap().to_vec1::<f32>().unwrap();
    for (channel, off) in off.into_iter().enumerate() {
        // Half a step of the larger channel of the two that RoPE mixes; sizes of the first 20 positions are some
        // percent below those of all.
        let size = factors[channel].max(factors[(channel + 3) % 6]);
        assert!(off <= 0.55 * size / 127.0, "channel {channel}: {off}");
    }
}

#[test]
fn a_position_takes_the_bytes_that_are_told() {
    for dtype in DTYPES {
        let bytes = |x: &Tensor| x.elem_count() * x.dtype().size_in_bytes();
        let mut cache = cache(1, dtype);
        let (k, _) = cache
            .write(0, &[], &rows(1, 0.0).narrow(0, 0, 0).unwrap(), &rows(1, 0.0).narrow(0, 0, 0).unwrap())
            .unwrap();
        let all = bytes(&k.values) + k.scales.as_ref().map_or(0, bytes);
        assert_eq!(4 * all, BLOCK * SHAPE.bytes_per_token(dtype), "{}", dtype.name());
    }
}

/// Blocks that went through bytes into another cache, at other places, are read as if they had been computed there.
#[test]
fn exported_blocks_are_imported_to_the_bit() {
    for dtype in DTYPES {
        // The first channels are far larger than those that a second sequence would fix.
        let x = (rows(600, 0.3) * 40.0).unwrap();
        let (mut from, mut to) = (cache(3, dtype), cache(7, dtype));
        attend(&mut from, &x, 0, 600, &[2, 0, 1]).unwrap();
        attend(&mut to, &rows(600, 0.9), 0, 600, &[5, 3, 4]).unwrap();
        for (old, new) in [(2, 5), (0, 3)] {
            let bytes = from.export_block(old).unwrap();
            assert_eq!(bytes.len(), SHAPE.bytes_per_block(dtype), "{}", dtype.name());
            to.import_block(new, &bytes).unwrap();
            assert_eq!(to.export_block(new).unwrap(), bytes);
        }
        let ours = attend(&mut to, &x, 512, 600, &[5, 3, 6]).unwrap();
        assert_eq!(ours, attend(&mut from, &x, 512, 600, &[2, 0, 1]).unwrap(), "{}", dtype.name());
        assert!(from.export_block(3).is_err() && to.import_block(7, &[]).is_err());
        assert!(to.import_block(0, &[0; 12]).unwrap_err().to_string().contains("12 bytes"));
    }
}

#[test]
fn rows_that_do_not_fit_and_lost_gradients_are_errors() {
    let says = |result: candle_core::Result<Vec<f32>>, words: &str| {
        let text = result.unwrap_err().to_string();
        assert!(text.contains(words), "{text}");
    };
    let mut cache = cache(2, DType::F32.into());
    let x = rows(300, 0.2);
    says(attend(&mut cache, &x, 0, 300, &[1]), "300 positions do not fit 1 blocks of 256");
    says(attend(&mut cache, &x, 0, 300, &[1, 2]), "block 2 of a cache of 2 blocks");
    let learned = Var::from_tensor(&rows(4, 0.2)).unwrap();
    says(attend(&mut cache, learned.as_tensor(), 0, 4, &[0]), "passes no gradient");
    assert!(KvCache::new(SHAPE, 1, DType::F32.into(), &Device::Cpu).unwrap().copy_block(0, 1).is_err());
}

#[test]
fn queries_are_the_last_rows_of_their_sequences() {
    let context = KvContext::Varlen(&[3, 0, 4, 2]);
    let rows = |wanted: &[usize]| context.rows_from_first(wanted).unwrap();
    assert_eq!(rows(&[5]), QueryRows { rows: vec![5, 6], per_sequence: vec![0, 0, 2, 0] });
    assert_eq!(rows(&[8, 1]), QueryRows { rows: vec![1, 2, 8], per_sequence: vec![2, 0, 0, 1] });
    assert!(rows(&[]).rows.is_empty());
    assert_eq!(rows(&[0, 3, 7]), context.all_rows(9).unwrap());
    assert!(context.rows_from_first(&[9]).is_err() && context.all_rows(8).is_err());
}
