//! Where a model's tensors come from: safetensors files (mapped, never read whole), tensors in memory, or a seed.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use candle_core::{DType, Device, Tensor, Var};
use safetensors::tensor::Dtype;
use zoetrope_kernels::map::Mapped;

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
    device: Device,
    /// Variables handed out so far, by canonical name; `None` when the weights are not to be trained.
    variables: Option<Mutex<BTreeMap<String, Var>>>,
    /// Names in the source that were asked for.
    used: Mutex<std::collections::HashSet<String>>,
    parameters: Mutex<BTreeMap<String, usize>>,
}

enum Source {
    Files(Files),
    Tensors(HashMap<String, Tensor>),
    Random(u64),
    /// Shapes alone: every value is the same zero in memory.
    Hollow,
}

impl Weights {
    /// The safetensors files of a checkpoint folder: `model.safetensors`, or the shards its index names.
    pub fn open(
        folder: &Path,
        rename: fn(&Names) -> Rename,
        dtype: DType,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let files = Files::open(folder)?;
        let rename = rename(&Names(Some(&files)));
        Ok(Self::build(Source::Files(files), rename, dtype, device, false))
    }

    /// The same as f32 variables to train.
    pub fn open_to_train(folder: &Path, rename: fn(&Names) -> Rename, device: &Device) -> Result<Self, ModelError> {
        let files = Files::open(folder)?;
        let rename = rename(&Names(Some(&files)));
        Ok(Self::build(Source::Files(files), rename, DType::F32, device, true))
    }

    /// Variables to train, initialised from `tensors` (canonical names).
    pub fn trainable(tensors: HashMap<String, Tensor>, device: &Device) -> Self {
        Self::build(Source::Tensors(tensors), |name| name.to_string(), DType::F32, device, true)
    }

    /// Variables to train, drawn from `seed`: norms 1, biases 0 (see `POSITION_STD`), matrices normal with std
    /// `fan_in^-0.5` (embeddings 0.1), so that activations keep their size in small models.
    pub fn random(seed: u64, device: &Device) -> Self {
        Self::build(Source::Random(seed), |name| name.to_string(), DType::F32, device, true)
    }

    /// No weights at all: tensors of the right shapes that take no memory and hold zeros, for a model that only plans.
    pub fn hollow(dtype: DType, device: &Device) -> Self {
        Self::build(Source::Hollow, |name| name.to_string(), dtype, device, false)
    }

    fn build(source: Source, rename: Rename, dtype: DType, device: &Device, train: bool) -> Self {
        let shared = Shared {
            source,
            rename,
            dtype,
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
        let tensor = match &shared.source {
            Source::Files(files) => files.read(&theirs, shape, shared.dtype, &shared.device)?,
            Source::Tensors(tensors) => stored(tensors, &theirs, shape)?.to_dtype(shared.dtype)?,
            Source::Random(seed) => drawn(*seed, &canonical, shape, &shared.device)?,
            Source::Hollow => Tensor::zeros((), shared.dtype, &shared.device)?.broadcast_as(shape)?,
        };
        lock(&shared.used).insert(theirs);
        lock(&shared.parameters).insert(canonical.clone(), tensor.elem_count());
        let Some(variables) = &shared.variables else { return Ok(tensor) };
        let variable = Var::from_tensor(&tensor)?;
        let shown = variable.as_tensor().clone();
        lock(variables).insert(canonical, variable);
        Ok(shown)
    }

    /// The tensor names of the source's files (none when the source is not files).
    pub fn names(&self) -> Names<'_> {
        Names(if let Source::Files(files) = &self.shared.source { Some(files) } else { None })
    }

