//! The program as people use it: dropped paths, scripts that read lines, full disks, names in odd bytes.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use candle_core::{Device, Tensor};

const CLIP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/clips/red-circle.mp4");
const NANO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/models/zoetrope-nano");
const WHERE_TO: &str = "Which way does the red circle move?";

/// A folder, which the program runs in.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        Desk(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn picture(&self, name: impl AsRef<Path>, color: [u8; 3]) {
        image::RgbImage::from_pixel(40, 30, image::Rgb(color)).save(self.0.path().join(name)).expect("written");
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zoetrope"));
        command.args(args).current_dir(self.0.path()).stdin(Stdio::null()).env_remove("RUST_LOG");
        command.env("HF_HUB_OFFLINE", "1").env("HOME", self.0.path()).env("XDG_CACHE_HOME", "/dev/null/none");
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the binary starts")
    }

    /// A chat that is given `input`: what it answers, what it says, its code.
    fn chat(&self, args: &[&str], input: &[u8]) -> (String, String, Option<i32>) {
        let mut child = self
            .command(&[&["chat"], args].concat())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        child.stdin.take().expect("a pipe").write_all(input).expect("the binary reads");
        let output = child.wait_with_output().expect("the binary ends");
        (text(&output.stdout), text(&output.stderr), output.status.code())
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_cannot_be_written_is_an_error() {
    let desk = Desk::new();
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let asked = ["ask", CLIP, WHERE_TO];
    for args in [&asked[..], &[&asked[..], &["--json"]].concat(), &["--help"], &["--version"], &["man"]] {
        let output = desk.command(args).stdout(full()).output().expect("the binary starts");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.contains("error: ") && said.to_lowercase().contains("no space left"), "{args:?}: {said}");
    }
    let mut child = desk.command(&["chat", CLIP]).stdin(Stdio::piped()).stdout(full()).stderr(Stdio::piped()).spawn();
    let child = child.as_mut().expect("the binary starts");
    child.stdin.take().expect("a pipe").write_all(WHERE_TO.as_bytes()).expect("the binary reads");
    assert_eq!(child.wait().expect("the binary ends").code(), Some(1));
}

#[test]
fn the_model_inside_says_what_it_is_unless_it_was_chosen() {
    let desk = Desk::new();
    let said = |more: &[&str]| {
        let output = desk.run(&[&["ask", CLIP, WHERE_TO], more].concat());
        assert_eq!(text(&output.stdout).trim(), "down");
        text(&output.stderr)
    };
    let told = said(&[]);
    assert!(told.contains("drawn shapes only") && told.contains("--model "), "{told}");
    assert_eq!(said(&["--quiet"]), "");
    let nano = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/models/zoetrope-nano");
    assert!(!said(&["--model", nano]).contains("drawn shapes"));
    let alone = desk.run(&[]);
    assert_eq!((alone.status.code(), text(&alone.stdout)), (Some(2), String::new()));
    assert!(text(&alone.stderr).matches("  zoetrope ").count() == 3, "{}", text(&alone.stderr));
}

#[test]
fn the_model_inside_needs_no_place_for_temporary_files() {
    let desk = Desk::new();
    let output = desk.command(&["ask", CLIP, WHERE_TO, "--quiet"]).env("TMPDIR", "/nonexistent").output();
    let output = output.expect("the binary starts");
    assert_eq!((text(&output.stdout).trim(), text(&output.stderr).as_str()), ("down", ""));
}

#[test]
fn files_do_not_steer_the_terminal() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("m")).expect("made");
    let config = r#"{"model_type": "\u001b]0;title\u0007\u001b[2Jall is well\nerror: x\u202e"}"#;
    std::fs::write(desk.path("m/config.json"), config).expect("written");
    let name = "no\u{1b}[2J.png";
    for args in [&["info", "m"][..], &["ask", name, "What?"], &[name, "x"], &["ask", "x", "--model", name]] {
        let said = text(&desk.run(args).stderr);
        assert!(!said.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{args:?}: {said:?}");
        assert!(said.lines().filter(|line| line.starts_with("error: ")).count() == 1, "{args:?}: {said:?}");
    }
}

