//! From the command line's options to the engine's.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;

use serde_json::Value;
use zoetrope_engine::{Constraint, GrammarCompiler, Limits, Options, Sampling};
use zoetrope_media::subtitle::SubtitleChoice;
use zoetrope_media::{Alpha, HighDynamicRange, SampleAspect};
use zoetrope_models::contract::media_plan::PlanOptions;
use zoetrope_models::contract::settings::Settings;
use zoetrope_models::error::ModelError;

use crate::cli::{AnswerArgs, Background, Common, MediaArgs};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::model::Loaded;
use crate::paths;

/// Longest file of a JSON schema that is read; the engine takes fewer bytes.
const MAX_SCHEMA_BYTES: u64 = 1 << 20;

/// What the media options say.
pub(super) fn plan_options(args: &MediaArgs) -> Result<PlanOptions, Failure> {
    if let (Some(start), Some(end)) = (args.start, args.end)
        && start >= end
    {
        return Err(Failure::usage(
            format!("--start {start} is not before --end {end}"),
            "both are seconds of the clip",
        ));
    }
    Ok(PlanOptions {
        fps: args.fps,
        max_frames: args.max_frames,
        max_visual_tokens: args.max_visual_tokens,
        start: args.start,
        end: args.end,
        settings: settings(args)?,
    })
}

/// The settings of the model's family.
fn settings(args: &MediaArgs) -> Result<Settings, Failure> {
    let mut settings = Settings::default();
    for text in &args.set {
        let usage = |error: ModelError| Failure::usage(error.to_string(), "for example --set merge=2");
        settings.parse(text).map_err(usage)?;
    }
    if let Some(merge) = args.image_merge {
        settings.set("merge", merge);
    }
    if args.no_prune {
        settings.set("prune", false);
    }
    Ok(settings)
}

/// What the answer options say. Sampling is greedy unless the user asks for chance.
pub(super) fn sampling(args: &AnswerArgs) -> Sampling {
    let top_k = args.top_k.filter(|&k| k > 0);
    let asks_for_chance = args.top_p.is_some() || top_k.is_some();
    Sampling {
        temperature: args.temperature.unwrap_or(if asks_for_chance { 1.0 } else { 0.0 }),
        top_k,
        top_p: args.top_p,
        repetition_penalty: args.repetition_penalty,
        seed: args.seed,
        ..Sampling::default()
    }
}

/// What the answer must look like, where that is said.
pub(super) fn constraint(args: &AnswerArgs) -> Result<Option<Constraint>, Failure> {
    let schema = args.json_schema.as_deref().map(json_schema).transpose()?.map(Constraint::JsonSchema);
    let regex = args.regex.clone().map(Constraint::Regex);
    let choice = (!args.choice.is_empty()).then(|| Constraint::Choice(args.choice.clone()));
    Ok(schema.or(regex).or(choice))
}

/// A schema that is given as it is, or in a file.
fn json_schema(word: &OsStr) -> Result<Value, Failure> {
    let hint =
        "for example --json-schema '{\"type\": \"object\", \"properties\": {\"color\": {\"type\": \"string\"}}}'";
    if let Some(text) = word.to_str().filter(|text| text.trim_start().starts_with('{')) {
        let usage = |error: serde_json::Error| Failure::usage(format!("--json-schema: {error}"), hint);
        return serde_json::from_str(text).map_err(usage);
    }
    let path = paths::of_word(word);
    let mut text = Vec::new();
    let file = File::open(&path).map_err(|error| Failure::file(&path, &error))?;
    file.take(MAX_SCHEMA_BYTES).read_to_end(&mut text).map_err(|error| Failure::file(&path, &error))?;
    serde_json::from_slice(&text).map_err(|error| Failure::new(format!("{}: {error}", path.display())))
}

/// Makes the answer follow a constraint.
pub(super) fn follow(options: &mut Options, constraint: Option<&Constraint>, model: &Loaded) -> Result<(), Failure> {
    if let Some(constraint) = constraint {
        let compiler = GrammarCompiler::new(model.model.processor().as_ref());
        options.sampling.grammar = Some(compiler.compile(constraint)?);
    }
    Ok(())
}

/// Engine options of a question.
pub(super) fn options(media: &MediaArgs, answer: &AnswerArgs, interrupt: &Interrupt) -> Result<Options, Failure> {
    Ok(Options {
        plan: plan_options(media)?,
        sampling: sampling(answer),
        max_new_tokens: answer.max_new_tokens,
        stop_texts: answer.stop.clone(),
        cancel: interrupt.flag(),
        ..Options::default()
    })
}

/// The limits, and how the user wants files to be read.
pub(super) fn media_limits(media: &MediaArgs, common: &Common) -> Limits {
    let mut limits = limits(common);
    limits.files.track = media.track;
    limits.files.frame_rate = media.frame_rate;
    limits.files.subtitles = subtitles(media.subtitles.as_deref());
    limits.media = media.max_media.unwrap_or(limits.media);
    limits.files.alpha = match media.background {
        Background::White => Alpha::Over([255; 3]),
        Background::Black => Alpha::Over([0; 3]),
        Background::Stored => Alpha::Drop,
    };
    if media.square_pixels {
        limits.files.sample_aspect = SampleAspect::Square;
    }
    if media.no_tone_map {
        limits.files.high_dynamic_range = HighDynamicRange::Signal;
    }
    limits
}

/// What `--subtitles` says. A file whose name is one of the words is named with its folder (`./none`).
fn subtitles(word: Option<&OsStr>) -> SubtitleChoice {
    let Some(word) = word else { return SubtitleChoice::Auto };
    let text = word.to_str().unwrap_or_default();
    let track = text.strip_prefix("track:").and_then(|number| number.parse().ok());
    match (text, track) {
        ("none", _) => SubtitleChoice::None,
        (_, Some(number)) => SubtitleChoice::Track(number),
        _ => SubtitleChoice::File(paths::of_word(word)),
    }
}

/// The default limits with the user's number of threads.
pub(super) fn limits(common: &Common) -> Limits {
    let mut limits = Limits::default();
    if let Some(threads) = common.threads {
        limits.files.threads = threads;
    }
    limits
}
