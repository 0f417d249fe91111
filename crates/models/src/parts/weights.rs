//! Where a model's tensors come from: safetensors files (mapped, never read whole), tensors in memory, or a seed.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex};

use candle_core::{DType, Device, Tensor, Var};
use zoetrope_kernels::memory;
use zoetrope_kernels::packed::{Kind, Packed};

use super::cache::KvDtype;
pub use super::files::Names;
use super::files::{Files, unpacked_name};
pub use super::listed::{Dialect, Twin};
use super::listed::{Found, Language, Listed};
use super::precision::{Dtypes, Precision, attention_beside, kv_cache_beside};
use super::random::drawn;
use crate::error::ModelError;

/// How a canonical tensor name reads in the source.
pub type Rename = fn(&str) -> String;

/// Named tensors below a prefix; cheap to clone.
#[derive(Clone)]
pub struct Weights {
    shared: Arc<Shared>,
    prefix: String,
}

struct Shared {
    source: Source,
    rename: Rename,
    dtype: DType,
    /// How matrices are packed, if at all.
    kind: Option<Kind>,
    /// How keys and values are held, if not as suits the weights.
    kv_cache: Option<KvDtype>,
    device: Device,
    /// Variables handed out so far, by canonical name; `None` when the weights are not to be trained.
    variables: Option<Mutex<BTreeMap<String, Var>>>,
    /// Names in the source that were asked for.
    used: Mutex<std::collections::HashSet<String>>,
    parameters: Mutex<BTreeMap<String, Size>>,
}

/// How large a tensor is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Number of values.
    pub values: usize,
    /// Bytes that a pass over all of it reads from memory; 0 for a table of which single rows are read.
    pub bytes: usize,
}

enum Source {
    Files(Files),
    /// Files whose tensors are asked for and not read.
    Listed(Listed),
    Tensors(HashMap<String, Tensor>),
    Random(u64),
    /// Shapes alone: every value is the same zero in memory.
    Hollow,
}

impl Source {
    fn files(&self) -> Option<&Files> {
        match self {
            Source::Files(files) => Some(files),
            Source::Listed(listed) => Some(&listed.files),
            Source::Tensors(_) | Source::Random(_) | Source::Hollow => None,
        }
    }
}

impl Weights {
    /// The safetensors files of a checkpoint folder: `model.safetensors`, or the shards its index names.
    ///
    /// # Errors
    /// When a file is missing or wrong, and for keys and values in int8 on another device than the CPU.
    pub fn open(
        folder: &Path,
        rename: fn(&Names) -> Rename,
        dtypes: Dtypes,
        device: &Device,
    ) -> Result<Self, ModelError> {
        if dtypes.kv_cache == Some(KvDtype::Int8) && !device.is_cpu() {
            return Err(ModelError::Unsupported("keys and values in int8 on another device than the CPU".to_string()));
        }
        let files = Files::open(folder)?;
        let rename = rename(&Names(Some(&files)));
        let weights = dtypes.weights.settled(&files);
        Ok(Self::build(Source::Files(files), rename, Dtypes { weights, ..dtypes }, device, false))
    }

    /// The same as f32 variables to train.
    pub fn open_to_train(folder: &Path, rename: fn(&Names) -> Rename, device: &Device) -> Result<Self, ModelError> {
        let files = Files::open(folder)?;
        let rename = rename(&Names(Some(&files)));
        Ok(Self::build(Source::Files(files), rename, DType::F32.into(), device, true))
    }

    /// Variables to train, initialised from `tensors` (canonical names).
    pub fn trainable(tensors: HashMap<String, Tensor>, device: &Device) -> Self {
        Self::build(Source::Tensors(tensors), |name| name.to_string(), DType::F32.into(), device, true)
    }

    /// Variables to train, drawn from `seed`: norms 1, biases 0 (see `POSITION_STD`), matrices normal with std
    /// `fan_in^-0.5` (embeddings 0.1), so that activations keep their size in small models.
    pub fn random(seed: u64, device: &Device) -> Self {
        Self::build(Source::Random(seed), |name| name.to_string(), DType::F32.into(), device, true)
    }

