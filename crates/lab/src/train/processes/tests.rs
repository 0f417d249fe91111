//! Several processes as threads.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{Device, Tensor, Var};
use zoetrope_models::weights::{ParameterGroup, ParameterRole};

use super::collectives::{Alone, Collectives};
use super::in_memory::InMemory;
use super::own_packs::{check_packs, own_packs};
use super::process_group::ProcessGroup;
use super::shares::Shares;
use crate::data::BadSample;
use crate::train::optimizer::{Gradients, Moments, Optimizer, Trained};
use crate::train::recipe::Recipe;
use crate::train::trainer::Accumulated;

/// What `work` gives in each of `size` processes, by rank.
fn among<T: Send>(size: usize, work: impl Fn(Arc<dyn Collectives>) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let work = &work;
        let start = |own: InMemory| scope.spawn(move || work(Arc::new(own)));
        let threads: Vec<_> = InMemory::all(size).into_iter().map(start).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn what_processes_give_arrives_round_after_round() {
    let found = among(3, |all| {
        let rank = all.rank();
        let mut seen = Vec::new();
        for round in 0..200 {
            let root = round % 3;
            let mut values = [rank as f32 + 1.0, round as f32];
            all.sum_to(root, &mut values).unwrap();
            if rank == root {
                assert_eq!(values, [6.0, 3.0 * round as f32]);
            }
            let mut values = [rank as f32; 3];
            all.broadcast(root, &mut values).unwrap();
            assert_eq!(values, [root as f32; 3]);
            assert_eq!(all.gather(&vec![7; rank]).unwrap(), [vec![], vec![7], vec![7, 7]]);
            assert!(all.any(rank == root).unwrap() && !all.any(false).unwrap());
            seen.push(root);
        }
        all.barrier().unwrap();
        seen.len()
    });
    assert_eq!(found, [200; 3]);
}

#[test]
fn nobody_waits_for_a_process_that_has_failed() {
    let found = among(3, |all| match all.rank() {
        1 => {
            all.barrier().unwrap();
            all.fail("no data");
            String::new()
        }
        _ => {
            all.barrier().unwrap();
            all.broadcast(1, &mut [0.0]).unwrap_err().to_string()
        }
    });
    assert_eq!(found, ["process 1 has failed: no data", "", "process 1 has failed: no data"]);
}

#[test]
fn packs_are_shared_out_whole_and_in_order() {
    for (samples, pack, size) in [(8, 2, 2), (8, 4, 2), (7, 2, 3), (5, 1, 3), (1, 4, 1), (9, 2, 5), (3, 4, 2)] {
        let draws: Vec<usize> = (0..samples).collect();
        let parts = among(size, |all| own_packs(&draws, pack, &*all).to_vec());
        assert_eq!(parts.concat(), draws);
        let packs: Vec<usize> = parts.iter().map(|part| part.len().div_ceil(pack)).collect();
        assert!(packs.iter().max().unwrap() - packs.iter().min().unwrap() <= 1, "{packs:?}");
        assert!(parts.iter().all(|part| part.first().is_none_or(|first| first % pack == 0)), "{parts:?}");
    }
}

#[test]
fn a_process_without_packs_is_refused() {
    let recipe = "[[stage]]\nname = 'one'\nbatch = 4\npack = 2\nsteps = 1\noptimizer.lr = 0.1\n\
                  data = [{ drawn = 'one_object' }]";
    let recipe = Recipe::parse(recipe).unwrap();
    assert!(check_packs(&recipe, &Alone).is_ok());
    let found = among(3, |all| check_packs(&recipe, &*all).unwrap_err().to_string());
    assert!(
        found[0].starts_with("stage \"one\": batch = 4 in packs of 2 makes 2, fewer than the 3 processes"),
        "{found:?}"
    );
    assert!(among(2, |all| check_packs(&recipe, &*all).is_ok()).iter().all(|good| *good));
}

/// Parameters of these sizes: a matrix where the first is above 1.
fn parameters(sizes: &[(usize, usize)]) -> BTreeMap<String, Trained> {
    let parameter = |(at, &(rows, columns)): (usize, &(usize, usize))| {
        let values: Vec<f32> = (0..rows * columns).map(|i| ((i * 7 + at) as f32 * 0.37).sin()).collect();
        let tensor = Tensor::from_vec(values, rows * columns, &Device::Cpu).unwrap();
        let (tensor, role) = match rows {
            1 => (tensor, ParameterRole::BIAS),
            _ => (tensor.reshape((rows, columns)).unwrap(), ParameterRole::HiddenMatrix),
        };
        let group = if at % 2 == 0 { ParameterGroup::Vision } else { ParameterGroup::Language };
        let variable = Var::from_tensor(&tensor).unwrap();
        (format!("p{at:02}"), Trained { variable, group, role, lr_share: 1.0 + at as f32 })
    };
    sizes.iter().enumerate().map(parameter).collect()
}

#[test]
fn shares_are_even_and_every_parameter_has_one_owner() {
    let trained = parameters(&[(30, 40), (1, 40), (20, 30), (1, 30), (20, 30), (1, 1), (7, 9)]);
    let shares = Shares::of(&trained, 2);
    let mut loads = [0, 0];
    for (name, trained) in &trained {
        loads[shares.owner(name)] += trained.variable.elem_count();
    }
    let all: usize = trained.values().map(|trained| trained.variable.elem_count()).sum();
    assert_eq!(loads[0] + loads[1], all);
    // The largest first: the loads differ by no more than the smallest that was still to be placed could even out.
    assert!(loads[0].abs_diff(loads[1]) <= 63, "{loads:?}");
}

/// One parameter is sent in two parts, the others together.
const SIZES: [(usize, usize); 6] = [(6, 5), (1, 5), (4, 6), (1, 9), (2049, 2049), (1, 3)];

fn gradients(trained: &BTreeMap<String, Trained>, rank: usize) -> Gradients {
    let of = |(name, trained): (&String, &Trained)| {
        let value = |i: usize| ((i * 13 + rank * 5) as f32 * 0.11).cos();
        (name.clone(), (0..trained.variable.elem_count()).map(value).collect())
    };
    trained.iter().map(of).collect()
}

type State = (Vec<Vec<u32>>, BTreeMap<String, Moments>);

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Values and moments after two updates of parameters of these sizes with the sums of what `ranks` give; the first one
/// gives no gradient of `p03`. Also how many moments the process holds.
fn updated(
    all: Arc<dyn Collectives>,
    ranks: &[usize],
    (sizes, muon): (&[(usize, usize)], Option<f32>),
) -> (State, usize) {
    let optimizer = Optimizer { beta1: 0.9, beta2: 0.99, eps: 1e-8, weight_decay: 0.1, clip: 1.0, muon };
    let trained = parameters(sizes);
    let mut group = ProcessGroup::new(all);
    let mut moments = BTreeMap::new();
    group.share(&trained, &mut moments);
    for step in 1..=2 {
        let mut sum = Accumulated { count: 2.0 * ranks.len() as f64, ..Accumulated::default() };
        for rank in ranks {
            let mut gradients = gradients(&trained, *rank);
            if *rank == 0 {
                gradients.remove("p03");
            }
            sum = sum.with(Accumulated { gradients, ..Accumulated::default() });
        }
        let sum = group.total(sum, &trained).unwrap();
        assert_eq!(sum.count, 4.0);
        let norms = group.update(&optimizer, &trained, sum.gradients, &mut moments, (4.0, 0.01), step).unwrap();
        assert!(norms.global > 1.0 && norms.groups.len() == 2);
    }
    let held = moments.len();
    let values = trained.values().map(|trained| bits(&trained.variable.flatten_all().unwrap().to_vec1().unwrap()));
    ((values.collect(), group.all_moments(&moments).unwrap()), held)
}

#[test]
fn shared_updates_have_the_bits_of_one_process() {
    // Newton-Schulz of the large matrix would take long.
    for own in [(&SIZES[..], None), (&SIZES[..4], Some(2.0))] {
        let ((alone, moments), held) = updated(Arc::new(Alone), &[0, 1], own);
        assert_eq!(held, own.0.len());
        let both = among(2, |all| {
            let rank = all.rank();
            updated(all, &[rank], own)
        });
        for ((values, gathered), held) in &both {
            assert!(*values == alone);
            assert!(*held < own.0.len());
            for (name, own) in gathered {
                assert!(bits(&own.first) == bits(&moments[name].first), "{name}");
                assert!(bits(&own.second) == bits(&moments[name].second), "{name}");
            }
        }
        assert_eq!(both[0].1 + both[1].1, own.0.len());
        assert_eq!((both[0].0.1.len(), both[1].0.1.len()), (own.0.len(), 0));
    }
}

#[test]
fn counts_and_bad_samples_are_those_of_all() {
    let found = among(2, |all| {
        let rank = all.rank();
        let bad = BadSample { file: "a.jsonl".into(), row: 3 + rank as u64, reason: "no answer".to_string() };
        let sum = Accumulated {
            loss: 0.1 + rank as f64,
            count: 3.0,
            entries: BTreeMap::from([(rank, (0.5, 2)), (7, (0.25, 1))]),
            tokens: 10 + rank,
            bad: vec![bad],
            too_long: rank as u64,
            ..Accumulated::default()
        };
        ProcessGroup::new(all).total(sum, &BTreeMap::new()).unwrap()
    });
    for sum in found {
        assert_eq!((sum.loss, sum.count, sum.tokens, sum.too_long), (0.1 + 1.1, 6.0, 21, 1));
        assert_eq!(sum.entries, BTreeMap::from([(0, (0.5, 2)), (1, (0.5, 2)), (7, (0.5, 2))]));
        assert_eq!(sum.bad.iter().map(|bad| bad.row).collect::<Vec<_>>(), [3, 4]);
    }
}
