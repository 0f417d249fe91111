//! The binary, end to end: what it prints where, and how it fails. The model is the toy checkpoint of the `models`
//! crate.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const TOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/tests/golden/videollama3/toy-hf");
const NANO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/models/zoetrope-nano");

fn zoetrope(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zoetrope"));
    command.args(args).stdin(Stdio::null()).env_remove("RUST_LOG").env("HF_HUB_OFFLINE", "1");
    // Nothing is kept in the cache of the user.
    command.env("XDG_CACHE_HOME", "/dev/null/none");
    command
}

fn run(args: &[&str]) -> Output {
    zoetrope(args).output().expect("the binary starts")
}

fn with_input(args: &[&str], input: &str) -> Output {
    let mut child = zoetrope(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("the binary reads");
    child.wait_with_output().expect("the binary ends")
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// Runs and expects exit code `code`, nothing on standard output, and `error: ` followed by all of `words` on one line.
fn fails(args: &[&str], code: i32, words: &[&str]) -> String {
    let output = run(args);
    refused(&output, code, words)
}

fn refused(output: &Output, code: i32, words: &[&str]) -> String {
    let text = err(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert_eq!(out(output), "");
    let first = text.lines().next().unwrap_or_default();
    assert!(first.starts_with("error: "), "{text}");
    for word in words {
        assert!(first.contains(word), "{word:?} is not in {first:?}");
    }
    assert!(!text.contains("panicked") && !text.contains("backtrace"), "{text}");
    text
}

/// A folder with what the tests need.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        Desk(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("written");
        path
    }

    /// A picture with a gradient.
    fn picture(&self, name: &str, width: u32, height: u32) -> String {
        let path = self.path(name);
        let color = |x: u32, y: u32| image::Rgb([(x * 3) as u8, (y * 5) as u8, 99]);
        image::RgbImage::from_fn(width, height, color).save(&path).expect("written");
        path
    }

    /// An animated GIF of four frames, a quarter of a second each.
    fn clip(&self, name: &str) -> String {
        let path = self.path(name);
        let mut encoder = image::codecs::gif::GifEncoder::new(std::fs::File::create(&path).expect("created"));
        for n in 0..4u32 {
            let picture = image::RgbaImage::from_fn(80, 60, |x, y| {
                let inside = x / 20 == n && y > 20;
                image::Rgba(if inside { [250, 20, 20, 255] } else { [10, 10, 60, 255] })
            });
            let delay = image::Delay::from_numer_denom_ms(250, 1);
            encoder.encode_frame(image::Frame::from_parts(picture, 0, 0, delay)).expect("encoded");
        }
        path
    }

    /// A copy of the toy model.
    fn model(&self, name: &str) -> PathBuf {
        let folder = self.0.path().join(name);
        std::fs::create_dir_all(&folder).expect("made");
        for entry in std::fs::read_dir(TOY).expect("the toy model") {
            let entry = entry.expect("an entry");
            std::fs::copy(entry.path(), folder.join(entry.file_name())).expect("copied");
        }
        folder
    }
}

fn json(output: &Output) -> serde_json::Value {
    assert_eq!(output.status.code(), Some(0), "{}", err(output));
    serde_json::from_slice(&output.stdout).expect("exactly one JSON value on standard output")
}

fn number(value: &serde_json::Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is not a count"))
}

#[test]
fn help_names_every_command_and_the_default_sampling() {
    let help = out(&run(&["--help"]));
    for command in ["ask", "chat", "plan", "index", "frames", "info", "pull", "dump", "train", "eval", "synth"] {
        assert!(help.contains(&format!("  {command} ")), "{command}: {help}");
    }
    assert!(!help.contains("decode-child"), "internal commands are hidden");
    let help = out(&run(&["ask", "--help"]));
    assert!(help.contains("greedy") && help.contains("--kv-cache-dtype"), "{help}");
    assert!(out(&run(&["--version"])).starts_with("zoetrope "));
}

#[test]
fn mistakes_in_the_command_line_end_with_code_2() {
    let desk = Desk::new();
    let picture = desk.picture("a.png", 40, 30);
    let text = fails(&["ask", &picture], 2, &["the question is missing"]);
    assert!(text.contains("hint: "), "{text}");
    fails(&["ask", &picture, "what", "is it?"], 2, &["\"what\" is not a file"]);
    fails(&["ask", "hm?", "--start", "3", "--end", "2"], 2, &["--start 3 is not before --end 2"]);
    fails(&["plan", "--size", "640"], 2, &["--size 640"]);
    for wrong in [
        &["ask", "q", "--top-p", "1.5"][..],
        &["ask", "q", "--fps", "0"],
        &["nonsense"],
        &["ask", "q", "--kv-cache-dtype", "int4"],
        &["ask"],
    ] {
        assert_eq!(run(wrong).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn files_that_cannot_be_read_are_named_with_the_reason() {
    let desk = Desk::new();
    let ask = |file: &str, words: &[&str]| fails(&["ask", file, "what is it?", "--model", TOY], 1, words);
    let missing = desk.path("none.mp4");
    let text = ask(&missing, &["none.mp4: no such file"]);
    assert!(text.contains("hint: check the spelling"), "{text}");
    ask(&desk.file("empty.mp4", b""), &["empty.mp4", "empty (0 bytes)"]);
    ask(&desk.file("text.mp4", b"this is only a text, whatever the name says\n"), &["text.mp4"]);
    ask(&desk.file("cut.mp4", b"\0\0\0\x18ftypisom\0\0\0\0isommp42"), &["cut.mp4"]);
    ask(&desk.file("huge.png", &huge_png()), &["huge.png", "1600000000", "limit"]);
    ask(&desk.0.path().display().to_string(), &["folder", "is not a picture"]);
}

#[test]
fn a_converted_model_answers_and_its_speed_is_told() {
    let desk = Desk::new();
    let folder = desk.path("packed");
    let output = run(&["convert", NANO, &folder, "--dtype", "int8"]);
    assert_eq!((out(&output).trim(), output.status.code()), (&folder[..], Some(0)), "{}", err(&output));
    fails(&["convert", NANO, &folder], 1, &["model.safetensors", "holds a model already"]);
    let output = run(&["ask", CLIP, "Which way does the red circle move?", "--model", &folder, "--quiet"]);
    assert_eq!(out(&output).trim(), "down", "{}", err(&output));
    let sizes = ["--side", "112", "--prompt", "8", "--answer", "2", "--repeats", "1"];
    let output = run(&[&["bench", CLIP, "--model", &folder, "--json"][..], &sizes].concat());
    let told: serde_json::Value = serde_json::from_str(&out(&output)).expect("one object");
    assert_eq!((&told["weights"], told["speeds"].as_array().map(Vec::len)), (&"int8".into(), Some(4)), "{told}");
    assert!(told["frames_decoded_a_second"].as_f64().is_some_and(|rate| rate > 0.0), "{told}");
}

#[test]
fn a_media_file_is_described() {
    let text = out(&run(&["probe", CLIP]));
    assert!(text.contains("mp4: H.264") && text.contains("shown as 224x224"), "{text}");
    let told = json(&run(&["probe", CLIP, "--json"]));
    let file = &told["files"][0];
    assert_eq!((&file["container"], &file["tracks"][0]["used"]), (&"mp4".into(), &true.into()), "{told}");
    fails(&["probe", CLIP, "--track", "3"], 1, &["red-circle.mp4", "3"]);
    fails(&["ask", CLIP, "What moves?", "--track", "3"], 1, &["red-circle.mp4", "3"]);
}

#[test]
fn a_video_is_read_from_standard_input() {
    let clip = std::fs::read(CLIP).expect("the clip");
    let question = "Which way does the red circle move?";
    let mut child = Command::new(env!("CARGO_BIN_EXE_zoetrope"))
        .args(["ask", "-", question, "--quiet", "--no-cache"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program");
    child.stdin.take().expect("its input").write_all(&clip).expect("a copy");
    let output = child.wait_with_output().expect("an answer");
    assert_eq!(out(&output).trim(), "down", "{}", err(&output));
    fails(&["ask", "-", "-"], 2, &["standard input is named twice"]);
}

/// A shape is measured without its weights.
#[test]
fn a_folder_without_weights_is_measured_with_random_ones() {
    let desk = Desk::new();
    let folder = desk.path("shape");
    std::fs::create_dir(&folder).expect("a folder");
    for file in std::fs::read_dir(TOY).expect("the toy") {
        let file = file.expect("a file").path();
        if file.extension().is_some_and(|extension| extension == "json") {
            let name = file.file_name().expect("a name");
            std::fs::copy(&file, std::path::Path::new(&folder).join(name)).expect("a copy");
        }
    }
    let sizes = ["--side", "112", "--prompt", "8", "--answer", "2", "--repeats", "1"];
    let bench = [&["bench", "--model", &folder, "--dtype", "int8"][..], &sizes].concat();
    fails(&bench, 1, &["model.safetensors"]);
    let told = json(&run(&[&bench[..], &["--random-weights", "--json"]].concat()));
    assert_eq!(told["weights"], "int8");
    assert!(told["speeds"].as_array().is_some_and(|speeds| speeds.len() == 4), "{told}");
}

/// The toy's language part as a GGUF file of f32.
fn toy_gguf(file: &str) {
    use candle_core::quantized::gguf_file::{Value, write};
    use candle_core::quantized::{GgmlDType, QTensor};
    let words = [
        ("model.language_model.", ""),
        ("lm_head", "output"),
        ("embed_tokens", "token_embd"),
        ("input_layernorm", "attn_norm"),
        ("post_attention_layernorm", "ffn_norm"),
        ("self_attn.o_proj", "attn_output"),
        ("self_attn.", "attn_"),
        ("mlp.", "ffn_"),
        ("_proj", ""),
        ("layers.", "blk."),
    ];
    let tensors = candle_core::safetensors::load(Path::new(TOY).join("model.safetensors"), &candle_core::Device::Cpu);
    let language = tensors
        .expect("the toy model")
        .into_iter()
        .filter(|(name, _)| name.starts_with("model.language_model.") || name.starts_with("lm_head"));
    let language: Vec<(String, QTensor)> = language
        .map(|(name, values)| {
            let name = words.iter().fold(name, |name, (ours, theirs)| name.replace(ours, theirs));
            let name = if name == "norm.weight" { "output_norm.weight".to_string() } else { name };
            (name, QTensor::quantize(&values, GgmlDType::F32).expect("f32"))
        })
        .collect();
    let tensors: Vec<(&str, &QTensor)> = language.iter().map(|(name, values)| (name.as_str(), values)).collect();
    let architecture = Value::String("qwen2".to_string());
    let mut out = std::fs::File::create(file).expect("created");
    write(&mut out, &[("general.architecture", &architecture)], &tensors).expect("written");
}

#[test]
fn the_language_part_of_a_converted_model_may_come_from_a_gguf_file() {
    let desk = Desk::new();
    let (gguf, with, without) = (desk.path("language.gguf"), desk.path("with"), desk.path("without"));
    toy_gguf(&gguf);
    let output = run(&["convert", TOY, &with, "--dtype", "int4", "--language", &gguf]);
    assert_eq!((out(&output).trim(), output.status.code()), (&with[..], Some(0)), "{}", err(&output));
    run(&["convert", TOY, &without, "--dtype", "int4"]);
    let weights = |folder: &str| std::fs::read(Path::new(folder).join("model.safetensors")).expect("weights");
    assert!(weights(&with) == weights(&without), "the same values, the same file");
    let whole = std::fs::read(&gguf).expect("the file");
    let half = desk.file("half.gguf", &whole[..whole.len() / 2]);
    let other = desk.path("other");
    fails(&["convert", TOY, &other, "--language", &half], 1, &["half.gguf: cut off: tensor ", "the file has"]);
    let wrong = desk.file("wrong.gguf", b"{}");
    fails(&["convert", TOY, &other, "--language", &wrong], 1, &["wrong.gguf", "not a GGUF file"]);
    fails(&["convert", TOY, &other, "--language", &desk.path("no.gguf")], 1, &["no.gguf"]);
    fails(&["convert", NANO, &other, "--language", &gguf], 1, &["language.gguf", "tensor ", "shape"]);
    assert!(!Path::new(&other).exists());
}

const CLIP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/clips/red-circle.mp4");

#[test]
fn a_video_without_frames_is_refused_and_a_cut_one_gives_those_it_has() {
    let desk = Desk::new();
    let whole = std::fs::read(CLIP).expect("a readable clip");
    let mut hollow = whole.clone();
    // The count of samples comes after the name, version and flags, and the common size.
    let at = hollow.windows(4).position(|name| name == b"stsz").expect("a sample table") + 12;
    hollow[at..at + 4].fill(0);
    let hollow = desk.file("hollow.mp4", &hollow);
    fails(&["plan", &hollow, "--model", TOY], 1, &["hollow.mp4", "it holds no frame"]);
    let half = desk.file("half.mp4", &whole[..whole.len() / 2]);
    let output = run(&["plan", &half, "--model", TOY]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(err(&output).contains("half.mp4: the file is cut: "), "{}", err(&output));
}

/// The beginning of a PNG of 40000 x 40000 pixels.
fn huge_png() -> Vec<u8> {
    let mut header = b"IHDR".to_vec();
    header.extend(40_000u32.to_be_bytes());
    header.extend(40_000u32.to_be_bytes());
    header.extend([8, 2, 0, 0, 0]);
    let crc = header.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 })
    });
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    png.extend(header);
    png.extend((!crc).to_be_bytes());
    png.extend(b"\0\0\0\x00IDAT\x35\xaf\x06\x1e");
    png
}

#[test]
fn a_question_that_is_too_long_is_refused_before_a_model_is_loaded() {
    let question = "why ".repeat(50_000);
    let output = with_input(&["ask", "-", "--model", "/nowhere/at/all"], &question);
    let text = refused(&output, 1, &["199999", "limit of 100000"]);
    assert!(text.contains("hint: shorten the question"), "{text}");
}

#[test]
fn a_model_folder_that_is_not_complete_is_named_with_the_file() {
    let desk = Desk::new();
    fails(&["ask", "q", "--model", "/nowhere/at/all"], 1, &["/nowhere/at/all"]);
    let empty = desk.path("nothing");
    std::fs::create_dir(&empty).expect("made");
    fails(&["ask", "q", "--model", &empty], 1, &["config.json", "not a model folder"]);

    let sharded = desk.model("sharded");
    std::fs::rename(sharded.join("model.safetensors"), sharded.join("model-00001-of-00002.safetensors"))
        .expect("moved");
    let index = r#"{"metadata": {}, "weight_map": {
        "model.projector.readout.0.weight": "model-00001-of-00002.safetensors",
        "lm_head.weight": "model-00002-of-00002.safetensors"}}"#;
    std::fs::write(sharded.join("model.safetensors.index.json"), index).expect("written");
    let text =
        fails(&["ask", "q", "--model", &sharded.display().to_string()], 1, &["model-00002-of-00002.safetensors"]);
    assert!(text.contains("hint: "), "{text}");

    let wrong = desk.model("wrong");
    let config = std::fs::read_to_string(wrong.join("config.json")).expect("config");
    let mut config: serde_json::Value = serde_json::from_str(&config).expect("JSON");
    config["text_config"]["intermediate_size"] = 24.into();
    std::fs::write(wrong.join("config.json"), config.to_string()).expect("written");
    fails(&["ask", "q", "--model", &wrong.display().to_string()], 1, &["mlp", "24"]);
}

#[test]
fn an_answer_goes_to_standard_output_and_the_closing_line_to_standard_error() {
    let desk = Desk::new();
    let (picture, clip) = (desk.picture("a.png", 90, 60), desk.clip("b.gif"));
    let args = ["ask", &picture, &clip, "what is it?", "--model", TOY, "--max-new-tokens", "6"];
    let output = run(&args);
    let notes = err(&output);
    assert_eq!(output.status.code(), Some(0), "{notes}");
    assert!(
        notes.contains("frames of 1 video, 1 picture") || notes.contains("1 frame of 1 video, 1 picture"),
        "{notes}"
    );
    assert!(notes.contains("written"), "{notes}");
    let quiet = run(&[&args[..], &["--quiet"]].concat());
    assert_eq!((out(&quiet), err(&quiet)), (out(&output), String::new()));
}

#[test]
fn json_is_one_object_with_frames_tokens_and_times() {
    let desk = Desk::new();
    let (picture, clip) = (desk.picture("a.png", 90, 60), desk.clip("b.gif"));
    let args = ["ask", &clip, &picture, "what is it?", "--model", TOY, "--max-new-tokens", "6", "--json"];
    let value = json(&run(&args));
    assert_eq!(value["question"], "what is it?");
    assert!(value["answer"].is_string());
    assert!(["stop", "length"].contains(&value["finish_reason"].as_str().expect("a reason")));
    let media = value["media"].as_array().expect("media");
    assert_eq!((&media[0]["kind"], &media[1]["kind"]), (&"video".into(), &"image".into()));
    for (item, sum) in media.iter().zip(["video", "image"]) {
        let frames = item["frames"].as_array().expect("frames");
        assert!(!frames.is_empty() && frames.iter().all(|frame| frame["time"].is_f64()));
        let kept: u64 = frames.iter().map(|frame| number(&frame["tokens"])).sum();
        assert_eq!((kept, number(&item["tokens"])), (number(&value["tokens"][sum]), kept));
    }
    let tokens = &value["tokens"];
    let parts = number(&tokens["text"]) + number(&tokens["image"]) + number(&tokens["video"]);
    assert_eq!(parts, number(&tokens["prompt"]));
    assert!(number(&tokens["generated"]) <= 6);
    assert!(value["timings"]["total"].as_f64() > Some(0.0));
    let again = json(&run(&args));
    assert_eq!((&again["answer"], &again["tokens"]), (&value["answer"], &value["tokens"]));
}

#[test]
fn a_seed_fixes_what_is_sampled() {
    let args = |seed: &'static str| {
        ["ask", "tell me", "--model", TOY, "--temperature", "3", "--max-new-tokens", "24", "--json", "--seed", seed]
    };
    let answer = |seed| json(&run(&args(seed)))["answer"].clone();
    assert_eq!(answer("1"), answer("1"));
    assert_ne!(answer("1"), answer("2"));
}

