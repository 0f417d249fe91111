//! A film is read once: what a service computed is found by the next one over the same folder, and damage costs time
//! and never a right answer.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use zoetrope_media::OpenOptions;
use zoetrope_models::contract::feature_file::ModelIdentity;

use super::service::{Client, film, options, run_all, values};
use super::*;

fn open(folder: &Path) -> Arc<Store> {
    let folder = folder.join("store");
    Store::open(StoreOptions { keep_free: 0, ..StoreOptions::new(folder) }).expect("a store")
}

fn identity(checkpoint: &str) -> ModelIdentity {
    ModelIdentity { family: "fake".into(), checkpoint: checkpoint.into(), held_as: "f32".into() }
}

fn of_model(store: &Arc<Store>, model: &Arc<FakeModel>) -> ModelStore {
    ModelStore::new(store, "fake", identity("c"), model.as_ref(), &OpenOptions::default())
}

/// A process: its model counts what it computes, and its service uses the store in a folder.
struct Process {
    model: Arc<FakeModel>,
    store: ModelStore,
    service: Service,
}

impl Process {
    fn start(folder: &Path) -> Self {
        Self::start_with(folder, of_model)
    }

    fn start_with(folder: &Path, own: impl Fn(&Arc<Store>, &Arc<FakeModel>) -> ModelStore) -> Self {
        let model = Arc::new(FakeModel::new());
        let store = own(&open(folder), &model);
        let mut service = Service::new(model.clone(), options()).expect("a service");
        service.use_index(Some(&FeatureIndex::of_store(store.clone())));
        Process { model, store, service }
    }

    fn submit(&mut self, content: Vec<ContentPart>) -> Client {
        let (processor, limits) = (self.model.processor(), Limits::default());
        let index = Some(FeatureIndex::of_store(self.store.clone()));
        let messages = vec![(Role::User, content)];
        let turn = PreparedTurn::new(processor, &limits, messages, &PlanOptions::default(), index).expect("a turn");
        let (client, request) =
            (Client::default(), TurnRequest { max_new_tokens: 12, replies: 1, ..TurnRequest::default() });
        self.service.submit(turn, request, Box::new(client.clone()));
        client
    }

    /// The answer, and how many tokens of its prompt were not computed.
    fn ask(&mut self, content: Vec<ContentPart>) -> (String, usize) {
        let client = self.submit(content);
        run_all(&mut self.service);
        self.store.store().flush();
        let told = client.told();
        assert_eq!(told.failed, None);
        (told.texts[0].clone(), told.report.as_ref().expect("a report").tokens.reused)
    }

    fn frames_seen(&self) -> usize {
        self.model.frames_seen.load(Ordering::SeqCst)
    }

    fn files(&self, kind: EntryKind) -> Vec<PathBuf> {
        self.store.store().files().into_iter().filter(|file| file.kind == kind).map(|file| file.path).collect()
    }
}

/// Film number `phase` of 200 frames that all differ, and a question.
fn question(phase: u8, words: &str) -> Vec<ContentPart> {
    let values: Vec<u8> = values(200).iter().map(|value| value.wrapping_add(phase)).collect();
    vec![film(&values), text(words)]
}

/// The answer of a model that has nothing but memory.
fn alone(phase: u8, words: &str) -> String {
    ask(&Arc::new(FakeModel::new()), question(phase, words), &short(12)).text
}

