//! Runs of several processes, which are threads here, beside the run of one.

use super::stages::bytes_of_checkpoint;
use super::*;
use crate::train::mixture::OpenData;
use crate::train::processes::{Collectives, InMemory};

/// What a process is told of a step.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    step: usize,
    loss: f64,
    norm: f32,
    tokens: usize,
    bad: usize,
    held_out: Option<HeldOutLoss>,
}

impl Told {
    fn of(report: &StepReport) -> Self {
        let StepReport { progress, loss, norm, tokens, bad, held_out, .. } = report;
        Told { step: progress.step, loss: *loss, norm: *norm, tokens: *tokens, bad: bad.len(), held_out: *held_out }
    }

    fn bits(&self) -> (usize, u64, u32, usize, usize) {
        (self.step, self.loss.to_bits(), self.norm.to_bits(), self.tokens, self.bad)
    }
}

/// What each of `size` processes is told, or why it ends; process `rank` stops after step `until(rank)`.
fn train(
    size: usize,
    folder: &Path,
    recipe: &Recipe,
    until: impl Fn(usize) -> usize + Sync,
    open: impl Fn(usize) -> Box<OpenData<'static>> + Sync,
) -> Vec<Result<Vec<Told>, String>> {
    let one = |processes: InMemory| {
        let processes: Arc<dyn Collectives> = Arc::new(processes);
        let (rank, mut told) = (processes.rank(), Vec::new());
        let mut run = || {
            let (own, open) = (processes.clone(), open(rank));
            let mut trainer = Trainer::open_each(own, &toy(TOY), folder, recipe.clone(), false, &*open)?;
            trainer.run(&mut |report| {
                told.push(Told::of(report));
                if report.progress.step >= until(rank) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
        };
        let done = run();
        if let Err(error) = &done {
            processes.fail(&error.to_string());
        }
        done.map(|()| told).map_err(|error| error.to_string())
    };
    std::thread::scope(|scope| {
        let one = &one;
        let threads: Vec<_> = InMemory::all(size).into_iter().map(|own| scope.spawn(move || one(own))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err("panic".to_string()))).collect()
    })
}

fn test_data(_: usize) -> Box<OpenData<'static>> {
    Box::new(open_test_data)
}

/// What each process is told of the steps up to `until`: all the same.
fn train_well(size: usize, folder: &Path, recipe: &Recipe, until: usize) -> Vec<Told> {
    let all = train(size, folder, recipe, |_| until, test_data);
    let mut all: Vec<Vec<Told>> = all.into_iter().map(Result::unwrap).collect();
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "{all:?}");
    all.swap_remove(0)
}

/// Every kind of state: both optimizers, frozen groups, adapters over int8, averages, probe heads, held-out samples, bad
/// rows, and moments that go on in the next stage.
fn many_states(batch: usize) -> Recipe {
    let mut recipe = recipe(&format!(
        r#"
        [[stage]]
        name = "muon"
        batch = {batch}
        steps = 3
        vision.learn = "frozen"
        token_loss_weight = 0.3
        optimizer = {{ kind = "muon", lr = 0.01, muon_lr = 0.02 }}
        data = [{{ data = "3-bad", weight = 2 }}, {{ drawn = "one_object", weight = 1 }}]
        eval = {{ every = 2, samples = 3, data = [{{ data = "4" }}] }}
        [[stage]]
        name = "more"
        continues = true
        steps = 2
        data = [{{ drawn = "one_object" }}]
        [[stage]]
        name = "adapter"
        batch = {batch}
        language = {{ learn = "lora", rank = 2, precision = "int8" }}
        ema = 0.5
        data = [{{ data = "3" }}]
        "#
    ));
    recipe.max_bad = 0.5;
    recipe
}

#[test]
fn with_a_pack_each_processes_have_the_bits_of_one() {
    for size in [2, 3] {
        // Each process has one pack, and sums are in the order of ranks: no sum is in another order.
        let (one, several) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let recipe = many_states(size);
        let alone = train_well(1, one.path(), &recipe, usize::MAX);
        let told = train_well(size, several.path(), &recipe, usize::MAX);
        let bits = |told: &[Told]| told.iter().map(Told::bits).collect::<Vec<_>>();
        assert_eq!(bits(&told), bits(&alone));
        assert!(alone.len() == 7 && alone.iter().map(|told| told.bad).sum::<usize>() > 0, "{alone:?}");
        for (own, alone) in told.iter().zip(&alone).filter_map(|(a, b)| Some((a.held_out?, b.held_out?))) {
            // Three packs among two processes are added in another order, in 64 bits.
            assert!((own.loss - alone.loss).abs() < 1e-12 * alone.loss && own.samples == alone.samples);
        }
        assert!(bytes_of_checkpoint(several.path()) == bytes_of_checkpoint(one.path()));
        assert_eq!(exported_names(several.path()), exported_names(one.path()));
    }
}

