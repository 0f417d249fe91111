//! `zoetrope index FILM`: the features of a film, stored once for every further question.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use candle_core::DType;
use serde::Serialize;
use zoetrope_engine::{FeatureIndex, IndexJob, Limits, check_limit, open_file};
use zoetrope_models::contract::feature_file::{FeatureKey, FeatureWriter, StoredFeatures};
use zoetrope_models::contract::media_plan::{MediaKind, MediaPlan};
use zoetrope_models::error::ModelError;
use zoetrope_system::process_memory;

use super::media_args::check_file;
use super::published_features::{import, is_published};
use super::request::{media_limits, plan_options};
use super::stored::feature_index;
use crate::cli::{Common, IndexArgs, StoredDtype};
use crate::failure::{self, Failure};
use crate::interrupt::Interrupt;
use crate::model::{self, Loaded};
use crate::output::{self, size};
use crate::paths;
use crate::progress::Bars;

/// What was written.
#[derive(Serialize)]
struct Indexed<'a> {
    model: &'a str,
    film: String,
    file: String,
    /// Frames of the plan.
    frames: usize,
    /// Of these, frames that an earlier run had done.
    resumed_from: usize,
    /// Bytes of the file.
    bytes: u64,
    seconds: f64,
    /// Most memory that the process has held, where the system tells.
    peak_memory_bytes: Option<u64>,
}

/// Encodes the film and writes its features.
pub(crate) fn run(args: &IndexArgs, common: &Common) -> Result<(), Failure> {
    let film = paths::of_word(args.film.as_os_str());
    check_file(&film)?;
    if film.as_os_str() == "-" {
        return Err(Failure::usage("standard input cannot be indexed", "name a file, to which questions come back"));
    }
    let (interrupt, begun) = (Interrupt::install(), Instant::now());
    let options = plan_options(&args.media)?;
    let limits = media_limits(&args.media, common);
    let mut bars = Bars::new(common);
    let loaded = model::load(&args.model, &mut bars)?;
    if is_published(&film) {
        let (file, frames) = import(&film, args.out.as_deref(), &options, &loaded, &mut bars)?;
        drop(bars);
        return report(
            &Encoded { model: &loaded.name, film: &film, file: &file, frames, resumed_from: 0 },
            begun,
            common,
        );
    }
    bars.spin(format!("opening {}", film.display()));
    let (name, processor) = (film.display().to_string(), loaded.model.processor());
    let source = open_file(&film, &limits)?;
    let mut metadata = source.metadata();
    if processor.uses_captions(&options)
        && let Some(found) = source.subtitles().map_err(|error| failure::media(&name, &error))?
    {
        bars.say(&format!("{} subtitles from {}", found.captions.len(), found.name));
        metadata.captions = found.captions;
    }
    let plan = processor.plan(&[], &[metadata], &options)?.swap_remove(0);
    check(&name, &plan, &loaded, &limits)?;
    bars.spin(format!("reading {name}"));
    let index = feature_index(&loaded, &limits, None)?;
    let key = index.key(&film, &plan, processor.as_ref())?;
    let place = match &args.out {
        Some(out) => out.clone(),
        None => index.places(&film).swap_remove(0),
    };
    let frames = plan.frames.len();
    let encoded = |file, resumed_from| Encoded { model: &loaded.name, film: &film, file, frames, resumed_from };
    if is_there(&place, &key, &film, args.overwrite)? {
        FeatureWriter::sweep(&place)?;
        drop(bars);
        return report(&encoded(&place, frames), begun, common);
    }
    let (writer, place) = writer(args, &index, &film, place, key)?;
    let job = IndexJob::new(&loaded.model, &name, &source, plan.clone(), writer)?;
    let resumed_from = job.progress().frames;
    encode(job, &plan, args.store, &loaded, &interrupt, &mut bars)?;
    drop(bars);
    report(&encoded(&place, resumed_from), begun, common)
}

/// A film and the file of its features.
struct Encoded<'a> {
    model: &'a str,
    film: &'a Path,
    file: &'a Path,
    frames: usize,
    resumed_from: usize,
}

fn report(encoded: &Encoded<'_>, begun: Instant, common: &Common) -> Result<(), Failure> {
    let Encoded { model, film, file, frames, resumed_from } = *encoded;
    let bytes = std::fs::metadata(file).map_err(|error| Failure::file(file, &error))?.len();
    let (film, file) = (film.display().to_string(), file.display().to_string());
    let (seconds, peak_memory_bytes) = (begun.elapsed().as_secs_f64(), process_memory::peak());
    tell(&Indexed { model, film, file, frames, resumed_from, bytes, seconds, peak_memory_bytes }, common)
}

