//! Names that were given up for the field's terms, and words that mean one thing each.

use std::collections::BTreeMap;

use crate::definitions::{Definition, definitions};
use crate::finding::Finding;
use crate::source::Source;
use crate::workspace::{File, Workspace};

/// (where, old name, new name). `mod x` is a module alone, any other name stands for items of every sort.
const GIVEN_UP: &[(&str, &str, &str)] = &[
    ("kernels", "Affine", "LinearWeights"),
    ("kernels", "Before", "PreNorm"),
    ("kernels", "Beside", "QuantMeta"),
    ("kernels", "Between", "MlpActivation"),
    ("kernels", "Cut", "Blocking"),
    ("kernels", "Heads", "AttentionParams"),
    ("kernels", "Kind", "WeightType"),
    ("kernels", "Level", "Isa"),
    ("kernels", "Mapped", "MappedFile"),
    ("kernels", "PATIENCE", "SPIN_TIMEOUT"),
    ("kernels", "Packed", "PackedMatrix"),
    ("kernels", "SLACK", "RESCALE_THRESHOLD"),
    ("kernels", "Stored", "KvSlice"),
    ("kernels", "TILE_ROWS", "MR"),
    ("kernels", "Unit", "ColumnPanel"),
    ("kernels", "deal", "interleave"),
    ("kernels", "dots", "qk"),
    ("kernels", "fit8", "quantize_group_i8"),
    ("kernels", "four", "round_i4"),
    ("kernels", "group4", "quantize_group_i4"),
    ("kernels", "keep_freed", "retain_freed"),
    ("kernels", "largest", "abs_max"),
    ("kernels", "level", "isa"),
    ("kernels", "level_of_cpu", "detected_isa"),
    ("kernels", "mod compare", "check"),
    ("kernels", "mod fetch", "prefetch"),
    ("kernels", "mod few", "decode"),
    ("kernels", "mod map", "mmap"),
    ("kernels", "mod memory", "malloc"),
    ("kernels", "mod packed", "gemm"),
    ("kernels", "mod panels", "prefill"),
    ("kernels", "mod peak", "roofline"),
    ("kernels", "mod spread", "par_rows"),
    ("kernels", "multiply", "matmul"),
    ("kernels", "multiply_transposed", "matmul_backward_input"),
    ("kernels", "new_rows", "par_new_rows"),
    ("kernels", "over_rows", "par_rows"),
    ("kernels", "per_level", "per_isa"),
    ("kernels", "perceptron", "fused_mlp"),
    ("kernels", "products", "fused_linear"),
    ("kernels", "stacks", "uniform_blocks"),
    ("kernels", "steps_of", "inverse_scale"),
    ("kernels", "stored", "kv"),
    ("kernels", "turn", "transpose"),
    ("kernels", "weigh", "softmax, convolve"),
    ("media", "Door", "Backend"),
    ("media", "Picture", "DecodedFrame"),
    ("media", "Pictures", "StillImage"),
    ("media", "Recipe", "DecoderFactory"),
    ("media", "Want", "RequestedFrame"),
    ("media", "guarded", "catch_decoder_panic"),
    ("media", "orphans", "undecodable"),
    ("media", "wants", "requested"),
    ("models", "Dialect", "GgufNaming"),
    ("models", "Listed", "ConversionPlan"),
    ("models", "Twin", "GgufTensor"),
    ("models", "attention_beside", "default_attention_dtype"),
    ("models", "drawn", "init_tensor"),
    ("models", "forward_added", "forward_residual"),
    ("models", "hollow", "meta"),
    ("models", "kv_cache_beside", "default_kv_dtype"),
    ("models", "outline", "open_without_weights"),
    ("models", "over", "with_weights"),
    ("models", "over_files", "from_files"),
    ("models", "settled", "resolve"),
    ("engine", "Medium", "MediaState"),
    ("engine", "Watch", "EventHandler"),
    ("engine", "read_and_write", "generate"),
    ("engine", "survivors", "count_kept_tokens"),
    ("engine", "within", "check_limit"),
    ("lab", "Act", "Motion"),
    ("lab", "Dice", "SynthRng"),
    ("lab", "Lesson", "LossSum"),
    ("lab", "Material", "MixEntry"),
    ("lab", "TokenHeads", "ProbeHeads"),
    ("lab", "aside", "off_topic"),
    ("lab", "lesson", "compute_loss"),
    ("lab", "mod draw", "synth"),
    ("lab", "talk", "small_talk"),
    ("app", "mod words", "media_args"),
];
/// Types that so many things could be called that at most one may be.
const ONE_MEANING: [&str; 15] = [
    "Entry",
    "Found",
    "Item",
    "Kind",
    "Matrix",
    "Out",
    "Part",
    "Piece",
    "Precision",
    "Progress",
    "Recipe",
    "Report",
    "Rows",
    "Source",
    "Stored",
];

pub(crate) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut types: BTreeMap<&str, Vec<(&File, usize)>> = BTreeMap::new();
    for (file, source) in workspace.rust().filter(|(file, _)| file.room().is_some()) {
        let definitions = definitions(&source.code);
        findings.extend(Finding::places("given-up-name", &file.path, &given_up(file, source, &definitions)));
        for item in definitions.iter().filter(|item| item.is_type() && item.outermost && !file.is_test) {
            if ONE_MEANING.contains(&item.name) {
                types.entry(item.name).or_default().push((file, source.line(item.at)));
            }
        }
    }
    for (name, places) in types.iter().filter(|(_, places)| places.len() > 1) {
        for (file, line) in places {
            let text = format!("line {line}: one of {} types called {name}", places.len());
            findings.push(Finding::new("one-meaning", &file.path, 1, text));
        }
    }
    findings
}

fn given_up(file: &File, source: &Source, definitions: &[Definition<'_>]) -> Vec<String> {
    let room = file.room().map_or("", |(room, _)| room);
    let here: Vec<_> = GIVEN_UP.iter().filter(|(place, ..)| *place == room).collect();
    let mut found = Vec::new();
    for item in definitions {
        let is = |old: &str| match old.strip_prefix("mod ") {
            Some(module) => item.keyword == "mod" && item.name == module,
            None => item.name == old,
        };
        if let Some((_, old, new)) = here.iter().find(|(_, old, _)| is(old)) {
            found.push(format!("line {}: {old} -> {new}", source.line(item.at)));
        }
    }
    found
}

#[test]
fn names_that_were_given_up_are_found_in_their_room() {
    let rules = |path: &str, text: &str| check(&Workspace::of(&[(path, text)])).len();
    assert_eq!(rules("crates/kernels/src/a.rs", "mod few;"), 1);
    assert_eq!(rules("crates/kernels/src/a.rs", "pub(crate) fn weigh() {}"), 1);
    assert_eq!(rules("crates/kernels/src/a.rs", "fn panels() { let few = weigh(); }"), 0);
    assert_eq!(rules("crates/text/src/a.rs", "mod few;"), 0);
}

#[test]
fn a_word_means_one_thing() {
    let workspace = Workspace::of(&[
        ("crates/a/src/a.rs", "pub struct Item;\nstruct Entry;"),
        ("crates/b/src/a.rs", "enum Item {}\nimpl Iterator for Items {\n    type Item = u8;\n    type Entry = u8;\n}"),
        ("crates/b/tests/a.rs", "struct Entry;"),
    ]);
    let findings = check(&workspace);
    assert_eq!(findings.iter().map(|finding| finding.rule).collect::<Vec<_>>(), ["one-meaning"; 2], "{findings:?}");
}
