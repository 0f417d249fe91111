//! Where features of films lie that were stored before.

use std::path::PathBuf;

use zoetrope_engine::{FeatureIndex, Limits};
use zoetrope_models::contract::feature_file::ModelIdentity;
use zoetrope_models::weights::ParameterGroup;

use crate::cli::IndexUseArgs;
use crate::failure::Failure;
use crate::model::Loaded;
use crate::places;

/// Looks for stored features of `loaded`, unless the user does not want that.
pub(super) fn index(args: &IndexUseArgs, loaded: &Loaded, limits: &Limits) -> Result<Option<FeatureIndex>, Failure> {
    if args.no_index {
        return Ok(None);
    }
    if let Some(file) = &args.index {
        super::media_args::check_file(file)?;
    }
    Ok(Some(feature_index(loaded, limits, args.index.clone())?))
}

/// Features of `loaded`; `named` is a file that is looked into first.
pub(super) fn feature_index(loaded: &Loaded, limits: &Limits, named: Option<PathBuf>) -> Result<FeatureIndex, Failure> {
    // For films in folders that cannot be written to.
    let cache = places::cache().map(|cache| cache.join("features"));
    Ok(FeatureIndex::new(identity(loaded)?, &limits.files, cache, named))
}

/// What features are told apart by: the family, its files, and what the encoder is held as.
pub(super) fn identity(loaded: &Loaded) -> Result<ModelIdentity, Failure> {
    let vision = loaded.model.weights().group(ParameterGroup::Vision).held_as();
    let family = loaded.model.processor().info().family;
    Ok(ModelIdentity::of(family, vision, std::slice::from_ref(&loaded.checkpoint))?)
}
