//! Exponential moving averages of what is learned (EMA): smoother than the last step, and what a stage gives then.

use std::collections::BTreeMap;

use candle_core::Tensor;

use crate::error::LabError;
use crate::train::optimizer::{Averages, Trained};

/// Moves the averages towards the values of `trained`; they begin with those of the first step.
///
/// # Errors
/// When a tensor operation fails.
pub(super) fn update(averages: &mut Averages, trained: &BTreeMap<String, Trained>, decay: f32) -> Result<(), LabError> {
    for (name, trained) in trained {
        let values = values(trained)?;
        match averages.get_mut(name) {
            Some(average) => {
                average.iter_mut().zip(values).for_each(|(mean, value)| *mean = decay * *mean + (1.0 - decay) * value);
            }
            None => drop(averages.insert(name.clone(), values)),
        }
    }
    Ok(())
}

/// Gives the variables the values of `averages`, where there are any; the values that they had.
///
/// # Errors
/// When a tensor operation fails.
pub(super) fn swap(trained: &BTreeMap<String, Trained>, averages: &Averages) -> Result<Averages, LabError> {
    let mut before = Averages::new();
    for (name, average) in averages {
        let Some(trained) = trained.get(name) else { continue };
        before.insert(name.clone(), values(trained)?);
        let variable = &trained.variable;
        variable.set(&Tensor::from_slice(average, variable.shape(), variable.device())?)?;
    }
    Ok(before)
}

/// Does `work` while the variables have the values of `averages`.
///
/// # Errors
/// When `work` fails.
pub(super) fn with<T>(
    trained: &BTreeMap<String, Trained>,
    averages: &Averages,
    work: impl FnOnce() -> Result<T, LabError>,
) -> Result<T, LabError> {
    let before = swap(trained, averages)?;
    let done = work();
    swap(trained, &before)?;
    done
}

fn values(trained: &Trained) -> Result<Vec<f32>, LabError> {
    Ok(trained.variable.as_tensor().flatten_all()?.to_vec1::<f32>()?)
}
