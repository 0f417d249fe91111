use zoetrope_models::weights::{Learn, ParameterGroup, Precision, WeightType};

use super::*;

const ONE: &str = r#"
[[stage]]
name = "one"
steps = 6
optimizer = { lr = 0.5 }
data = [{ drawn = "clips" }]
"#;

fn parse(text: &str) -> Result<Recipe, String> {
    Recipe::parse(text).map_err(|error| error.to_string())
}

fn one() -> Recipe {
    parse(ONE).unwrap()
}

#[test]
fn values_out_of_range_are_refused_by_name() {
    let wrong: [(&str, &str); 54] = [
        ("save_every = 0", "save_every: must"),
        ("keep_last = 0", "keep_last: must"),
        ("max_bad = 1.5", "max_bad: 1.5"),
        ("max_bad = nan", "max_bad: NaN"),
        ("stage.steps = 0", "steps: must"),
        ("stage.steps = 9000000000", "steps: 9000000000 is more than the limit of 4294967296"),
        ("stage.epochs = 1", "steps and epochs: both"),
        ("stage.batch = 0", "batch: must"),
        ("stage.batch = 1000000", "batch: 1000000"),
        ("stage.pack = 0", "pack: must"),
        ("stage.max_tokens = 0", "max_tokens: must"),
        ("stage.ema = 1", "ema: 1 is"),
        ("stage.objective.contrast = 1", "objective.contrast: only with kind = \"contrastive\""),
        ("stage.objective = { kind = 'contrastive', matching = -1 }", "objective.matching: -1"),
        ("stage.objective = { kind = 'contrastive', label_smoothing = 1 }", "objective.label_smoothing: 1"),
        (
            "stage.objective = { kind = 'contrastive', contrast = 0, matching = 0, captioning = 0 }",
            "objective.contrast, matching",
        ),
        ("stage.turns = 5000", "turns: 5000"),
        ("stage.turns = 0", "turns and token_loss_weight: both are 0"),
        ("stage.token_loss_weight = -1", "token_loss_weight: -1"),
        ("stage.media.fps = 0", "media.fps: 0"),
        ("stage.media.max_frames = 0", "media.max_frames: must"),
        ("stage.media.max_visual_tokens = 0", "media.max_visual_tokens: must"),
        ("stage.vision.learn = 'lora'", "vision.rank: must be given"),
        ("stage.vision.rank = 8", "vision.rank: only"),
        ("stage.vision = { learn = 'lora', rank = 0 }", "vision.rank: must be at least 1"),
        ("stage.vision = { learn = 'lora', rank = 5000 }", "vision.rank: 5000"),
        ("stage.vision = { learn = 'lora', rank = 8, alpha = -1 }", "vision.alpha: -1"),
        ("stage.language.alpha = 2", "language.alpha: only"),
        ("stage.embeddings = { learn = 'lora', rank = 8 }", "embeddings.learn: adapters"),
        ("stage.projector = { learn = 'frozen', only = ['x'] }", "projector.only: nothing"),
        ("stage.projector.lr = -1", "projector.lr: -1"),
        ("stage.projector.precision = 'int8'", "projector.precision: what is learned"),
        ("stage.optimizer.lr = 0", "optimizer.lr: must be given"),
        ("stage.optimizer.lr = inf", "optimizer.lr: inf"),
        ("stage.optimizer.lr = 11", "optimizer.lr: 11"),
        ("stage.optimizer.kind = 'muon'", "optimizer.muon_lr: must be given"),
        ("stage.optimizer.muon_lr = 0.1", "optimizer.muon_lr: only"),
        ("stage.optimizer.weight_decay = -0.1", "optimizer.weight_decay: -0.1"),
        ("stage.optimizer.beta2 = 1", "optimizer.beta2: 1 is"),
        ("stage.optimizer.eps = 0", "optimizer.eps: 0"),
        ("stage.optimizer.clip = 0", "optimizer.clip: 0"),
        ("stage.schedule.warmup = 7", "schedule.warmup: 7 of the 6 steps"),
        ("stage.schedule = { warmup = 1, warmup_share = 0.1 }", "schedule.warmup and warmup_share: both"),
        ("stage.schedule.min_ratio = 1.5", "schedule.min_ratio: 1.5"),
        ("stage.data = []", "data: there is none"),
        ("stage.objective.beta = 0.1", "objective.beta: only with kind = \"dpo\""),
        ("stage.objective.precompute_ref_log_probs = true", "objective.precompute_ref_log_probs: only with"),
        ("stage.objective.kind = 'dpo'", "objective.kind: drawn scenes are no pairs of preferences"),
        ("stage.objective = { kind = 'dpo', beta = 0 }", "objective.beta: 0 is not above 0"),
        ("stage.objective = { kind = 'dpo', label_smoothing = 0.5 }", "objective.label_smoothing: 0.5 is not"),
        ("stage.objective = { kind = 'dpo', rpo_alpha = -1 }", "objective.rpo_alpha: -1 is not"),
        ("stage.objective = { kind = 'dpo', label_smoothing = nan }", "objective.label_smoothing: NaN"),
        ("stage.eval.every = 0", "eval.every: must"),
        ("stage.eval.samples = 9", "eval.data: there is none"),
    ];
    for (line, expected) in wrong {
        let text = parse(&changed(line)).unwrap_err();
        let place =
            if line.starts_with("stage") { format!("stage 1 (\"one\"): {expected}") } else { expected.to_string() };
        assert!(text.starts_with(&place), "{line}: {text}");
    }
}