#[test]
fn a_plan_shows_sizes_tokens_and_memory_without_running_the_model() {
    let desk = Desk::new();
    let clip = desk.clip("b.gif");
    let value = json(&run(&["plan", &clip, "--size", "640x480", "--model", TOY, "--question", "what?"]));
    let media = value["media"].as_array().expect("media");
    assert_eq!(media.len(), 2);
    for item in media {
        let frames = item["frames"].as_array().expect("frames").len() as u64;
        let grid = &item["views"][0]["grid"];
        assert_eq!(number(&item["patches"]), frames * number(&grid[0]) * number(&grid[1]));
        assert_eq!(number(&item["tokens"]), frames * number(&item["frames"][0]["tokens"]));
        assert_eq!(item["tokens"], item["tokens_before_pruning"]);
    }
    let memory = value["memory_bytes"].as_object().expect("memory");
    let total = number(&memory["total"]);
    assert_eq!(memory.values().map(number).sum::<u64>(), 2 * total);
    // Keys and values as they suit the weights, which are f32 where nothing is asked for.
    let cache = |dtype: &str| {
        let plan =
            json(&run(&["plan", &clip, "--size", "640x480", "--model", TOY, "--question", "what?", "--dtype", dtype]));
        number(&plan["memory_bytes"]["cache"])
    };
    assert_eq!((number(&memory["cache"]), cache("int8")), (cache("f32"), cache("f32") / 2));

    let asked = json(&run(&["ask", &clip, "what?", "--model", TOY, "--max-new-tokens", "1", "--json"]));
    let planned = json(&run(&["plan", &clip, "--question", "what?", "--model", TOY, "--prune-now"]));
    assert_eq!(planned["tokens"]["prompt"], asked["tokens"]["prompt"]);
    assert_eq!(planned["media"][0]["tokens"], asked["media"][0]["tokens"]);
    let times = |frames: &serde_json::Value| -> Vec<f64> {
        frames.as_array().expect("frames").iter().filter_map(|frame| frame["time"].as_f64()).collect()
    };
    assert_eq!(times(&planned["media"][0]["frames"]), times(&asked["media"][0]["frames"]));
}

