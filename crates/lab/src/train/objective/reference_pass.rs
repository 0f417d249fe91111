//! The pass of the reference over the pairs of a stage, before the stage learns. What it has found is kept from time to
//! time, so that a run that is stopped in it goes on there.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::reference::{ReferenceKey, ReferenceLogProbs, ReferenceTable};
use crate::error::LabError;
use crate::train::mixture::Draw;
use crate::train::trainer::PackWork;

/// Time between two writes of the file.
const KEEP_EVERY: Duration = Duration::from_secs(60);
/// Pairs of each thread between two reports.
const BLOCK: usize = 4;

/// How far the pass of the reference is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceProgress {
    /// Name of the stage.
    pub stage: String,
    /// Pairs whose log-probabilities are known.
    pub done: usize,
    /// All pairs of the stage, the held-out ones among them.
    pub pairs: usize,
}

/// Whoever follows the pass, and may stop it.
pub(in crate::train) type OnReference<'a> = dyn FnMut(&ReferenceProgress) -> ControlFlow<()> + 'a;

/// The pass over the pairs of one stage.
pub(in crate::train) struct ReferencePass<'a> {
    pub(in crate::train) file: PathBuf,
    /// What the log-probabilities depend on.
    pub(in crate::train) key: ReferenceKey,
    /// Computes the pairs of the mixture, and the held-out ones.
    pub(in crate::train) work: [PackWork<'a>; 2],
    /// The pairs of both, each once.
    pub(in crate::train) draws: [Vec<Draw>; 2],
    /// Whether the reference is the model without its adapters, whatever these have learned.
    pub(in crate::train) is_without_adapters: bool,
    /// Whether the stage has not learned anything yet.
    pub(in crate::train) is_at_start: bool,
    /// Whether this is the only process of the run.
    pub(in crate::train) is_alone: bool,
}

impl ReferencePass<'_> {
    /// What the file has, completed; whether `on_reference` let it end.
    ///
    /// # Errors
    /// When the file is not complete and the model that the stage began with is gone, or there are several processes;
    /// when the file is damaged or cannot be written.
    pub(in crate::train) fn run(
        &self,
        on_reference: &mut OnReference<'_>,
    ) -> Result<(ReferenceLogProbs, ControlFlow<()>), LabError> {
        let mut found = ReferenceLogProbs::read(&self.file, &self.key)?;
        let mut kept = Instant::now();
        let pairs = self.draws.iter().map(Vec::len).sum();
        let stage = self.work[0].stage.name.clone();
        let tables: [fn(&mut ReferenceLogProbs) -> &mut ReferenceTable; 2] =
            [|found| &mut found.learned, |found| &mut found.held_out];
        for ((work, draws), table) in self.work.iter().zip(&self.draws).zip(tables) {
            let known = table(&mut found);
            let missing: Vec<Draw> = draws.iter().filter(|draw| !known.contains_key(&draw.row())).copied().collect();
            if !missing.is_empty() && !self.is_at_start && !self.is_without_adapters {
                return Err(self.gone(&stage, missing.len()));
            }
            if !missing.is_empty() && !self.is_alone {
                return Err(self.several(&stage, missing.len()));
            }
            for block in missing.chunks(BLOCK * rayon::current_num_threads()) {
                // Each alone, so that what is found does not depend on where a run was stopped.
                let log_probs = match self.is_without_adapters {
                    true => work.model.weights().without_adapters(|| work.log_probs(block, 1))?,
                    false => work.log_probs(block, 1)?,
                };
                table(&mut found).extend(block.iter().map(Draw::row).zip(log_probs));
                let progress = ReferenceProgress { stage: stage.clone(), done: found.len(), pairs };
                let flow = on_reference(&progress);
                if flow.is_break() || found.len() >= pairs || kept.elapsed() >= KEEP_EVERY {
                    found.write(&self.file, &self.key)?;
                    kept = Instant::now();
                }
                if flow.is_break() {
                    return Ok((found, flow));
                }
            }
        }
        Ok((found, ControlFlow::Continue(())))
    }

    fn several(&self, stage: &str, missing: usize) -> LabError {
        let what = format!(
            "the reference log-probabilities of {missing} pairs of stage {stage:?} are not in it yet: begin the stage \
             in one process, which computes them, and go on in several"
        );
        LabError::File { file: self.file.clone(), what }
    }

    fn gone(&self, stage: &str, missing: usize) -> LabError {
        let what = format!(
            "the reference log-probabilities of {missing} pairs of stage {stage:?} are not in it, and the model that \
             the stage began with is gone; begin the run anew in another folder"
        );
        LabError::File { file: self.file.clone(), what }
    }
}