#[test]
fn the_next_process_neither_encodes_nor_reads_the_film_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut first = Process::start(folder.path());
    assert_eq!(first.ask(question(0, "what")), (alone(0, "what"), 0));
    assert_eq!((first.frames_seen(), first.files(EntryKind::Features).len()), (200, 1));
    // 800 visual tokens and a few of text: three full blocks.
    assert_eq!(first.files(EntryKind::KeysValues).len(), 3);
    drop(first);
    let mut second = Process::start(folder.path());
    assert_eq!(second.ask(question(0, "who")), (alone(0, "who"), 768));
    assert_eq!(second.frames_seen(), 0);
    // Of the visual tokens that are in no full block: frames 176 to 199, as 16 are projected at once.
    assert_eq!(second.model.frames_projected.load(Ordering::SeqCst), 24);
    let rows = second.model.rows_computed.load(Ordering::SeqCst);
    assert!(rows < 802 - 768 + 30, "{rows} rows were computed");
    // From memory as well as from disk, and several at once; a short question without a film goes beside them.
    let clients: Vec<Client> = (0..3).map(|_| second.submit(question(0, "what"))).collect();
    let short = second.submit(vec![text("hello")]);
    run_all(&mut second.service);
    assert!(clients.iter().all(|client| client.told().texts[0] == alone(0, "what")));
    assert_eq!(short.told().texts[0], ask(&Arc::new(FakeModel::new()), vec![text("hello")], &super::short(12)).text);
    assert_eq!(second.frames_seen(), 0);
    let names: Vec<_> = second.store.store().files().iter().filter_map(StoredFile::names).collect();
    assert_eq!(names, vec![("fake".to_string(), "film".to_string()); 4]);
}

#[test]
fn other_models_other_readings_and_unknown_content_share_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    Process::start(folder.path()).ask(question(0, "what"));
    let square = OpenOptions { track: Some(1), ..OpenOptions::default() };
    let other_model = |store: &Arc<Store>, model: &Arc<FakeModel>| {
        ModelStore::new(store, "fake", identity("d"), model.as_ref(), &square)
    };
    let other_reading = |store: &Arc<Store>, model: &Arc<FakeModel>| {
        ModelStore::new(store, "fake", identity("c"), model.as_ref(), &square)
    };
    let mut processes = [Process::start_with(folder.path(), other_model)];
    assert_eq!((processes[0].ask(question(0, "what")).1, processes[0].frames_seen()), (0, 200));
    let mut other = Process::start_with(folder.path(), other_reading);
    assert_eq!((other.ask(question(0, "what")).1, other.frames_seen()), (0, 200));
    let before = other.store.store().files().len();
    let unknown = || vec![media("film", video(&values(200))), text("what")];
    let (mut one, mut two) = (Process::start(folder.path()), Process::start(folder.path()));
    assert_eq!(one.ask(unknown()), (alone(0, "what"), 0));
    assert_eq!(two.ask(vec![media("film", video(&[9; 200])), text("what")]).1, 0, "not the film of the other process");
    assert_eq!(one.store.store().files().len(), before, "media without a digest is not kept");
}

#[test]
fn a_conversation_of_the_command_line_shares_with_the_service() {
    let folder = tempfile::tempdir().expect("a folder");
    let session = || {
        let model = Arc::new(FakeModel::new());
        let mut session = new_session(&model, Limits::default());
        let store = of_model(&open(folder.path()), &model);
        session.use_index(Some(FeatureIndex::of_store(store.clone())));
        (model, store, session)
    };
    let (model, store, mut own) = session();
    let first = own.ask(question(0, "what"), &short(12), &mut ignore).expect("an answer");
    store.store().flush();
    assert_eq!(
        (&first.text, first.tokens.reused, model.frames_seen.load(Ordering::SeqCst)),
        (&alone(0, "what"), 0, 200)
    );
    let (model, _, mut own) = session();
    let second = own.ask(question(0, "who"), &short(12), &mut ignore).expect("an answer");
    assert_eq!((second.text, second.tokens.reused), (alone(0, "who"), 768));
    assert!(second.media[0].features.is_some() && model.frames_seen.load(Ordering::SeqCst) == 0);
    // The next turn of the same conversation goes on from memory.
    let third = own.ask(vec![text("and then")], &short(12), &mut ignore).expect("an answer");
    assert!(third.tokens.reused > 800, "{}", third.tokens.reused);
    let mut process = Process::start(folder.path());
    assert_eq!((process.ask(question(0, "what")), process.frames_seen()), ((alone(0, "what"), 768), 0));
}