/// The toy checkpoint in the authors' layout: JSON files alone, with the published numbers of the processor.
const ORIGINAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/tests/golden/videollama3/original-layout");

#[test]
fn a_plan_gives_the_published_sizes_without_any_weights() {
    let plan = |args: &[&str]| json(&run(&[&["plan", "--model", ORIGINAL], args].concat()));
    let first = |value: &serde_json::Value| -> [u64; 6] {
        let item = &value["media"][0];
        let number = |value: &serde_json::Value| number(value);
        let (resized, grid) = (&item["views"][0]["resized"], &item["views"][0]["grid"]);
        [&resized[0], &resized[1], &grid[0], &grid[1], &item["patches"], &item["tokens"]].map(number)
    };
    for (size, merge, want) in [
        ("640x480", "1", [644, 476, 34, 46, 1564, 1564]),
        ("640x480", "2", [644, 476, 34, 46, 1564, 391]),
        ("1344x336", "1", [1344, 336, 24, 96, 2304, 2304]),
        ("1344x336", "2", [1344, 336, 24, 96, 2304, 576]),
        ("1920x1080", "1", [1918, 1078, 77, 137, 10549, 10549]),
        ("1920x1080", "2", [1932, 1092, 78, 138, 10764, 2691]),
        ("32x32", "1", [56, 56, 4, 4, 16, 16]),
        ("4000x4000", "1", [1792, 1792, 128, 128, 16384, 16384]),
        ("100x5", "1", [252, 14, 1, 18, 18, 18]),
        ("20x4000", "1", [14, 4004, 286, 1, 286, 286]),
    ] {
        assert_eq!(first(&plan(&["--size", size, "--set", &format!("merge={merge}")])), want, "{size} merge {merge}");
    }
    let video = |frames: u32, tokens: &str| -> [u64; 6] {
        let size = format!("1280x720:{}@30", 30 * frames);
        first(&plan(&["--size", &size, "--fps", "1", "--max-frames", "180", "--max-visual-tokens", tokens]))
    };
    assert_eq!(video(10, "16384"), [1288, 728, 52, 92, 47_840, 11_960]);
    for (frames, tokens, resized, per_frame) in [
        (10, "10240", [1176, 672], 1008),
        (11, "16384", [1288, 728], 1196),
        (128, "16384", [420, 224], 120),
        (180, "16384", [336, 196], 84),
        (128, "10240", [308, 168], 66),
        (180, "10240", [280, 140], 50),
    ] {
        let got = video(frames, tokens);
        assert_eq!((&got[..2], got[5]), (&resized[..], per_frame * u64::from(frames)), "{frames} frames");
    }
    let clip = plan(&["--size", "1280x720:300@30"]);
    let frames = clip["media"][0]["frames"].as_array().expect("frames");
    let indices: Vec<u64> = frames.iter().map(|frame| number(&frame["index"])).collect();
    assert_eq!(indices, [29, 59, 89, 119, 149, 179, 209, 239, 269, 299]);
    assert_eq!((frames[9]["prompt_time"].as_f64(), number(&clip["tokens"]["video"])), (Some(9.0), 11_960));
}

