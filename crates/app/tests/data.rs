//! `zoetrope data check`, end to end: what it counts and shows of data files, and how it ends.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

/// A folder with data.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Desk {
        Desk(tempfile::tempdir().expect("a folder"))
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("a file");
        path.display().to_string()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn picture(&self, name: &str) {
        image::RgbImage::from_pixel(64, 32, image::Rgb([200, 0, 0])).save(self.path(name)).expect("a picture");
    }
}

fn check(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zoetrope"));
    command.args(["data", "check"]).args(args).env_remove("RUST_LOG").env("HF_HUB_OFFLINE", "1");
    command.output().expect("the binary starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

const TEXT: &str = r#"{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}"#;

#[test]
fn a_check_counts_rows_tokens_and_bad_rows_and_shows_samples() {
    let desk = Desk::new();
    ["a.png", "b.png"].iter().for_each(|name| desk.picture(name));
    let ask =
        |media: &str, tags: &str| format!(r#"{{{media}, "query": "{tags}What is it?", "response": "A square."}}"#);
    let rows = [
        TEXT.to_string(),
        ask(r#""image": "a.png""#, "<image>"),
        ask(r#""images": ["a.png", "b.png"]"#, "<image><image>"),
        ask(r#""video": ["a.png", "b.png"], "fps": 2"#, "<video>"),
        ask(r#""image": "gone.png""#, "<image>"),
        "{".to_string(),
    ];
    let file = desk.write("rows.jsonl", rows.join("\n"));
    let plot = desk.path("tokens.svg").display().to_string();

    let output = check(&[&file, "--json", "--max-bad", "2", "--decode", "--plot", &plot]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let kinds: Vec<&Value> = report["kinds"].as_array().expect("kinds").iter().map(|kind| &kind["samples"]).collect();
    assert_eq!(kinds, [1, 1, 1, 1]);
    assert_eq!(
        (&report["good"], &report["turns"]["total"], &report["frames"]["total"]),
        (&4.into(), &8.into(), &2.into())
    );
    let bad = &report["bad"];
    assert_eq!((&bad["count"], &bad["is_over"], &bad["limit"]), (&2.into(), &false.into(), &"2".into()));
    let reasons: Vec<String> =
        bad["kinds"].as_array().expect("kinds").iter().map(|kind| kind["kind"].to_string()).collect();
    assert_eq!(reasons, ["\"media missing\"", "\"not JSON\""]);
    assert_eq!(bad["kinds"][0]["examples"][0]["row"], 5);
    let tokens = &report["tokens"];
    let counted: u64 =
        tokens["histogram"].as_array().expect("bins").iter().filter_map(|bin| bin["count"].as_u64()).sum();
    assert_eq!(counted, 4);
    let sum = |name: &str| tokens[name].as_u64().expect("a number");
    assert!(sum("total") == sum("text") + sum("visual") && sum("visual") > 0 && sum("learned") > 0, "{tokens}");
    assert!(std::fs::read_to_string(&plot).expect("a picture").starts_with("<svg"));

    let output = check(&[&file]);
    assert_eq!(output.status.code(), Some(1));
    let (report, error) = (text(&output.stdout), text(&output.stderr));
    assert!(error.contains("error: 2 of 6 rows are bad, at most 1% may be"), "{error}");
    for words in
        ["rows.jsonl: 6 rows", "good samples: 4", "1 media missing", "row 5: media missing", "«", "visual tokens]"]
    {
        assert!(report.contains(words), "{words:?} is not in {report}");
    }
}

#[test]
fn media_may_lie_elsewhere_and_several_files_are_checked_together() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("pictures")).expect("a folder");
    desk.picture("pictures/a.png");
    let one = desk.write("one.json", format!("[{TEXT}]"));
    let two = desk.write("two.jsonl", r#"{"image": "a.png", "query": "What?", "response": "It."}"#);
    let folder = desk.path("pictures").display().to_string();
    let output = check(&[&one, &two, "--media", &folder, "--samples", "0"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("good samples: 2 (1 text, 1 image)"), "{}", text(&output.stdout));
    let output = check(&[&one, &two, "--samples", "0", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("1 of 2 rows are bad"), "{}", text(&output.stderr));
}

#[test]
fn a_file_of_the_current_folder_may_not_name_media_elsewhere() {
    let (desk, other) = (Desk::new(), Desk::new());
    desk.picture("a.png");
    other.picture("a.png");
    for (folder, wanted) in [(&desk, 0), (&other, 1)] {
        let image = folder.path("a.png").display().to_string();
        let row = serde_json::json!({ "image": image, "query": "What?", "response": "It." });
        desk.write("rows.jsonl", row.to_string());
        let mut command = Command::new(env!("CARGO_BIN_EXE_zoetrope"));
        let output = command.current_dir(desk.0.path()).args(["data", "check", "rows.jsonl"]).output();
        let output = output.expect("the binary starts");
        assert_eq!(output.status.code(), Some(wanted), "{}", text(&output.stdout));
        assert_eq!(check(&[&desk.path("rows.jsonl").display().to_string(), "--outside"]).status.code(), Some(0));
    }
}

#[test]
fn what_cannot_be_checked_is_told_in_one_line() {
    let desk = Desk::new();
    let words = desk.write("words.txt", "once upon a time");
    let rows = desk.write("rows.jsonl", TEXT);
    let cases: [(&[&str], i32, &str); 4] = [
        (&[&words], 1, "neither JSON, JSON lines, a tar archive nor a list of such files"),
        (&["gone.json"], 1, "gone.json: no such file"),
        (&[&rows, "--media", "nowhere"], 2, "--media nowhere: no such folder"),
        (&[&rows, "--max-bad", "7.5"], 2, "neither a share (1%) nor a number of rows (25)"),
    ];
    for (args, code, wanted) in cases {
        let output = check(args);
        let error = text(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(code), true), "{error}");
        assert!(error.starts_with("error: ") && error.contains(wanted), "{error}");
    }
}