    /// No weights at all: tensors of the right shapes that take no memory and hold zeros, for a model that only plans.
    /// Keys and values are counted as they would be held beside the weights of `folder`, which need not be there.
    pub fn hollow(folder: &Path, dtypes: Dtypes, device: &Device) -> Self {
        let weights = match dtypes.weights {
            Precision::Auto => Files::open(folder).map_or(Precision::Auto, |files| Precision::Auto.settled(&files)),
            asked => asked,
        };
        let (dtype, kind) = weights.parts();
        let kv_cache = Some(dtypes.kv_cache.unwrap_or(kv_cache_beside(dtype, kind)));
        Self::build(Source::Hollow, |name| name.to_string(), Dtypes { weights: dtype.into(), kv_cache }, device, false)
    }

    /// Only a list of what a model asks for of a folder's files, to convert its matrices to `kind`; the language part
    /// is that of a GGUF file where one is given. A model over such weights holds nothing.
    pub(crate) fn listed(
        folder: &Path,
        rename: fn(&Names) -> Rename,
        kind: Kind,
        language: Option<(&Path, Dialect)>,
    ) -> Result<Self, ModelError> {
        let files = Files::open(folder)?;
        let rename = rename(&Names(Some(&files)));
        let language = language.map(|(path, dialect)| Language::open(path, dialect)).transpose()?;
        let source = Source::Listed(Listed::new(files, rename, language, kind));
        Ok(Self::build(source, rename, Precision::Packed(kind).into(), &Device::Cpu, false))
    }

    fn build(source: Source, rename: Rename, dtypes: Dtypes, device: &Device, train: bool) -> Self {
        memory::keep_freed();
        let (dtype, kind) = dtypes.weights.parts();
        let shared = Shared {
            source,
            rename,
            dtype,
            kind,
            kv_cache: dtypes.kv_cache,
            device: device.clone(),
            variables: train.then(Mutex::default),
            used: Mutex::default(),
            parameters: Mutex::default(),
        };
        Weights { shared: Arc::new(shared), prefix: String::new() }
    }

    /// The weights below `name`.
    pub fn at(&self, name: impl std::fmt::Display) -> Self {
        let prefix = self.canonical(&name.to_string());
        Weights { shared: Arc::clone(&self.shared), prefix }
    }

    /// How matrices are held: "f32", "int8" and so on.
    pub fn word(&self) -> String {
        match self.shared.kind {
            Some(kind) => kind.name().to_string(),
            None => self.shared.dtype.as_str().to_string(),
        }
    }

    /// In what attention computes its products beside these weights: bf16 when they are packed smaller than f32.
    pub fn attention(&self) -> Kind {
        attention_beside(self.shared.kind)
    }

    /// How keys and values are held beside these weights.
    pub fn kv_cache(&self) -> KvDtype {
        self.shared.kv_cache.unwrap_or(kv_cache_beside(self.shared.dtype, self.shared.kind))
    }

    /// Type the weights are converted to.
    pub fn dtype(&self) -> DType {
        self.shared.dtype
    }

    /// Device the weights are put on.
    pub fn device(&self) -> &Device {
        &self.shared.device
    }

    /// The tensor `name` below this prefix, which must have `shape`.
    pub fn get(&self, shape: &[usize], name: &str) -> Result<Tensor, ModelError> {
        let canonical = self.canonical(name);
        let shared = &*self.shared;
        let theirs = (shared.rename)(&canonical);
        if let Source::Listed(listed) = &shared.source {
            listed.note(&canonical, &theirs, shape, false);
        }
        let tensor = match &shared.source {
            Source::Files(files) => files.read(&theirs, shape, shared.dtype, &shared.device)?,
            Source::Tensors(tensors) => stored(tensors, &theirs, shape)?.to_dtype(shared.dtype)?,
            Source::Random(seed) => drawn(*seed, &canonical, shape, &shared.device)?,
            Source::Hollow | Source::Listed(_) => {
                Tensor::zeros((), shared.dtype, &shared.device)?.broadcast_as(shape)?
            }
        };
        let size = Size { values: tensor.elem_count(), bytes: tensor.elem_count() * shared.dtype.size_in_bytes() };
        self.note(&canonical, theirs, size);
        let Some(variables) = &shared.variables else { return Ok(tensor) };
        let variable = Var::from_tensor(&tensor)?;
        let shown = variable.as_tensor().clone();
        lock(variables).insert(canonical, variable);
        Ok(shown)
    }

