//! Probe heads: linear classifiers of visual tokens, an auxiliary loss for the encoder. They predict shape, color and
//! place of the object that a token shows. Synthetic media know these labels. An answer of one word teaches one fact
//! per question; this loss teaches every token of every frame, so that the language model finds objects already
//! distinguished (docs/LOG.md has the gain). Checkpoints keep the heads, the exported model leaves them out.

use std::collections::HashMap;

use candle_core::Tensor;
use zoetrope_models::contract::features::Unit;
use zoetrope_models::contract::media_plan::PlannedFrame;
use zoetrope_models::contract::prompt::VisualSpan;
use zoetrope_models::ops::cross_entropy;
use zoetrope_models::weights::{Archive, LoadOptions, ParameterGroup, ParameterRole, RandomFor, Weights};

use crate::error::LabError;
use crate::sample::SampleMedia;
use crate::synth::{CellLabel, Color, Shape};

/// Names of the heads in checkpoints, and their numbers of classes; class 0 is the backdrop.
const HEADS: [(&str, usize); 3] =
    [("shape", Shape::ALL.len() + 1), ("colour", Color::ALL.len() + 1), ("place", 3 * 3 + 1)];
/// Prefix of the heads' weights in checkpoints.
pub(super) const PREFIX: &str = "lab.tokens";

/// One linear head per label.
pub struct ProbeHeads {
    weights: Weights,
    heads_cd: Vec<Tensor>,
}

impl ProbeHeads {
    /// Heads over tokens of `width` values. Their weights are those of the checkpoint `saved` if it has them, else they
    /// are initialized from `seed`.
    pub fn new(width: usize, saved: Option<&HashMap<String, Tensor>>, seed: u64) -> Result<Self, LabError> {
        let found = saved.filter(|saved| saved.keys().any(|name| name.starts_with(PREFIX)));
        let archive = match found {
            Some(saved) => Archive::memory(saved.clone()),
            None => Archive::random(seed, RandomFor::Everything),
        };
        let weights = Weights::open(vec![archive], LoadOptions::training())?;
        let below = weights.group(ParameterGroup::Probe).sub(PREFIX);
        let head = |(name, classes): &(&str, usize)| {
            below.get(&[*classes, width], &format!("{name}.weight"), ParameterRole::OutputHead)
        };
        let heads = HEADS.iter().map(head);
        let heads_cd = heads.collect::<Result<_, _>>()?;
        Ok(ProbeHeads { weights, heads_cd })
    }

    /// The heads' weights, which are all learned.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Sum of the cross entropies of all heads over the labeled rows of `tokens_vd` `[V, D]`, in nats.
    pub fn loss(&self, tokens_vd: &Tensor, labels: &ProbeLabels) -> Result<Tensor, LabError> {
        let rows = Tensor::from_slice(&labels.rows, labels.rows.len(), tokens_vd.device())?;
        let x = tokens_vd.index_select(&rows, 0)?;
        let mut sum = Tensor::new(0.0f32, tokens_vd.device())?;
        for (head_cd, classes) in self.heads_cd.iter().zip(&labels.classes) {
            sum = (sum + cross_entropy(&x.matmul(&head_cd.t()?)?, classes)?.sum_all()?)?;
        }
        Ok(sum)
    }
}

/// Labels of visual tokens.
#[derive(Clone, Debug, Default)]
pub struct ProbeLabels {
    /// Rows of the labeled tokens.
    pub rows: Vec<u32>,
    /// For each head, the class of each of `rows`.
    pub classes: [Vec<u32>; HEADS.len()],
    /// Number of tokens so far, labeled or not.
    seen: u32,
}

