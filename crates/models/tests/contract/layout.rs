//! A published layout made from our tensors: what each [`Origin`] means, read backwards.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use zoetrope_models::weights::Origin;

use crate::training::noise;

/// Tensors by their published names, some of them in pieces.
#[derive(Default)]
pub(crate) struct Layout {
    /// By name, then by first row.
    pieces: BTreeMap<String, BTreeMap<usize, Tensor>>,
    /// Whether a tensor of ours is stored as a sum, so that reading it rounds.
    pub(crate) sums: bool,
}

/// `ours` as the layout can hold it: where it has zeros, zeros.
pub(crate) fn holdable(origin: &Origin, ours: &Tensor) -> Tensor {
    match origin {
        Origin::Zeros(rows) => {
            assert_eq!(*rows, ours.dims()[0], "rows of zeros");
            ours.zeros_like().unwrap()
        }
        Origin::Stack(parts) => {
            let parts = split(parts, ours).into_iter().map(|(part, own)| holdable(part, &own)).collect::<Vec<_>>();
            Tensor::cat(&parts, 0).unwrap()
        }
        _ => ours.clone(),
    }
}

/// The rows of each part of a stack. Parts of any size make the same stack; those that say no size share what is left.
fn split<'a>(parts: &'a [Origin], ours: &Tensor) -> Vec<(&'a Origin, Tensor)> {
    let known = |part: &Origin| match part {
        Origin::Zeros(rows) => Some(*rows),
        Origin::Rows(_, range) => Some(range.len()),
        _ => None,
    };
    let rows = ours.dims()[0];
    let sized: usize = parts.iter().filter_map(known).sum();
    let mut unsized_parts = parts.iter().filter(|part| known(part).is_none()).count();
    let (mut left, mut first, mut all) = (rows - sized, 0, Vec::new());
    for part in parts {
        let own = known(part).unwrap_or_else(|| {
            let own = if unsized_parts == 1 { left } else { left / unsized_parts };
            (unsized_parts, left) = (unsized_parts - 1, left - own);
            own
        });
        all.push((part, ours.narrow(0, first, own).unwrap()));
        first += own;
    }
    assert_eq!(first, rows, "rows of a stack of {parts:?}");
    all
}

impl Layout {
    /// Stores the tensor of ours that lies at `origin`.
    pub(crate) fn put(&mut self, origin: &Origin, ours: &Tensor) {
        match origin {
            Origin::Tensor(name) => self.piece(name, 0, ours),
            Origin::Rows(name, range) => {
                assert_eq!(range.len(), ours.dims()[0], "rows {range:?} of {name}");
                self.piece(name, range.start, ours);
            }
            Origin::Stack(parts) => {
                for (part, own) in split(parts, ours) {
                    self.put(part, &own);
                }
            }
            Origin::Zeros(_) => {}
            Origin::Vocabulary(name) => {
                // A few entries that no token has, as padded vocabularies do.
                let more = ours.narrow(0, 0, 3).unwrap().affine(1.0, 5.0).unwrap();
                self.piece(name, 0, &Tensor::cat(&[ours, &more], 0).unwrap());
            }
            Origin::FirstOf(all) => self.put(&all[0], ours),
            Origin::InterleavedRope(name, heads) => self.piece(name, 0, &interleaved(ours, *heads)),
            Origin::LowRank { base, down, up, scale } => {
                let ((rows, columns), rank) = (ours.dims2().unwrap(), 2);
                let matrix = |name: &str, shape: (usize, usize)| {
                    let values = noise(name, shape.0 * shape.1);
                    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
                };
                let (a, b) = (matrix(down, (rank, columns)), matrix(up, (rows, rank)));
                let product = (b.matmul(&a).unwrap() * f64::from(*scale)).unwrap();
                self.put(base, &(ours - product).unwrap());
                self.piece(down, 0, &a);
                self.piece(up, 0, &b);
                self.sums = true;
            }
        }
    }

    fn piece(&mut self, name: &str, first: usize, rows: &Tensor) {
        let before = self.pieces.entry(name.to_string()).or_default().insert(first, rows.clone());
        assert!(before.is_none(), "two tensors of ours lie at row {first} of {name}");
    }

    /// The tensors, whole.
    pub(crate) fn tensors(self) -> BTreeMap<String, Tensor> {
        let whole = |(name, pieces): (String, BTreeMap<usize, Tensor>)| {
            let mut end = 0;
            for (first, rows) in &pieces {
                assert_eq!(*first, end, "nothing of ours lies in rows {end}..{first} of {name}");
                end += rows.dims()[0];
            }
            let pieces: Vec<Tensor> = pieces.into_values().collect();
            (name, Tensor::cat(&pieces, 0).unwrap().contiguous().unwrap())
        };
        self.pieces.into_iter().map(whole).collect()
    }
}

/// Rows of each head in the interleaved rotary order: pair `j` of a head of width C lies at rows 2j and 2j + 1, of ours
/// at j and j + C/2.
fn interleaved(ours: &Tensor, heads: usize) -> Tensor {
    let width = ours.dims()[0] / heads;
    let row = |at: usize| {
        let (head, inside) = (at / width, at % width);
        (head * width + inside / 2 + inside % 2 * (width / 2)) as u32
    };
    let order: Vec<u32> = (0..heads * width).map(row).collect();
    ours.index_select(&Tensor::from_vec(order, heads * width, &Device::Cpu).unwrap(), 0).unwrap()
}
