//! The visual tokens of encoded media.

use zoetrope_models::contract::VideoLanguageModel;

use crate::error::EngineError;
use crate::generate::VisualTokens;
use crate::media_input::{EncodedMedia, MediaIdentity, ProjectWatch, project};

/// The visual tokens of one picture or video, for each instruction so far.
#[derive(Default)]
pub(crate) struct Projections(Vec<(Option<String>, VisualTokens)>);

impl Projections {
    /// The visual tokens of `media`, which has `identity`, for `instruction`; projected when they are not there yet,
    /// which the second value says.
    pub(crate) fn tokens(
        &mut self,
        model: &dyn VideoLanguageModel,
        identity: &MediaIdentity,
        media: &EncodedMedia,
        instruction: Option<&str>,
        watch: &mut ProjectWatch<'_>,
    ) -> Result<(VisualTokens, bool), EngineError> {
        if let Some((_, tokens)) = self.0.iter().find(|(own, _)| own.as_deref() == instruction) {
            return Ok((tokens.clone(), false));
        }
        let (key, is_lasting) = (identity.token_key(instruction), identity.is_lasting);
        let tokens = VisualTokens { key, is_lasting, rows: project(model, media, instruction, watch)? };
        self.0.push((instruction.map(String::from), tokens.clone()));
        Ok((tokens, true))
    }
}