#[test]
fn whatever_byte_is_damaged_the_answer_is_right_and_the_file_is_mended() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut process = Process::start(folder.path());
    process.ask(question(0, "what"));
    let files: Vec<PathBuf> = process.store.store().files().into_iter().map(|file| file.path).collect();
    drop(process);
    let mut random = 12345u64;
    for round in 0..24 {
        let file = &files[round % files.len()];
        let mut bytes = std::fs::read(file).expect("a whole file");
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = (random >> 33) as usize % bytes.len();
        match round % 3 {
            0 => bytes.truncate(at),
            1 => bytes[at] ^= 1 << (random >> 60 & 7),
            _ => bytes[at..].fill(0xff),
        }
        std::fs::write(file, bytes).expect("written");
        let mut next = Process::start(folder.path());
        let (answer, reused) = next.ask(question(0, "what"));
        assert_eq!(answer, alone(0, "what"), "round {round}: {} from byte {at}", file.display());
        assert!(reused <= 768 && reused % 256 == 0);
        assert!(next.store.store().damaged().is_empty(), "round {round}: {}", file.display());
        assert_eq!(next.store.store().files().len(), files.len(), "round {round}: written again");
    }
}

#[test]
fn a_disk_that_takes_nothing_or_little_changes_no_answer() {
    for most_bytes in [0, 1000, 6000, 9000] {
        let folder = tempfile::tempdir().expect("a folder");
        let limited = |_: &Arc<Store>, model: &Arc<FakeModel>| {
            let folder = folder.path().join("limited");
            let options = StoreOptions { most_bytes: Some(most_bytes), keep_free: 0, ..StoreOptions::new(folder) };
            of_model(&Store::open(options).expect("a store"), model)
        };
        for phase in [0, 1, 0] {
            let mut process = Process::start_with(folder.path(), limited);
            assert_eq!(process.ask(question(phase, "what")).0, alone(phase, "what"), "{most_bytes} bytes");
            let bytes: u64 = process.store.store().files().iter().map(|file| file.bytes).sum();
            assert!(bytes <= most_bytes, "{bytes} of {most_bytes}");
        }
    }
}

/// The film costs the disk what the plan said, and the plan says what is there.
#[test]
fn a_plan_says_what_a_film_costs_the_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let pruned = || vec![film(&(0..400).map(|n| (n / 3 % 100) as u8).collect::<Vec<u8>>()), text("what")];
    for (content, decode) in [(&(|| question(3, "what")) as &dyn Fn() -> Vec<ContentPart>, false), (&pruned, true)] {
        let own = folder.path().join(format!("{decode}"));
        let mut process = Process::start(&own);
        let index = FeatureIndex::of_store(process.store.clone());
        let plan = |process: &Process| {
            let request = short(12);
            let options = EstimateOptions {
                request: &request,
                decode,
                kv_dtype: process.model.weights().kv_dtype(),
                weight_bytes: 0,
                process_bytes: 0,
                index: Some(&index),
            };
            let limits = Limits::default();
            let plan = plan_request(process.model.processor(), &limits, None, content(), options, &mut ignore);
            plan.expect("a plan").disk.expect("a store")
        };
        let before = plan(&process);
        assert_eq!(before.cached_tokens, 0);
        process.ask(content());
        let bytes: u64 = process.store.store().files().iter().map(|file| file.bytes).sum();
        assert_eq!(bytes, before.total);
        let after = plan(&process);
        assert_eq!((after.total, after.features), (before.total, before.features));
        assert!(after.cached_tokens >= 256 && after.cached_tokens % 256 == 0);
        let (_, reused) = Process::start(&own).ask(content());
        assert_eq!(after.cached_tokens, reused);
    }
}

/// A film whose file is written over while it is decoded.
struct Overwritten(InMemory, PathBuf);

impl MediaSource for Overwritten {
    fn metadata(&self) -> MediaMetadata {
        self.0.metadata()
    }

