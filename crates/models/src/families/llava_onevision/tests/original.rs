//! The authors' layout against the authors' code.

use super::*;
use crate::contract::prompt::VisualSpan;

/// Largest distance of the projected rows of transformers' model from an f64 run: the encoder and projector that the
/// authors' code was run over are transformers'.
fn noise() -> f64 {
    let goldens = json("goldens.json");
    let of = |case: &str| goldens["cases"][case]["f32_noise"]["inputs_embeds"].as_f64().unwrap();
    ["scaled", "tall", "images", "video"].map(of).into_iter().fold(0.0, f64::max)
}

#[test]
fn pixels_and_visual_tokens_of_pictures_match_the_authors_code() {
    let ((_folder, model), want, raw) = (toy_original(), tensors("original"), tensors("inputs"));
    for name in ["wide", "tall", "small", "square"] {
        for (mode, tiles) in [("anyres_max_2", "anyres"), ("pad", "pad")] {
            let (what, frames) = (format!("{name}.{mode}"), frames_of(&raw[name]));
            let settings = Settings::default().with("tiles", tiles);
            let seen = see(&model, plan_of(&model, &frames, MediaKind::Image, settings), &frames);
            let pixels = &want[&format!("{what}.pixels")];
            let pixels = if pixels.rank() == 3 { pixels.unsqueeze(0).unwrap() } else { pixels.clone() };
            assert_eq!(levels(&seen.patches.pixels), patches_of_levels(&pixels, &model.config.vision), "{what}");
            within(&what, &seen.tokens, &want[&format!("{what}.tokens")], 4.0 * noise());
        }
    }
}

#[test]
fn videos_match_the_authors_code_with_newlines_in_every_place() {
    let (want, raw) = (tensors("original"), tensors("inputs"));
    let frames = frames_of(&raw["clip"]);
    for newline in ["one_token", "grid", "frame", "no_token"] {
        let folder = folder("original-layout", &names::tables()[0]);
        let file = folder.path().join("config.json");
        let text = std::fs::read_to_string(&file).unwrap().replace("one_token", newline);
        std::fs::write(&file, text).unwrap();
        let model = open(&Checkpoint::from(folder.path())).unwrap();
        let plan = plan_of(&model, &frames, MediaKind::Video, Settings::default());
        assert_eq!(plan.frames.len(), frames.len());
        let seen = see(&model, plan, &frames);
        assert_eq!(
            levels(&seen.patches.pixels),
            patches_of_levels(&want["clip.pixels"], &model.config.vision),
            "{newline}"
        );
        within(newline, &seen.tokens, &want[&format!("clip.{newline}.tokens")], 4.0 * noise());
        let counted: usize = model.processor.visual_spans(&seen.plan, None).iter().map(|span| span.tokens).sum();
        assert_eq!(counted, seen.tokens.dim(0).unwrap(), "{newline}");
    }
}

/// A list of parts for a text with `<image>` tags, as callers give them: a tag has its newline with it.
fn parts(text: &str, media: &mut usize) -> Vec<MessagePart> {
    let mut parts = Vec::new();
    for (number, piece) in text.split("<image>\n").enumerate() {
        if number > 0 {
            parts.push(MessagePart::Media(*media));
            *media += 1;
        }
        if !piece.is_empty() {
            parts.push(MessagePart::Text(piece.to_string()));
        }
    }
    parts
}

#[test]
fn prompts_match_the_qwen_1_5_template() {
    let (_folder, model) = toy_original();
    for row in json("original.json")["prompts"].as_array().unwrap() {
        let (mut messages, mut media) = (Vec::new(), 0);
        if let Some(system) = row["system"].as_str() {
            messages.push(Message::text(Role::System, system));
        }
        for turn in row["turns"].as_array().unwrap() {
            messages.push(Message { role: Role::User, parts: parts(turn[0].as_str().unwrap(), &mut media) });
            messages.extend(turn[1].as_str().map(|reply| Message::text(Role::Assistant, reply)));
        }
        let known = vec![MediaMetadata::picture((40, 30)); media];
        let plans = model.processor.plan(&[], &known, &PlanOptions::default()).unwrap();
        let spans = vec![vec![VisualSpan { frames: 0..1, tokens: 1 }]; media];
        let finished = messages.last().unwrap().role == Role::Assistant;
        let end = if finished { GenerationPrompt::None } else { GenerationPrompt::Reply("") };
        let prompt = model.processor.prompt(&messages, &plans, &spans, end).unwrap();
        let id = |token: &PromptToken| if let PromptToken::Text(id) = token { i64::from(*id) } else { -200 };
        let ids: Vec<i64> = prompt.tokens.iter().map(id).collect();
        let want: Vec<i64> = row["ids"].as_array().unwrap().iter().map(|id| id.as_i64().unwrap()).collect();
        assert_eq!(ids, want, "{}", row["text"]);
        // Replies and their ends are learned.
        let learned: Vec<u32> = prompt.targets.iter().map(|target| ids[*target] as u32).collect();
        let text = model.processor.tokenizer().decode(&learned, false).unwrap();
        let replies = row["turns"].as_array().unwrap().iter().filter_map(|turn| turn[1].as_str());
        assert_eq!(text, replies.map(|reply| format!("{reply}<|im_end|>")).collect::<String>());
    }
}

#[test]
fn system_texts_of_the_caller_take_the_place_of_the_templates() {
    let (_folder, model) = toy_original();
    let text = |messages: &[Message]| {
        let prompt = model.processor.prompt(messages, &[], &[], GenerationPrompt::Reply("So")).unwrap();
        let id = |token: &PromptToken| if let PromptToken::Text(id) = token { Some(*id) } else { None };
        let ids: Vec<u32> = prompt.tokens.iter().filter_map(id).collect();
        model.processor.tokenizer().decode(&ids, false).unwrap()
    };
    let user = Message::text(Role::User, "Hi.");
    let ending = "<|im_start|>user\nHi.<|im_end|>\n<|im_start|>assistant\nSo";
    let begin = |system: &str| format!("<|im_start|>system\n{system}<|im_end|>\n{ending}");
    assert_eq!(text(std::slice::from_ref(&user)), begin("You are a helpful assistant."));
    assert_eq!(text(&[Message::text(Role::System, "Be brief."), user]), begin("Be brief."));
}
