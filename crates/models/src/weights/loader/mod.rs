//! The tensors of a model: a stack of archives, looked up in order under our own names.

mod adapter_switch;
mod archive_rows;
mod found;
pub(super) mod lookup;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard};

use candle_core::{DType, Device, Tensor, Var};
use zoetrope_kernels::gemm::{PackedMatrix, SharedBytes, WeightType};

pub(crate) use self::adapter_switch::AdapterSwitch;
use self::found::Found;
use self::lookup::{find_rows, read_tensor};
use super::archive::Archive;
use super::formats::{FileBytes, MappedRows, matrix_dims};
use super::init::init_tensor;
use super::options::{Learn, LoadOptions};
use super::origin::Origin;
use super::parameter::{Parameter, ParameterGroup, ParameterRole};
use super::precision::{ArchiveFacts, HeldAs, StoredAs, type_of_matrix};
use super::survey::Survey;
use crate::error::{ModelError, ModelResult};
use crate::kv::KvDtype;

/// Named tensors below a prefix, of one group; cheap to clone.
#[derive(Clone)]
pub struct Weights {
    shared: Arc<Shared>,
    prefix: String,
    /// Looked up under this prefix, too, when the first has no such tensor (tied matrices).
    second_prefix: Option<String>,
    group: ParameterGroup,
    /// Seed of initial values of what no archive has.
    initial: Option<u64>,
    /// Whether few bits spoil the matrices.
    sensitive: bool,
}

struct Shared {
    archives: Vec<Archive>,
    options: LoadOptions,
    facts: ArchiveFacts,
    /// Set while a model is built only to list what it asks for.
    survey: Option<Survey>,
    variables: Mutex<BTreeMap<String, Var>>,
    parameters: Mutex<BTreeMap<String, Parameter>>,
    adapters: AdapterSwitch,
}

impl Weights {
    /// The tensors of `archives`, the first that has one giving it.
    ///
    /// # Errors
    /// When what is asked for does not fit: packed weights on another device than the CPU or to be learned, int8 keys
    /// and values elsewhere. Nothing is read.
    pub fn open(archives: Vec<Archive>, options: LoadOptions) -> ModelResult<Self> {
        Self::build(archives, options, None)
    }

    /// A list of what a model asks for, to convert it. A model over such weights holds nothing.
    pub(crate) fn survey(archives: Vec<Archive>, weight_type: WeightType) -> ModelResult<Self> {
        Self::build(archives, LoadOptions::cpu(DType::F32), Some(Survey::new(weight_type)))
    }

    /// A list of what a model asks for, which counts as if it had been read; every tensor is looked for. A model over
    /// such weights says what it is and cannot run.
    pub(crate) fn listed(archives: Vec<Archive>, options: LoadOptions) -> ModelResult<Self> {
        Self::build(archives, options, Some(Survey::checking()))
    }

    fn build(archives: Vec<Archive>, options: LoadOptions, survey: Option<Survey>) -> ModelResult<Self> {
        if options.kv_dtype == Some(KvDtype::Int8) && !options.device.is_cpu() {
            return Err(ModelError::Unsupported("keys and values in int8 on another device than the CPU".to_string()));
        }
        let facts = archives.iter().map(Archive::facts).fold(ArchiveFacts::default(), |all, one| ArchiveFacts {
            bytes: all.bytes + one.bytes,
            packed: all.packed.or(one.packed),
        });
        let weights = Weights {
            shared: Arc::new(Shared {
                archives,
                options,
                facts,
                survey,
                variables: Mutex::default(),
                parameters: Mutex::default(),
                adapters: AdapterSwitch::default(),
            }),
            prefix: String::new(),
            second_prefix: None,
            group: ParameterGroup::Language,
            initial: None,
            sensitive: false,
        };
        for group in
            [ParameterGroup::Vision, ParameterGroup::Projector, ParameterGroup::Language, ParameterGroup::Embeddings]
        {
            weights.group(group).try_held_as()?;
        }
        Ok(weights)
    }

    /// These weights, where what no archive has begins with values from `seed`, if there is one; inherited by
    /// [`Weights::sub`].
    pub fn or_initial(&self, seed: Option<u64>) -> Self {
        Weights { initial: seed, ..self.clone() }
    }

