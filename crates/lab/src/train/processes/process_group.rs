//! The processes of a run, and what each of them does of it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::collectives::Collectives;
use super::own_packs::{own_packs, own_range};
use super::sharded::{Sharded, gather_moments};
use super::shares::Shares;
use super::tally::total;
use crate::error::LabError;
use crate::train::optimizer::{GradientNorms, Gradients, Moments, Optimizer, Trained};
use crate::train::trainer::Accumulated;

/// All processes of a run, and who updates what. With one process, every method is what a trainer does by itself.
pub(in crate::train) struct ProcessGroup {
    all: Arc<dyn Collectives>,
    shares: Shares,
}

impl ProcessGroup {
    /// Nothing is shared out yet.
    pub(in crate::train) fn new(all: Arc<dyn Collectives>) -> Self {
        ProcessGroup { all, shares: Shares::default() }
    }

    /// Whether this is the process that writes.
    pub(in crate::train) fn is_first(&self) -> bool {
        self.all.is_first()
    }

    /// Whether there is no other process.
    pub(in crate::train) fn is_alone(&self) -> bool {
        self.all.is_alone()
    }

    /// Whether any process says so.
    ///
    /// # Errors
    /// When another process has failed.
    pub(in crate::train) fn any(&self, flag: bool) -> Result<bool, LabError> {
        if self.all.is_alone() { Ok(flag) } else { self.all.any(flag) }
    }

    /// Whether this process updates a parameter.
    pub(in crate::train) fn updates(&self, name: &str) -> bool {
        self.shares.owner(name) == self.all.rank()
    }

    /// The part of `draws`, in packs of `pack`, that this process computes.
    pub(in crate::train) fn own_packs<'d, T>(&self, draws: &'d [T], pack: usize) -> &'d [T] {
        own_packs(draws, pack, &*self.all)
    }

    /// The places of these in a step of `samples`.
    pub(in crate::train) fn own_range(&self, samples: usize, pack: usize) -> Range<usize> {
        own_range(samples, pack, &*self.all)
    }

    /// The sums of all processes, with the gradients of this one: see [`total`].
    ///
    /// # Errors
    /// When another process has failed.
    pub(in crate::train) fn total(
        &self,
        sum: Accumulated,
        trained: &BTreeMap<String, Trained>,
    ) -> Result<Accumulated, LabError> {
        total(&*self.all, sum, trained)
    }

    /// One update with the gradients of all processes, divided by `divisor` first; `step` counts from 1.
    ///
    /// # Errors
    /// When a tensor operation fails, or another process.
    pub(in crate::train) fn update(
        &self,
        optimizer: &Optimizer,
        trained: &BTreeMap<String, Trained>,
        gradients: Gradients,
        moments: &mut BTreeMap<String, Moments>,
        (divisor, lr): (f32, f32),
        step: usize,
    ) -> Result<GradientNorms, LabError> {
        if self.all.is_alone() {
            return optimizer.step(trained, &gradients, moments, divisor, lr, step);
        }
        let sharded = Sharded { processes: &*self.all, shares: &self.shares, trained };
        sharded.step(optimizer, gradients, moments, (divisor, lr), step)
    }

    /// Shares `trained` out; of `moments`, those stay that this process updates. Equal parameters have equal shares, so
    /// that a stage that goes on with the moments of the one before has them where they are.
    pub(in crate::train) fn share(
        &mut self,
        trained: &BTreeMap<String, Trained>,
        moments: &mut BTreeMap<String, Moments>,
    ) {
        self.shares = Shares::of(trained, self.all.size());
        moments.retain(|name, _| self.updates(name));
    }

    /// The moments of all processes in the first one, which writes them; nothing in the others.
    ///
    /// # Errors
    /// When another process has failed.
    pub(in crate::train) fn all_moments(
        &self,
        own: &BTreeMap<String, Moments>,
    ) -> Result<BTreeMap<String, Moments>, LabError> {
        if self.all.is_alone() { Ok(own.clone()) } else { gather_moments(&*self.all, own) }
    }
}
