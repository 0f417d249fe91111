//! `--set encode=kept`: the encoder sees only what pruning keeps.

use super::*;
use crate::contract::features::Unit;

/// The first video of a golden case, of which pruning drops something: its plan with the setting, and its patches.
fn pruned(model: &VideoLlama3) -> (MediaPlan, Patches) {
    let cases = json("goldens.json");
    let all = CASES.iter().map(|name| run(model, &cases["cases"][name]));
    let of_run = |run: Run| run.plans.into_iter().zip(run.patches).collect::<Vec<_>>();
    let drops = |unit: &Unit| unit.keep.as_ref().is_some_and(|keep| keep.contains(&false));
    let found = all.flat_map(of_run).find(|(_, patches)| patches.units.iter().any(drops));
    let (plan, patches) = found.expect("a golden case in which something is dropped");
    (MediaPlan { settings: plan.settings.clone().with("encode", "kept"), ..plan }, patches)
}

#[test]
fn patches_that_pruning_drops_change_nothing() {
    let model = toy();
    let (plan, patches) = pruned(&model);
    let features = model.encode(&plan, &patches).unwrap();
    let block = planning::merge(&plan).pow(2);
    let kept = patches.units.iter().flat_map(|unit| unit.keep.clone().unwrap()).flat_map(|keep| vec![keep; block]);
    let kept: Vec<f32> = kept.map(|keep| if keep { 1.0 } else { f32::NAN }).collect();
    let factor = Tensor::new(kept, &Device::Cpu).unwrap().unsqueeze(1).unwrap();
    let pixels = patches.pixels.broadcast_mul(&factor).unwrap();
    let other = model.encode(&plan, &Patches { pixels, units: patches.units.clone() }).unwrap();
    assert_eq!(numbers(&features.rows), numbers(&other.rows));
    let sums = |unit: &Unit| unit.keep.iter().flatten().filter(|keep| **keep).count();
    assert_eq!(features.per_unit, patches.units.iter().map(sums).collect::<Vec<_>>());
    assert_eq!(features.rows.dim(0).unwrap(), features.per_unit.iter().sum::<usize>());
}

#[test]
fn whole_frames_are_as_without_the_setting_and_others_are_not() {
    let model = toy();
    let (plan, patches) = pruned(&model);
    let exact = MediaPlan { settings: plan.settings.clone().with("encode", "all"), ..plan.clone() };
    let [ours, want] = [&plan, &exact].map(|plan| model.encode(plan, &patches).unwrap());
    assert_eq!(ours.per_unit, want.per_unit);
    for (number, unit) in patches.units.iter().enumerate() {
        let rows = |features: &Features| numbers(&features.units(number..number + 1).unwrap().rows);
        let whole = !unit.keep.as_ref().unwrap().contains(&false);
        assert_eq!(rows(&ours) == rows(&want), whole, "unit {number}");
    }
}