#[test]
fn media_and_question_come_in_any_order_and_texts_between_media_keep_theirs() {
    let desk = Desk::new();
    let answer = |args: &[&str]| {
        let output = desk.run(&[&["ask", "--quiet"], args].concat());
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout).trim().to_string()
    };
    let address = format!("file://{}", Path::new(CLIP).display());
    for args in [[CLIP, WHERE_TO], [WHERE_TO, CLIP], [&address, WHERE_TO]] {
        assert_eq!(answer(&args), "down", "{args:?}");
    }
    assert_eq!(answer(&["-p", WHERE_TO, "--image", CLIP, "-n", "4", "--seed", "-1", "--top-k", "0"]), "down");
    desk.picture("a.png", [250, 20, 20]);
    let order = |args: &[&str]| {
        let output = desk.run(&[&["ask", "--json", "-n", "1"], args].concat());
        serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("an object")["question"].clone()
    };
    assert_eq!(order(&["--text", "First", "a.png", "--text", "then", CLIP, "what?"]), "First then what?");
    let output = desk.run(&["ask", "https://example.org/a.mp4", "What?"]);
    let said = text(&output.stderr);
    assert!(said.contains("addresses are not fetched") && said.contains("download"), "{said}");
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_utf8_are_names() {
    use std::os::unix::ffi::OsStrExt;
    let desk = Desk::new();
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.mp4");
    std::fs::copy(CLIP, desk.0.path().join(name)).expect("copied");
    let mut command = desk.command(&["ask", WHERE_TO, "--quiet"]);
    let output = command.arg(name).output().expect("the binary starts");
    assert_eq!((text(&output.stdout).trim(), text(&output.stderr).as_str()), ("down", ""));
    let (answers, said, code) = desk.chat(&["--quiet"], &[b"/add caf\xe9.mp4\n", WHERE_TO.as_bytes()].concat());
    assert_eq!((answers.trim(), said.as_str(), code), ("down", "", Some(0)));
}

#[test]
fn dropped_paths_are_understood_in_a_chat() {
    let desk = Desk::new();
    for name in ["my pic.png", "red.png"] {
        desk.picture(name, [250, 20, 20]);
    }
    let at = desk.0.path().display();
    for (line, name) in [
        ("/add 'my pic.png'".to_string(), "my pic.png"),
        ("/add my\\ pic.png".to_string(), "my pic.png"),
        ("/add my pic.png".to_string(), "my pic.png"),
        ("/add ~/red.png".to_string(), "red.png"),
        (format!("/add file://{at}/my%20pic.png"), "my pic.png"),
        (format!("'{at}/my pic.png' {at}/red.png"), "my pic.png"),
    ] {
        let (_, said, code) = desk.chat(&[], format!("{line}\n/media\n/bye\n").as_bytes());
        assert!(said.contains(&format!("{name} (with the next question)")) && code == Some(0), "{line}: {said}");
    }
    let (answers, said, code) = desk.chat(&["-q"], format!("{CLIP} {WHERE_TO}\n").as_bytes());
    assert_eq!((answers.trim(), said.as_str(), code), ("down", "", Some(0)));
    let (_, said, _) = desk.chat(&[CLIP], b"What is in red.png?\n/nothing/here.png what?\n");
    assert!(said.contains("red.png is a file that was not shown; /add shows it"), "{said}");
    assert!(said.contains("/nothing/here.png: no such file"), "{said}");
}

