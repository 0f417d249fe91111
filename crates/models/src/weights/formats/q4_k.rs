//! Blocks of GGUF's `Q4_K`, which lie on the grid of our int4.

use zoetrope_kernels::gemm::SuperBlock;

/// Bytes of a block: two f16 factors, eight scales and eight minima of six bits, 256 nibbles.
const BYTES: usize = 4 + 12 + 128;

/// Block `number` of the row `bytes`.
pub(super) fn super_block(bytes: &[u8], number: usize) -> SuperBlock {
    let block = &bytes[number * BYTES..(number + 1) * BYTES];
    let factor = |at: usize| half::f16::from_le_bytes([block[at], block[at + 1]]).to_f32();
    let (codes, nibbles) = (&block[4..16], &block[16..]);
    // The first four scales lie in the low six bits of bytes 0 to 3, the minima in those of bytes 4 to 7. The others
    // have their low four bits in bytes 8 to 11, the minima above the scales, and the high two above the first four.
    let code = |group: usize, minimum: usize| match group {
        0..4 => codes[group + 4 * minimum] & 63,
        _ => codes[group + 4] >> (4 * minimum) & 15 | codes[group - 4 + 4 * minimum] >> 6 << 4,
    };
    // Two groups share 32 bytes: the even one has the low nibbles.
    let nibble = |group: usize, k: usize| nibbles[group / 2 * 32 + k] >> (group % 2 * 4) & 15;
    SuperBlock {
        scale_factor: factor(0),
        minimum_factor: factor(2),
        scales: std::array::from_fn(|group| code(group, 0)),
        minima: std::array::from_fn(|group| code(group, 1)),
        nibbles: std::array::from_fn(|group| std::array::from_fn(|k| nibble(group, k))),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use candle_core::DType;
    use candle_core::quantized::GgmlDType;
    use zoetrope_kernels::gemm::WeightType;

    use super::super::encoding::Encoding;
    use super::super::row_source::{RowSource, Segment, SegmentValues};
    use super::super::{FileBytes, GgufFile, TensorStore};
    use crate::weights::precision::{StoredAs, type_of_matrix};

    const COLS: usize = 512;

    /// `rows` rows of pseudo-random bytes as one segment: every code and nibble occurs.
    fn segment(rows: usize, kind: GgmlDType) -> Segment {
        let encoding = Encoding::Blocks(kind);
        let mut bytes: Vec<u8> = (0..rows * encoding.bytes(COLS)).map(|at| ((at * 131) ^ (at >> 3)) as u8).collect();
        if kind == GgmlDType::Q4K {
            for (at, block) in bytes.chunks_exact_mut(super::BYTES).enumerate() {
                block[..2].copy_from_slice(&half::f16::from_f32(0.001 * (1 + at % 13) as f32).to_le_bytes());
                block[2..4].copy_from_slice(&half::f16::from_f32(0.003 * (1 + at % 7) as f32).to_le_bytes());
            }
        }
        let range = 0..bytes.len();
        let file = FileBytes::Embedded(bytes.leak());
        Segment { rows, values: SegmentValues::File { file, bytes: range, encoding } }
    }

    fn source(segments: Vec<Segment>) -> RowSource {
        RowSource { cols: COLS, segments }
    }

    fn values(source: &RowSource) -> Vec<f32> {
        let mut all = vec![f32::NAN; source.rows() * source.cols];
        source.read(0..source.rows(), &mut all).unwrap();
        all
    }

    /// Bit for bit what is dequantized: both multiply a factor by a code and by a nibble, which f32 holds exactly, and
    /// round the difference once.
    fn is_exact(source: &RowSource) {
        assert_eq!(source.stored_as(), StoredAs::Int4Grid);
        let (packed, want) = (source.pack(WeightType::Int4).unwrap(), values(source));
        assert_eq!(packed.weight_type(), WeightType::Int4);
        let back = packed.unpack(0..source.rows());
        assert!(back.iter().zip(&want).all(|(a, b)| a.to_bits() == b.to_bits()));
    }

    #[test]
    fn rows_keep_their_grid_in_any_order_and_beside_others() {
        let one = source(vec![segment(45, GgmlDType::Q4K)]);
        is_exact(&one);
        is_exact(&one.slice(7..40));
        let order = Arc::new((0..45).map(|row| row * 7 % 45).collect::<Vec<usize>>());
        let turned = SegmentValues::Reordered { source: Box::new(one.clone()), order };
        let turned = source(vec![Segment { rows: 45, values: turned }, segment(20, GgmlDType::Q4K)]);
        is_exact(&turned);
        is_exact(&turned.slice(40..60));
    }

    #[test]
    fn the_file_of_every_type_says_which_matrices_keep_their_bits() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/gguf/types.gguf");
        let gguf = GgufFile::open(&file).unwrap();
        let (mut exact, mut more) = (Vec::new(), Vec::new());
        for name in gguf.names().into_iter().filter(|name| *name != "IQ4_NL") {
            let shape = gguf.shape(name).unwrap();
            let one = RowSource { cols: shape[1], segments: vec![gguf.rows(name, shape).unwrap()] };
            match one.stored_as() {
                StoredAs::Int4Grid => {
                    is_exact(&one);
                    exact.push(name);
                }
                StoredAs::MoreBits => more.push(name),
                StoredAs::Values => {}
            }
        }
        more.sort_unstable();
        assert_eq!((&exact[..], &more[..]), (&["Q4_K"][..], &["Q5_0", "Q5_1", "Q5_K", "Q6_K", "Q8_0"][..]));
    }

    #[test]
    fn what_is_not_all_on_the_grid_is_rounded_as_ever() {
        let (grid, zeros) = (segment(8, GgmlDType::Q4K), Segment { rows: 2, values: SegmentValues::Zeros });
        let floats = Segment { rows: 3, values: SegmentValues::Memory(Arc::new(vec![0.25; 3 * COLS])) };
        let part = |rows: usize| {
            Box::new(RowSource { cols: COLS, segments: vec![Segment { rows, values: SegmentValues::Zeros }] })
        };
        let up = Box::new(RowSource { cols: 1, segments: vec![Segment { rows: 8, values: SegmentValues::Zeros }] });
        let base = Box::new(source(vec![grid.clone()]));
        let added = SegmentValues::LowRank { base, down: part(1), up, scale: 1.0 };
        for (all, stored) in [
            (vec![grid.clone(), floats.clone()], StoredAs::Values),
            (vec![zeros, grid.clone()], StoredAs::Values),
            (vec![Segment { rows: 8, values: added }], StoredAs::Values),
            (vec![grid.clone(), segment(8, GgmlDType::Q4_0)], StoredAs::Values),
            (vec![grid, segment(8, GgmlDType::Q6K)], StoredAs::MoreBits),
            (vec![floats, segment(8, GgmlDType::Q5K)], StoredAs::MoreBits),
        ] {
            let source = source(all);
            assert_eq!(source.stored_as(), stored);
            source.pack(WeightType::Int4).unwrap();
        }
        assert_eq!(Encoding::Float(DType::F16).stored_as(), StoredAs::Values);
    }

    #[test]
    fn only_int4_asks_how_a_matrix_is_stored() {
        use StoredAs::{Int4Grid, MoreBits, Values};
        use WeightType::{Bf16, F32, Int4, Int8};
        for (stored, plain, sensitive) in [(Values, Int4, Int8), (Int4Grid, Int4, Int4), (MoreBits, Int8, Int8)] {
            assert_eq!((type_of_matrix(Int4, false, stored), type_of_matrix(Int4, true, stored)), (plain, sensitive));
            for other in [F32, Bf16, Int8] {
                assert_eq!([false, true].map(|sensitive| type_of_matrix(other, sensitive, stored)), [other; 2]);
            }
        }
    }
}
