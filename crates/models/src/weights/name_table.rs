//! Names of a published layout.

use std::sync::Arc;

use super::origin::Origin;

/// From the name of a tensor of ours to where it lies; `None` for what a layout does not hold.
pub type OriginFn = Arc<dyn Fn(&str) -> Option<Origin> + Send + Sync>;

/// The tensor names of an archive, for telling layouts apart.
#[derive(Clone, Copy)]
pub struct TensorNames<'a> {
    has: &'a dyn Fn(&str) -> bool,
    any: &'a dyn Fn(&str) -> bool,
}

impl<'a> TensorNames<'a> {
    pub(crate) fn new(has: &'a dyn Fn(&str) -> bool, any: &'a dyn Fn(&str) -> bool) -> Self {
        TensorNames { has, any }
    }

    /// Whether there is a tensor `name`.
    pub fn has(&self, name: &str) -> bool {
        (self.has)(name)
    }

    /// Whether any tensor's name starts with `prefix`.
    pub fn any_with_prefix(&self, prefix: &str) -> bool {
        (self.any)(prefix)
    }
}

/// One published layout of a family: loader, converter and exporter read it.
#[derive(Clone)]
pub struct NameTable {
    /// What `zoetrope info` calls the layout.
    pub layout: &'static str,
    /// Whether an archive with these names has this layout; the first table of a family that says so is taken.
    pub matches: fn(&TensorNames<'_>) -> bool,
    /// Where a tensor of ours lies. A closure, because the rows of fused tensors depend on the configuration.
    pub origin: OriginFn,
    /// Whether a tensor of the archive is known not to be needed.
    pub ignored: fn(&str) -> bool,
    /// What becomes of low-rank parts that later archives have of the same matrix: whether one of this archive is added
    /// to them (an adapter of whatever lies below it), or replaces them (a later stage of the same training).
    pub adds: bool,
    /// For GGUF files: the architecture they must name. Such an archive has all that its table names, or is refused.
    pub gguf_architecture: Option<&'static str>,
}

impl NameTable {
    /// Our own names, in files that we have written.
    pub fn ours() -> Self {
        NameTable {
            layout: "ours",
            matches: |_| true,
            origin: Arc::new(|name| Some(Origin::Tensor(name.to_string()))),
            ignored: |_| false,
            adds: false,
            gguf_architecture: None,
        }
    }
}