    /// These weights as those of `group`; inherited by [`Weights::sub`].
    pub fn group(&self, group: ParameterGroup) -> Self {
        Weights { group, ..self.clone() }
    }

    /// These weights, whose matrices few bits would spoil: where others have four bits they have eight; inherited by
    /// [`Weights::sub`].
    pub fn sensitive(&self) -> Self {
        Weights { sensitive: true, ..self.clone() }
    }

    /// What a matrix of floats in `role` is packed as; `None` when the group's matrices are held as tensors.
    pub fn matrix_type(&self, role: ParameterRole) -> Option<WeightType> {
        self.held_as().packed.map(|weight_type| self.type_of(weight_type, role, StoredAs::Values))
    }

    fn type_of(&self, model_type: WeightType, role: ParameterRole, stored: StoredAs) -> WeightType {
        type_of_matrix(model_type, self.is_sensitive(role), stored)
    }

    fn is_sensitive(&self, role: ParameterRole) -> bool {
        self.sensitive || role == ParameterRole::OutputHead
    }

    /// The weights below `name`.
    pub fn sub(&self, name: impl Display) -> Self {
        let second_prefix = self.second_prefix.as_ref().map(|prefix| join(prefix, &name.to_string()));
        Weights { prefix: join(&self.prefix, &name.to_string()), second_prefix, ..self.clone() }
    }

    /// These weights, and where they lack a tensor or rows of one those of `second` (a tied output head).
    pub fn or_else(&self, second: &Weights) -> Self {
        Weights { second_prefix: Some(second.prefix.clone()), ..self.clone() }
    }

    fn try_held_as(&self) -> ModelResult<HeldAs> {
        let (precision, learn) = self.shared.options.of_group(self.group);
        precision.resolve(self.shared.facts, &self.shared.options.device, learn == Learn::Full)
    }

    /// What the group's weights are held as.
    pub fn held_as(&self) -> HeldAs {
        // `build` has resolved every group of a model; heads for training are floats.
        self.try_held_as().unwrap_or(HeldAs { dtype: DType::F32, packed: None, master: false })
    }

    /// What attention computes in beside these weights.
    pub fn attention_compute(&self) -> WeightType {
        self.held_as().attention_compute()
    }

    /// What the KV cache keeps beside these weights.
    pub fn kv_dtype(&self) -> KvDtype {
        let language = self.group(ParameterGroup::Language).held_as();
        self.shared.options.kv_dtype.unwrap_or(language.default_kv_dtype())
    }

    /// The type of activations.
    pub fn dtype(&self) -> DType {
        self.held_as().dtype
    }

    /// Where the weights are.
    pub fn device(&self) -> &Device {
        &self.shared.options.device
    }

    /// Rank and alpha of the low-rank adapters beside the group's matrices, when there are any.
    pub fn adapter(&self) -> Option<(usize, f32)> {
        match self.shared.options.of_group(self.group).1 {
            Learn::Lora { rank, alpha } if self.shared.survey.is_none() => Some((rank, alpha)),
            _ => None,
        }
    }

    /// The switch of all adapters of the model.
    pub(crate) fn adapter_switch(&self) -> AdapterSwitch {
        self.shared.adapters.clone()
    }

    /// Does `work` while the adapters of the whole model do not count, so that it computes what it does without them.
    /// No other pass of the model may run meanwhile: its adapters would not count either.
    pub fn without_adapters<T>(&self, work: impl FnOnce() -> T) -> T {
        self.shared.adapters.off(work)
    }

    /// Whether the group's layers are recomputed, and whether they have variables then.
    pub fn recompute(&self) -> Option<bool> {
        let learned = self.shared.options.of_group(self.group).1 != Learn::Frozen;
        self.shared.options.recompute.then_some(learned)
    }

