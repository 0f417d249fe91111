//! The binary and models of the hub, whose part is played by a server on this machine.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

const TOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/tests/golden/videollama3/toy-hf");

/// A hub with the models `org/NAME` that are folders of its own folder.
struct Hub {
    folder: tempfile::TempDir,
    port: u16,
    log: Arc<Mutex<Vec<String>>>,
}

impl Hub {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
        let port = listener.local_addr().expect("address").port();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (root, shared) = (folder.path().to_path_buf(), Arc::clone(&log));
        // Lives as long as the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that goes away is no failure of the stand-in.
                let _ = serve(stream, &root, &shared);
            }
        });
        Hub { folder, port, log }
    }

    /// Adds the toy model under a name, with `change` made to a file.
    fn add(&self, name: &str, file: &str, change: impl Fn(String) -> String) {
        let folder = self.folder.path().join(name);
        std::fs::create_dir_all(&folder).expect("folder");
        for entry in std::fs::read_dir(TOY).expect("the toy model") {
            let entry = entry.expect("entry");
            if entry.path().is_file() {
                std::fs::copy(entry.path(), folder.join(entry.file_name())).expect("copy");
            }
        }
        let path = folder.join(file);
        if path.is_file() {
            let text = std::fs::read_to_string(&path).expect("text");
            std::fs::write(&path, change(text)).expect("write");
        }
    }

    /// Runs the program with an empty environment but for this hub.
    fn run(&self, home: &Path, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zoetrope"));
        let endpoint = format!("http://127.0.0.1:{}", self.port);
        command.args(args).env_clear().env("HOME", home).env("HF_ENDPOINT", endpoint).current_dir(home);
        command.output().expect("the binary starts")
    }

    fn weights_asked_for(&self) -> Vec<String> {
        let log = self.log.lock().expect("log");
        let is_whole =
            |line: &&String| line.contains(".safetensors") && line.starts_with("GET") && line.ends_with(" -");
        log.iter().filter(is_whole).cloned().collect()
    }
}

fn serve(mut stream: TcpStream, root: &Path, log: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let mut range = "-".to_string();
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(": ") else { break };
        if name.eq_ignore_ascii_case("range") {
            range = value.to_string();
        }
    }
    let words: Vec<&str> = request.split(' ').collect();
    let (method, path) = (words[0], words[1].split('?').next().unwrap_or_default());
    log.lock().expect("log").push(format!("{method} {path} {range}"));
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let (body, status) = match parts[..] {
        ["api", "models", "org", name, "revision", _] if root.join(name).is_dir() => {
            let names = std::fs::read_dir(root.join(name))?.flatten();
            let names: Vec<String> =
                names.map(|e| format!("{{\"rfilename\":\"{}\"}}", e.file_name().to_string_lossy())).collect();
            (format!("{{\"sha\":\"{}\",\"siblings\":[{}]}}", "a".repeat(40), names.join(",")).into_bytes(), 200)
        }
        ["org", name, "resolve", _, file] => match std::fs::read(root.join(name).join(file)) {
            Ok(bytes) => (bytes, 200),
            Err(_) => (Vec::new(), 404),
        },
        _ => (Vec::new(), 404),
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} X\r\netag: \"{length:x}-1\"\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    )?;
    if method == "HEAD" { Ok(()) } else { stream.write_all(&body) }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn picture(folder: &Path) -> PathBuf {
    let path = folder.join("gray.pgm");
    std::fs::write(&path, [&b"P5 32 32 255\n"[..], &[128; 1024]].concat()).expect("write");
    path
}

