//! `zoetrope draw`: the held-out drawn set as files: PNG frames, questions and answers.

use serde::Serialize;
use zoetrope_lab::eval::drawn_set;

use super::frames::png;
use crate::cli::{Common, DrawArgs};
use crate::failure::Failure;
use crate::output;

/// One drawn question.
#[derive(Serialize)]
struct Drawn {
    /// Frame files in order, or the only one of a picture.
    frames: Vec<String>,
    /// Seconds of the frames.
    times: Vec<f64>,
    kind: &'static str,
    question: String,
    answer: String,
}

/// Draws, writes the files and `questions.json`.
pub(crate) fn run(args: &DrawArgs, common: &Common) -> Result<(), Failure> {
    std::fs::create_dir_all(&args.out).map_err(|error| Failure::file(&args.out, &error))?;
    let mut drawn = Vec::with_capacity(args.items);
    for item in drawn_set(args.seed, args.items) {
        let mut frames = Vec::new();
        for index in 0..item.scene.frames() {
            let file = format!("{:05}-{index:04}.png", item.id);
            png(&args.out.join(&file), &item.scene.frame(index).image)?;
            frames.push(file);
        }
        drawn.push(Drawn {
            frames,
            times: item.scene.times().iter().map(|time| time.seconds()).collect(),
            kind: item.question.kind.name(),
            question: item.question.text,
            answer: item.question.answer,
        });
    }
    let list = args.out.join("questions.json");
    let text = serde_json::to_string_pretty(&drawn).map_err(|error| Failure::new(format!("JSON: {error}")))?;
    std::fs::write(&list, text + "\n").map_err(|error| Failure::file(&list, &error))?;
    if common.json {
        return output::json(&drawn);
    }
    Ok(output::text(&format!("{} questions in {}\n", drawn.len(), args.out.display()))?)
}
