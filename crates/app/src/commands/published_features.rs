//! `zoetrope index FILM.pkl`: features of a film that their authors published as a pickle, as a file of ours.

use std::path::{Path, PathBuf};

use zoetrope_models::contract::feature_file::{FeatureKey, FeatureRun, FeatureWriter};
use zoetrope_models::contract::feature_pickle::FeaturePickle;
use zoetrope_models::contract::media_plan::{MediaPlan, PlanOptions};

use super::stored::identity;
use crate::failure::Failure;
use crate::model::Loaded;
use crate::progress::Bars;

/// Frames that are read and written at a time: 47 MB of the published width.
const RUN: usize = 64;
/// Side in pixels of the frames that the authors encoded.
const SIDE: u32 = 224;

/// Whether the file is one by its name.
pub(super) fn is_published(film: &Path) -> bool {
    film.extension().is_some_and(|ending| ending == "pkl" || ending == "pickle")
}

/// Writes the features of `film` for `loaded` to `out`, or beside it; the file, and how many frames it has.
pub(super) fn import(
    film: &Path,
    out: Option<&Path>,
    options: &PlanOptions,
    loaded: &Loaded,
    bars: &mut Bars,
) -> Result<(PathBuf, usize), Failure> {
    let pickle = FeaturePickle::open(film)?;
    let [frames, rows, width] = pickle.shape();
    let processor = loaded.model.processor();
    let mut plan = processor.plan(&[], &[pickle.metadata((SIDE, SIDE))], options)?;
    let plan: MediaPlan = plan.swap_remove(0);
    let expected = processor.info().feature_width;
    if plan.frames.len() != frames || plan.units() != frames || width != expected {
        let units = plan.units();
        return Err(Failure::usage(
            format!(
                "{}: {frames} frames of {rows} x {width} values; the model takes {units} of width {expected}",
                film.display()
            ),
            "name the model that the features were made for",
        ));
    }
    let key = FeatureKey::new(None, String::new(), identity(loaded)?, &plan, width)?;
    let place = out.map_or_else(|| film.with_extension("zoetrope-features"), Path::to_path_buf);
    let mut writer = FeatureWriter::open(&place, key, None)?;
    let mut next = writer.done().next;
    while next < frames {
        let end = frames.min(next + RUN);
        let per_unit = vec![rows as u32; end - next];
        let run = FeatureRun { next: end, last: Some(end - 1), per_unit, ..FeatureRun::default() };
        writer.append(&pickle.features(next..end)?, run)?;
        next = end;
        bars.count("index", "frames", next, frames);
    }
    writer.finish(Vec::new())?;
    Ok((place, frames))
}