    /// Whether the source has the tensor `name` below this prefix (a seed stores none).
    pub fn has(&self, name: &str) -> bool {
        let theirs = (self.shared.rename)(&self.canonical(name));
        match &self.shared.source {
            Source::Files(files) => files.entries.contains_key(&theirs),
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

    /// Number of values handed out so far, by canonical name.
    pub fn parameters(&self) -> BTreeMap<String, usize> {
        lock(&self.shared.parameters).clone()
    }

    /// Tensors in the files that the model never asked for.
    pub fn unused(&self) -> Vec<String> {
        let Source::Files(files) = &self.shared.source else { return Vec::new() };
        let used = lock(&self.shared.used);
        let mut names: Vec<String> = files.entries.keys().filter(|n| !used.contains(*n)).cloned().collect();
        names.sort();
        names
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
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

/// SplitMix64: a full-period generator that needs one word of state.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In (0, 1).
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Box-Muller.
    fn normal(&mut self) -> f32 {
        ((-2.0 * self.unit().ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()) as f32
    }
}

/// Spread of the encoder's query and key biases at the start. Under rotary positions two biases make a score that
/// depends on the distance alone, so heads begin with patterns of places; from zero, place is learnt several times
/// later. In the decoder the same halves the pace (docs/LOG.md).
const POSITION_STD: f32 = 1.5;

fn drawn(seed: u64, name: &str, shape: &[usize], device: &Device) -> Result<Tensor, ModelError> {
    let n: usize = shape.iter().product();
    let seeing = name.starts_with("model.vision_model");
    let std = if seeing && (name.ends_with("q_proj.bias") || name.ends_with("k_proj.bias")) {
        POSITION_STD
    } else if shape.len() == 1 {
        0.0
    } else if name.ends_with("embed_tokens.weight") {
        0.1
    } else {
        let fan_in: usize = shape[1..].iter().product();
        (fan_in as f32).powf(-0.5)
    };
    let mean = if shape.len() == 1 && !name.ends_with("bias") { 1.0 } else { 0.0 };
    let mut random = SplitMix(seed);
    for byte in name.bytes() {
        random = SplitMix(random.next() ^ u64::from(byte));
    }
    let values: Vec<f32> = (0..n).map(|_| mean + random.normal() * std).collect();
    Ok(Tensor::from_vec(values, shape, device)?)
}

/// The tensor names of the files, for telling layouts apart.
pub struct Names<'a>(Option<&'a Files>);

impl Names<'_> {
    /// Whether any tensor's name starts with `prefix`.
    pub fn any(&self, prefix: &str) -> bool {
        self.0.is_some_and(|files| files.entries.keys().any(|name| name.starts_with(prefix)))
    }
}

struct Files {
    folder: PathBuf,
    maps: Vec<(PathBuf, Mapped)>,
    entries: HashMap<String, Entry>,
}

struct Entry {
    map: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    start: usize,
    end: usize,
}

impl Files {
    fn open(folder: &Path) -> Result<Self, ModelError> {
        let mut files = Files { folder: folder.to_path_buf(), maps: Vec::new(), entries: HashMap::new() };
        let index = folder.join("model.safetensors.index.json");
        let names = if index.is_file() { shards(&index)? } else { vec!["model.safetensors".to_string()] };
        for name in names {
            files.add(&folder.join(name))?;
        }
        Ok(files)
    }

    fn add(&mut self, path: &Path) -> Result<(), ModelError> {
        let wrong = |what: String| ModelError::File { file: path.to_path_buf(), what };
        let map = Mapped::open(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound if path.with_file_name("pytorch_model.bin").exists() => {
                wrong("missing; pytorch_model.bin is not read, convert it to safetensors".to_string())
            }
            std::io::ErrorKind::NotFound => wrong("weight file is missing from the model folder".to_string()),
            _ => wrong(error.to_string()),
        })?;
        let (header, metadata) = safetensors::SafeTensors::read_metadata(&map)
            .map_err(|error| wrong(format!("not a complete safetensors file: {error}")))?;
        let number = self.maps.len();
        for (name, info) in metadata.tensors() {
            let (start, end) = (header + 8 + info.data_offsets.0, header + 8 + info.data_offsets.1);
            if end > map.len() || start > end {
                let text = format!("cut off: tensor {name} ends at byte {end}, the file has {}", map.len());
                return Err(wrong(text));
            }
            let entry = Entry { map: number, dtype: info.dtype, shape: info.shape.clone(), start, end };
            self.entries.insert(name.to_string(), entry);
        }
        self.maps.push((path.to_path_buf(), map));
        Ok(())
    }

    fn read(&self, name: &str, shape: &[usize], dtype: DType, device: &Device) -> Result<Tensor, ModelError> {
        let Some(entry) = self.entries.get(name) else {
            let files: Vec<_> = self.maps.iter().filter_map(|(path, _)| path.file_name()?.to_str()).collect();
            let what = format!("tensor {name} {shape:?} is in none of {}", files.join(", "));
            return Err(ModelError::File { file: self.folder.clone(), what });
        };
        let (path, map) = &self.maps[entry.map];
        let wrong = |what: String| ModelError::File { file: path.clone(), what };
        if entry.shape != shape {
            let text = format!("tensor {name} has shape {:?}, the configuration says {shape:?}", entry.shape);
            return Err(wrong(text));
        }
        let stored = match entry.dtype {
            Dtype::F32 => DType::F32,
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            other => return Err(wrong(format!("tensor {name} is stored as {other:?}; f32, f16 and bf16 are read"))),
        };
        let bytes = &map[entry.start..entry.end];
        let tensor = Tensor::from_raw_buffer(bytes, stored, shape, &Device::Cpu)?;
        Ok(tensor.to_dtype(dtype)?.to_device(device)?)
    }
}

/// Shard file names of an index, each once, in order.
fn shards(index: &Path) -> Result<Vec<String>, ModelError> {
    let wrong = |what: String| ModelError::File { file: index.to_path_buf(), what };
    let text = std::fs::read_to_string(index).map_err(|error| wrong(error.to_string()))?;
    let json: serde_json::Value = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let map = json["weight_map"].as_object().ok_or_else(|| wrong("has no weight_map".to_string()))?;
    let mut names: Vec<String> = map.values().filter_map(|v| v.as_str().map(str::to_string)).collect();
    names.sort();
    names.dedup();
    if let Some(odd) = names.iter().find(|n| n.contains('/') || n.contains('\\') || n.contains("..")) {
        return Err(wrong(format!("shard name {odd:?} leaves the model folder")));
    }
    Ok(names)
}