    /// The matrix `name` below this prefix, packed; `None` when matrices are held as tensors.
    pub fn packed(&self, shape: &[usize], name: &str) -> Result<Option<Packed>, ModelError> {
        let (Some(kind), canonical) = (self.shared.kind, self.canonical(name)) else { return Ok(None) };
        let theirs = (self.shared.rename)(&canonical);
        let packed = match &self.shared.source {
            Source::Files(files) => files.packed(&theirs, shape, kind)?,
            Source::Listed(listed) => {
                listed.note(&canonical, &theirs, shape, true);
                return Ok(None);
            }
            Source::Tensors(_) | Source::Random(_) | Source::Hollow => return Ok(None),
        };
        let size = Size { values: shape.iter().product(), bytes: packed.bytes().len() };
        self.note(&canonical, theirs, size);
        Ok(Some(packed))
    }

    /// The table `name` below this prefix, whose rows are read one by one; `None` when matrices are held as tensors.
    pub fn table(&self, shape: [usize; 2], name: &str) -> Option<Table> {
        let canonical = self.canonical(name);
        let stored = self.shared.kind.is_some() && self.shared.source.files().is_some();
        stored.then(|| {
            let name = (self.shared.rename)(&canonical);
            self.note(&canonical, name.clone(), Size { values: shape.iter().product(), bytes: 0 });
            if let Source::Listed(listed) = &self.shared.source {
                listed.note(&canonical, &name, &shape, false);
            }
            Table { shared: Arc::clone(&self.shared), name, shape }
        })
    }

    /// Every tensor that was asked for of listed weights, packed ones first.
    pub(crate) fn found(&self) -> Result<Vec<Found<'_>>, ModelError> {
        match &self.shared.source {
            Source::Listed(listed) => listed.found(),
            _ => Err(ModelError::Bug("only listed weights are converted".to_string())),
        }
    }

    fn note(&self, canonical: &str, theirs: String, size: Size) {
        lock(&self.shared.used).insert(theirs);
        lock(&self.shared.parameters).insert(canonical.to_string(), size);
    }

    /// The tensor names of the source's files (none when the source is not files).
    pub fn names(&self) -> Names<'_> {
        Names(self.shared.source.files())
    }

    /// Whether the source has the tensor `name` below this prefix (a seed stores none).
    pub fn has(&self, name: &str) -> bool {
        let canonical = self.canonical(name);
        let theirs = (self.shared.rename)(&canonical);
        match &self.shared.source {
            Source::Files(files) => files.has(&theirs),
            Source::Listed(listed) => listed.has(&canonical, &theirs),
            Source::Tensors(tensors) => tensors.contains_key(&theirs),
            Source::Random(_) | Source::Hollow => false,
        }
    }

    fn canonical(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_string() } else { format!("{}.{name}", self.prefix) }
    }

    /// Variables handed out so far, by canonical name.
    pub fn variables(&self) -> BTreeMap<String, Var> {
        self.shared.variables.as_ref().map(|v| lock(v).clone()).unwrap_or_default()
    }

    /// Sizes of what was handed out so far, by canonical name.
    pub fn parameters(&self) -> BTreeMap<String, Size> {
        lock(&self.shared.parameters).clone()
    }

    /// Tensors in the files that the model never asked for.
    pub fn unused(&self) -> Vec<String> {
        let Some(files) = self.shared.source.files() else { return Vec::new() };
        let used = lock(&self.shared.used);
        let mut names: Vec<String> =
            files.entries.keys().filter(|n| !used.contains(unpacked_name(n))).cloned().collect();
        names.sort();
        names
    }
}

/// A matrix in a file whose rows are read when they are asked for.
#[derive(Clone)]
pub struct Table {
    shared: Arc<Shared>,
    name: String,
    shape: [usize; 2],
}

impl Table {
    /// Rows `rows`, `[rows.len(), width]` in f32.
    pub fn rows(&self, rows: &[u32]) -> Result<Tensor, ModelError> {
        let Source::Files(files) = &self.shared.source else {
            return Err(ModelError::Bug(format!("table {} is not in a file", self.name)));
        };
        let mut values = vec![0.0; rows.len() * self.shape[1]];
        files.rows(&self.name, &self.shape, rows, &mut values)?;
        Ok(Tensor::from_vec(values, (rows.len(), self.shape[1]), &self.shared.device)?)
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn stored(tensors: &HashMap<String, Tensor>, name: &str, shape: &[usize]) -> Result<Tensor, ModelError> {
    let tensor = tensors.get(name).ok_or_else(|| ModelError::Caller(format!("tensor {name} is missing")))?;
    if tensor.dims() != shape {
        let text = format!("tensor {name} has shape {:?}, the configuration says {shape:?}", tensor.dims());
        return Err(ModelError::Caller(text));
    }
    Ok(tensor.clone())
}
