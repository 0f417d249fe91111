//! The visual tokens of encoded media.

use std::sync::Arc;

use zoetrope_models::contract::VideoLanguageModel;

use crate::generate::{ProjectedRows, VisualTokens};
use crate::media_input::{EncodedMedia, MediaIdentity};

/// The visual tokens of one picture or video, for each instruction so far.
#[derive(Default)]
pub(crate) struct Projections(Vec<(Option<String>, VisualTokens)>);

impl Projections {
    /// The visual tokens of `media`, which has `identity`, for `instruction`, and whether they are new. They are
    /// projected when they are needed.
    pub(crate) fn tokens(
        &mut self,
        model: &Arc<dyn VideoLanguageModel>,
        identity: &MediaIdentity,
        media: &Arc<EncodedMedia>,
        instruction: Option<&str>,
    ) -> (VisualTokens, bool) {
        if let Some((_, tokens)) = self.0.iter().find(|(own, _)| own.as_deref() == instruction) {
            return (tokens.clone(), false);
        }
        let (key, is_lasting) = (identity.token_key(instruction), identity.is_lasting);
        let tokens = VisualTokens { key, is_lasting, rows: ProjectedRows::new(model, media, instruction) };
        self.0.push((instruction.map(String::from), tokens.clone()));
        (tokens, true)
    }

    /// Bytes of what is projected.
    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(|(_, tokens)| tokens.rows.bytes()).sum()
    }
}