/// The recipe with a value set: `stage.` is the only stage, and what is set replaces what is there.
fn changed(line: &str) -> String {
    let (path, value) = line.split_once(" = ").unwrap();
    let mut whole: toml::Table = toml::from_str(ONE).unwrap();
    let value = toml::from_str::<toml::Table>(&format!("value = {value}")).unwrap()["value"].clone();
    let mut names: Vec<&str> = path.split('.').collect();
    let last = names.pop().unwrap();
    let mut table = &mut whole;
    for name in names {
        table = match table.entry(name).or_insert(toml::Value::Table(toml::Table::new())) {
            toml::Value::Table(table) => table,
            toml::Value::Array(stages) => stages[0].as_table_mut().unwrap(),
            _ => panic!("{path}"),
        };
    }
    table.insert(last.to_string(), value);
    written(&whole)
}

/// Tables inline, so that the text is TOML without a writer of it.
fn written(table: &toml::Table) -> String {
    let stages = table["stage"].as_array().unwrap();
    let top = table.iter().filter(|(name, _)| *name != "stage");
    let top: String = top.map(|(name, value)| format!("{name} = {}\n", inline(value))).collect();
    let stage = |stage: &toml::Value| {
        let fields = stage.as_table().unwrap().iter();
        format!(
            "[[stage]]\n{}",
            fields.map(|(name, value)| format!("{name} = {}\n", inline(value))).collect::<String>()
        )
    };
    top + &stages.iter().map(stage).collect::<String>()
}

