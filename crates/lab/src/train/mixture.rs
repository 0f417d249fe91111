//! Which sample comes next: drawn scenes and data files, mixed by weight or file after file, in an order that follows
//! from the seed and the number of the sample alone.

use std::path::Path;
use std::sync::Arc;

use super::recipe::MixEntry;
use crate::data::{BadSample, DataOptions, Dataset};
use crate::error::LabError;
use crate::sample::Sample;
use crate::synth::{Difficulty, Split, SynthRng};

/// Opens a data file.
pub(super) type OpenData<'o> = dyn Fn(&Path, &DataOptions) -> Result<Arc<dyn Dataset>, LabError> + 'o;

/// The entries of a mixture, opened.
pub(super) struct Mixture {
    entries: Vec<MixturePart>,
    seed: u64,
    /// Sum of the weights of this and all earlier entries; empty when an epoch shows every sample of every file once.
    weights: Vec<f64>,
    split: Split,
}

struct MixturePart {
    name: String,
    source: PartSource,
}

enum PartSource {
    Drawn { difficulty: Difficulty, turns: usize },
    Data(Arc<dyn Dataset>),
}

/// One sample to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Draw {
    /// The entry.
    pub(super) entry: usize,
    /// Number of the sample in the run.
    number: u64,
    /// Index in the data file.
    index: u64,
}

impl Mixture {
    /// Opens the data files of `entries`, which are named from `folder`. Drawn scenes are of `split`.
    ///
    /// # Errors
    /// When a data file cannot be read or is empty.
    pub(super) fn open(
        entries: &[MixEntry],
        (seed, turns, split): (u64, usize, Split),
        folder: &Path,
        open: &OpenData<'_>,
    ) -> Result<Self, LabError> {
        let (mut all, mut weights, mut sum) = (Vec::with_capacity(entries.len()), Vec::new(), 0.0);
        for entry in entries {
            let difficulty = entry.difficulty().map_err(LabError::Caller)?;
            let drawn = difficulty.is_some();
            all.push(match (difficulty, &entry.data) {
                (Some(difficulty), _) => MixturePart {
                    name: format!("drawn {}", entry.drawn.as_deref().unwrap_or_default()),
                    source: PartSource::Drawn { difficulty, turns },
                },
                (None, Some(data)) => open_data(&folder.join(data), entry, folder, open)?,
                (None, None) => return Err(LabError::Caller("a mixture of nothing".to_string())),
            });
            // A single entry of drawn scenes needs no weight.
            let weight = entry.weight.or(drawn.then_some(1.0));
            if let Some(weight) = weight {
                sum += weight;
                weights.push(sum);
            }
        }
        Ok(Mixture { entries: all, seed, weights, split })
    }

    /// Samples of an epoch: those of all data files; 0 when there are none.
    pub(super) fn epoch(&self) -> u64 {
        self.entries.iter().map(MixturePart::samples).sum()
    }

    /// Samples of each data file.
    pub(super) fn samples(&self) -> impl Iterator<Item = u64> {
        self.entries.iter().map(MixturePart::samples).filter(|samples| *samples > 0)
    }

    /// What reports call an entry.
    pub(super) fn name(&self, entry: usize) -> &str {
        &self.entries[entry].name
    }

    /// The entry of sample `number` of the run.
    fn entry_of(&self, number: u64) -> usize {
        let unit = f64::from(SynthRng::new("train/material", number).unit_f32());
        let mark = unit * self.weights[self.weights.len() - 1];
        self.weights.iter().position(|end| mark < *end).unwrap_or(self.weights.len() - 1)
    }

    /// Makes a sample; no frame is decoded yet.
    pub(super) fn sample(&self, draw: &Draw) -> Result<Sample, BadSample> {
        match &self.entries[draw.entry].source {
            PartSource::Drawn { difficulty, turns } => {
                Ok(Sample::drawn(self.split, self.seed.wrapping_add(draw.number), difficulty, *turns))
            }
            PartSource::Data(data) => data.sample(draw.index),
        }
    }
}

impl Mixture {
    /// A sample that was made and is of no use.
    pub(super) fn bad(&self, draw: &Draw, reason: String) -> BadSample {
        let (file, row) = match &self.entries[draw.entry].source {
            PartSource::Drawn { .. } => (self.name(draw.entry).into(), draw.number + 1),
            PartSource::Data(data) => data.place(draw.index),
        };
        BadSample { file, row, reason }
    }
}