#[test]
fn a_chat_goes_on_after_mistakes_and_ends_with_an_error() {
    let desk = Desk::new();
    desk.picture("broken.png", [250, 20, 20]);
    let whole = std::fs::read(desk.path("broken.png")).expect("a picture");
    // The header is whole, the pixels are not.
    std::fs::write(desk.path("broken.png"), &whole[..50.min(whole.len())]).expect("written");
    let input = format!("/add broken.png\nWhat is it?\n{CLIP} {WHERE_TO}\ncaf\u{e9}?\n");
    let (answers, said, code) = desk.chat(&[], input.as_bytes());
    assert_eq!((answers.lines().next(), code), (Some("down"), Some(1)), "{said}");
    assert_eq!(said.matches("error: ").count(), 1, "{said}");

    let (answers, said, code) = desk.chat(&[CLIP, "--max-media", "1"], b"/add broken.png\nWhat colour is the circle?");
    assert!(said.contains("2 is more than the limit of 1") && said.contains("--max-media"), "{said}");
    assert_eq!((answers.trim(), code), ("red", Some(1)));

    let (_, said, code) = desk.chat(&[], b"/add ~/broken.png\n/drop\n/media\n/drop x.png\n");
    assert!(said.contains("nothing was shown yet") && said.contains("x.png does not wait"), "{said}");
    assert_eq!(code, Some(1));

    let (answers, said, code) = desk.chat(&[CLIP], b"What colour is the circle in the caf\xe9?\n");
    assert!(said.contains("not UTF-8") && !answers.is_empty() && code == Some(0), "{said}");
    let long = [&vec![b'x'; 500_000][..], b"\nWhat colour is the circle?\n"].concat();
    let (answers, said, code) = desk.chat(&[CLIP], &long);
    assert!(said.contains("a line of more than 400000 bytes") && code == Some(1), "{said}");
    assert_eq!(answers.trim(), "red");
}

#[test]
fn a_full_conversation_says_so_and_json_is_an_object_a_line() {
    let desk = Desk::new();
    let question = "Tell me what colour the circle has. ".repeat(40);
    let input = format!("{question}\n").repeat(20) + "/clear\nWhy?\n";
    let (answers, said, code) = desk.chat(&[CLIP, "--json", "-n", "4"], input.as_bytes());
    let objects: Vec<serde_json::Value> =
        answers.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    assert_eq!((objects.len(), code), (21, Some(1)), "{said}");
    let full = objects.iter().find(|object| object["error"].is_string()).expect("an error");
    assert!(full["error"].as_str().is_some_and(|error| error.contains("the conversation is full")), "{full}");
    assert!(full["hint"].as_str().is_some_and(|hint| hint.contains("/reset")), "{full}");
    assert!(objects[20]["answer"].is_string(), "a new conversation: {}", objects[20]);
}

#[test]
fn questions_of_several_lines_are_one() {
    let desk = Desk::new();
    let input = "\"\"\"Which way does\nthe red circle move?\"\"\"\nWhich way does \\\nthe red circle move?\n";
    let (answers, _, code) = desk.chat(&[CLIP, "--json"], input.as_bytes());
    let questions: Vec<String> = answers
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("an object")["question"].to_string())
        .collect();
    assert_eq!(questions.len(), 2, "{answers}");
    assert!(questions.iter().all(|question| question.contains("move?")) && code == Some(0));
}