#[test]
fn frames_are_written_at_the_size_the_model_sees() {
    let desk = Desk::new();
    let (clip, folder) = (desk.clip("b.gif"), desk.path("seen"));
    let value = json(&run(&["frames", &clip, "--out", &folder, "--model", TOY, "--json"]));
    let written = value.as_array().expect("a list");
    assert!(!written.is_empty());
    for frame in written {
        let file = Path::new(&folder).join(frame["file"].as_str().expect("a name"));
        let size = image::image_dimensions(file).expect("a PNG");
        assert_eq!(
            (u64::from(size.0), u64::from(size.1)),
            (number(&frame["view"]["resized"][0]), number(&frame["view"]["resized"][1]))
        );
    }
    let times = std::fs::read_to_string(Path::new(&folder).join("times.json")).expect("times.json");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&times).expect("JSON"), value);
}

/// A small file of the media room.
fn media_golden(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../media/tests/golden/codec");
    std::fs::read(folder.join(name)).expect("a golden")
}

#[test]
fn seconds_count_from_the_first_frame_of_a_stream_that_begins_later() {
    let desk = Desk::new();
    let (clip, folder) = (desk.file("a.ts", &media_golden("h264-high.ts")), desk.path("seen"));
    let frames = |start: &str, end: &str| {
        let args = ["frames", &clip, "--out", &folder, "--model", TOY, "--json", "--start", start, "--end", end];
        let value = json(&run(&args));
        let times = value.as_array().expect("a list").iter().map(|frame| {
            let of = |name: &str| frame[name].as_f64().expect("seconds");
            assert!(of("source_time") - of("time") > 0.05, "{frame}: the stream begins later than at zero");
            (of("time"), of("prompt_time"))
        });
        times.collect::<Vec<_>>()
    };
    let first = frames("0", "0.04");
    assert_eq!((first[0], first.len()), ((0.0, 0.0), 1));
    assert!(frames("0.2", "0.4").iter().all(|(time, told)| *time < 0.4 && (0.2..0.4).contains(told)));
    fails(&["plan", &clip, "--model", TOY, "--start", "600"], 1, &["no frame from 600 s on; the video lasts"]);
}

