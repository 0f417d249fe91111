//! Visual tokens of encoded media. Some frames are projected at a time, when their rows are asked for: a film of hours
//! takes minutes, and a prompt whose keys and values are there already needs none of them.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use candle_core::Tensor;
use zoetrope_models::contract::{VideoLanguageModel, VisualRows};
use zoetrope_models::error::{ModelError, ModelResult};

use crate::media_input::EncodedMedia;

/// Frames whose features are projected at once: a step of the engine waits for them.
pub(crate) const PROJECTED_FRAMES: usize = 16;

/// Visual tokens of one placement of a prompt.
#[derive(Clone, Debug)]
pub struct VisualTokens {
    /// Says which tokens these are: equal keys mean equal tokens, so that keys and values of earlier turns are reused
    /// only for the very same ones.
    pub key: u128,
    /// Whether the key means the same in another process, so that keys and values may be kept on disk.
    pub is_lasting: bool,
    /// `[V, D]`.
    pub rows: ProjectedRows,
}

impl VisualRows for VisualTokens {
    fn count(&self) -> ModelResult<usize> {
        self.rows.count()
    }

    fn rows(&self, rows: Range<usize>) -> ModelResult<Tensor> {
        self.rows.rows(rows)
    }
}

/// The visual tokens `[V, D]` of encoded media, for one instruction. Clones share what is projected.
#[derive(Clone, Debug)]
pub struct ProjectedRows {
    runs: Arc<Vec<ProjectedRun>>,
    source: Option<ProjectionSource>,
}

/// What rows are projected from.
#[derive(Clone)]
struct ProjectionSource {
    model: Arc<dyn VideoLanguageModel>,
    media: Arc<EncodedMedia>,
    instruction: Option<String>,
}

/// What is projected at once.
#[derive(Debug)]
struct ProjectedRun {
    units: Range<usize>,
    rows: Range<usize>,
    tokens: OnceLock<Tensor>,
}

impl ProjectedRows {
    /// Rows of `media`, for `instruction` where the family's projector hears one. Nothing is projected yet.
    pub(crate) fn new(
        model: &Arc<dyn VideoLanguageModel>,
        media: &Arc<EncodedMedia>,
        instruction: Option<&str>,
    ) -> Self {
        let (model, media, instruction) = (Arc::clone(model), Arc::clone(media), instruction.map(String::from));
        let runs = Arc::new(runs(&media));
        ProjectedRows { runs, source: Some(ProjectionSource { model, media, instruction }) }
    }

    /// Bytes of what is projected.
    pub(crate) fn bytes(&self) -> usize {
        let bytes = |tokens: &Tensor| tokens.elem_count() * tokens.dtype().size_in_bytes();
        self.runs.iter().filter_map(|run| run.tokens.get()).map(bytes).sum()
    }

    /// Whether row number `row` is projected, or does not exist.
    pub(crate) fn has(&self, row: usize) -> bool {
        self.run(row).is_none_or(|run| run.tokens.get().is_some())
    }

    /// Projects the frames that row number `row` is of.
    ///
    /// # Errors
    /// [`ModelError::Bug`] with both numbers when they give not as many rows as their spans count.
    pub(crate) fn project(&self, row: usize) -> ModelResult<()> {
        self.run(row).map_or(Ok(()), |run| self.tokens(run).map(|_| ()))
    }

    fn run(&self, row: usize) -> Option<&ProjectedRun> {
        self.runs.get(self.runs.partition_point(|run| run.rows.end <= row))
    }

    fn tokens<'a>(&self, run: &'a ProjectedRun) -> ModelResult<&'a Tensor> {
        if let Some(tokens) = run.tokens.get() {
            return Ok(tokens);
        }
        let Some(ProjectionSource { model, media, instruction }) = &self.source else {
            return Err(ModelError::Bug("visual tokens without what they are projected from".to_string()));
        };
        let features = media.features.units(run.units.clone(), model.weights().device())?;
        let tokens = model.project(&media.plan, &features, run.units.start, instruction.as_deref())?.detach();
        let (given, counted) = (tokens.dim(0)?, run.rows.len());
        if given != counted {
            let text = format!("{}: the projector gave {given} visual tokens, {counted} were counted", media.name);
            return Err(ModelError::Bug(text));
        }
        Ok(run.tokens.get_or_init(|| tokens))
    }
}

impl VisualRows for ProjectedRows {
    fn count(&self) -> ModelResult<usize> {
        Ok(self.runs.last().map_or(0, |run| run.rows.end))
    }

    /// What is missing of them is projected.
    fn rows(&self, rows: Range<usize>) -> ModelResult<Tensor> {
        let mut parts = Vec::new();
        for run in self.runs.iter().filter(|run| run.rows.start < rows.end && rows.start < run.rows.end) {
            let (first, end) = (rows.start.max(run.rows.start), rows.end.min(run.rows.end));
            parts.push(self.tokens(run)?.narrow(0, first - run.rows.start, end - first)?);
        }
        Ok(if let [one] = &parts[..] { one.clone() } else { Tensor::cat(&parts, 0)? })
    }
}

/// Rows that are there.
impl From<Tensor> for ProjectedRows {
    fn from(tokens: Tensor) -> Self {
        let rows = 0..tokens.dims().first().copied().unwrap_or(0);
        let run = ProjectedRun { units: 0..0, rows, tokens: OnceLock::from(tokens) };
        ProjectedRows { runs: Arc::new(vec![run]), source: None }
    }
}

impl fmt::Debug for ProjectionSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProjectionSource").field("media", &self.media.name).finish_non_exhaustive()
    }
}

/// At least [`PROJECTED_FRAMES`] frames each, so many that they end where a span does; all of them where the encoder
/// takes frames together.
fn runs(media: &EncodedMedia) -> Vec<ProjectedRun> {
    let (plan, views) = (&media.plan, media.plan.views.len());
    let (mut runs, mut begun, mut rows) = (Vec::<ProjectedRun>::new(), 0, 0..0);
    for (number, span) in media.spans.iter().enumerate() {
        rows.end += span.tokens;
        let is_last = number + 1 == media.spans.len();
        if is_last || (!plan.joint && span.frames.end >= begun + PROJECTED_FRAMES) {
            let units = begun * views..if is_last { plan.units() } else { span.frames.end * views };
            runs.push(ProjectedRun { units, rows: rows.clone(), tokens: OnceLock::new() });
            (begun, rows) = (span.frames.end, rows.end..rows.end);
        }
    }
    runs
}