fn inline(value: &toml::Value) -> String {
    match value {
        toml::Value::Table(table) => {
            let fields: Vec<String> = table.iter().map(|(name, value)| format!("{name} = {}", inline(value))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        toml::Value::Array(all) => format!("[{}]", all.iter().map(inline).collect::<Vec<_>>().join(", ")),
        toml::Value::String(text) => format!("{text:?}"),
        toml::Value::Integer(n) => n.to_string(),
        toml::Value::Float(n) => format!("{n:?}").replace("NaN", "nan"),
        toml::Value::Boolean(b) => b.to_string(),
        toml::Value::Datetime(_) => panic!("no recipe has a date"),
    }
}

#[test]
fn mixtures_that_make_no_sense_are_refused() {
    let wrong = [
        ("[{}]", "data 1: drawn or data"),
        ("[{ drawn = 'hard' }]", "data 1: "),
        ("[{ drawn = 'clips', data = 'x' }]", "data 1: drawn and data"),
        ("[{ drawn = 'clips', media = 'x' }]", "data 1: media"),
        ("[{ data = 'x', kinds = ['shape'] }]", "data 1: kinds"),
        ("[{ drawn = 'clips', weight = -1 }]", "data 1: weight: -1"),
        ("[{ data = 'x' }, { drawn = 'clips' }]", "data 2: weight: must be given"),
        ("[{ data = 'x', weight = 1 }, { data = 'y' }]", "data: 1 of 2 have a weight"),
    ];
    for (data, expected) in wrong {
        let text = parse(&changed(&format!("stage.data = {data}"))).unwrap_err();
        assert!(text.starts_with(&format!("stage 1 (\"one\"): {expected}")), "{data}: {text}");
    }
    let text = parse(&ONE.replace("steps = 6", "epochs = 6")).unwrap_err();
    assert!(text.contains("epochs: drawn scenes have no end"), "{text}");
}

/// What learning preferences rules out, over a data file.
#[test]
fn what_does_not_go_with_preferences_is_refused_by_name() {
    let pairs = ONE.replace("{ drawn = \"clips\" }", "{ data = \"pairs.jsonl\" }") + "objective.kind = 'dpo'\n";
    assert_eq!(parse(&pairs).map(|recipe| recipe.stages.len()), Ok(1));
    let adapters = "vision.learn = 'frozen'\nprojector.learn = 'frozen'\nlanguage = { learn = 'lora', rank = 2 }\n";
    let before = "objective.precompute_ref_log_probs = false\n";
    assert!(parse(&format!("{pairs}{adapters}{before}")).is_ok());
    let again = format!("[[stage]]\ncontinues = true\nname = 'two'\nsteps = 1\nobjective.kind = 'dpo'\n{before}");
    for (lines, expected) in [
        ("loss = 'sample'", "stage 1 (\"one\"): loss: with objective.kind = \"dpo\" every sample counts alike"),
        ("token_loss_weight = 1", "stage 1 (\"one\"): token_loss_weight: not with"),
        ("eval.data = [{ drawn = 'clips' }]", "stage 1 (\"one\"): objective.kind: drawn scenes are no pairs"),
        (before, "stage 1 (\"one\"): objective.precompute_ref_log_probs: false only where nothing but new adapters"),
        // The adapters of the second stage are those that the first one has learned.
        (&format!("{adapters}{again}"), "stage 2 (\"two\"): objective.precompute_ref_log_probs: false only where"),
    ] {
        let text = parse(&format!("{pairs}{lines}")).unwrap_err();
        assert!(text.starts_with(expected), "{lines}: {text}");
    }
}

/// What a stage without the decoder rules out.
#[test]
fn what_does_not_go_with_contrast_is_refused_by_name() {
    let captions = ONE.replace("{ drawn = \"clips\" }", "{ data = \"c.jsonl\" }") + "objective.kind = 'contrastive'\n";
    assert_eq!(parse(&captions).map(|recipe| recipe.stages.len()), Ok(1));
    for (lines, expected) in [
        ("max_tokens = 9", "max_tokens: counts tokens of the decoder"),
        ("loss = 'sample'", "loss: with objective.kind = \"contrastive\" every sample counts alike"),
        ("token_loss_weight = 1", "token_loss_weight: not with objective.kind = \"contrastive\""),
        ("eval.data = [{ drawn = 'clips' }]", "objective.kind: drawn scenes are no media with captions; contrastive"),
    ] {
        let text = parse(&format!("{captions}{lines}")).unwrap_err();
        assert!(text.starts_with(&format!("stage 1 (\"one\"): {expected}")), "{lines}: {text}");
    }
}

#[test]
fn unknown_names_come_with_their_line_and_the_nearest_known_one() {
    let refused = |text: &str, words: &[&str]| {
        let error = parse(text).unwrap_err();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    };
    refused(&format!("sed = 1\n{ONE}"), &["line 1", "unknown field \"sed\"", "did you mean \"seed\"?"]);
    refused(&ONE.replace("steps", "step"), &["line 4", "\"step\"", "did you mean \"steps\"?"]);
    refused(&ONE.replace("lr =", "learning_rate ="), &["line 5", "\"learning_rate\"; known are kind, lr, muon_lr"]);
    refused(&format!("{ONE}vison.learn = 'full'"), &["line 7", "did you mean \"vision\"?"]);
    refused(&format!("{ONE}vision.learn = 'ful'"), &["line 7", "unknown value \"ful\"", "did you mean \"full\"?"]);
    refused(&format!("{ONE}optimizer.kind = 'sgd'"), &["line 7"]);
    refused(&format!("{ONE}schedule.kind = 'cosin'"), &["line 7", "did you mean \"cosine\"?"]);
    refused(&format!("{ONE}objective.kind = 'dop'"), &["line 7", "unknown value \"dop\"", "did you mean \"dpo\"?"]);
    refused(&format!("{ONE}objective.bete = 1"), &["line 7", "unknown field \"bete\"", "did you mean \"beta\"?"]);
    refused(&format!("[defaults]\nbach = 3\n{ONE}"), &["line 2", "did you mean \"batch\"?"]);
    refused(&ONE.replace("\"clips\"", "3"), &["line 6", "expected a string"]);
    refused("[[stage]", &["line 1"]);
}

#[test]
fn stages_take_over_defaults_or_what_they_continue() {
    let recipe = parse(
        r#"
        [defaults]
        batch = 4
        steps = 9
        optimizer = { lr = 0.1, clip = 0.5 }
        vision.learn = "frozen"
        data = [{ drawn = "clips" }]
        [[stage]]
        name = "a"
        optimizer = { lr = 0.2 }
        schedule.warmup_share = 0.5
        source = "somewhere"
        [[stage]]
        name = "b"
        continues = true
        steps = 3
        batch = 8
        [[stage]]
        name = "c"
        vision.learn = "full"
        "#,
    )
    .unwrap();
    let [a, b, c] = &recipe.stages[..] else { panic!("three stages") };
    assert_eq!((a.batch, a.steps, a.optimizer.lr, a.optimizer.clip), (4, Some(9), 0.2, 0.5));
    assert_eq!((b.batch, b.steps, &b.optimizer, b.schedule, &*b.source), (8, Some(3), &a.optimizer, a.schedule, ""));
    assert_eq!((b.learn(ParameterGroup::Vision), c.learn(ParameterGroup::Vision)), (Learn::Frozen, Learn::Full));
    assert_eq!((c.optimizer.lr, c.schedule), (0.1, Schedule::default()));
    let second = "[[stage]]\nname = 'two'\ncontinues = true\nsteps = 1\n";
    let text = parse(&format!("{ONE}{second}optimizer.lr = 0.1")).unwrap_err();
    assert!(text.contains("stage 2 (\"two\"): optimizer: a stage that continues"), "{text}");
    let text = parse(&format!("{ONE}{second}")).map(|recipe| recipe.stages.len());
    assert_eq!(text, Ok(2));
    let text = parse(&ONE.replace("steps = 6", "steps = 6\ncontinues = true")).unwrap_err();
    assert!(text.contains("continues: there is no stage before it"), "{text}");
}

#[test]
fn groups_are_loaded_as_the_stage_says() {
    let rules = |lines: &str| {
        let options = parse(&format!("{ONE}{lines}")).unwrap().stages[0].load_options();
        GROUPS.map(|group| options.of_group(group))
    };
    let f32 = Precision::Float(candle_core::DType::F32);
    assert_eq!(rules(""), [(f32, Learn::Full); 4]);
    let lora = Learn::Lora { rank: 4, alpha: 8.0 };
    let lines = "vision.learn = 'frozen'\nlanguage = { learn = 'lora', rank = 4, alpha = 8, precision = 'int8' }";
    let int8 = Precision::Packed(WeightType::Int8);
    assert_eq!(rules(lines), [(f32, Learn::Frozen), (f32, Learn::Full), (int8, lora), (int8, Learn::Frozen)]);
    let lines = format!("{lines}\nembeddings.learn = 'full'");
    assert_eq!(rules(&lines)[3], (f32, Learn::Full));
    let stage = parse(&format!("{ONE}language.lr = 0.25")).unwrap().stages.remove(0);
    assert_eq!(GROUPS.map(|group| stage.lr_share(group)), [1.0, 1.0, 0.5, 0.5]);
}

#[test]
fn a_recipe_is_told_from_another_by_its_values() {
    let json = serde_json::to_value(one()).unwrap();
    assert_eq!((json["stage"][0]["steps"].as_u64(), json.get("defaults"), json.get("folder")), (Some(6), None, None));
    assert_ne!(json, serde_json::to_value(parse(&ONE.replace("0.5", "0.4")).unwrap()).unwrap());
}