#[test]
fn frames_that_are_lost_are_told_and_no_failure() {
    let desk = Desk::new();
    let mut bytes = media_golden("h264-baseline.mp4");
    let begin = bytes.windows(4).position(|name| name == b"mdat").expect("frames") + 4;
    let end = begin + bytes[begin..].windows(4).position(|name| name == b"moov").expect("an index after them") - 4;
    // The second half of the frames: lengths stay, what is in them does not.
    let damaged = &mut bytes[begin + (end - begin) / 2..end];
    damaged.iter_mut().enumerate().for_each(|(n, byte)| *byte = (n * 37 % 251) as u8);
    let (clip, folder) = (desk.file("damaged.mp4", &bytes), desk.path("seen"));
    let told = |value: &serde_json::Value| number(&value["undecodable"]) + number(&value["repeated"]);
    let ask = ["ask", &clip, "what?", "--model", TOY, "--max-new-tokens", "1", "--fps", "30", "--json"];
    let plan = ["plan", &clip, "--model", TOY, "--prune-now", "--fps", "30"];
    let frames = ["frames", &clip, "--out", &folder, "--model", TOY, "--fps", "30", "--json"];
    for args in [&ask[..], &plan, &frames] {
        let output = run(args);
        let faults = &json_faults(&output);
        assert!(told(faults) > 0, "{args:?}: {faults}");
        let warning = err(&output);
        let words = ["could not be decoded", "shown twice"];
        assert!(warning.contains("WARN") && words.iter().any(|words| warning.contains(words)), "{args:?}: {warning}");
        let quiet = run(&[args, &["--quiet"]].concat());
        assert_eq!((told(faults), err(&quiet)), (told(&json_faults(&quiet)), String::new()), "{args:?}");
    }
}