#[test]
fn weights_are_fetched_only_by_what_runs_the_model() {
    let (hub, home) = (Hub::new(), tempfile::tempdir().expect("home"));
    hub.add("toy", "", |text| text);
    let picture = picture(home.path());
    let picture = picture.to_str().expect("path");
    for args in [
        vec!["plan", picture, "--model", "org/toy"],
        vec!["frames", picture, "--model", "org/toy", "--out", "frames"],
        vec!["info", "org/toy"],
    ] {
        let output = hub.run(home.path(), &args);
        assert!(output.status.success(), "{args:?}: {}", said(&output));
        assert_eq!(hub.weights_asked_for(), Vec::<String>::new(), "{args:?}");
    }
    // The headers say what the whole model says.
    let by_name = hub.run(home.path(), &["info", "org/toy", "--json"]).stdout;
    let output = hub.run(home.path(), &["ask", picture, "what is it?", "--model", "org/toy", "--max-new-tokens", "1"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(hub.weights_asked_for().len(), 1);
    assert!(said(&output).contains("fetching"), "told in lines: {}", said(&output));
    assert_eq!(hub.run(home.path(), &["info", "org/toy", "--json"]).stdout, by_name);
    let local = String::from_utf8(hub.run(home.path(), &["info", TOY, "--json"]).stdout).expect("text");
    assert_eq!(local.replace(TOY, "org/toy"), String::from_utf8(by_name).expect("text"));
}

#[test]
fn models_that_cannot_run_are_refused_before_their_weights() {
    let (hub, home) = (Hub::new(), tempfile::tempdir().expect("home"));
    hub.add("other", "config.json", |text| {
        let mut config: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        config["model_type"] = "of_another_family".into();
        config.to_string()
    });
    hub.add("quantized", "config.json", |text| {
        let mut config: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        config["quantization_config"] = serde_json::json!({ "quant_method": "awq", "bits": 4 });
        config.to_string()
    });
    hub.add("adapter", "config.json", |_| String::new());
    let adapter = hub.folder.path().join("adapter");
    std::fs::remove_file(adapter.join("config.json")).expect("remove");
    std::fs::rename(adapter.join("model.safetensors"), adapter.join("adapter_model.safetensors")).expect("rename");
    std::fs::write(adapter.join("adapter_config.json"), r#"{"base_model_name_or_path": "some/base"}"#).expect("write");
    for (name, words) in [
        ("org/other", ["not supported", "of_another_family"]),
        ("org/quantized", ["quantized by awq", "original model"]),
        ("org/adapter", ["an adapter (LoRA) of some/base", "--base some/base"]),
    ] {
        for args in [vec!["ask", "hi", "--model", name], vec!["pull", name], vec!["info", name]] {
            let output = hub.run(home.path(), &args);
            let text = said(&output);
            assert!(
                output.status.code() == Some(1) && words.iter().all(|word| text.contains(word)),
                "{args:?}: {text}"
            );
        }
    }
    assert_eq!(hub.weights_asked_for(), Vec::<String>::new());
    // Over its base an adapter is fetched like a model. This one has the tensors of a whole model, under other names.
    let output = hub.run(home.path(), &["ask", "hi", "--model", "org/adapter", "--base", TOY]);
    assert_eq!(hub.weights_asked_for().len(), 1, "{}", said(&output));
}

#[test]
fn errors_of_a_model_that_is_looked_at_name_it_and_no_temporary_folder() {
    let (hub, home) = (Hub::new(), tempfile::tempdir().expect("home"));
    hub.add("odd", "config.json", |text| {
        let mut config: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        for place in ["/text_config/hidden_size", "/hidden_size"] {
            if let Some(size) = config.pointer_mut(place) {
                *size = (size.as_u64().expect("a number") * 2).into();
            }
        }
        config.to_string()
    });
    hub.add("broken", "tokenizer.json", |_| "{".into());
    let picture = picture(home.path());
    for name in ["org/odd", "org/broken"] {
        for args in [vec!["info", name], vec!["plan", picture.to_str().expect("path"), "--model", name]] {
            let output = hub.run(home.path(), &args);
            let text = said(&output);
            assert_eq!(output.status.code(), Some(1), "{args:?}: {text}");
            assert!(text.contains(&format!("{name}/")) && !text.contains("/zoetrope-"), "{args:?}: {text}");
        }
    }
}

#[test]
fn addresses_of_media_are_recognized() {
    let (hub, home) = (Hub::new(), tempfile::tempdir().expect("home"));
    for address in ["https://example.com/a.mp4", "s3://bucket/a.png"] {
        let output = hub.run(home.path(), &["probe", address]);
        let text = said(&output);
        assert!(text.contains(address) && text.contains("not fetched") && text.contains("download"), "{text}");
    }
}

#[test]
fn names_are_taken_as_they_are_pasted_and_the_cache_is_where_it_belongs() {
    let (hub, home) = (Hub::new(), tempfile::tempdir().expect("home"));
    hub.add("toy", "", |text| text);
    let folder = home.path().join(".cache/huggingface/hub/models--org--toy/snapshots").join("a".repeat(40));
    for name in ["org/toy/", " https://huggingface.co/org/toy/tree/main ", "hf.co/org/toy", "models--org--toy"] {
        let output = hub.run(home.path(), &["pull", name]);
        assert!(output.status.success(), "{name}: {}", said(&output));
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), folder.to_str().expect("path"), "{name}");
    }
    let output = hub.run(home.path(), &["pull", "https://huggingface.co/datasets/org/toy"]);
    assert!(said(&output).contains("a dataset, not a model"), "{}", said(&output));
    let mut command = Command::new(env!("CARGO_BIN_EXE_zoetrope"));
    command.args(["pull", "org/toy"]).env_clear().current_dir(home.path()).env("HOME", home.path());
    command.env("HF_HOME", "~/other").env("HF_ENDPOINT", format!("http://127.0.0.1:{}", hub.port));
    let output = command.output().expect("the binary starts");
    assert!(output.status.success(), "{}", said(&output));
    assert!(home.path().join("other/hub/models--org--toy").is_dir() && !home.path().join("~").exists());
}