    /// The tensor `name` below this prefix, which must have `shape`.
    ///
    /// # Errors
    /// When no archive has it, it has another shape, or a file is damaged.
    pub fn get(&self, shape: &[usize], name: &str, role: ParameterRole) -> ModelResult<Tensor> {
        let canonical = join(&self.prefix, name);
        let (dtype, device) = (self.held_as().dtype, self.device());
        if let Some(survey) = &self.shared.survey {
            survey.note_values(&canonical, self.second(name), shape);
            if survey.checks && !lock(&self.shared.parameters).contains_key(&canonical) {
                self.find(name, shape, role)?;
                let values = shape.iter().product();
                self.note(&canonical, role, values, values * dtype.size_in_bytes());
            }
            return Ok(Tensor::zeros((), dtype, device)?.broadcast_as(shape)?);
        }
        let tensor = match self.find(name, shape, role)? {
            Found::Rows(source) => read_tensor(&source, shape, dtype, device)?,
            Found::Random(seed) => init_tensor(seed, &canonical, shape, role, device)?.to_dtype(dtype)?,
        };
        self.note(&canonical, role, tensor.elem_count(), tensor.elem_count() * dtype.size_in_bytes());
        let learned = matches!(
            (self.shared.options.of_group(self.group).1, role),
            (Learn::Full, _) | (Learn::Lora { .. }, ParameterRole::LoraDown | ParameterRole::LoraUp)
        );
        if !learned {
            return Ok(tensor);
        }
        let variable = Var::from_tensor(&tensor)?;
        let tensor = variable.as_tensor().clone();
        lock(&self.shared.variables).insert(canonical, variable);
        Ok(tensor)
    }

    /// The matrix `name` below this prefix, packed; `None` when the group's matrices are held as tensors.
    ///
    /// # Errors
    /// As [`Weights::get`].
    pub fn packed(&self, shape: &[usize], name: &str, role: ParameterRole) -> ModelResult<Option<PackedMatrix>> {
        let canonical = join(&self.prefix, name);
        if let Some(survey) = &self.shared.survey {
            survey.note_matrix(&canonical, self.second(name), shape, self.is_sensitive(role));
            if let Some(model_type) = self.held_as().packed.filter(|_| survey.checks) {
                let weight_type = match self.mapped(name, shape, model_type)? {
                    Some(packed) => packed.weight_type(),
                    None => self.type_of(model_type, role, self.find(name, shape, role)?.stored_as()),
                };
                let (rows, cols) = matrix_dims(shape);
                self.note(&canonical, role, rows * cols, weight_type.bytes(rows, cols));
            }
            return Ok(None);
        }
        let Some(model_type) = self.held_as().packed else { return Ok(None) };
        let packed = match self.mapped(name, shape, model_type)? {
            Some(packed) => packed,
            None => {
                let found = self.find(name, shape, role)?;
                found.pack(self.type_of(model_type, role, found.stored_as()), &canonical, shape, role)?
            }
        };
        self.note(&canonical, role, shape.iter().product(), packed.bytes().len());
        Ok(Some(packed))
    }

    /// The table `name` below this prefix, whose rows are read when they are looked up; `None` when matrices are held
    /// as tensors.
    ///
    /// # Errors
    /// As [`Weights::get`].
    pub fn mapped_rows(&self, shape: [usize; 2], name: &str) -> ModelResult<Option<MappedRows>> {
        let canonical = join(&self.prefix, name);
        if let Some(survey) = &self.shared.survey {
            survey.note_values(&canonical, self.second(name), &shape);
        }
        let held = self.held_as();
        let converts = self.shared.survey.as_ref().is_some_and(|survey| !survey.checks);
        if held.packed.is_none() && !converts {
            return Ok(None);
        }
        let Found::Rows(source) = self.find(name, &shape, ParameterRole::Embedding)? else { return Ok(None) };
        self.note(&canonical, ParameterRole::Embedding, shape.iter().product(), 0);
        Ok(Some(MappedRows::new(source, canonical, held.dtype, self.device().clone())))
    }

    /// Whether an archive has the tensor `name` below this prefix. A seed has none.
    pub fn has(&self, name: &str) -> bool {
        let canonical = join(&self.prefix, name);
        for archive in &self.shared.archives {
            if archive.holds(&canonical) {
                return true;
            }
            if archive.must_hold(&canonical) {
                return false;
            }
        }
        false
    }

    /// The shape of the tensor `name` below this prefix in the first archive that has it as a tensor of its own: for
    /// tables of which several sizes fit. A seed has none.
    pub fn stored_shape(&self, name: &str) -> Option<Vec<usize>> {
        let canonical = join(&self.prefix, name);
        self.shared.archives.iter().find_map(|archive| Some(archive.stored_shape(&canonical)?.to_vec()))
    }