#[test]
fn a_folder_of_frames_is_a_video() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("f")).expect("made");
    for n in 1..=70 {
        desk.picture(format!("f/{n}.png"), [n * 3, 20, 20]);
    }
    let plan = |more: &[&str]| -> serde_json::Value {
        let output = desk.run(&[&["plan", "f"], more].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)))
    };
    let media = plan(&[])["media"].clone();
    assert_eq!((media.as_array().map(Vec::len), &media[0]["kind"]), (Some(1), &"video".into()), "{media}");
    let last = |plan: &serde_json::Value| {
        let frames = plan["media"][0]["frames"].as_array().expect("frames").clone();
        frames.last().expect("a frame")["time"].as_f64().expect("a time")
    };
    assert!(last(&plan(&[])) > 10.0 * last(&plan(&["--frame-rate", "20"])));
    let output = desk.run(&["ask", "f", "What happens?", "-q"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    std::fs::write(desk.path("f/notes.txt"), "no picture").expect("written");
    let said = text(&desk.run(&["ask", "f", "What happens?"]).stderr);
    assert!(said.contains("notes.txt is not a picture"), "{said}");
    std::fs::create_dir(desk.path("empty")).expect("made");
    let said = text(&desk.run(&["ask", "empty", "What happens?"]).stderr);
    assert!(said.contains("it holds no picture"), "{said}");
}

#[test]
fn numbers_are_bounded_before_memory_is_taken() {
    let desk = Desk::new();
    for args in [
        &["plan", CLIP, "--fps", "1e8"][..],
        &["plan", CLIP, "--image-merge", "1000"],
        &["plan", CLIP, "--max-frames", "100000000"],
        &["ask", "q", "--threads", "100000"],
        &["ask", "q", "-n", "100000000"],
        &["bench", "--side", "100000"],
        &["bench", "--prompt", "10000000"],
        &["bench", "--sequences", "100000"],
    ] {
        let output = desk.run(args);
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains("must be at most"), "{args:?}: {said}");
    }
    for (args, word) in [(["--prompt", "100000"], "positions"), (["--side", "8192"], "pixels")] {
        let said = text(&desk.run(&[&["bench"], &args[..]].concat()).stderr);
        assert!(said.starts_with("error: ") && said.contains(word), "{said}");
    }
}

#[test]
fn habits_from_elsewhere_are_met() {
    let desk = Desk::new();
    let version = text(&desk.run(&["--version"]).stdout);
    assert!(version.starts_with("zoetrope ") && version.contains('('), "{version}");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(text(&desk.run(&["completions", shell]).stdout).contains("frames"), "{shell}");
    }
    assert!(text(&desk.run(&["man"]).stdout).starts_with(".ie"));
    assert!(text(&desk.run(&["help", "ask"]).stdout).contains("MEDIA"));
    let named = desk.run(&["ask", CLIP, WHERE_TO, "--model", "zoetrope-nano"]);
    assert_eq!(text(&named.stdout).trim(), "down", "{}", text(&named.stderr));
    assert!(text(&desk.run(&["show"]).stdout).contains("parameters"));
    for (args, word) in [
        (&["serve", "--port", "no"][..], "invalid value"),
        (&["list"], "hf cache ls"),
        (&["rm", "x"], "zoetrope cache rm"),
    ] {
        let output = desk.run(args);
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(word), "{args:?}: {said}");
    }
}

#[test]
fn answers_follow_a_schema_a_regular_expression_or_a_choice() {
    let desk = Desk::new();
    let ask = |more: &[&str]| desk.run(&[&["ask", CLIP, WHERE_TO, "--quiet"], more].concat());
    let answer = |more: &[&str]| {
        let output = ask(more);
        assert!(output.status.success(), "{more:?}: {}", text(&output.stderr));
        text(&output.stdout).trim().to_string()
    };
    assert_eq!(answer(&["--choice", "up", "--choice", "down", "--choice", "left"]), "down");
    assert!(["left", "right"].contains(&&answer(&["--regex", "left|right"])[..]));
    let schema = r#"{"type": "object", "properties": {"way": {"enum": ["up", "down"]}}, "required": ["way"],
        "additionalProperties": false}"#;
    std::fs::write(desk.path("schema.json"), schema).expect("written");
    for given in [schema, "schema.json"] {
        let said: serde_json::Value = serde_json::from_str(&answer(&["--json-schema", given])).expect("JSON");
        assert!(said == serde_json::json!({"way": "up"}) || said == serde_json::json!({"way": "down"}), "{said}");
    }
    for (more, code, words) in [
        (&["--json-schema", r#"{"type": "no-such-type"}"#][..], 1, "no-such-type"),
        (&["--json-schema", "{"], 2, "--json-schema"),
        (&["--json-schema", "missing.json"], 1, "missing.json"),
        (&["--regex", "("], 1, "regular expression"),
        (&["--regex", "a", "--choice", "b"], 2, "--regex"),
    ] {
        let output = ask(more);
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(code) && said.contains(words), "{more:?}: {said}");
    }
}