/// Refuses what no question could be asked of.
fn check(name: &str, plan: &MediaPlan, loaded: &Loaded, limits: &Limits) -> Result<(), Failure> {
    if plan.kind == MediaKind::Image {
        return Err(Failure::usage(format!("{name} is a picture"), "an index is for films; ask about it at once"));
    }
    let spans = loaded.model.processor().visual_spans(plan, None);
    let tokens = spans.iter().map(|span| span.tokens).sum();
    Ok(check_limit("visual tokens", tokens, limits.visual_tokens)?)
}

/// Whether the features are there already; refuses to replace what may still be wanted.
fn is_there(place: &Path, key: &FeatureKey, film: &Path, overwrite: bool) -> Result<bool, Failure> {
    if !place.exists() {
        return Ok(false);
    }
    let stored = StoredFeatures::open(place).map_err(|error| {
        Failure::Error(error.to_string(), Some("it is not replaced; --out names another place".to_string()))
    })?;
    let of_film = stored.key().film.as_ref().is_some_and(|identity| identity.is_of(film).unwrap_or(false));
    match key.difference(stored.key()) {
        None if of_film => Ok(true),
        Some(what) if of_film && !overwrite => Err(Failure::Error(
            format!("{}: it has features {what}", place.display()),
            Some("--out names another place, --overwrite replaces them".to_string()),
        )),
        // Features of bytes that the film no longer has are of no use.
        _ => Ok(false),
    }
}

/// A writer beside the film, or in the cache where that cannot be written to.
fn writer(
    args: &IndexArgs,
    index: &FeatureIndex,
    film: &Path,
    place: PathBuf,
    key: FeatureKey,
) -> Result<(FeatureWriter, PathBuf), Failure> {
    let store = match args.store {
        StoredDtype::Auto => None,
        StoredDtype::F16 => Some(DType::F16),
        StoredDtype::Bf16 => Some(DType::BF16),
    };
    match FeatureWriter::open(&place, key.clone(), store) {
        Err(error @ ModelError::Output { .. }) if args.out.is_none() => {
            let Some(cached) = index.places(film).into_iter().nth(1) else { return Err(error.into()) };
            if let Some(folder) = cached.parent() {
                std::fs::create_dir_all(folder).map_err(|error| Failure::file(folder, &error))?;
            }
            Ok((FeatureWriter::open(&cached, key, store)?, cached))
        }
        opened => Ok((opened?, place)),
    }
}

/// Runs the job to its end, with an estimate after its first run of frames.
fn encode(
    mut job: IndexJob,
    plan: &MediaPlan,
    store: StoredDtype,
    loaded: &Loaded,
    interrupt: &Interrupt,
    bars: &mut Bars,
) -> Result<(), Failure> {
    let (total, first) = (plan.frames.len(), job.progress());
    let width = loaded.model.processor().info().feature_width;
    let value = if store == StoredDtype::Auto { size_of::<f32>() } else { 2 };
    let bytes = plan.patches() as u64 * (width * value) as u64;
    let patches = plan.patches_per_frame();
    bars.say(&format!("{total} frames of {patches} patches, {width} values each: up to about {}", size(bytes)));
    if first.frames > 0 {
        bars.say(&format!("{} frames are there and are not encoded again", first.frames));
    }
    let (begun, mut estimated) = (Instant::now(), false);
    let flag = interrupt.flag();
    interrupt.while_busy(|| {
        let mut progress = first;
        while !progress.done {
            if flag.is_cancelled() {
                job.stop()?;
                bars.clear();
                output::note(&format!("{} of {total} frames are stored; the same command goes on", progress.frames));
                return Err(Failure::Interrupted);
            }
            progress = job.advance()?;
            let done = progress.frames - first.frames;
            if !estimated && !progress.done && done > 0 {
                estimated = true;
                let left = begun.elapsed().mul_f64((total - progress.frames) as f64 / done as f64);
                let bytes = progress.bytes as f64 / progress.frames as f64 * total as f64;
                bars.say(&format!("about {} and {}, judging by {done} frames", time(left), size(bytes as u64)));
            }
            bars.count("index", "frames", progress.frames, total);
        }
        Ok(job.finish()?)
    })
}

fn tell(indexed: &Indexed<'_>, common: &Common) -> Result<(), Failure> {
    if common.json {
        return output::json(indexed);
    }
    let Indexed { file, frames, bytes, .. } = indexed;
    Ok(output::text(&format!("{file}: features of {frames} frames, {}\n", size(*bytes)))?)
}

/// "2 h 5 min", "3 min", "40 s".
fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64().ceil() as u64;
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => format!("{seconds} s"),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_words() {
        let words = [0.2, 61.0, 7500.0].map(|seconds| time(Duration::from_secs_f64(seconds)));
        assert_eq!(words, ["1 s", "1 min", "2 h 5 min"]);
    }
}
