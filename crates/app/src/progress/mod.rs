//! Progress bars on standard error: frames decoded and encoded, prompt read. Gone when the answer begins.

mod heartbeat;

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use zoetrope_engine::Event;

use crate::cli::Common;
use crate::paths;
use crate::terminal::{columns, fitted, note, one_line, visible};
use heartbeat::Heartbeat;

/// The bars of one request.
pub(crate) struct Bars {
    all: MultiProgress,
    decode: Option<ProgressBar>,
    encode: Option<ProgressBar>,
    read: Option<ProgressBar>,
    work: Option<ProgressBar>,
    /// Lines in the place of bars, where standard error is no terminal.
    lines: Option<DownloadLines>,
    /// A line now and then, where standard error is no terminal.
    heartbeat: Option<Heartbeat>,
}

impl Bars {
    /// Bars on a terminal; hidden elsewhere, and when asked to be quiet.
    pub(crate) fn new(common: &Common) -> Self {
        let all = MultiProgress::new();
        let is_terminal = std::io::stderr().is_terminal();
        if common.quiet || !is_terminal {
            all.set_draw_target(ProgressDrawTarget::hidden());
        }
        let lines = (!common.quiet && !is_terminal).then(DownloadLines::default);
        let heartbeat = if common.quiet || is_terminal { None } else { Heartbeat::start() };
        Bars { all, decode: None, encode: None, read: None, work: None, lines, heartbeat }
    }

    /// A spinner for work of unknown length; the next call or event ends it.
    pub(crate) fn spin(&mut self, message: String) {
        self.stop_spinning();
        let message = visible(&message).replace('\n', " ");
        self.tell(|| message.clone());
        let spinner = self.all.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}") {
            spinner.set_style(style);
        }
        spinner.set_message(message);
        spinner.enable_steady_tick(Duration::from_millis(100));
        self.work = Some(spinner);
    }

    /// Follows an event of the engine.
    pub(crate) fn event(&mut self, event: &Event) {
        match *event {
            Event::Planned(_) => self.stop_spinning(),
            Event::Subtitles { ref name, cues } => {
                self.stop_spinning();
                self.say(&format!("{cues} subtitles from {}", one_line(name)));
            }
            Event::Stored { ref file, .. } => {
                self.stop_spinning();
                let is_indexed = paths::is_index(file);
                let place = if is_indexed { one_line(&file.display().to_string()) } else { "the cache".into() };
                self.say(&format!("features from {place}"));
            }
            Event::Decoding { done, total } => {
                step(&self.all, &mut self.decode, "decode", "frames", done, total);
                // A large picture takes minutes until it is the first that is encoded.
                if self.encode.is_none() {
                    self.tell(|| format!("encode 0/{total} frames"));
                    step(&self.all, &mut self.encode, "encode", "frames", 0, total);
                }
            }
            Event::Encoding { done, total } => {
                self.tell(|| format!("encode {done}/{total} frames"));
                step(&self.all, &mut self.encode, "encode", "frames", done, total);
            }
            Event::Prefill { done, total } => {
                self.stop_spinning();
                self.tell(|| format!("read {done}/{total} tokens"));
                step(&self.all, &mut self.read, "read", "tokens", done, total);
            }
            Event::Token(_) | Event::Text(_) => self.clear(),
            _ => {}
        }
    }

    /// Shows how far work of another kind is.
    pub(crate) fn count(&mut self, name: &'static str, unit: &str, done: usize, total: usize) {
        self.stop_spinning();
        self.tell(|| format!("{name} {done}/{total} {unit}"));
        step(&self.all, &mut self.read, name, unit, done, total);
    }

    /// Shows how much of a download is there; `file` is the one at work.
    pub(crate) fn bytes(&mut self, file: &str, done: u64, total: u64) {
        self.stop_spinning();
        if let Some(line) = self.lines.as_mut().and_then(|lines| lines.line(Instant::now(), file, done, total)) {
            note(&line);
        }
        if let Some(heartbeat) = &self.heartbeat {
            heartbeat.set(None);
        }
        let bar = self.read.get_or_insert_with(|| {
            let bar = self.all.add(ProgressBar::new(total));
            // The name takes what is left of the line, and is cut there.
            let width = bar_width(56);
            let template = format!("{{bar:{width}}} {{bytes}}/{{total_bytes}} {{bytes_per_sec}} {{wide_msg}}");
            if let Ok(style) = ProgressStyle::with_template(&template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar
        });
        bar.set_length(total);
        bar.set_position(done);
        bar.set_message(visible(file).into_owned());
    }

    /// Says what is at work to whoever reads lines.
    fn tell(&self, words: impl FnOnce() -> String) {
        if let Some(heartbeat) = &self.heartbeat {
            heartbeat.set(Some(words()));
        }
    }

    /// Writes a line, above the bars where there are some.
    pub(crate) fn say(&self, line: &str) {
        if self.lines.is_some() {
            note(line);
        } else {
            // Hidden ones write nothing.
            let _ = self.all.println(visible(&fitted(line)));
        }
    }

    /// Takes everything off the screen.
    pub(crate) fn clear(&mut self) {
        self.stop_spinning();
        if let Some(heartbeat) = &self.heartbeat {
            heartbeat.set(None);
        }
        for bar in [&mut self.decode, &mut self.encode, &mut self.read] {
            if let Some(bar) = bar.take() {
                bar.finish_and_clear();
            }
        }
    }

    fn stop_spinning(&mut self) {
        if let Some(spinner) = self.work.take() {
            spinner.finish_and_clear();
        }
    }
}

