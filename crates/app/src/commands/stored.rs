//! Where features of films lie that were stored before.

use std::path::PathBuf;
use std::sync::Arc;

use zoetrope_engine::{FeatureIndex, Limits, ModelStore, Store, StoreOptions};
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
    let index = feature_index(loaded, limits, args.index.clone())?;
    let store = if args.no_cache { None } else { open_store() };
    Ok(Some(with_store(index, store.as_ref(), loaded, limits)?))
}

/// `index`, which also finds films by their content in `store`, where there is one.
pub(super) fn with_store(
    index: FeatureIndex,
    store: Option<&Arc<Store>>,
    loaded: &Loaded,
    limits: &Limits,
) -> Result<FeatureIndex, Failure> {
    let Some(store) = store else { return Ok(index) };
    let (name, model) = (&loaded.name, loaded.model.as_ref());
    Ok(index.with_store(Some(ModelStore::new(store, name, identity(loaded)?, model, &limits.files))))
}

/// What was computed of films before. Where it cannot be kept nothing is: an answer does not depend on it.
pub(super) fn open_store() -> Option<Arc<Store>> {
    let folder = store_folder()?;
    match Store::open(StoreOptions::new(folder.clone())) {
        Ok(store) => Some(store),
        Err(error) => {
            tracing::debug!("{}: nothing is kept: {error}", folder.display());
            None
        }
    }
}

/// The folder of what was computed of films.
pub(super) fn store_folder() -> Option<PathBuf> {
    Some(places::cache()?.join("store"))
}

/// Features of `loaded`; `named` is a file that is looked into first.
pub(super) fn feature_index(loaded: &Loaded, limits: &Limits, named: Option<PathBuf>) -> Result<FeatureIndex, Failure> {
    Ok(FeatureIndex::new(identity(loaded)?, &limits.files, features_folder(), named))
}

/// What features are told apart by: the family, its files, and what the encoder is held as.
pub(super) fn identity(loaded: &Loaded) -> Result<ModelIdentity, Failure> {
    let vision = loaded.model.weights().group(ParameterGroup::Vision).held_as();
    let family = loaded.model.processor().info().family;
    Ok(ModelIdentity::of(family, vision, std::slice::from_ref(&loaded.checkpoint))?)
}

/// The folder for features of films in folders that cannot be written to.
pub(super) fn features_folder() -> Option<PathBuf> {
    Some(places::cache()?.join("features"))
}
