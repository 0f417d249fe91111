//! The program as a sandboxed process, and what the engine makes of it.
#![cfg(unix)]

use std::path::Path;

use zoetrope_engine::{Limits, open_file, sandboxed_source};
use zoetrope_media::sandbox::{ARGUMENT, Sandbox, SandboxOptions};
use zoetrope_media::{DecoderChoice, OpenOptions};

const PROGRAM: &str = env!("CARGO_BIN_EXE_zoetrope");

fn golden(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../media/tests/golden").join(name)
}

#[test]
fn a_sandboxed_file_is_the_same_source_as_the_file() {
    let command = Some(vec![PROGRAM.into(), ARGUMENT.into()]);
    let sandbox = Sandbox::start(SandboxOptions { command, ..SandboxOptions::default() }).expect("a sandbox");
    let files = OpenOptions { decoder: DecoderChoice::Embedded, ..OpenOptions::default() };
    for name in ["codec/h264-high.mp4", "codec/vp9-odd.webm", "subtitle/film.mkv"] {
        let path = golden(name);
        let limits = Limits { files: files.clone(), ..Limits::default() };
        let here = open_file(&path, &limits).expect(name);
        let clip = sandbox.open(&path, &files).expect(name);
        let there = sandboxed_source("a film", clip, files.subtitles.clone());
        assert_eq!(format!("{:?}", here.metadata()), format!("{:?}", there.metadata()), "{name}");
        let words = here.subtitles().expect(name).map(|found| found.captions);
        assert_eq!(words, there.subtitles().expect(name).map(|found| found.captions), "{name}");
        let indices = [0, 1, 1, 3];
        let (one, two) = (here.frames(&indices), there.frames(&indices));
        for (one, two) in one.zip(two) {
            let (one, two) = (one.expect(name), two.expect(name));
            assert_eq!((one.frame.index, one.frame.image), (two.frame.index, two.frame.image), "{name}");
            assert_eq!((one.repeated, one.damaged), (two.repeated, two.damaged), "{name}");
        }
    }
}

#[test]
fn people_cannot_start_it_by_hand() {
    let output = std::process::Command::new(PROGRAM).arg(ARGUMENT).stdin(std::process::Stdio::null()).output();
    let output = output.expect("the program starts");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
}