    fn second(&self, name: &str) -> Option<String> {
        self.second_prefix.as_ref().map(|prefix| join(prefix, name))
    }

    /// The matrix `name` as a folder that was converted to `model_type` maps it.
    fn mapped(&self, name: &str, shape: &[usize], model_type: WeightType) -> ModelResult<Option<PackedMatrix>> {
        let (canonical, second) = (join(&self.prefix, name), self.second(name));
        let (rows, cols) = matrix_dims(shape);
        for archive in &self.shared.archives {
            let located = std::iter::once(&canonical).chain(&second).find_map(|name| archive.locate(name));
            let Some(origin) = located else {
                // What a low-rank part is added to is packed anew.
                let names = || std::iter::once(&canonical).chain(&second);
                if names().any(|name| archive.low_rank(name).is_some()) { return Ok(None) } else { continue }
            };
            // The first that has the tensor gives it, packed or not.
            let (Origin::Tensor(theirs), Some(files)) = (origin, archive.safetensors()) else { return Ok(None) };
            let Some(entry) = files.packed(&theirs, shape, model_type)? else { return Ok(None) };
            let FileBytes::Mapped(map) = entry.file else { return Ok(None) };
            let weight_type = entry.weight_type;
            let refused =
                || ModelError::Bug(format!("tensor {theirs} of {shape:?} is not {weight_type:?} where it lies"));
            let bytes: SharedBytes = map.clone();
            let packed = PackedMatrix::from_packed(weight_type, rows, cols, bytes, entry.bytes);
            return packed.ok_or_else(refused).map(Some);
        }
        Ok(None)
    }

    fn find(&self, name: &str, shape: &[usize], role: ParameterRole) -> ModelResult<Found> {
        let (canonical, second) = (join(&self.prefix, name), self.second(name));
        let seed = self.shared.archives.iter().find_map(|archive| archive.seed_for(self.group, role)).or(self.initial);
        match find_rows(&self.shared.archives, &canonical, second.as_deref(), shape) {
            Ok(source) => Ok(Found::Rows(source)),
            Err(error) => seed.filter(|_| !self.has(name)).map(Found::Random).ok_or(error),
        }
    }

    fn note(&self, canonical: &str, role: ParameterRole, values: usize, bytes: usize) {
        let parameter = Parameter { group: self.group, role, values, bytes };
        lock(&self.shared.parameters).insert(canonical.to_string(), parameter);
    }

    /// The archives and what was listed, to convert a model.
    pub(crate) fn surveyed(&self) -> Option<(&[Archive], &Survey)> {
        self.shared.survey.as_ref().map(|survey| (&self.shared.archives[..], survey))
    }

    /// What is learned, by name.
    pub fn variables(&self) -> BTreeMap<String, Var> {
        lock(&self.shared.variables).clone()
    }

    /// Every tensor that was asked for, by name.
    pub fn parameters(&self) -> BTreeMap<String, Parameter> {
        lock(&self.shared.parameters).clone()
    }

    /// The layout of each archive that has files, the first to be looked up first.
    pub fn layouts(&self) -> Vec<&'static str> {
        let with_files = self.shared.archives.iter().filter(|archive| archive.safetensors().is_some());
        with_files.map(Archive::layout).collect()
    }

    /// A tensor in the archives with a value that is no finite number, and the first such value: looked for when a
    /// model computes what is not a number. Packed matrices are not read.
    pub fn not_finite(&self) -> Option<(String, f32)> {
        self.shared.archives.iter().find_map(Archive::not_finite)
    }

    /// Refuses a GGUF file or an adapter that holds tensors that the model never asked for.
    pub(crate) fn refuse_left_over(&self) -> ModelResult<()> {
        self.shared.archives.iter().try_for_each(Archive::refuse_left_over)
    }

    /// Tensors in the archives that the model never asked for.
    pub fn unused(&self) -> Vec<String> {
        self.shared.archives.iter().flat_map(Archive::unused).collect()
    }
}

fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_string() } else { format!("{prefix}.{name}") }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
