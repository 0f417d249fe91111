//! One place that tensors come from, with the names of its layout.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use candle_core::Tensor;

use super::formats::{
    GgufFile, MemoryTensors, PytorchFiles, RowSource, SafetensorsFiles, TensorStore, matrix_dims, unpacked_name,
};
use super::name_table::{NameTable, TensorNames};
use super::origin::Origin;
use super::parameter::{ParameterGroup, ParameterRole};
use super::precision::ArchiveFacts;
use crate::checkpoint::Checkpoint;
use crate::error::{ModelError, ModelResult};
use crate::folder::kind;

/// What a seed is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RandomFor {
    /// Every tensor: a model from scratch.
    Everything,
    /// The tensors of one group.
    Group(ParameterGroup),
    /// Low-rank adapters.
    Adapters,
}

/// Where tensors come from.
pub struct Archive {
    store: Store,
    table: NameTable,
    /// The file, when a tensor in it that the model has no place for is an error.
    strict: Option<PathBuf>,
    /// Names that were asked for.
    used: Mutex<HashSet<String>>,
}

enum Store {
    Safetensors(SafetensorsFiles),
    Pytorch(PytorchFiles),
    Gguf(GgufFile),
    Memory(MemoryTensors),
    Random(u64, RandomFor),
}

impl Store {
    /// The tensors; `None` for a seed.
    fn tensors(&self) -> Option<&dyn TensorStore> {
        match self {
            Store::Safetensors(files) => Some(files),
            Store::Pytorch(files) => Some(files),
            Store::Gguf(file) => Some(file),
            Store::Memory(tensors) => Some(tensors),
            Store::Random(..) => None,
        }
    }
}

impl Archive {
    /// The weight files of a checkpoint in whichever of the layouts `tables` fits.
    ///
    /// # Errors
    /// When there are none, or one is missing or damaged.
    pub fn open(checkpoint: &Checkpoint, tables: &[NameTable]) -> ModelResult<Self> {
        Self::find(checkpoint, tables)?.ok_or_else(|| kind::no_weights(checkpoint))
    }

    /// The same; `None` when there are no weight files.
    ///
    /// # Errors
    /// When one is missing or damaged.
    pub fn find(checkpoint: &Checkpoint, tables: &[NameTable]) -> ModelResult<Option<Self>> {
        if let Some(files) = SafetensorsFiles::open(checkpoint)? {
            let table = match files.our_names {
                true => NameTable::ours(),
                false => choose(tables, &files, || checkpoint.path(""))?,
            };
            return Ok(Some(Self::new(Store::Safetensors(files), table)));
        }
        let files = PytorchFiles::open(checkpoint)?;
        files.map(|files| Self::of_pytorch(files, tables, || checkpoint.path(""))).transpose()
    }

    /// A file of `torch.save` in whichever of the layouts `tables` fits.
    ///
    /// # Errors
    /// When it is damaged, asks for code, or is of no such layout.
    pub fn pytorch(path: &Path, tables: &[NameTable]) -> ModelResult<Self> {
        Self::of_pytorch(PytorchFiles::file(path)?, tables, || path.to_path_buf())
    }

    /// One weight file of `checkpoint` in whichever of the layouts `tables` fits. Of a `strict` one, a tensor that the
    /// model has no place for is an error when the model is opened.
    pub(crate) fn file(checkpoint: &Checkpoint, name: &str, tables: &[NameTable], strict: bool) -> ModelResult<Self> {
        let archive = if name.ends_with(".safetensors") {
            let files = SafetensorsFiles::file(checkpoint, name)?;
            let table = choose(tables, &files, || checkpoint.path(name))?;
            Self::new(Store::Safetensors(files), table)
        } else {
            Self::pytorch(&checkpoint.path(name), tables)?
        };
        Ok(Archive { strict: strict.then(|| checkpoint.path(name)), ..archive })
    }

    fn of_pytorch(files: PytorchFiles, tables: &[NameTable], place: impl FnOnce() -> PathBuf) -> ModelResult<Self> {
        let table = choose(tables, &files, place)?;
        Ok(Self::new(Store::Pytorch(files), table))
    }

    /// A GGUF file with one of the layouts `tables`.
    ///
    /// # Errors
    /// When it is damaged or holds another kind of model.
    pub fn gguf(path: &Path, tables: &[NameTable]) -> ModelResult<Self> {
        let file = GgufFile::open(path)?;
        let theirs = file.architecture();
        let ours: Vec<&str> = tables.iter().filter_map(|table| table.gguf_architecture).collect();
        match tables.iter().find(|table| table.gguf_architecture == Some(theirs)) {
            Some(table) => Ok(Archive { strict: Some(path.into()), ..Self::new(Store::Gguf(file), table.clone()) }),
            None => {
                let ours = ours.join(" or ");
                let text =
                    format!("{}: architecture {theirs:?}; the model's language part is {ours:?}", path.display());
                Err(ModelError::Unsupported(text))
            }
        }
    }

