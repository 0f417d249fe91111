//! AdamW (Loshchilov & Hutter, arXiv 1711.05101) with gradient clipping by global norm, and optionally Muon for the
//! hidden matrices.

mod in_place;
mod muon;
mod schedule;

use std::collections::BTreeMap;

use candle_core::{Tensor, Var};
use rayon::prelude::*;
use zoetrope_models::ops::{self, backward};
use zoetrope_models::weights::{ParameterGroup, ParameterRole, Weights};

use self::in_place::change_values;
pub(super) use self::schedule::LrSchedule;
use crate::error::LabError;

/// Settings that do not change from step to step.
#[derive(Clone, Copy, Debug)]
pub struct Optimizer {
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub eps: f32,
    /// Decoupled weight decay of matrices (biases and norms have none).
    pub weight_decay: f32,
    /// Largest global norm of the gradient; larger ones are scaled down.
    pub clip: f32,
    /// Learning rate of Muon for hidden matrices as a multiple of AdamW's; without it, AdamW updates everything.
    pub muon: Option<f32>,
}

/// A variable that is trained, and what it is.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The variable.
    pub variable: Var,
    /// The part of the model it belongs to.
    pub group: ParameterGroup,
    /// What it does in its layer: decides weight decay and whether Muon updates it.
    pub role: ParameterRole,
    /// Its learning rate as a multiple of the optimizer's.
    pub lr_share: f32,
}

impl Trained {
    /// Everything that is learned of `weights`, by name; `lr_share` is asked for each group.
    pub fn all(weights: &Weights, lr_share: impl Fn(ParameterGroup) -> f64) -> BTreeMap<String, Trained> {
        let parameters = weights.parameters();
        let trained = |(name, variable): (String, Var)| {
            let parameter = parameters.get(&name)?;
            let (group, role) = (parameter.group, parameter.role);
            Some((name, Trained { variable, group, role, lr_share: lr_share(group) as f32 }))
        };
        weights.variables().into_iter().filter_map(trained).collect()
    }
}

/// Running moments of one variable.
#[derive(Clone, Debug, Default)]
pub struct Moments {
    /// First moment (Muon: its momentum).
    pub first: Vec<f32>,
    /// Second moment (Muon: none).
    pub second: Vec<f32>,
}

/// Running averages of variables by name.
pub(super) type Averages = BTreeMap<String, Vec<f32>>;

/// Gradients by variable name, as plain values.
pub(super) type Gradients = BTreeMap<String, Vec<f32>>;

/// The gradients of the scalar `loss` by what is trained. What the loss was computed from goes before they are handed
/// out: nothing else should hold on to it.
///
/// # Errors
/// When a tensor operation fails.
pub(super) fn gradients_of(loss: Tensor, trained: &BTreeMap<String, Trained>) -> Result<Gradients, LabError> {
    let mut found = backward(&loss)?;
    drop(loss);
    take_gradients(&mut found, trained)
}

/// Takes the gradients by what is trained out of `found`.
///
/// # Errors
/// When a tensor operation fails.
pub(super) fn take_gradients(
    found: &mut ops::Gradients,
    trained: &BTreeMap<String, Trained>,
) -> Result<Gradients, LabError> {
    let mut gradients = Gradients::new();
    for (name, trained) in trained {
        if let Some(gradient) = found.take(&trained.variable)? {
            gradients.insert(name.clone(), gradient);
        }
    }
    Ok(gradients)
}

/// Adds `others` to `sum`.
pub(super) fn add_gradients(sum: &mut Gradients, others: Gradients) {
    for (name, values) in others {
        match sum.get_mut(&name) {
            Some(sum) => sum.iter_mut().zip(&values).for_each(|(sum, value)| *sum += value),
            None => drop(sum.insert(name, values)),
        }
    }
}

/// Norms of a step's gradient before clipping.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GradientNorms {
    /// Over everything.
    pub global: f32,
    /// Of each group that had a gradient.
    pub groups: BTreeMap<ParameterGroup, f32>,
}

impl GradientNorms {
    /// The sum of squares of each of `gradients`.
    pub(super) fn squares(gradients: &Gradients) -> BTreeMap<String, f64> {
        gradients.par_iter().map(|(name, gradient)| (name.clone(), sum_of_squares(gradient))).collect()
    }

    /// The norms of gradients that have these `squares`, divided by `divisor`.
    pub(super) fn of(trained: &BTreeMap<String, Trained>, squares: &BTreeMap<String, f64>, divisor: f32) -> Self {
        let norm = |sum: f64| sum.sqrt() as f32 / divisor;
        let mut groups = BTreeMap::new();
        for (name, square) in squares {
            if let Some(trained) = trained.get(name) {
                *groups.entry(trained.group).or_insert(0.0) += square;
            }
        }
        let global = norm(squares.values().sum());
        GradientNorms { global, groups: groups.into_iter().map(|(group, sum)| (group, norm(sum))).collect() }
    }
}

/// In eight lanes, so that it vectorizes.
fn sum_of_squares(values: &[f32]) -> f64 {
    let mut lanes = [0.0f64; 8];
    let chunks = values.chunks_exact(lanes.len());
    let rest: f64 = chunks.remainder().iter().map(|value| f64::from(*value).powi(2)).sum();
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, value)| *lane += f64::from(*value).powi(2));
    }
    lanes.iter().sum::<f64>() + rest
}

impl Optimizer {
    /// One update; `step` counts from 1. Gradients are divided by `divisor` first. Nothing changes when their norm is
    /// no finite number.
    pub fn step(
        &self,
        trained: &BTreeMap<String, Trained>,
        gradients: &Gradients,
        moments: &mut BTreeMap<String, Moments>,
        divisor: f32,
        lr: f32,
        step: usize,
    ) -> Result<GradientNorms, LabError> {
        let norms = GradientNorms::of(trained, &GradientNorms::squares(gradients), divisor);
        if let Some(scale) = self.scale(norms.global, divisor) {
            self.update(trained, gradients, moments, scale, lr, step)?;
        }
        Ok(norms)
    }