    fn frames<'s>(&'s self, indices: &[usize]) -> FrameIter<'s> {
        std::thread::sleep(Duration::from_millis(20));
        std::fs::write(&self.1, b"another film").expect("written");
        self.0.frames(indices)
    }
}

#[test]
fn a_film_that_changes_while_it_is_decoded_is_not_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("film");
    std::fs::write(&path, b"film").expect("written");
    let part = || {
        let source = Arc::new(Overwritten(video(&values(200)), path.clone()));
        let opened = OpenedMedia::new("film".to_string(), source);
        let opened = OpenedMedia { path: Some(path.clone()), digest: Some([7; 32]), ..opened };
        vec![ContentPart::Media(MediaInput::Opened(opened)), text("what")]
    };
    let mut process = Process::start(folder.path());
    assert_eq!(process.ask(part()), (alone(0, "what"), 0));
    assert!(process.store.store().files().is_empty());
    assert_eq!((process.ask(part()).0, process.frames_seen()), (alone(0, "what"), 400), "nor in memory");
    let model = Arc::new(FakeModel::new());
    let mut session = new_session(&model, Limits::default());
    session.use_index(Some(FeatureIndex::of_store(process.store.clone())));
    session.ask(part(), &short(12), &mut ignore).expect("an answer");
    process.store.store().flush();
    assert!(process.store.store().files().is_empty());
}

#[test]
fn two_processes_at_once_answer_rightly() {
    let folder = tempfile::tempdir().expect("a folder");
    let expected: Vec<String> = (0..4).map(|phase| alone(phase, "what")).collect();
    std::thread::scope(|scope| {
        for turn in 0..2 {
            let (folder, expected) = (folder.path(), &expected);
            scope.spawn(move || {
                let mut process = Process::start(folder);
                for step in 0..8 {
                    let phase = (step * (turn + 1) % 4) as u8;
                    assert_eq!(process.ask(question(phase, "what")).0, expected[usize::from(phase)]);
                }
            });
        }
    });
    assert!(open(folder.path()).damaged().is_empty());
}

const CHILD: &str = "ZOETROPE_TEST_STORE";

/// Not a test: the process that is killed below. It answers about one film after the other.
#[test]
#[ignore = "the child of another test"]
fn child_that_fills_a_store() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let mut process = Process::start(Path::new(&folder));
    for phase in (0..8).cycle() {
        process.ask(question(phase, "what"));
        process.store.store().shrink(40_000);
    }
}

#[test]
#[cfg(unix)]
fn a_store_whose_writer_was_killed_at_any_moment_is_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let expected: Vec<String> = (0..8).map(|phase| alone(phase, "who")).collect();
    let mut found = 0;
    for kill in 0..24u64 {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "tests::kept::child_that_fills_a_store", "--ignored"])
            .env(CHILD, folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a child");
        // A kill at a moment of its own, once it is at work.
        let begun = std::time::Instant::now();
        let unfinished = folder.path().join("store").join("unfinished");
        let is_at_work = || std::fs::read_dir(&unfinished).is_ok_and(|mut found| found.next().is_some());
        while !is_at_work() && begun.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(kill * kill * 211 % 40_000));
        child.kill().expect("killed");
        child.wait().expect("ended");
        let mut process = Process::start(folder.path());
        // An empty folder stays for a while: another process may be about to take its lock.
        let has_files = |folder: &std::fs::DirEntry| std::fs::read_dir(folder.path()).is_ok_and(|f| f.count() > 0);
        let left = std::fs::read_dir(&unfinished).map_or(0, |found| found.flatten().filter(has_files).count());
        assert_eq!(left, 0, "kill {kill}: leftovers are removed");
        assert!(process.store.store().damaged().is_empty(), "kill {kill}");
        found += process.store.store().files().len();
        let phase = (kill % 8) as u8;
        assert_eq!(process.ask(question(phase, "who")).0, expected[usize::from(phase)], "kill {kill}");
    }
    assert!(found > 24, "the children have written: {found}");
}