impl MixturePart {
    fn samples(&self) -> u64 {
        if let PartSource::Data(data) = &self.source { data.len() } else { 0 }
    }
}

fn open_data(file: &Path, entry: &MixEntry, folder: &Path, open: &OpenData<'_>) -> Result<MixturePart, LabError> {
    let options = DataOptions { media: entry.media.as_ref().map(|media| folder.join(media)), ..DataOptions::default() };
    let data = open(file, &options)?;
    if data.is_empty() {
        return Err(LabError::File { file: file.to_path_buf(), what: "there is no sample in it".to_string() });
    }
    Ok(MixturePart { name: data.name().to_string(), source: PartSource::Data(data) })
}

/// Goes through a mixture sample by sample.
#[derive(Clone, Debug)]
pub(super) struct Draws {
    /// Number of the next sample in the run.
    next: u64,
    /// Samples of each entry so far; of all entries where none has a weight.
    taken: Vec<u64>,
}

impl Draws {
    /// From sample `first` of the run, the first of a stage.
    pub(super) fn new(mixture: &Mixture, first: u64) -> Self {
        Draws { next: first, taken: vec![0; mixture.entries.len()] }
    }

    /// The first `most` samples, or all of the data files where these are fewer.
    pub(super) fn first(mixture: &Mixture, most: usize) -> Vec<Draw> {
        let all = usize::try_from(mixture.epoch()).unwrap_or(usize::MAX);
        let mut draws = Draws::new(mixture, 0);
        (0..if all == 0 { most } else { most.min(all) }).map(|_| draws.take(mixture)).collect()
    }

    /// Passes over the samples before `number`, which a run that is continued has had.
    pub(super) fn skip_to(&mut self, mixture: &Mixture, number: u64) {
        while self.next < number {
            self.take(mixture);
        }
    }

    /// The next sample.
    pub(super) fn take(&mut self, mixture: &Mixture) -> Draw {
        let number = self.next;
        self.next += 1;
        if mixture.weights.is_empty() {
            let nth = self.taken[0];
            self.taken[0] += 1;
            let mut index = shuffled(mixture.seed, 0, nth, mixture.epoch());
            for (entry, source) in mixture.entries.iter().enumerate() {
                if index < source.samples() {
                    return Draw { entry, number, index };
                }
                index -= source.samples();
            }
        }
        let entry = mixture.entry_of(number);
        let nth = self.taken[entry];
        self.taken[entry] += 1;
        let samples = mixture.entries[entry].samples();
        let index = if samples == 0 { 0 } else { shuffled(mixture.seed, entry as u64 + 1, nth, samples) };
        Draw { entry, number, index }
    }
}

/// The index of the `nth` sample of `samples`, which every epoch shows in another order: a permutation by a Feistel
/// network over the next power of four, whose results outside are permuted again. Nothing is held in memory.
fn shuffled(seed: u64, stream: u64, nth: u64, samples: u64) -> u64 {
    let samples = samples.max(1);
    let (epoch, at) = (nth / samples, nth % samples);
    let half = (u64::BITS - (samples - 1).leading_zeros()).div_ceil(2).max(1);
    let mask = (1u64 << half) - 1;
    let seed = SynthRng::new("train/order", seed ^ stream.rotate_left(32) ^ epoch.rotate_left(16)).next_u64();
    let mut index = at;
    loop {
        let (mut left, mut right) = (index >> half, index & mask);
        for round in 0..4u64 {
            let mixed = SynthRng::new("train/order/round", seed ^ right.rotate_left(8) ^ round).next_u64();
            (left, right) = (right, left ^ (mixed & mask));
        }
        index = left << half | right;
        if index < samples {
            return index;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_shows_every_sample_once_in_another_order() {
        for samples in [1, 2, 3, 7, 64, 100, 1000] {
            let mut orders = Vec::new();
            for epoch in 0..3 {
                let order: Vec<u64> = (0..samples).map(|n| shuffled(5, 0, epoch * samples + n, samples)).collect();
                let mut sorted = order.clone();
                sorted.sort_unstable();
                assert_eq!(sorted, (0..samples).collect::<Vec<_>>());
                orders.push(order);
            }
            assert!(samples < 64 || (orders[0] != orders[1] && orders[1] != orders[2]));
            assert!(
                samples < 64
                    || shuffled(6, 0, 0, samples) != orders[0][0]
                    || shuffled(6, 0, 1, samples) != orders[0][1]
            );
        }
    }
}
