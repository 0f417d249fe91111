//! A second lesson for the encoder: every visual token says what it shows. Linear heads, kept in checkpoints and left
//! out of the exported model, name the shape, the colour and the place of the object at a token's place; drawn media
//! know them. An answer of one word teaches one thing a question, this teaches all tokens of all frames at once, so
//! the language model finds objects already told apart (docs/LOG.md has what it is worth).

use std::collections::{BTreeMap, HashMap};

use candle_core::{D, Device, Tensor, Var};
use zoetrope_models::contract::{ItemPlan, Patches};
use zoetrope_models::parts::weights::Weights;

use super::TrainError;
use crate::draw::{Cell, Colour, Shape};
use crate::sample::Media;

/// The heads and their classes; class 0 is the backdrop.
const HEADS: [(&str, usize); 3] =
    [("shape", Shape::ALL.len() + 1), ("colour", Colour::ALL.len() + 1), ("place", 3 * 3 + 1)];
/// Where the heads are among a checkpoint's weights.
const PREFIX: &str = "lab.tokens";

/// The heads.
pub struct TokenHeads {
    weights: Weights,
    heads_cd: Vec<Tensor>,
}

impl TokenHeads {
    /// Heads over tokens of `width` values: those of a checkpoint's weights, else drawn from `seed`.
    pub fn new(width: usize, stored: Option<&HashMap<String, Tensor>>, seed: u64) -> Result<Self, TrainError> {
        let found = stored.filter(|stored| stored.keys().any(|name| name.starts_with(PREFIX)));
        let weights = match found {
            Some(stored) => Weights::trainable(stored.clone(), &Device::Cpu),
            None => Weights::random(seed, &Device::Cpu),
        };
        let below = weights.at(PREFIX);
        let heads = HEADS.iter().map(|(name, classes)| below.get(&[*classes, width], &format!("{name}.weight")));
        let heads_cd = heads.collect::<Result<_, _>>()?;
        Ok(TokenHeads { weights, heads_cd })
    }

    /// What training updates, by name.
    pub fn variables(&self) -> BTreeMap<String, Var> {
        self.weights.variables()
    }

    /// Sum of the cross entropies (nats) of all heads over the labelled ones of `tokens_vd`.
    pub fn loss(&self, tokens_vd: &Tensor, labels: &TokenLabels) -> Result<Tensor, TrainError> {
        let rows = Tensor::from_slice(&labels.rows, labels.rows.len(), tokens_vd.device())?;
        let x = tokens_vd.index_select(&rows, 0)?;
        let mut sum = Tensor::new(0.0f32, tokens_vd.device())?;
        for (head_cd, classes) in self.heads_cd.iter().zip(&labels.classes) {
            sum = (sum + cross_entropy(&x.matmul(&head_cd.t()?)?, classes)?)?;
        }
        Ok(sum)
    }
}

/// Sum over rows of the cross entropy (nats) of `logits_rc` with the classes `targets`.
pub(super) fn cross_entropy(logits_rc: &Tensor, targets: &[u32]) -> Result<Tensor, TrainError> {
    let max = logits_rc.max_keepdim(D::Minus1)?.detach();
    let shifted = logits_rc.broadcast_sub(&max)?;
    let norm = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    let targets = Tensor::from_slice(targets, (targets.len(), 1), logits_rc.device())?;
    Ok((norm - shifted.gather(&targets, 1)?)?.sum_all()?)
}

/// Which visual tokens are labelled, and with what.
#[derive(Clone, Debug, Default)]
pub struct TokenLabels {
    /// Rows of the tokens that are labelled.
    pub rows: Vec<u32>,
    /// For every head its classes, one a row.
    pub classes: [Vec<u32>; HEADS.len()],
    /// Tokens so far, labelled or not.
    seen: u32,
}

