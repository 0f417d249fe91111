//! What a run says of itself: `metrics.jsonl` with a line for each step, event files for TensorBoard, and
//! `report.html`, one page that needs nothing else. The page is made from the lines alone, so it can be made again, of
//! several runs.

mod axis;
mod chart;
mod frames;
mod jsonl;
mod page;
mod record;
mod run_log;
mod smooth;
mod tensorboard;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use zoetrope_media::Rgb;
use zoetrope_system::files::write_whole;

use crate::error::LabError;
use crate::eval::normalize_answer;
use frames::FrameFolder;
use jsonl::JsonLines;
pub use record::{EvalMetrics, RunRecord, StepMetrics};
use record::{ExampleRecord, Record};
use run_log::RunLog;
use tensorboard::EventFile;

/// Names inside the folder of a run.
const EVENTS: &str = "tensorboard";
const PAGE: &str = "report.html";

/// The metrics of a run that is going on.
pub struct Metrics {
    folder: PathBuf,
    lines: JsonLines,
    events: EventFile,
    frames: FrameFolder,
}

/// An answer that the model gave to a held-out question, with the frames that it saw.
#[derive(Clone, Copy, Debug)]
pub struct Example<'a> {
    /// Finished steps.
    pub step: u64,
    /// The question. Examples of the same question about the same frames are shown together.
    pub question: &'a str,
    /// The right answer, where there is one.
    pub expected: Option<&'a str>,
    /// What the model said.
    pub answer: &'a str,
    /// The frames in their order, each with its time in the clip in seconds (none of a picture).
    pub frames: &'a [(&'a Rgb, Option<f64>)],
}

impl Metrics {
    /// Opens the metrics of the run in `folder`, which exists, after `step` finished steps: what was written of later
    /// steps is cut, because they are done again. `run` is what the report says of the recipe.
    ///
    /// # Errors
    /// [`LabError::File`] when a file cannot be written, and with its line when one that is there is damaged.
    pub fn open(folder: &Path, step: u64, run: &RunRecord) -> Result<Self, LabError> {
        let lines = JsonLines::open(&folder.join(jsonl::FILE), step, run)?;
        let mut events = EventFile::create(&folder.join(EVENTS), step)?;
        if step == 0 {
            events.text(0, "recipe", &fenced(&run.recipe))?;
        }
        let frames = FrameFolder::new(folder.join(frames::FOLDER));
        Ok(Metrics { folder: folder.to_path_buf(), lines, events, frames })
    }

    /// Writes one step.
    ///
    /// # Errors
    /// [`LabError::File`] when the disk is full or a file is gone.
    pub fn step(&mut self, step: &StepMetrics) -> Result<(), LabError> {
        self.lines.write(&Record::Step(step.clone()))?;
        let mut values = vec![("loss/all".to_string(), step.loss)];
        let mut named = |of: &str, named: &BTreeMap<String, f64>| {
            values.extend(named.iter().map(|(name, value)| (format!("{of}/{name}"), *value)));
        };
        named("loss", &step.loss_by_kind);
        named("learning_rate", &step.lr);
        named("gradient_norm", &step.gradient_norm_by_group);
        named("rewards", &step.rewards);
        values.push(("gradient_norm/all".to_string(), step.gradient_norm));
        let counted = |value: f64| value > 0.0;
        let of_run = [
            ("run/tokens_per_second", step.tokens_per_second),
            ("run/seconds_per_step", step.seconds),
            ("run/seconds_waited_per_step", step.waited),
            ("run/memory_gb", step.memory as f64 / 1e9),
        ];
        values.extend(of_run.into_iter().filter(|(_, value)| counted(*value)).map(|(tag, v)| (tag.to_string(), v)));
        self.events.scalars(step.step, &values)
    }

    /// Writes a measurement on held-out data.
    ///
    /// # Errors
    /// As [`Metrics::step`].
    pub fn eval(&mut self, eval: &EvalMetrics) -> Result<(), LabError> {
        self.lines.write(&Record::Eval(eval.clone()))?;
        let tag = |(name, value): (&String, &f64)| (format!("{}/{name}", eval.set), *value);
        let values: Vec<_> = eval.scores.iter().map(tag).collect();
        self.events.scalars(eval.step, &values)
    }

    /// Writes an answer, and the frames that were seen as small JPEG files (once, however often they are seen).
    ///
    /// # Errors
    /// As [`Metrics::step`].
    pub fn example(&mut self, example: &Example) -> Result<(), LabError> {
        let Example { step, question, expected, answer, frames } = *example;
        let frames = frames.iter().map(|(image, time)| self.frames.keep(image, *time)).collect::<Result<_, _>>()?;
        let same = |expected: &str| normalize_answer(expected) == normalize_answer(answer);
        let record = ExampleRecord {
            step,
            question: question.to_string(),
            expected: expected.map(str::to_string),
            answer: answer.to_string(),
            correct: expected.map(same),
            frames,
        };
        self.lines.write(&Record::Example(record))?;
        let right = expected.map_or(String::new(), |expected| format!("\n\nexpected: {expected}"));
        self.events.text(step, "examples", &format!("**{question}**\n\n{answer}{right}"))
    }

    /// Brings the lines to disk: before a checkpoint of the same step, so that none is missing after a power failure.
    ///
    /// # Errors
    /// As [`Metrics::step`].
    pub fn sync(&self) -> Result<(), LabError> {
        self.lines.sync()
    }

    /// Writes `report.html` of what there is so far; gives its path.
    ///
    /// # Errors
    /// As [`Metrics::step`].
    pub fn report(&self) -> Result<PathBuf, LabError> {
        self.sync()?;
        let page = self.folder.join(PAGE);
        write_report(&[&self.folder], &page)?;
        Ok(page)
    }
}

/// Writes the page of the runs in `folders` to `page`: one run in detail, several compared.
///
/// # Errors
/// [`LabError::File`] when a folder has no metrics, when they are damaged, and when the page cannot be written.
pub fn write_report(folders: &[&Path], page: &Path) -> Result<(), LabError> {
    let runs = folders.iter().map(|folder| RunLog::read(folder)).collect::<Result<Vec<_>, _>>()?;
    let text = page::html(&run_log::with_distinct_names(runs));
    let failed = |error: std::io::Error| LabError::File { file: page.to_path_buf(), what: error.to_string() };
    write_whole(page, |out| out.write_all(text.as_bytes())).map_err(failed)
}

/// Where the page of one run lies.
pub fn default_page(folder: &Path) -> PathBuf {
    folder.join(PAGE)
}

/// Text as a block of code in Markdown.
fn fenced(text: &str) -> String {
    format!("```\n{text}\n```")
}