    /// Tensors in memory under our own names.
    pub fn memory(tensors: HashMap<String, Tensor>) -> Self {
        Self::new(Store::Memory(MemoryTensors(tensors)), NameTable::ours())
    }

    /// Low-rank adapters in memory, added to the matrices of later archives while these are read: LoRA's A and B under
    /// the names that layers give them (`X.lora_A.weight`, `X.lora_B.weight`), with `scales` (`alpha / rank`) by the
    /// name of the matrix (`X.weight`).
    pub fn low_rank_memory(tensors: HashMap<String, Tensor>, scales: HashMap<String, f32>) -> Self {
        let origin = move |canonical: &str| {
            let (stem, scale) = (canonical.strip_suffix(".weight")?, *scales.get(canonical)?);
            let [down, up] = ["A", "B"].map(|part| format!("{stem}.lora_{part}.weight"));
            Some(Origin::LowRank { base: Box::new(Origin::Tensor(canonical.to_string())), down, up, scale })
        };
        let table = NameTable { origin: Arc::new(origin), adds: true, ..NameTable::ours() };
        Self::new(Store::Memory(MemoryTensors(tensors)), table)
    }

    /// Initial values from `seed`; see [`ParameterRole::init`].
    pub fn random(seed: u64, what: RandomFor) -> Self {
        Self::new(Store::Random(seed, what), NameTable::ours())
    }

    fn new(store: Store, table: NameTable) -> Self {
        Archive { store, table, strict: None, used: Mutex::default() }
    }

