//! What a model asks for, listed instead of read: to convert it tensor by tensor, or to say what it amounts to.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use zoetrope_kernels::gemm::WeightType;

/// One tensor that a model asked for.
#[derive(Clone, Debug)]
pub(crate) struct TensorRequest {
    /// Another name of ours under which it may be (tied matrices).
    pub(crate) second: Option<String>,
    pub(crate) shape: Vec<usize>,
    /// Whether a matrix to multiply with was asked for.
    pub(crate) packed: bool,
    /// Whether few bits spoil it.
    pub(crate) sensitive: bool,
    /// Whether its values were asked for.
    pub(crate) values: bool,
}

/// The list, by our names.
pub(crate) struct Survey {
    /// What matrices become when the model is converted.
    pub(crate) weight_type: WeightType,
    /// Whether every tensor must be there, in its shape, when it is asked for.
    pub(crate) checks: bool,
    requests: Mutex<BTreeMap<String, TensorRequest>>,
}

impl Survey {
    pub(crate) fn new(weight_type: WeightType) -> Self {
        Survey { weight_type, checks: false, requests: Mutex::default() }
    }

    /// To say what a model amounts to: its tensors are looked for, their values are not read.
    pub(crate) fn checking() -> Self {
        Survey { weight_type: WeightType::F32, checks: true, requests: Mutex::default() }
    }

    /// Lists a request for values. A layer that gets no packed matrix asks for the values next, which changes nothing.
    pub(crate) fn note_values(&self, canonical: &str, second: Option<String>, shape: &[usize]) {
        self.note(canonical, second, shape, |request| request.values |= !request.packed);
    }

    /// Lists a request for a matrix to multiply with.
    pub(crate) fn note_matrix(&self, canonical: &str, second: Option<String>, shape: &[usize], sensitive: bool) {
        self.note(canonical, second, shape, |request| {
            request.packed = true;
            request.sensitive |= sensitive;
        });
    }

    fn note(&self, canonical: &str, second: Option<String>, shape: &[usize], set: impl FnOnce(&mut TensorRequest)) {
        let new = TensorRequest { second, shape: shape.to_vec(), packed: false, sensitive: false, values: false };
        set(self.lock().entry(canonical.to_string()).or_insert(new));
    }

    /// Everything that was listed.
    pub(crate) fn requests(&self) -> BTreeMap<String, TensorRequest> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, TensorRequest>> {
        self.requests.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