impl TokenLabels {
    /// Adds the tokens of `media` that survived pruning, in the order in which the model gives them.
    pub fn add(&mut self, media: &Media, item: &ItemPlan, patches: &Patches) {
        let grid = (patches.grid.0 / patches.merge, patches.grid.1 / patches.merge);
        for (frame, keep) in item.frames.iter().zip(patches.keep.chunks(grid.0 * grid.1)) {
            let cells = media.cells(frame.index, grid);
            for (place, _) in keep.iter().enumerate().filter(|(_, kept)| **kept) {
                if let Some(classes) = cells.as_ref().and_then(|cells| classes(cells[place])) {
                    self.rows.push(self.seen);
                    self.classes.iter_mut().zip(classes).for_each(|(all, class)| all.push(class));
                }
                self.seen += 1;
            }
        }
    }
}

/// The class of a cell for every head; `None` when it is unclear.
fn classes(cell: Cell) -> Option<[u32; HEADS.len()]> {
    match cell {
        Cell::Backdrop => Some([0; HEADS.len()]),
        Cell::Object { shape, colour, place: (column, row) } => {
            Some([shape as u32 + 1, colour as u32 + 1, (3 * row + column) as u32 + 1])
        }
        Cell::Unclear => None,
    }
}

#[cfg(test)]
mod tests {
    use zoetrope_models::contract::{MediaKind, PlannedFrame};

    use super::*;
    use crate::draw::{Difficulty, Scene, Split};

    /// Only tokens that survived pruning have rows, in the order in which the model gives them.
    #[test]
    fn labels_count_the_tokens_that_are_left() {
        let scene = Scene::new(Split::Train, 3, &Difficulty::clips());
        let media = Media::drawn(scene.clone());
        let frames = [0, scene.frames() - 1].map(|index| PlannedFrame { index, time: 0.0, stamp: 0.0 });
        let item = ItemPlan {
            kind: MediaKind::Video,
            source: scene.size(),
            frames: frames.to_vec(),
            resized: (112, 112),
            grid: (8, 8),
            merge: 2,
            tokens_per_frame: 16,
            prune: true,
        };
        let keep: Vec<bool> = (0..32).map(|n| n < 16 || n % 3 == 0).collect();
        let pixels = Tensor::zeros((128, 1), candle_core::DType::F32, &Device::Cpu).unwrap();
        let patches = Patches { pixels, frames: 2, grid: (8, 8), merge: 2, keep: keep.clone() };
        let mut labels = TokenLabels::default();
        labels.add(&media, &item, &patches);
        labels.add(&media, &item, &patches);
        let cells: Vec<Cell> = frames.iter().flat_map(|frame| scene.cells(frame.index, (4, 4))).collect();
        let left: Vec<Cell> = cells.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(cell, _)| *cell).collect();
        let known = (0..2 * left.len()).filter(|row| left[row % left.len()] != Cell::Unclear);
        assert_eq!(labels.rows, known.map(|row| row as u32).collect::<Vec<_>>());
        for (n, row) in labels.rows.iter().enumerate() {
            let expected = classes(left[*row as usize % left.len()]).unwrap();
            assert_eq!(labels.classes.each_ref().map(|classes| classes[n]), expected);
        }
        assert!(labels.classes[0].iter().any(|class| *class > 0));
    }

    /// A head that is surely right has no loss; one that knows nothing has the logarithm of its classes.
    #[test]
    fn the_loss_of_the_heads_is_their_cross_entropy() {
        let heads = HEADS.map(|(name, classes)| {
            (
                format!("{PREFIX}.{name}.weight"),
                Tensor::zeros((classes, 2), candle_core::DType::F32, &Device::Cpu).unwrap(),
            )
        });
        let heads = TokenHeads::new(2, Some(&HashMap::from(heads)), 0).unwrap();
        let labels = TokenLabels { rows: vec![1, 2], classes: [vec![1, 2], vec![3, 0], vec![9, 9]], seen: 3 };
        let tokens = Tensor::ones((3, 2), candle_core::DType::F32, &Device::Cpu).unwrap();
        let loss = heads.loss(&tokens, &labels).unwrap().to_scalar::<f32>().unwrap();
        let expected: f32 = HEADS.iter().map(|(_, classes)| 2.0 * (*classes as f32).ln()).sum();
        assert!((loss - expected).abs() < 1e-4, "{loss} {expected}");
        assert_eq!(heads.variables().len(), HEADS.len());
    }
}