/// The first medium, or the first frame, of an output.
fn json_faults(output: &Output) -> serde_json::Value {
    let value = json(output);
    if value.is_array() { value[0].clone() } else { value["media"][0].clone() }
}

#[test]
fn a_chat_takes_lines_from_a_pipe_and_survives_mistakes() {
    let desk = Desk::new();
    let picture = desk.picture("a.png", 90, 60);
    let input = format!(
        "/help\n/add none.png\n/add {picture}\n/media\nwhat is it?\nand now?\n/media\n/bogus\n/reset\n/media\n/quit\nno\n"
    );
    let output = with_input(&["chat", "--model", TOY, "--max-new-tokens", "4"], &input);
    let notes = err(&output);
    assert_eq!(output.status.code(), Some(1), "{notes}");
    assert_eq!(out(&output).lines().count(), 2, "two answers: {}", out(&output));
    for part in
        ["/add FILE", "none.png: no such file", "(with the next question)", "kept from before", "no command /bogus"]
    {
        assert!(notes.contains(part), "{part:?} is not in {notes}");
    }
    assert!(notes.trim_end().ends_with("nothing was shown yet; /add FILE shows a picture or video"), "{notes}");
}

#[test]
fn a_dump_holds_what_a_reference_needs() {
    let desk = Desk::new();
    let (picture, file) = (desk.picture("a.png", 90, 60), desk.path("d.safetensors"));
    let args = ["dump", &picture, "what is it?", "--out", &file, "--model", TOY, "--max-new-tokens", "3", "--json"];
    let value = json(&run(&args));
    let bytes = std::fs::read(&file).expect("written");
    let length = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).expect("JSON");
    let shape = |name: &str| -> Vec<u64> {
        header[name]["shape"].as_array().unwrap_or_else(|| panic!("no {name}")).iter().map(number).collect()
    };
    let steps = shape("greedy_ids")[0];
    assert!((1..=3).contains(&steps));
    assert_eq!(shape("greedy_logits"), [steps, shape("logits")[0]]);
    assert_eq!(shape("grid"), [1, 3]);
    assert_eq!((shape("merge"), shape("keep")[0]), (vec![1], shape("visual_tokens")[0]));
    assert!(shape("patches")[0] > 0 && shape("input_ids")[0] > shape("visual_tokens")[0]);
    assert_eq!(value["tensors"].as_array().expect("names").len(), header.as_object().expect("a map").len());
}