    /// The layout's name.
    pub fn layout(&self) -> &'static str {
        self.table.layout
    }

    pub(super) fn facts(&self) -> ArchiveFacts {
        let packed = self.safetensors().and_then(SafetensorsFiles::packed_as);
        match &self.store {
            Store::Safetensors(_) | Store::Pytorch(_) => {
                ArchiveFacts { bytes: self.store.tensors().map_or(0, TensorStore::bytes), packed }
            }
            _ => ArchiveFacts::default(),
        }
    }

    /// The tensors; `None` for a seed.
    pub(super) fn tensors(&self) -> Option<&dyn TensorStore> {
        self.store.tensors()
    }

    /// The files, when it is safetensors.
    pub(super) fn safetensors(&self) -> Option<&SafetensorsFiles> {
        match &self.store {
            Store::Safetensors(files) => Some(files),
            _ => None,
        }
    }

    /// The seed, when it makes initial values for such a tensor.
    pub(super) fn seed_for(&self, group: ParameterGroup, role: ParameterRole) -> Option<u64> {
        let Store::Random(seed, what) = self.store else { return None };
        let meant = match what {
            RandomFor::Everything => true,
            RandomFor::Group(own) => own == group || own == group.part(),
            RandomFor::Adapters => matches!(role, ParameterRole::LoraDown | ParameterRole::LoraUp),
        };
        meant.then_some(seed)
    }

    /// Whether it has the tensor of ours called `canonical`.
    pub(super) fn holds(&self, canonical: &str) -> bool {
        self.origin(canonical).is_some_and(|origin| origin.tensors().iter().all(|name| self.has(name)))
    }

    /// Where it has the tensor of ours, in full; `None` when it has not.
    pub(super) fn locate(&self, canonical: &str) -> Option<Origin> {
        self.first_whole(self.choices(canonical))
    }

    /// Without low-rank parts: where it has the matrix that another archive's low-rank part belongs to.
    pub(super) fn locate_base(&self, canonical: &str) -> Option<Origin> {
        let base = |origin| if let Origin::LowRank { base, .. } = origin { *base } else { origin };
        self.first_whole(self.choices(canonical).into_iter().map(base).collect())
    }

    /// Whether its low-rank parts are added to those of later archives.
    pub(super) fn adds(&self) -> bool {
        self.table.adds
    }

    /// The low-rank part that it has of a tensor of ours: LoRA's A and B, and `alpha / rank`.
    pub(super) fn low_rank(&self, canonical: &str) -> Option<(String, String, f32)> {
        let part = |origin| match origin {
            Origin::LowRank { down, up, scale, .. } if self.has(&down) && self.has(&up) => Some((down, up, scale)),
            _ => None,
        };
        let (down, up, scale) = self.choices(canonical).into_iter().find_map(part)?;
        self.note_used([&down, &up]);
        Some((down, up, scale))
    }

    /// Where the tensor of ours may be, the first place first.
    fn choices(&self, canonical: &str) -> Vec<Origin> {
        match self.origin(canonical) {
            Some(Origin::FirstOf(all)) => all,
            one => one.into_iter().collect(),
        }
    }

    fn first_whole(&self, choices: Vec<Origin>) -> Option<Origin> {
        let whole = |origin: &Origin| origin.tensors().iter().all(|name| self.has(name));
        let found = choices.into_iter().find(whole)?;
        self.note_used(found.tensors());
        Some(found)
    }

    fn note_used(&self, names: impl IntoIterator<Item = impl ToString>) {
        let mut used = self.used.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        used.extend(names.into_iter().map(|name| name.to_string()));
    }

    /// Whether nothing but this archive may give the tensor: a GGUF file has all that its table names.
    pub(super) fn must_hold(&self, canonical: &str) -> bool {
        matches!(self.store, Store::Gguf(_)) && self.origin(canonical).is_some()
    }

    /// Where a tensor of ours lies in this layout.
    pub(super) fn origin(&self, canonical: &str) -> Option<Origin> {
        match self.store {
            Store::Random(..) => None,
            _ => (self.table.origin)(canonical),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.store.tensors().is_some_and(|tensors| tensors.has(name))
    }

    /// The error for a tensor of ours that is not there.
    pub(super) fn missing(&self, canonical: &str) -> ModelError {
        let origin = self.origin(canonical);
        let name = origin.as_ref().and_then(|origin| origin.tensors().first().map(|name| name.to_string()));
        let name = name.unwrap_or_else(|| canonical.to_string());
        let seed = || ModelError::Caller(format!("tensor {name} is missing"));
        self.store.tensors().map_or_else(seed, |tensors| tensors.missing(&name))
    }

    /// A stored tensor with a value that is no finite number, and the first such value. Packed matrices are not read.
    pub(super) fn not_finite(&self) -> Option<(String, f32)> {
        const VALUES: usize = 1 << 20;
        let tensors = self.store.tensors()?;
        let mut values = Vec::new();
        for name in tensors.names() {
            let Some(shape) = tensors.shape(name) else { continue };
            let (rows, cols) = matrix_dims(shape);
            let Ok(segment) = tensors.rows(name, shape) else { continue };
            let (source, step) = (RowSource { cols, segments: vec![segment] }, (VALUES / cols.max(1)).max(1));
            for first in (0..rows).step_by(step) {
                let range = first..rows.min(first + step);
                values.resize(range.len() * cols, 0.0);
                let odd = source.read(range, &mut values).ok().and_then(|()| values.iter().find(|v| !v.is_finite()));
                if let Some(&value) = odd {
                    return Some((name.to_string(), value));
                }
            }
        }
        None
    }

    /// Tensors that nobody asked for, without those that the layout has but no model needs ([`NameTable::ignored`]).
    pub(super) fn unused(&self) -> Vec<String> {
        let names = match &self.store {
            Store::Memory(_) => Vec::new(),
            store => store.tensors().map(TensorStore::names).unwrap_or_default(),
        };
        let used = self.used.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let spare = |name: &&str| !used.contains(unpacked_name(name)) && !(self.table.ignored)(name);
        let mut names: Vec<String> = names.into_iter().filter(spare).map(str::to_string).collect();
        names.sort();
        names
    }

    /// Refuses a GGUF file or an adapter with tensors that the model has no place for: it has another number of layers,
    /// say.
    pub(super) fn refuse_left_over(&self) -> ModelResult<()> {
        let Some(file) = self.strict.clone() else { return Ok(()) };
        let left = self.unused();
        let Some(first) = left.first() else { return Ok(()) };
        let what = format!("{} tensors have no place in the model, such as {first}", left.len());
        Err(ModelError::File { file, what })
    }
}

/// The layout of some tensors; `place` is where errors say they are.
fn choose(tables: &[NameTable], tensors: &dyn TensorStore, place: impl FnOnce() -> PathBuf) -> ModelResult<NameTable> {
    let has = |name: &str| tensors.has(name);
    let any = |prefix: &str| tensors.names().iter().any(|name| name.starts_with(prefix));
    let names = TensorNames::new(&has, &any);
    let fits = |table: &&NameTable| table.gguf_architecture.is_none() && (table.matches)(&names);
    tables.iter().find(fits).cloned().ok_or_else(|| {
        let mut some: Vec<&str> = tensors.names();
        some.sort_unstable();
        some.truncate(3);
        let what = format!("the tensor names are of no layout that this family has; they are {}, ...", some.join(", "));
        ModelError::File { file: place(), what }
    })
}
