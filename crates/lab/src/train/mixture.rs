//! Which sample comes next: drawn scenes and data files, mixed by weight or file after file, in an order that follows
//! from the seed and the number of the sample alone.

use std::path::Path;
use std::sync::Arc;

use super::recipe::MixEntry;
use crate::data::{BadSample, DataOptions, Dataset, Drawn, Feed, LoadedSample, MixtureOrder, ReadAhead, SampleLoader};
use crate::error::LabError;
use crate::sample::Sample;
use crate::synth::{Difficulty, Split};

/// Samples that drawn scenes count as: a run has never so many.
const ENDLESS: u64 = 1 << 48;

/// Opens a data file.
pub(super) type OpenData<'o> = dyn Fn(&Path, &DataOptions) -> Result<Arc<dyn Dataset>, LabError> + 'o;

/// A sample as it was loaded, `None` where it is too long; inside, why it does not fit the model; outside, why it is
/// none.
pub(super) type Loading = Result<Result<Option<LoadedSample>, LabError>, BadSample>;

/// The entries of a mixture, opened.
pub(super) struct Mixture {
    entries: Vec<MixturePart>,
    order: MixtureOrder,
    seed: u64,
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
    pub(super) number: u64,
    /// Index in the data file.
    index: u64,
}

impl Draw {
    /// The entry, and the row of its data file.
    pub(super) fn row(&self) -> (usize, u64) {
        (self.entry, self.index)
    }
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
        let (mut all, mut weights) = (Vec::with_capacity(entries.len()), Vec::new());
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
            weights.extend(entry.weight.or(drawn.then_some(1.0)));
        }
        let lens = all.iter().map(|part: &MixturePart| if part.samples() == 0 { ENDLESS } else { part.samples() });
        // Without weights an epoch shows every sample of every file once.
        let order = match weights.is_empty() {
            true => MixtureOrder::joined(&lens.collect::<Vec<_>>(), seed)?,
            false => MixtureOrder::weighted(&lens.zip(weights).collect::<Vec<_>>(), seed)?,
        };
        Ok(Mixture { entries: all, order, seed, split })
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

    /// `count` samples from the `first` of the mixture on; sample `before` of the run was the last one without it.
    pub(super) fn draws(&self, before: u64, first: u64, count: usize) -> Vec<Draw> {
        (first..first + count as u64).map(|nth| self.draw(before, nth)).collect()
    }

    fn draw(&self, before: u64, nth: u64) -> Draw {
        let Drawn { dataset, index, .. } = self.order.draw(nth);
        Draw { entry: dataset, number: before + nth, index }
    }

    /// The first `most` samples, or all of the data files where these are fewer.
    pub(super) fn first(&self, most: usize) -> Vec<Draw> {
        let all = usize::try_from(self.epoch()).unwrap_or(usize::MAX);
        self.draws(0, 0, if all == 0 { most } else { most.min(all) })
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
    /// Makes and loads a sample.
    pub(super) fn load(&self, draw: &Draw, loader: &SampleLoader) -> Loading {
        Ok(loader.load(&self.sample(draw)?))
    }

    /// Loads samples of the run by their `numbers`, which ascend, ahead of whoever takes them. Sample `before` of the
    /// run was the last one without the mixture.
    ///
    /// # Errors
    /// When there are no threads.
    pub(super) fn feed(
        self: &Arc<Self>,
        (before, numbers): (u64, impl Iterator<Item = u64> + Send + 'static),
        loader: &Arc<SampleLoader>,
        ahead: ReadAhead,
    ) -> Result<Feed<Loading>, LabError> {
        let (mixture, loader) = (Arc::clone(self), Arc::clone(loader));
        let bytes = |loaded: &Loading| if let Ok(Ok(Some(sample))) = loaded { sample.bytes } else { 0 };
        Feed::new(numbers, ahead, bytes, move |number| mixture.load(&mixture.draw(before, number - before), &loader))
    }

    /// A sample that was made and is of no use.
    pub(super) fn bad(&self, draw: &Draw, reason: String) -> BadSample {
        match &self.entries[draw.entry].source {
            PartSource::Drawn { .. } => BadSample { file: self.name(draw.entry).into(), row: draw.number + 1, reason },
            PartSource::Data(data) => data.bad(draw.index, reason),
        }
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
