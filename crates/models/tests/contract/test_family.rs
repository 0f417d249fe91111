//! The families under test, each with a toy checkpoint and its weights under our own names.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

use candle_core::{Device, Tensor};
use zoetrope_models::checkpoint::Checkpoint;
use zoetrope_models::contract::{Processor, VideoLanguageModel};
use zoetrope_models::families;
use zoetrope_models::family::Family;
use zoetrope_models::weights::{Archive, LoadOptions, NameTable, Precision, RandomFor, Weights};

use crate::device::device;
use crate::{toys, trial};

/// A family and its toy.
pub(crate) struct TestFamily {
    pub(crate) family: Family,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) processor: Arc<dyn Processor>,
    /// Every tensor that the model asks for when all of it is learned, by our names, in f32 on the CPU.
    pub(crate) tensors: BTreeMap<String, Tensor>,
}

static ALL: LazyLock<Vec<TestFamily>> = LazyLock::new(|| {
    let toys_of =
        |family: &Family| toys::checkpoints(family.name).into_iter().map(|toy| (*family, toy)).collect::<Vec<_>>();
    let published = families::ALL.iter().flat_map(toys_of);
    let trial = (trial::FAMILY, trial::checkpoint::checkpoint());
    published.chain([trial]).map(|(family, checkpoint)| TestFamily::new(family, checkpoint)).collect()
});

/// All families, and the trial family last.
pub(crate) fn all() -> &'static [TestFamily] {
    &ALL
}

impl TestFamily {
    fn new(family: Family, checkpoint: Checkpoint) -> Self {
        let processor = (family.processor)(&checkpoint).unwrap();
        let drawn = !checkpoint.has("model.safetensors");
        let archive = match drawn {
            true => Archive::random(7, RandomFor::Everything),
            false => Archive::open(&checkpoint, &(family.tables)(&checkpoint).unwrap()).unwrap(),
        };
        let weights = Weights::open(vec![archive], LoadOptions::training()).unwrap();
        (family.model)(&checkpoint, weights.clone()).unwrap();
        let variables = weights.variables().into_iter();
        let tensors = variables.map(|(name, variable)| {
            let tensor = variable.as_detached_tensor();
            let tensor = if drawn { moved(&tensor, &name) } else { tensor };
            (name, tensor)
        });
        TestFamily { family, checkpoint, processor, tensors: tensors.collect() }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.family.name
    }

    /// The layouts in which the toy may be published.
    pub(crate) fn tables(&self) -> Vec<NameTable> {
        (self.family.tables)(&self.checkpoint).unwrap()
    }

    /// The toy over `archives`.
    pub(crate) fn open_archives(&self, archives: Vec<Archive>, options: LoadOptions) -> Arc<dyn VideoLanguageModel> {
        let weights = Weights::open(archives, options).unwrap_or_else(|error| panic!("{}: {error}", self.name()));
        (self.family.model)(&self.checkpoint, weights).unwrap_or_else(|error| panic!("{}: {error}", self.name()))
    }

    /// The toy with its weights.
    pub(crate) fn open(&self, options: LoadOptions) -> Arc<dyn VideoLanguageModel> {
        self.open_archives(vec![self.archive()], options)
    }

    /// The toy with its weights, to run on the device under test.
    pub(crate) fn open_as(&self, precision: impl Into<Precision>) -> Arc<dyn VideoLanguageModel> {
        self.open(LoadOptions { device: device(), ..LoadOptions::cpu(precision) })
    }

    /// The toy's weights.
    pub(crate) fn archive(&self) -> Archive {
        let tensors = self.tensors.iter().map(|(name, tensor)| (name.clone(), tensor.clone()));
        Archive::memory(tensors.collect::<HashMap<_, _>>())
    }
}

/// Values near those of `tensor`: initial norms and biases are the same everywhere, and would hide which row they
/// belong to.
fn moved(tensor: &Tensor, name: &str) -> Tensor {
    let phase = name.bytes().fold(0.0, |sum: f32, byte| sum * 0.7 + f32::from(byte));
    let values = (0..tensor.elem_count()).map(|i| 0.2 * (i as f32 * 1.7 + phase).sin());
    let noise = Tensor::from_iter(values, &Device::Cpu).unwrap().reshape(tensor.shape()).unwrap();
    (tensor + noise).unwrap()
}
