//! Visual tokens of encoded media. Some frames are projected at a time, when their rows are asked for: a film of hours
//! takes minutes, and a prompt whose keys and values are there already needs none of them.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use candle_core::Tensor;
use zoetrope_models::contract::{VideoLanguageModel, VisualRows};
use zoetrope_models::error::{ModelError, ModelResult};

use super::encode::EncodedMedia;

/// Frames whose features are projected at once: a step of the engine waits for them.
pub(crate) const PROJECTED_FRAMES: usize = 16;

/// The visual tokens `[V, D]` of encoded media, for one instruction. Clones share what is projected.
#[derive(Clone, Debug)]
pub struct ProjectedRows {
    pieces: Arc<Vec<Piece>>,
    source: Option<Source>,
}

/// What rows are projected from.
#[derive(Clone)]
struct Source {
    model: Arc<dyn VideoLanguageModel>,
    media: Arc<EncodedMedia>,
    instruction: Option<String>,
}

/// What is projected at once.
#[derive(Debug)]
struct Piece {
    units: Range<usize>,
    rows: Range<usize>,
    tokens: OnceLock<Tensor>,
}

impl ProjectedRows {
    /// Those of `media`, for `instruction` where the family's projector hears one. Nothing is projected yet.
    pub(crate) fn new(
        model: &Arc<dyn VideoLanguageModel>,
        media: &Arc<EncodedMedia>,
        instruction: Option<&str>,
    ) -> Self {
        let (model, media, instruction) = (Arc::clone(model), Arc::clone(media), instruction.map(String::from));
        let pieces = Arc::new(pieces(&media));
        ProjectedRows { pieces, source: Some(Source { model, media, instruction }) }
    }

    /// Bytes of what is projected.
    pub(crate) fn bytes(&self) -> usize {
        let bytes = |tokens: &Tensor| tokens.elem_count() * tokens.dtype().size_in_bytes();
        self.pieces.iter().filter_map(|piece| piece.tokens.get()).map(bytes).sum()
    }

    /// Whether row number `row` is projected, or does not exist.
    pub(crate) fn has(&self, row: usize) -> bool {
        self.piece(row).is_none_or(|piece| piece.tokens.get().is_some())
    }

    /// Projects the frames that row number `row` is of.
    ///
    /// # Errors
    /// [`ModelError::Bug`] with both numbers when they give not as many rows as their spans count.
    pub(crate) fn project(&self, row: usize) -> ModelResult<()> {
        self.piece(row).map_or(Ok(()), |piece| self.tokens(piece).map(|_| ()))
    }

    fn piece(&self, row: usize) -> Option<&Piece> {
        self.pieces.get(self.pieces.partition_point(|piece| piece.rows.end <= row))
    }

    fn tokens<'a>(&self, piece: &'a Piece) -> ModelResult<&'a Tensor> {
        if let Some(tokens) = piece.tokens.get() {
            return Ok(tokens);
        }
        let Some(Source { model, media, instruction }) = &self.source else {
            return Err(ModelError::Bug("visual tokens without what they are projected from".to_string()));
        };
        let features = media.features.units(piece.units.clone(), model.weights().device())?;
        let tokens = model.project(&media.plan, &features, piece.units.start, instruction.as_deref())?.detach();
        let (given, counted) = (tokens.dim(0)?, piece.rows.len());
        if given != counted {
            let text = format!("{}: the projector gave {given} visual tokens, {counted} were counted", media.name);
            return Err(ModelError::Bug(text));
        }
        Ok(piece.tokens.get_or_init(|| tokens))
    }
}

impl VisualRows for ProjectedRows {
    fn count(&self) -> ModelResult<usize> {
        Ok(self.pieces.last().map_or(0, |piece| piece.rows.end))
    }

    /// What is missing of them is projected.
    fn rows(&self, rows: Range<usize>) -> ModelResult<Tensor> {
        let mut parts = Vec::new();
        for piece in self.pieces.iter().filter(|piece| piece.rows.start < rows.end && rows.start < piece.rows.end) {
            let (first, end) = (rows.start.max(piece.rows.start), rows.end.min(piece.rows.end));
            parts.push(self.tokens(piece)?.narrow(0, first - piece.rows.start, end - first)?);
        }
        Ok(if let [one] = &parts[..] { one.clone() } else { Tensor::cat(&parts, 0)? })
    }
}

/// Rows that are there.
impl From<Tensor> for ProjectedRows {
    fn from(tokens: Tensor) -> Self {
        let rows = 0..tokens.dims().first().copied().unwrap_or(0);
        let piece = Piece { units: 0..0, rows, tokens: OnceLock::from(tokens) };
        ProjectedRows { pieces: Arc::new(vec![piece]), source: None }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("media", &self.media.name).finish_non_exhaustive()
    }
}

/// At least [`PROJECTED_FRAMES`] frames each, so many that they end where a span does; all of them where the encoder
/// takes frames together.
fn pieces(media: &EncodedMedia) -> Vec<Piece> {
    let (plan, views) = (&media.plan, media.plan.views.len());
    let (mut pieces, mut begun, mut rows) = (Vec::<Piece>::new(), 0, 0..0);
    for (number, span) in media.spans.iter().enumerate() {
        rows.end += span.tokens;
        let is_last = number + 1 == media.spans.len();
        if is_last || (!plan.joint && span.frames.end >= begun + PROJECTED_FRAMES) {
            let units = begun * views..if is_last { plan.units() } else { span.frames.end * views };
            pieces.push(Piece { units, rows: rows.clone(), tokens: OnceLock::new() });
            (begun, rows) = (span.frames.end, rows.end..rows.end);
        }
    }
    pieces
}