/// How far a download is, a line now and then.
#[derive(Default)]
struct DownloadLines {
    last: Option<Instant>,
    /// Tenths that have been told.
    tenths: u64,
}

impl DownloadLines {
    /// The line that is due: the first and the last, and between them one for every tenth, a second apart at least and
    /// ten seconds at most.
    fn line(&mut self, now: Instant, file: &str, done: u64, total: u64) -> Option<String> {
        let tenths = done.saturating_mul(10).checked_div(total).unwrap_or(10);
        let passed = self.last.map(|last| now.saturating_duration_since(last));
        let due = match passed {
            None => true,
            Some(_) if done == total => self.tenths < 10,
            Some(passed) => {
                passed >= Duration::from_secs(10) || tenths > self.tenths && passed >= Duration::from_secs(1)
            }
        };
        if !due {
            return None;
        }
        (self.last, self.tenths) = (Some(now), tenths);
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        let percent = done.saturating_mul(100).checked_div(total).unwrap_or(100);
        let (done, total) = (megabytes(done), megabytes(total));
        Some(format!("fetching {file}: {done:.1} of {total:.1} MB ({percent} %)"))
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Columns of a bar that leave `beside` of them for what stands beside it.
fn bar_width(beside: usize) -> usize {
    const MOST: usize = 32;
    columns().map_or(MOST, |columns| columns.saturating_sub(beside).clamp(4, MOST))
}

fn step(all: &MultiProgress, bar: &mut Option<ProgressBar>, name: &'static str, unit: &str, done: usize, total: usize) {
    let bar = bar.get_or_insert_with(|| {
        let bar = all.add(ProgressBar::new(total as u64));
        let template = format!("{{prefix:>6}} {{bar:{}}} {{pos}}/{{len}} {unit} {{elapsed}}", bar_width(32));
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(name);
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    });
    bar.set_length(total as u64);
    bar.set_position(done as u64);
    if done >= total {
        bar.abandon();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_download_is_told_in_lines() {
        let mut lines = DownloadLines::default();
        let begin = Instant::now();
        let told = (0..=1000).filter_map(|step| {
            let now = begin + Duration::from_millis(200 * step);
            lines.line(now, "model.safetensors", step * 1_000_000, 1_000_000_000)
        });
        let told: Vec<String> = told.collect();
        assert!((10..=22).contains(&told.len()), "{told:#?}");
        assert_eq!(told[0], "fetching model.safetensors: 0.0 of 1000.0 MB (0 %)");
        assert_eq!(told[told.len() - 1], "fetching model.safetensors: 1000.0 of 1000.0 MB (100 %)");
        assert_eq!(lines.line(begin, "x", 10, 10), None, "the end is told once");
    }
}