    /// What gradients are multiplied by that have this global `norm` after a division by `divisor`; `None` when the
    /// norm is no finite number.
    pub(super) fn scale(&self, norm: f32, divisor: f32) -> Option<f32> {
        norm.is_finite().then(|| if norm > self.clip { self.clip / norm } else { 1.0 } / divisor)
    }

    /// One update of what has gradients, which are multiplied by `scale` first; `step` counts from 1.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub(super) fn update(
        &self,
        trained: &BTreeMap<String, Trained>,
        gradients: &Gradients,
        moments: &mut BTreeMap<String, Moments>,
        scale: f32,
        lr: f32,
        step: usize,
    ) -> Result<(), LabError> {
        for name in gradients.keys() {
            moments.entry(name.clone()).or_default();
        }
        let jobs: Vec<_> = moments.iter_mut().filter(|(name, _)| gradients.contains_key(*name)).collect();
        jobs.into_par_iter().try_for_each(|(name, moments)| {
            let (Trained { variable, role, lr_share, .. }, gradient) = (&trained[name], &gradients[name]);
            let lr = lr * lr_share;
            let decay = if role.decays() { 1.0 - lr * self.weight_decay } else { 1.0 };
            let muon = self.muon.filter(|_| *role == ParameterRole::HiddenMatrix && variable.rank() == 2);
            change_values(variable, |values| {
                moments.first.resize(values.len(), 0.0);
                values.iter_mut().for_each(|value| *value *= decay);
                match muon {
                    Some(share) => {
                        let sizes = variable.dims2()?;
                        Ok(muon::update(values, gradient, scale, &mut moments.first, sizes, lr * share)?)
                    }
                    None => {
                        self.adamw(values, gradient, scale, moments, lr, step);
                        Ok(())
                    }
                }
            })
        })
    }

    fn adamw(&self, values: &mut [f32], gradient: &[f32], scale: f32, moments: &mut Moments, lr: f32, step: usize) {
        let correct1 = 1.0 - self.beta1.powi(step as i32);
        let correct2 = 1.0 - self.beta2.powi(step as i32);
        moments.second.resize(values.len(), 0.0);
        let state = moments.first.iter_mut().zip(moments.second.iter_mut());
        for ((value, &gradient), (first, second)) in values.iter_mut().zip(gradient).zip(state) {
            let g = gradient * scale;
            *first = self.beta1 * *first + (1.0 - self.beta1) * g;
            *second = self.beta2 * *second + (1.0 - self.beta2) * g * g;
            *value -= lr * (*first / correct1) / ((*second / correct2).sqrt() + self.eps);
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn first_steps_match_a_hand_computation() {
        let adamw = Optimizer { beta1: 0.9, beta2: 0.99, eps: 1e-8, weight_decay: 0.1, clip: 100.0, muon: None };
        let matrix = Var::from_tensor(&Tensor::new(&[[1.0f32, -2.0]], &Device::Cpu).unwrap()).unwrap();
        let bias = Var::from_tensor(&Tensor::new(&[1.0f32], &Device::Cpu).unwrap()).unwrap();
        let trained = |variable, role| Trained { variable, group: ParameterGroup::Language, role, lr_share: 1.0 };
        let variables = BTreeMap::from([
            ("m".to_string(), trained(matrix, ParameterRole::HiddenMatrix)),
            ("b".to_string(), trained(bias, ParameterRole::BIAS)),
        ]);
        let gradients = BTreeMap::from([("m".to_string(), vec![2.0, -4.0]), ("b".to_string(), vec![6.0])]);
        let mut moments = BTreeMap::new();
        let norm = adamw.step(&variables, &gradients, &mut moments, 2.0, 0.01, 1).unwrap();
        assert!((norm.global - 14f32.sqrt()).abs() < 1e-6 && norm.groups[&ParameterGroup::Language] == norm.global);
        // After one step the corrected moments are g and g^2, so the update is the sign of g.
        let matrix = variables["m"].variable.to_vec2::<f32>().unwrap();
        assert!((matrix[0][0] - (0.999 - 0.01)).abs() < 1e-6 && (matrix[0][1] - (-1.998 + 0.01)).abs() < 1e-6);
        assert!((variables["b"].variable.to_vec1::<f32>().unwrap()[0] - 0.99).abs() < 1e-6);
    }

    #[test]
    fn long_gradients_are_scaled_to_the_clip() {
        let adamw = Optimizer { beta1: 0.0, beta2: 0.0, eps: 1.0, weight_decay: 0.0, clip: 1.0, muon: None };
        let x = Var::from_tensor(&Tensor::new(&[0.0f32, 0.0], &Device::Cpu).unwrap()).unwrap();
        let group = ParameterGroup::Vision;
        let x = Trained { variable: x, group, role: ParameterRole::BIAS, lr_share: 0.5 };
        let variables = BTreeMap::from([("x".to_string(), x)]);
        let gradients = BTreeMap::from([("x".to_string(), vec![30.0, 40.0])]);
        let norm = adamw.step(&variables, &gradients, &mut BTreeMap::new(), 1.0, 2.0, 1).unwrap();
        assert_eq!(norm.global, 50.0);
        let x = variables["x"].variable.to_vec1::<f32>().unwrap();
        assert!((x[0] + 0.6 / 1.6).abs() < 1e-6 && (x[1] + 0.8 / 1.8).abs() < 1e-6);
    }
}
