//! Which frames of a film: options wherever clients of vLLM, SGLang, DashScope, Qwen and LMDeploy put them, and ours.

use serde_json::{Map, Value};
use zoetrope_models::contract::media_plan::PlanOptions;
use zoetrope_models::contract::settings::Settings;

use crate::error::ApiError;

/// Largest rate that is taken.
const MOST_FPS: f64 = 1000.0;

/// What was asked of the sampling of one film, or of all of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct MediaOptions {
    pub(crate) fps: Option<f64>,
    /// So many frames, spread evenly.
    pub(crate) frames: Option<usize>,
    pub(crate) max_frames: Option<usize>,
    pub(crate) max_visual_tokens: Option<usize>,
    pub(crate) start: Option<f64>,
    pub(crate) end: Option<f64>,
    /// Of a list of frames: which frames of the film they are, and at which rate it was.
    pub(crate) frame_numbers: Option<Vec<u64>>,
    /// Settings of the model's family.
    pub(crate) settings: Settings,
}

/// Names that mean the same.
const FPS: &[&str] = &["fps", "video_fps"];
const FRAMES: &[&str] = &["num_frames", "nframes"];
const MAX_FRAMES: &[&str] = &["max_frames"];
const START: &[&str] = &["start", "video_start"];
const END: &[&str] = &["end", "video_end"];

impl MediaOptions {
    /// The options of a whole request: at its top, in `media_io_kwargs`, `mm_processor_kwargs`, and `zoetrope`.
    ///
    /// # Errors
    /// For a value that is no number, or out of its range, by its path.
    pub(crate) fn of_request(body: &Map<String, Value>) -> Result<Self, ApiError> {
        let mut options = MediaOptions::default();
        for name in ["media_io_kwargs", "mm_processor_kwargs", "video_kwargs"] {
            let Some(object) = object(body, name, "")? else { continue };
            options.read(object, name)?;
            if let Some(video) = self::object(object, "video", name)? {
                options.read(video, &format!("{name}.video"))?;
            }
        }
        options.read(body, "")?;
        if let Some(settings) = object(body, "settings", "")? {
            for (name, value) in settings {
                if value.is_object() || value.is_array() || value.is_null() {
                    return Err(ApiError::invalid("settings", "a setting is a number, a word, true or false"));
                }
                options.settings.set(name, value.clone());
            }
        }
        Ok(options)
    }

    /// Options beside and inside the body of a part.
    ///
    /// # Errors
    /// As [`MediaOptions::of_request`].
    pub(crate) fn of_part(
        part: &Map<String, Value>,
        body: Option<&Map<String, Value>>,
        at: &str,
    ) -> Result<Self, ApiError> {
        let mut options = MediaOptions::default();
        options.read(part, at)?;
        if let Some(body) = body {
            options.read(body, at)?;
        }
        Ok(options)
    }

    fn read(&mut self, from: &Map<String, Value>, at: &str) -> Result<(), ApiError> {
        let find = |names: &[&'static str]| {
            names.iter().find_map(|name| from.get(*name).filter(|value| !value.is_null()).map(|value| (*name, value)))
        };
        if let Some((name, value)) = find(FPS) {
            self.fps = rate(name, value, at)?;
        }
        if let Some((name, value)) = find(FRAMES) {
            self.frames = count(name, value, at)?;
        }
        if let Some((name, value)) = find(MAX_FRAMES) {
            self.max_frames = count(name, value, at)?;
        }
        if let Some((name, value)) = find(&["max_visual_tokens"]) {
            self.max_visual_tokens = count(name, value, at)?;
        }
        if let Some((name, value)) = find(START) {
            self.start = Some(seconds(name, value, at)?);
        }
        if let Some((name, value)) = find(END) {
            self.end = Some(seconds(name, value, at)?);
        }
        if let Some((name, value)) = find(&["frames_indices"]) {
            self.frame_numbers = Some(numbers(name, value, at)?);
        }
        Ok(())
    }

    /// Whether nothing was asked.
    pub(crate) fn is_empty(&self) -> bool {
        *self == MediaOptions::default()
    }

    /// These, and where they say nothing, what `others` say.
    #[must_use]
    pub(crate) fn or(self, others: &MediaOptions) -> Self {
        MediaOptions {
            fps: self.fps.or(others.fps),
            frames: self.frames.or(others.frames),
            max_frames: self.max_frames.or(others.max_frames),
            max_visual_tokens: self.max_visual_tokens.or(others.max_visual_tokens),
            start: self.start.or(others.start),
            end: self.end.or(others.end),
            frame_numbers: self.frame_numbers.or_else(|| others.frame_numbers.clone()),
            settings: if self.settings == Settings::default() { others.settings.clone() } else { self.settings },
        }
    }

