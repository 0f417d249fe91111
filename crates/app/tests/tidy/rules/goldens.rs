//! Recorded data lies under few roofs: `tests/golden` of a crate, `assets` and `fuzz`.

use std::path::Path;

use crate::finding::Finding;
use crate::workspace::Workspace;

const RECORDED: [&str; 16] = [
    "avi",
    "bin",
    "gguf",
    "gif",
    "h264",
    "h265",
    "jpg",
    "m2ts",
    "mkv",
    "mov",
    "mp4",
    "npy",
    "png",
    "safetensors",
    "ts",
    "webm",
];

pub(crate) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &workspace.files {
        let extension = Path::new(&file.path).extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let golden = file.room().is_some_and(|(_, path)| path.starts_with("tests/golden/"));
        let roof = golden || ["assets/", "fuzz/"].iter().any(|roof| file.path.starts_with(roof));
        if RECORDED.contains(&extension) && !roof {
            let text = "recorded data outside crates/*/tests/golden, assets and fuzz";
            findings.push(Finding::new("golden-place", &file.path, 1, text));
        }
    }
    findings
}

#[test]
fn goldens_outside_their_roofs_are_found() {
    let files = ["crates/a/tests/golden/b/c.mp4", "assets/a.png", "fuzz/corpus/a.bin", "crates/a/src/golden/d.gguf"];
    let findings = check(&Workspace::of(&files.map(|path| (path, ""))));
    assert_eq!(findings.iter().map(|finding| finding.path.as_str()).collect::<Vec<_>>(), files[3..]);
}