impl ProbeLabels {
    /// Adds the tokens of some frames of `media` that pruning keeps, in the model's order. Every frame is one unit, and
    /// its tokens lie in a grid like its patches, coarser by a whole factor; media shown otherwise have no labels.
    /// `visual_spans` are those before pruning.
    pub fn add(&mut self, media: &SampleMedia, frames: &[PlannedFrame], units: &[Unit], spans: &[VisualSpan]) {
        for ((frame, unit), span) in frames.iter().zip(units).zip(spans.iter().cycle()) {
            let labels = token_grid(unit, span.tokens).and_then(|grid| media.cell_labels(frame.index, grid));
            let kept = |place: &usize| unit.keep.as_ref().is_none_or(|keep| keep[*place]);
            for place in (0..span.tokens).filter(kept) {
                if let Some(classes) = labels.as_ref().and_then(|labels| classes(labels[place])) {
                    self.rows.push(self.seen);
                    self.classes.iter_mut().zip(classes).for_each(|(all, class)| all.push(class));
                }
                self.seen += 1;
            }
        }
    }
}

impl ProbeLabels {
    /// Passes over `tokens` visual tokens of media without labels.
    pub(super) fn skip(&mut self, tokens: usize) {
        self.seen += tokens as u32;
    }
}

/// Rows and columns of a frame's `tokens`; `None` when they are no coarser grid of its patches.
fn token_grid(unit: &Unit, tokens: usize) -> Option<(usize, usize)> {
    let [frames, rows, cols] = unit.grid;
    let factor = (rows * cols / tokens.max(1)).isqrt().max(1);
    let grid = (rows / factor, cols / factor);
    (frames == 1 && grid.0 * grid.1 == tokens && grid.0 * factor == rows).then_some(grid)
}

/// The class of a cell for each head; `None` when the cell is unclear.
fn classes(cell: CellLabel) -> Option<[u32; HEADS.len()]> {
    match cell {
        CellLabel::Backdrop => Some([0; HEADS.len()]),
        CellLabel::Object { shape, color, place: (column, row) } => {
            Some([shape as u32 + 1, color as u32 + 1, (3 * row + column) as u32 + 1])
        }
        CellLabel::Unclear => None,
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::synth::{Difficulty, Scene, Split};

    /// Only tokens that pruning keeps have rows, in the model's order.
    #[test]
    fn labels_count_the_tokens_that_are_left() {
        let scene = Scene::generate(Split::Train, 3, &Difficulty::clips());
        let media = SampleMedia::from_scene(scene.clone());
        let frames =
            [0, scene.frames() - 1].map(|index| PlannedFrame { index, time: 0.0, source_time: 0.0, prompt_time: 0.0 });
        let keep: Vec<bool> = (0..32).map(|n| n < 16 || n % 3 == 0).collect();
        let units = [0, 16].map(|first| Unit { grid: [1, 8, 8], keep: Some(keep[first..first + 16].to_vec()) });
        let spans = [0, 1].map(|frame| VisualSpan { frames: frame..frame + 1, tokens: 16 });
        let mut labels = ProbeLabels::default();
        labels.add(&media, &frames, &units, &spans);
        labels.add(&media, &frames, &units, &spans);
        let cells: Vec<CellLabel> = frames.iter().flat_map(|frame| scene.cell_labels(frame.index, (4, 4))).collect();
        let left: Vec<CellLabel> = cells.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(cell, _)| *cell).collect();
        let known = (0..2 * left.len()).filter(|row| left[row % left.len()] != CellLabel::Unclear);
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
        let heads = ProbeHeads::new(2, Some(&HashMap::from(heads)), 0).unwrap();
        let labels = ProbeLabels { rows: vec![1, 2], classes: [vec![1, 2], vec![3, 0], vec![9, 9]], seen: 3 };
        let tokens = Tensor::ones((3, 2), candle_core::DType::F32, &Device::Cpu).unwrap();
        let loss = heads.loss(&tokens, &labels).unwrap().to_scalar::<f32>().unwrap();
        let expected: f32 = HEADS.iter().map(|(_, classes)| 2.0 * (*classes as f32).ln()).sum();
        assert!((loss - expected).abs() < 1e-4, "{loss} {expected}");
        assert_eq!(heads.weights().variables().len(), HEADS.len());
    }
}