    /// The options of a plan, for a film of `duration` seconds, of which at most `most` frames are looked at.
    pub(crate) fn plan(&self, duration: Option<f64>, most: usize) -> PlanOptions {
        let part = duration.map(|all| (self.end.unwrap_or(all).min(all) - self.start.unwrap_or(0.0)).max(0.0));
        let spread = |frames: usize| part.filter(|part| *part > 0.0).map(|part| frames as f64 / part);
        PlanOptions {
            fps: self.fps.or_else(|| self.frames.and_then(spread)),
            max_frames: self.max_frames.or(self.frames).map(|own| own.min(most)),
            max_visual_tokens: self.max_visual_tokens,
            start: self.start,
            end: self.end,
            settings: self.settings.clone(),
        }
    }
}

/// The object `name` of `from`.
fn object<'v>(from: &'v Map<String, Value>, name: &str, at: &str) -> Result<Option<&'v Map<String, Value>>, ApiError> {
    match from.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(ApiError::invalid(join(at, name), format!("{name} is not an object"))),
    }
}

/// The path of `name` below `at`.
pub(crate) fn join(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_string() } else { format!("{at}.{name}") }
}

/// Frames a second; -1 is what the model says.
fn rate(name: &str, value: &Value, at: &str) -> Result<Option<f64>, ApiError> {
    match value.as_f64() {
        Some(-1.0) => Ok(None),
        Some(rate) if rate > 1e-6 && rate <= MOST_FPS => Ok(Some(rate)),
        _ => Err(ApiError::invalid(join(at, name), format!("{name} is not a rate above 0 and at most {MOST_FPS}"))),
    }
}

/// A positive number; -1 is what the model says. What is more than can be counted is as many as there are.
fn count(name: &str, value: &Value, at: &str) -> Result<Option<usize>, ApiError> {
    match (value.as_i64(), value.as_u64()) {
        (Some(-1), _) => Ok(None),
        (_, Some(n)) if n > 0 => Ok(Some(usize::try_from(n).unwrap_or(usize::MAX))),
        _ => Err(ApiError::invalid(join(at, name), format!("{name} is not a positive number"))),
    }
}

fn seconds(name: &str, value: &Value, at: &str) -> Result<f64, ApiError> {
    match value.as_f64() {
        Some(seconds) if (0.0..1e9).contains(&seconds) => Ok(seconds),
        _ => Err(ApiError::invalid(join(at, name), format!("{name} is not a number of seconds from 0 on"))),
    }
}

fn numbers(name: &str, value: &Value, at: &str) -> Result<Vec<u64>, ApiError> {
    let all = value.as_array().and_then(|list| list.iter().map(Value::as_u64).collect::<Option<Vec<u64>>>());
    match all {
        Some(all) if all.is_sorted() => Ok(all),
        _ => Err(ApiError::invalid(join(at, name), format!("{name} is not an ascending list of frame numbers"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(body: Value) -> Result<MediaOptions, String> {
        let Value::Object(body) = body else { panic!("an object") };
        MediaOptions::of_request(&body)
            .map_err(|error| format!("{}: {}", error.param.unwrap_or_default(), error.message))
    }

    #[test]
    fn options_are_found_wherever_clients_put_them() {
        for body in [
            json!({"fps": 2, "max_frames": 4}),
            json!({"media_io_kwargs": {"video": {"fps": 2, "max_frames": 4}}}),
            json!({"mm_processor_kwargs": {"fps": 2.0}, "max_frames": 4}),
            json!({"mm_processor_kwargs": {"video": {"fps": 2.0, "max_frames": 4}}}),
            json!({"fps": 2, "max_frames": 4, "media_io_kwargs": {"video": {"fps": -1, "num_frames": -1}}}),
        ] {
            let want = MediaOptions { fps: Some(2.0), max_frames: Some(4), ..MediaOptions::default() };
            assert_eq!(of(body.clone()), Ok(want), "{body}");
        }
        assert_eq!(of(json!({"media_io_kwargs": {"video": {"num_frames": 32}}})).map(|o| o.frames), Ok(Some(32)));
    }

    #[test]
    fn odd_values_are_refused_by_their_path() {
        for (body, path) in [
            (json!({"fps": 0}), "fps"),
            (json!({"fps": 1e9}), "fps"),
            (json!({"media_io_kwargs": {"video": {"num_frames": 1.5}}}), "media_io_kwargs.video.num_frames"),
            (
                json!({"media_io_kwargs": {"video": {"frames_indices": [-1, 2]}}}),
                "media_io_kwargs.video.frames_indices",
            ),
            (json!({"mm_processor_kwargs": 7}), "mm_processor_kwargs"),
            (json!({"start": -1}), "start"),
            (json!({"max_visual_tokens": 0}), "max_visual_tokens"),
        ] {
            let told = of(body.clone()).expect_err("refused");
            assert!(told.starts_with(&format!("{path}: ")), "{body}: {told}");
        }
    }

    #[test]
    fn a_number_of_frames_is_spread_over_the_part_that_is_looked_at() {
        let options = of(json!({"num_frames": 8, "start": 2, "end": 6})).expect("options");
        let plan = options.plan(Some(100.0), 512);
        assert_eq!((plan.fps, plan.max_frames, plan.start, plan.end), (Some(2.0), Some(8), Some(2.0), Some(6.0)));
    }
}