#[test]
fn info_says_what_a_model_is() {
    let text = out(&run(&["info", TOY]));
    assert!(text.contains("videollama3") && text.contains("parameters"), "{text}");
    let value = json(&run(&["info", TOY, "--json"]));
    assert_eq!(value["family"], "videollama3");
}

#[test]
fn a_reader_that_goes_away_is_not_an_error() {
    let mut child = zoetrope(&["ask", "tell me", "--model", TOY, "--max-new-tokens", "200", "--quiet"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("the binary ends");
    assert_eq!((output.status.code(), err(&output)), (Some(0), String::new()));
}

#[test]
fn without_the_network_a_model_by_name_says_so() {
    let desk = Desk::new();
    let mut command = zoetrope(&["ask", "q", "--model", "somebody/some-model"]);
    let output = command.env("HF_HOME", desk.path("cache")).output().expect("the binary starts");
    refused(&output, 1, &["somebody/some-model", "HF_HUB_OFFLINE"]);
}

#[test]
fn synthetic_questions_are_written_with_their_pictures() {
    let desk = Desk::new();
    let folder = desk.path("drawn");
    let value = json(&run(&["synth", "--out", &folder, "--items", "3", "--seed", "11", "--json"]));
    let drawn = value.as_array().expect("a list");
    assert_eq!(drawn.len(), 3);
    for item in drawn {
        let frames = item["frames"].as_array().expect("frames");
        assert_eq!(frames.len(), item["times"].as_array().expect("times").len());
        assert!(Path::new(&folder).join(frames[0].as_str().expect("a name")).exists());
        assert!(item["question"].is_string() && item["answer"].is_string());
    }
}

#[test]
fn the_embedded_model_answers_the_readme_question() {
    let output = run(&["ask", CLIP, "Which way does the red circle move?"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(out(&output).trim_end(), "down");
}

#[test]
fn keys_and_values_are_held_as_asked() {
    let question = "Which way does the red circle move?";
    for dtype in ["auto", "f32", "bf16", "int8"] {
        let output = run(&["ask", CLIP, question, "--kv-cache-dtype", dtype, "--quiet"]);
        assert_eq!((out(&output).trim_end(), err(&output)), ("down", String::new()), "{dtype}");
    }
    // A conversation, whose store is cut back to what stays and grows.
    let input = format!("{question}\nWhat colour is the circle?\n{question}\n/quit\n");
    let answers = |dtype| out(&with_input(&["chat", CLIP, "--kv-cache-dtype", dtype, "--quiet"], &input));
    assert_eq!(answers("int8"), answers("f32"));
    assert_eq!(answers("int8").lines().count(), 3);

    let bytes = |dtype| {
        let plan = json(&run(&["plan", CLIP, "--question", question, "--model", TOY, "--kv-cache-dtype", dtype]));
        number(&plan["memory_bytes"]["cache"])
    };
    let (long, short, whole) = (bytes("f32"), bytes("bf16"), bytes("int8"));
    assert_eq!((long, long), (2 * short, bytes("auto")));
    assert!(whole < long, "{whole} of {long}");
    let sizes = ["--side", "112", "--prompt", "8", "--answer", "2", "--repeats", "1", "--json"];
    let told = json(&run(&[&["bench", "--kv-cache-dtype", "int8"][..], &sizes].concat()));
    assert_eq!(told["kv_cache"], "int8");
}
