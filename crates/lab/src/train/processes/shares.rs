//! Who updates which parameters.

use std::collections::BTreeMap;

use crate::train::optimizer::Trained;

/// Whole parameters to processes, so that each has about as many values: Muon needs whole matrices.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Shares {
    owners: BTreeMap<String, usize>,
}

impl Shares {
    /// The shares of `size` processes: the largest parameters first, each to who has least.
    pub(super) fn of(trained: &BTreeMap<String, Trained>, size: usize) -> Self {
        let mut sizes: Vec<(usize, &String)> =
            trained.iter().map(|(name, trained)| (trained.variable.elem_count(), name)).collect();
        sizes.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        let mut loads = vec![0; size.max(1)];
        let mut owners = BTreeMap::new();
        for (values, name) in sizes {
            let owner = (0..loads.len()).min_by_key(|rank| loads[*rank]).unwrap_or(0);
            loads[owner] += values;
            owners.insert(name.clone(), owner);
        }
        Shares { owners }
    }

    /// The process that updates a parameter; the first one for what is not learned now.
    pub(super) fn owner(&self, name: &str) -> usize {
        self.owners.get(name).copied().unwrap_or(0)
    }
}
