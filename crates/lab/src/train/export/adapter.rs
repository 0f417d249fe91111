//! Low-rank adapters that were learned: as a folder that PEFT loads, merged into their matrices, or as weights to read.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Write;
use std::path::Path;

use candle_core::Tensor;
use serde_json::{Map, Value, json};
use zoetrope_models::weights::{Archive, Learn, ParameterGroup, ParameterRole, Weights};
use zoetrope_system::files::{sync_folder, write_whole};

use super::tensors::write_tensors;
use crate::error::LabError;
use crate::train::optimizer::Trained;

/// What PEFT puts before the names of the model's own tensors.
const PREFIX: &str = "base_model.model.";
const DOWN: &str = ".lora_A.weight";
const UP: &str = ".lora_B.weight";

/// The adapters of some matrices.
#[derive(Default)]
pub(in crate::train) struct Adapters {
    /// LoRA's A `[rank, in]` and B `[out, rank]` by their names.
    tensors: HashMap<String, Tensor>,
    /// Rank and alpha by the name of the module that has the matrix.
    modules: BTreeMap<String, (usize, f32)>,
}

impl Adapters {
    /// The adapters among `trained` in the groups that `take` takes; `learn` says rank and alpha of each.
    pub(in crate::train) fn of(
        trained: &BTreeMap<String, Trained>,
        learn: impl Fn(ParameterGroup) -> Learn,
        take: impl Fn(ParameterGroup) -> bool,
    ) -> Self {
        let mut all = Adapters::default();
        for (name, trained) in trained.iter().filter(|(_, trained)| take(trained.group)) {
            let Some(module) = name.strip_suffix(DOWN).or_else(|| name.strip_suffix(UP)) else { continue };
            if let Learn::Lora { rank, alpha } = learn(trained.group) {
                all.modules.insert(module.to_string(), (rank, alpha));
                all.tensors.insert(name.clone(), trained.variable.as_detached_tensor());
            }
        }
        all
    }

    pub(in crate::train) fn is_empty(&self) -> bool {
        self.modules.is_empty()
    }

    /// Names of their tensors.
    pub(in crate::train) fn names(&self) -> impl Iterator<Item = &String> {
        self.tensors.keys()
    }

    /// An archive that adds them to the matrices of later ones.
    pub(in crate::train) fn archive(&self) -> Archive {
        let scale = |(module, (rank, alpha)): (&String, &(usize, f32))| (weight(module), alpha / *rank as f32);
        Archive::low_rank_memory(self.tensors.clone(), self.modules.iter().map(scale).collect())
    }

    /// The matrices with the adapters added, by name, read from `weights`, which begin with [`Adapters::archive`].
    pub(in crate::train) fn merged(&self, weights: &Weights) -> Result<HashMap<String, Tensor>, LabError> {
        let one = |module: &String| {
            let (down, up) = (&self.tensors[&format!("{module}{DOWN}")], &self.tensors[&format!("{module}{UP}")]);
            let shape = [up.dim(0)?, down.dim(1)?];
            Ok((weight(module), weights.get(&shape, &weight(module), ParameterRole::HiddenMatrix)?))
        };
        self.modules.keys().map(one).collect()
    }

    /// `adapter_config.json`. Matrices are named one by one, because other parts have modules of the same last name.
    fn config(&self, base: &str, saved: &BTreeSet<&str>) -> Value {
        let mut ranks: BTreeMap<(usize, u32), usize> = BTreeMap::new();
        self.modules.values().for_each(|(rank, alpha)| *ranks.entry((*rank, alpha.to_bits())).or_default() += 1);
        // Of the most matrices; the others are listed.
        let usual = ranks
            .iter()
            .max_by_key(|(_, count)| **count)
            .map_or((1, 1.0), |((rank, alpha), _)| (*rank, f32::from_bits(*alpha)));
        let (mut rank_pattern, mut alpha_pattern) = (Map::new(), Map::new());
        for (module, (rank, alpha)) in self.modules.iter().filter(|(_, own)| **own != usual) {
            rank_pattern.insert(module.clone(), json!(rank));
            alpha_pattern.insert(module.clone(), json!(alpha));
        }
        json!({
            "peft_type": "LORA",
            "task_type": null,
            "base_model_name_or_path": base,
            "inference_mode": true,
            "r": usual.0,
            "lora_alpha": usual.1,
            "lora_dropout": 0.0,
            "bias": "none",
            "fan_in_fan_out": false,
            "use_rslora": false,
            "use_dora": false,
            "target_modules": self.modules.keys().collect::<Vec<_>>(),
            "modules_to_save": if saved.is_empty() { Value::Null } else { json!(saved) },
            "rank_pattern": rank_pattern,
            "alpha_pattern": alpha_pattern,
        })
    }
}

/// Writes `adapters`, and `whole` tensors that were learned beside them, to `folder` in PEFT's layout. `base` is the
/// name of the model that they were learned on.
///
/// # Errors
/// [`LabError::File`].
pub(in crate::train) fn write_adapter(
    folder: &Path,
    adapters: &Adapters,
    whole: &HashMap<String, Tensor>,
    base: &str,
) -> Result<(), LabError> {
    let wrong = |error: std::io::Error| LabError::File { file: folder.to_path_buf(), what: error.to_string() };
    std::fs::create_dir_all(folder).map_err(wrong)?;
    let all = adapters.tensors.iter().chain(whole);
    let tensors: HashMap<String, Tensor> =
        all.map(|(name, tensor)| (format!("{PREFIX}{name}"), tensor.clone())).collect();
    let saved: BTreeSet<&str> = whole.keys().filter_map(|name| module_of(name)).collect();
    let config = adapters.config(base, &saved);
    write_whole(&folder.join("adapter_config.json"), |out| out.write_all(format!("{config:#}\n").as_bytes()))
        .map_err(wrong)?;
    let mark = HashMap::from([("format".to_string(), "pt".to_string())]);
    write_tensors(&folder.join("adapter_model.safetensors"), &tensors, Some(mark))?;
    sync_folder(folder).map_err(wrong)
}

/// The module that a tensor is the weight or the bias of.
fn module_of(name: &str) -> Option<&str> {
    ["weight", "bias"].iter().find_map(|last| name.strip_suffix(last)?.strip_suffix('.'))
}

fn weight(module: &str) -> String {
    format!("{module}.weight")
}
