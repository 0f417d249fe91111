//! `zoetrope synth`: the held-out synthetic set as files: PNG frames, questions and answers.

use std::io::Write;

use serde::Serialize;
use zoetrope_lab::eval::held_out_set;
use zoetrope_system::files::write_whole;

use super::frames::{folder, png, tell_older};
use crate::cli::{Common, SynthArgs};
use crate::failure::Failure;
use crate::output;

/// One entry of `questions.json`.
#[derive(Serialize)]
struct WrittenItem {
    /// Names of the frame files in order, or of the only one of a picture.
    frames: Vec<String>,
    /// Presentation times of the frames in seconds.
    times: Vec<f64>,
    kind: &'static str,
    question: String,
    answer: String,
}

/// Renders the set, writes the files and `questions.json`.
pub(crate) fn run(args: &SynthArgs, common: &Common) -> Result<(), Failure> {
    folder(&args.out)?;
    let mut written = Vec::with_capacity(args.items);
    for item in held_out_set(args.seed, args.items) {
        let mut frames = Vec::new();
        for index in 0..item.scene.frames() {
            let file = format!("{:05}-{index:04}.png", item.id);
            png(&args.out.join(&file), &item.scene.frame(index).image)?;
            frames.push(file);
        }
        written.push(WrittenItem {
            frames,
            times: item.scene.times().iter().map(|time| time.seconds()).collect(),
            kind: item.question.kind.name(),
            question: item.question.text,
            answer: item.question.answer,
        });
    }
    let list = args.out.join("questions.json");
    let text = serde_json::to_string_pretty(&written).map_err(|error| Failure::new(format!("JSON: {error}")))?;
    write_whole(&list, |out| out.write_all((text + "\n").as_bytes())).map_err(|error| Failure::file(&list, &error))?;
    tell_older(&args.out, written.iter().flat_map(|item| &item.frames).map(String::as_str), common);
    if common.json {
        return output::json(&written);
    }
    Ok(output::text(&format!("{} questions in {}\n", written.len(), args.out.display()))?)
}
