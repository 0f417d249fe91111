//! Progress bars on standard error: frames decoded, frames encoded, prompt read. Gone when the answer begins.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use zoetrope_engine::Event;

use crate::cli::Common;
use crate::heartbeat::Heartbeat;
use crate::terminal::visible;

/// The bars of one request.
pub(crate) struct Bars {
    all: MultiProgress,
    decode: Option<ProgressBar>,
    encode: Option<ProgressBar>,
    read: Option<ProgressBar>,
    work: Option<ProgressBar>,
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
        let heartbeat = if common.quiet || is_terminal { None } else { Heartbeat::start() };
        Bars { all, decode: None, encode: None, read: None, work: None, heartbeat }
    }

    /// A spinner for work of unknown length; the next call or event ends it.
    pub(crate) fn spin(&mut self, message: String) {
        self.stop_spinning();
        let message = visible(&message).replace('\n', " ");
        self.tell(|| message.clone());
        let spinner = self.all.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
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
            Event::Decoding { done, total } => step(&self.all, &mut self.decode, "decode", "frames", done, total),
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
        let bar = self.read.get_or_insert_with(|| {
            let bar = self.all.add(ProgressBar::new(total));
            let template = "{bar:32} {bytes}/{total_bytes} {bytes_per_sec} {msg}";
            if let Ok(style) = ProgressStyle::with_template(template) {
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

impl Drop for Bars {
    fn drop(&mut self) {
        self.clear();
    }
}

fn step(all: &MultiProgress, bar: &mut Option<ProgressBar>, name: &'static str, unit: &str, done: usize, total: usize) {
    let bar = bar.get_or_insert_with(|| {
        let bar = all.add(ProgressBar::new(total as u64));
        let template = format!("{{prefix:>6}} {{bar:32}} {{pos}}/{{len}} {unit} {{elapsed}} {{msg}}");
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