/// An adapter of the embedded model's first layer, as PEFT writes it; with `size` 0 it changes nothing.
fn adapter(folder: &Path, size: f32) {
    let weights = candle_core::safetensors::load(Path::new(NANO).join("model.safetensors"), &Device::Cpu);
    let weights = weights.expect("the embedded model's weights");
    let name = weights.keys().find(|name| name.ends_with("layers.0.mlp.down_proj.weight")).expect("a matrix");
    let (stem, (rows, cols)) = (name.trim_end_matches(".weight"), weights[name].dims2().expect("a matrix"));
    let matrix = |rows: usize, cols: usize, size: f32| {
        let values = (0..rows * cols).map(|i| size * ((i * 7 % 13) as f32 - 6.0)).collect();
        Tensor::from_vec(values, (rows, cols), &Device::Cpu).expect("a matrix")
    };
    let tensors = HashMap::from([
        (format!("base_model.model.{stem}.lora_A.weight"), matrix(2, cols, 0.1)),
        (format!("base_model.model.{stem}.lora_B.weight"), matrix(rows, 2, size)),
    ]);
    std::fs::create_dir(folder).expect("a folder");
    candle_core::safetensors::save(&tensors, folder.join("adapter_model.safetensors")).expect("written");
    std::fs::write(folder.join("adapter_config.json"), r#"{"r": 2, "lora_alpha": 4}"#).expect("written");
}

#[test]
fn an_adapter_is_used_over_its_base_and_merged_by_convert() {
    let desk = Desk::new();
    adapter(&desk.path("none"), 0.0);
    adapter(&desk.path("some"), 0.02);
    let probabilities = |model: &[&str]| {
        let ask = ["dump", CLIP, WHERE_TO, "--max-new-tokens", "1", "--dtype", "f32", "--out", "d.safetensors"];
        let output = desk.run(&[&ask[..], model].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let tensors = candle_core::safetensors::load(desk.path("d.safetensors"), &Device::Cpu).expect("a dump");
        std::fs::remove_file(desk.path("d.safetensors")).expect("removed");
        tensors["logits"].flatten_all().expect("logits").to_vec1::<f32>().expect("logits")
    };
    let distance = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let plain = probabilities(&["--model", NANO]);
    assert_eq!(probabilities(&["--model", "none", "--base", NANO]), plain);
    let adapted = probabilities(&["--model", "some", "--base", NANO]);
    assert!(distance(&adapted, &plain) > 0.01, "the adapter changes nothing");
    let converted = desk.run(&["convert", "some", "merged", "--base", NANO, "--dtype", "bf16"]);
    assert!(converted.status.success(), "{}", text(&converted.stderr));
    let [merged, bf16] = [&["--model", "merged"][..], &["--model", "some", "--base", NANO]].map(|model| {
        let dtype = ["--dtype", "bf16"];
        let ask = ["dump", CLIP, WHERE_TO, "--max-new-tokens", "1", "--out", "d.safetensors"];
        let output = desk.run(&[&ask[..], &dtype, model].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        std::fs::read(desk.path("d.safetensors")).expect("a dump")
    });
    assert!(merged == bf16, "a merged model is the adapter over its base");

    let alone = desk.run(&["ask", "q", "--model", "some"]);
    assert_eq!(alone.status.code(), Some(1));
    assert!(text(&alone.stderr).contains("--base"), "{}", text(&alone.stderr));
}

#[test]
fn pictures_of_an_earlier_run_are_told() {
    let desk = Desk::new();
    let frames = |most: &str| {
        let output = desk.run(&["frames", CLIP, "--out", "frames", "--max-frames", most]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stderr)
    };
    assert!(!frames("3").contains("earlier"));
    std::fs::write(desk.path("frames/holiday.png"), "").expect("written");
    let said = frames("1");
    assert!(said.contains("frames also has 2 pictures of an earlier run, such as 00-000001.png"), "{said}");
    assert!(desk.path("frames/00-000002.png").exists(), "nothing is removed");
    let output = desk.run(&["frames", CLIP, "--out", "frames/holiday.png"]);
    assert!(text(&output.stderr).contains("holiday.png: there is a file of this name"), "{}", text(&output.stderr));
}

#[test]
fn a_set_without_questions_is_no_table_of_zeros() {
    let desk = Desk::new();
    let output = desk.run(&["eval", "--difficulty", "one_object", "--kinds", "order", "--items", "1"]);
    let said = text(&output.stderr);
    assert!(output.status.code() == Some(2) && output.stdout.is_empty(), "{said}");
    assert!(said.contains("one_object has no questions of the kinds order"), "{said}");
    let output = desk.run(&["eval", "--difficulty", "one_object", "--kinds", "colour,order", "--items", "2"]);
    let (table, said) = (text(&output.stdout), text(&output.stderr));
    assert!(table.contains("colour") && table.contains("pictures") && !table.contains("clips"), "{table}");
    assert!(said.contains("kinds order: 1 of 2 questions are left"), "{said}");
}

#[test]
fn every_command_has_a_manual_page() {
    let desk = Desk::new();
    let page = |args: &[&str]| text(&desk.run(&[&["man"], args].concat()).stdout);
    assert!(page(&[]).contains(".TH zoetrope 1") && page(&["ask"]).contains("max\\-new\\-tokens"));
    assert!(page(&["chat"]).contains(".TH zoetrope-chat 1") && page(&["chat"]).contains("ZOETROPE_HISTORY"));
    let unknown = desk.run(&["man", "aks"]);
    assert!(unknown.status.code() == Some(2) && text(&unknown.stderr).contains("aks"));
    assert!(desk.run(&["man", "--out", "share/man1"]).status.success());
    let pages: Vec<_> = std::fs::read_dir(desk.path("share/man1")).expect("pages").flatten().collect();
    let help = text(&desk.run(&["--help"]).stdout);
    for command in ["ask", "chat", "plan", "pull", "convert", "man"] {
        assert!(help.contains(command) && desk.path(&format!("share/man1/zoetrope-{command}.1")).is_file());
    }
    assert!(pages.len() > 15, "{}", pages.len());
}

#[cfg(target_os = "linux")]
#[test]
fn a_model_folder_that_is_not_utf8_is_a_model_folder() {
    use std::ffi::{OsStr, OsString};
    use std::os::unix::ffi::OsStrExt;

    let desk = Desk::new();
    let folder = desk.0.path().join(OsStr::from_bytes(b"mod\xe9le"));
    std::fs::create_dir(&folder).expect("made");
    for entry in std::fs::read_dir(NANO).expect("the model").flatten() {
        std::fs::copy(entry.path(), folder.join(entry.file_name())).expect("copied");
    }
    let out = OsStr::from_bytes(b"o\xe9t").to_os_string();
    let [model, folder] = [OsString::from("--model"), folder.into_os_string()];
    let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
    for args in [
        [words(&["ask", CLIP, WHERE_TO]), vec![model.clone(), folder.clone()]].concat(),
        [words(&["plan", CLIP]), vec![model.clone(), folder.clone()]].concat(),
        [words(&["frames", CLIP, "--out", "f"]), vec![model.clone(), folder.clone()]].concat(),
        [words(&["info", "--json"]), vec![folder.clone()]].concat(),
        [words(&["convert", "--json"]), vec![folder.clone(), out]].concat(),
    ] {
        let output = desk.command(&[]).args(&args).output().expect("the binary starts");
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    }
    let missing = desk.command(&["ask", "hi", "--model"]).arg(OsStr::from_bytes(b"n\xe9")).output().expect("ends");
    let said = text(&missing.stderr);
    assert!(missing.status.code() == Some(1) && said.contains("no such folder"), "{said}");
}

#[test]
fn a_folder_of_videos_is_told_how_to_be_given() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("films")).expect("made");
    std::fs::copy(CLIP, desk.path("films/a.mp4")).expect("copied");
    let said = text(&desk.run(&["ask", "films", "What?"]).stderr);
    assert!(said.contains("one by one") && !said.contains("damaged"), "{said}");
}
