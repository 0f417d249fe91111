//! One set of keys and values, contiguous and in blocks, in every number format.

use super::super::{BLOCK, Int8Kv, KeyRows, KvSlice, Sequence, quantize_kv};
use super::reference::wave;
use crate::bf16::f32_to_bf16;

/// Number formats of [`KvData`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Format {
    F32,
    Bf16,
    Int8,
}

pub(super) const FORMATS: [Format; 3] = [Format::F32, Format::Bf16, Format::Int8];

/// Keys or values in one format; the vectors of the others are empty.
#[derive(Clone)]
pub(super) struct KvData {
    format: Format,
    f32: Vec<f32>,
    bf16: Vec<u16>,
    int8: Vec<u8>,
    scales: Vec<f32>,
}

impl KvData {
    /// `rows` rows of `dim` values of a wave.
    pub(super) fn new(format: Format, rows: usize, dim: usize, phase: f32) -> KvData {
        let x = wave(rows * dim, phase);
        let mut data = KvData { format, f32: vec![], bf16: vec![], int8: vec![], scales: vec![] };
        match format {
            Format::F32 => data.f32 = x,
            Format::Bf16 => data.bf16 = x.iter().map(|x| f32_to_bf16(*x)).collect(),
            Format::Int8 => {
                (data.int8, data.scales) = (vec![0; x.len()], vec![0.0; rows]);
                quantize_kv(&x, dim, &mut data.int8, &mut data.scales);
            }
        }
        data
    }

    pub(super) fn slice(&self) -> KvSlice<'_> {
        match self.format {
            Format::F32 => KvSlice::F32(&self.f32),
            Format::Bf16 => KvSlice::Bf16(&self.bf16),
            Format::Int8 => KvSlice::Int8(Int8Kv { values: &self.int8, scales: &self.scales }),
        }
    }

    /// The rows `to(row)` of `rows` new rows are rows `row` of `self`; all others are NaN.
    fn scatter(&self, rows: usize, dim: usize, to: &[usize]) -> KvData {
        let mut data = KvData { format: self.format, f32: vec![], bf16: vec![], int8: vec![], scales: vec![] };
        fn copy<T: Copy>(from: &[T], garbage: T, rows: usize, width: usize, to: &[usize]) -> Vec<T> {
            let mut all = vec![garbage; if from.is_empty() { 0 } else { rows * width }];
            for (row, to) in from.chunks(width).zip(to) {
                all[to * width..(to + 1) * width].copy_from_slice(row);
            }
            all
        }
        data.f32 = copy(&self.f32, f32::NAN, rows, dim, to);
        data.bf16 = copy(&self.bf16, f32_to_bf16(f32::NAN), rows, dim, to);
        data.int8 = copy(&self.int8, 7, rows, dim, to);
        data.scales = copy(&self.scales, f32::NAN, rows, 1, to);
        data
    }
}

/// Block numbers of each sequence, scattered over all blocks, of which some are unused; and the number of all blocks.
pub(super) fn block_tables(keys: &[usize]) -> (Vec<Vec<u32>>, usize) {
    let used: usize = keys.iter().map(|keys| keys.div_ceil(BLOCK)).sum();
    let all = used + 3;
    // Alternately from the front and from the back; the blocks in the middle are left.
    let mut number = 0;
    let mut next = || {
        number += 1;
        (if number % 2 == 0 { number / 2 } else { all - 1 - number / 2 }) as u32
    };
    (keys.iter().map(|keys| (0..keys.div_ceil(BLOCK)).map(|_| next()).collect()).collect(), all)
}

/// `data` `[positions, kv_heads, dim]` of sequences with so many keys, which follow each other, as blocks.
pub(super) fn to_blocks(
    data: &KvData,
    keys: &[usize],
    tables: &[Vec<u32>],
    blocks: usize,
    (kv_heads, dim): (usize, usize),
) -> KvData {
    let mut to = Vec::new();
    for (keys, table) in keys.iter().zip(tables) {
        for (j, kv) in (0..*keys).flat_map(|j| (0..kv_heads).map(move |kv| (j, kv))) {
            to.push((table[j / BLOCK] as usize * kv_heads + kv) * BLOCK + j % BLOCK);
        }
    }
    data.scatter(blocks * kv_heads * BLOCK, dim, &to)
}

/// The sequences of `segments` with their keys in blocks.
pub(super) fn in_blocks<'a>(segments: &[(usize, usize)], tables: &'a [Vec<u32>]) -> Vec<Sequence<'a>> {
    let pairs = segments.iter().zip(tables);
    pairs.map(|(&(queries, keys), table)| Sequence { queries, keys, rows: KeyRows::Blocks(table) }).collect()
}