/// What lies in the folder of a run.
fn exported_names(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn sums_in_another_order_change_losses_by_their_rounding() {
    // A root of the second moment far below `eps = 1` makes an update of at most `lr` times the clipped gradient, so that
    // it moves as little as the gradient does. The sum of six packs rounds five times: the gradient, of norm 1 at most
    // after clipping, moves by less than 5 * 2^-24 times the ratio of the packs' norms to that of their sum (below 4
    // here), the weights by `lr = 0.2` times that in each of six steps, and the loss by that times the gradient's norm
    // before clipping (below 20 here): 3e-5. Losses of packs are f32 sums of about 20 targets: 1e-6 of them.
    let lines = "[[stage]]\nname = 'one'\nbatch = 6\nsteps = 6\noptimizer = { lr = 0.2, eps = 1.0 }\n\
                 data = [{ data = '11' }]\n";
    let recipe = recipe(lines);
    let one = tempfile::tempdir().unwrap();
    let alone = train_well(1, one.path(), &recipe, usize::MAX);
    assert!(alone.iter().all(|told| told.norm < 20.0), "{alone:?}");
    assert!(alone[5].loss < 0.99 * alone[0].loss, "nothing is learned: {alone:?}");
    let weights = |folder: &Path| Checkpoint::read(&folder.join(CHECKPOINT)).unwrap().unwrap().weights;
    for size in [2, 3] {
        let several = tempfile::tempdir().unwrap();
        let told = train_well(size, several.path(), &recipe, usize::MAX);
        for (own, alone) in told.iter().zip(&alone) {
            let difference = (own.loss - alone.loss).abs();
            assert!(difference < 3e-5 + 1e-6 * alone.loss, "{size}: {own:?} {alone:?}");
            assert_eq!((own.tokens, own.step), (alone.tokens, alone.step));
        }
        let (own, alone) = (weights(several.path()), weights(one.path()));
        assert_eq!(own.len(), alone.len());
        for (name, own) in &own {
            let pairs = values(own).into_iter().zip(values(&alone[name]));
            let most = pairs.map(|(a, b)| (a - b).abs() / b.abs().max(1.0)).fold(0.0, f32::max);
            assert!(most < 1e-5, "{name}: {most}");
        }
    }
}

#[test]
fn a_run_goes_on_in_another_number_of_processes() {
    let recipe = many_states(2);
    let (whole, stopped) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let alone = train_well(1, whole.path(), &recipe, usize::MAX);
    let mut told = Vec::new();
    // In the middle of a stage, and where one begins.
    for (size, until) in [(2, 1), (1, 2), (2, 3), (1, 4), (2, 6), (1, usize::MAX)] {
        told.extend(train_well(size, stopped.path(), &recipe, until));
    }
    assert_eq!(told.iter().map(Told::bits).collect::<Vec<_>>(), alone.iter().map(Told::bits).collect::<Vec<_>>());
    assert!(bytes_of_checkpoint(stopped.path()) == bytes_of_checkpoint(whole.path()));
}

#[test]
fn one_process_that_is_told_to_stop_stops_all_after_one_step() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = recipe("[[stage]]\nname = 'one'\nsteps = 9");
    let told = train(2, folder.path(), &recipe, |rank| if rank == 1 { 2 } else { usize::MAX }, test_data);
    assert!(told.iter().all(|told| told.as_ref().is_ok_and(|told| told.len() == 2)), "{told:?}");
    assert_eq!(Checkpoint::read(&folder.path().join(CHECKPOINT)).unwrap().unwrap().progress.step, 2);
}

/// Reading its third sample ends the process.
struct Broken(TestData);

impl Dataset for Broken {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn len(&self) -> u64 {
        self.0.len()
    }

    fn sample(&self, index: u64) -> Result<Sample, BadSample> {
        assert!(index != 2, "a fault of process 1");
        self.0.sample(index)
    }
}

#[test]
fn a_process_that_fails_ends_all_with_its_error() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = recipe("[[stage]]\nname = 'one'\nsteps = 40\ndata = [{ data = '4' }]");
    let only_first = |rank: usize| -> Box<OpenData<'static>> {
        match rank {
            1 => Box::new(|_, _| Ok(Arc::new(Broken(TestData { samples: 4, bad: None, are_pairs: false })))),
            _ => Box::new(open_test_data),
        }
    };
    let told = train(2, folder.path(), &recipe, |_| usize::MAX, only_first);
    assert_eq!(told, [Err("process 1 has failed: it panicked".to_string()), Err("panic".to_string())]);
    let another = |rank: usize| -> Box<OpenData<'static>> {
        match rank {
            1 => Box::new(|_, _| Ok(Arc::new(TestData { samples: 5, bad: None, are_pairs: false }))),
            _ => Box::new(open_test_data),
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let told = train(2, folder.path(), &recipe, |_| usize::MAX, another);
    let why = "process 1 was started with another training than process 0: its data files have [4] samples, now they \
               have [5]";
    assert_eq!(told, [Err(format!("process 1 has failed: {why}")), Err(why.to_string())]);
    // The first one finds its folder taken while the other waits to read it.
    let _taken = open(TOY, folder.path(), &recipe);
    let told = train(2, folder.path(), &recipe, |_| usize::MAX, test_data);
    assert!(
        told.iter().all(|told| told.as_ref().is_err_and(|why| why.contains("another process trains here"))),
        "{told:?}"
    );
}
