//! The model of one stage: what is frozen, what is learned, and where its weights come from.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use candle_core::{DType, Tensor};
use sha2::{Digest, Sha256};
use zoetrope_kernels::isa::isa;
use zoetrope_models::checkpoint::Checkpoint;
use zoetrope_models::contract::VideoLanguageModel;
use zoetrope_models::contract::alignment::Aligner;
use zoetrope_models::contract::feature_file::ModelIdentity;
use zoetrope_models::contract::media_plan::PlanOptions;
use zoetrope_models::loading;
use zoetrope_models::weights::{Archive, Learn, LoadOptions, ParameterGroup, RandomFor, Weights};

use crate::data::SampleLoader;
use crate::error::LabError;
use crate::train::export::Adapters;
use crate::train::optimizer::{Optimizer, Trained};
use crate::train::probe_heads::{PREFIX, ProbeHeads};
use crate::train::recipe::{GROUPS, Stage};

/// Where weights come from that no stage has learned.
#[derive(Clone, Debug)]
pub(in crate::train) struct Origin {
    /// Configuration, tokenizer and, unless the run began from scratch, weights.
    pub(in crate::train) template: Checkpoint,
    pub(in crate::train) from_scratch: bool,
    /// Seed of initial values.
    pub(in crate::train) seed: u64,
}

impl Origin {
    /// What a run begins with: nothing that was learned, or all initial values of a run from scratch.
    pub(in crate::train) fn begin(&self) -> Result<HashMap<String, Tensor>, LabError> {
        if !self.from_scratch {
            return Ok(HashMap::new());
        }
        let archives = vec![Archive::random(self.seed, RandomFor::Everything)];
        let model = loading::open_with(&self.template, archives, LoadOptions::training())?;
        let variables = model.weights().variables().into_iter();
        Ok(variables.map(|(name, variable)| (name, variable.as_detached_tensor())).collect())
    }

    fn open(&self, first: Vec<Archive>, options: LoadOptions) -> Result<Arc<dyn VideoLanguageModel>, LabError> {
        Ok(match self.from_scratch {
            true => loading::open_with(&self.template, first, options)?,
            false => loading::open_over(&self.template, first, options)?,
        })
    }

    /// Weights to read single tensors of.
    pub(in crate::train) fn weights(&self, first: Vec<Archive>) -> Result<Weights, LabError> {
        let options = LoadOptions::cpu(DType::F32);
        Ok(match self.from_scratch {
            true => Weights::open(first, options)?,
            false => loading::weights_over(&self.template, first, options)?,
        })
    }
}

/// The model of a stage.
pub(in crate::train) struct StageModel {
    /// The stage's number.
    pub(in crate::train) stage: usize,
    pub(in crate::train) model: Arc<dyn VideoLanguageModel>,
    /// The bridge with its own heads, in stages that learn from captions without the decoder.
    pub(in crate::train) aligner: Option<Box<dyn Aligner>>,
    /// What is learned: variables of the model and of the probe heads by name.
    pub(in crate::train) trained: BTreeMap<String, Trained>,
    pub(in crate::train) optimizer: Optimizer,
    pub(in crate::train) options: PlanOptions,
}

impl StageModel {
    /// The model of stage number `number` over what was `learned` so far.
    ///
    /// # Errors
    /// When weights are missing or damaged.
    pub(in crate::train) fn open(
        origin: &Origin,
        (number, stage): (usize, &Stage),
        learned: &HashMap<String, Tensor>,
        heads: Option<&ProbeHeads>,
    ) -> Result<Self, LabError> {
        let mut first = vec![Archive::memory(learned.clone()), Archive::random(origin.seed, RandomFor::Adapters)];
        let aligns = stage.objective.contrastive().is_some();
        if aligns && origin.from_scratch {
            // What only this stage asks for.
            first.push(Archive::random(origin.seed, RandomFor::Everything));
        }
        let model = origin.open(first, stage.load_options())?;
        let aligner = if aligns { model.aligner(Some(origin.seed))? } else { None };
        if aligns && aligner.is_none() {
            let (stage, family) = (&stage.name, model.processor().info().family);
            let what =
                format!("stage {stage:?}: objective.kind: {family} has no stage that learns from captions alone");
            return Err(LabError::Caller(what));
        }
        let (trained, optimizer, options) = (BTreeMap::new(), stage.optimizer(), stage.plan_options());
        let mut opened = StageModel { stage: number, model, aligner, trained, optimizer, options };
        opened.learn(stage, heads);
        opened.check_only(stage)?;
        Ok(opened)
    }

    /// What loads samples as `stage` shows them; nothing is kept.
    pub(in crate::train) fn loader(&self, stage: &Stage) -> SampleLoader {
        SampleLoader::new(self.model.processor(), self.options.clone())
            .with_max_tokens(stage.max_tokens)
            .of_pairs(stage.objective.dpo().is_some())
    }

    /// Refuses a part of a name that no tensor of the group has.
    fn check_only(&self, stage: &Stage) -> Result<(), LabError> {
        let parameters = self.model.weights().parameters();
        for group in GROUPS {
            let names = || parameters.iter().filter(|(_, own)| own.group == group).map(|(name, _)| name);
            let is_idle = |part: &&String| !names().any(|name| name.contains(part.as_str()));
            if let Some(part) = stage.group(group).only.iter().find(is_idle) {
                let example = names().next().map_or(String::new(), |name| format!("; one is {name}"));
                let (stage, group) = (&stage.name, group.name());
                let what = format!("stage {stage:?}: {group}.only: no tensor of it has {part:?} in its name{example}");
                return Err(LabError::Caller(what));
            }
        }
        Ok(())
    }

    /// Takes the optimizer and the rates of `stage`, which learns what this model was loaded for.
    pub(in crate::train) fn turn_to(&mut self, (number, stage): (usize, &Stage), heads: &ProbeHeads) {
        (self.stage, self.optimizer, self.options) = (number, stage.optimizer(), stage.plan_options());
        self.learn(stage, Some(heads));
    }

    fn learn(&mut self, stage: &Stage, heads: Option<&ProbeHeads>) {
        self.trained = Trained::all(self.model.weights(), |group| stage.lr_share(group));
        self.trained.retain(|name, trained| {
            let only = &stage.group(trained.group).only;
            only.is_empty() || only.iter().any(|part| name.contains(part))
        });
        if let Some(heads) = heads {
            self.trained.extend(Trained::all(heads.weights(), |_| 1.0));
        }
    }

    /// What the encoder's features follow from, beside what it is shown, where `stage` learns nothing of the encoder:
    /// its files, what earlier stages have `learned` of it, what it is held as and computed with. On the CPU only.
    ///
    /// # Errors
    /// When a file of the model cannot be read.
    pub(in crate::train) fn frozen_encoder(
        &self,
        origin: &Origin,
        stage: &Stage,
        learned: &HashMap<String, Tensor>,
    ) -> Result<Option<ModelIdentity>, LabError> {
        let (weights, info) = (self.model.weights(), self.model.processor().info());
        if stage.learn(ParameterGroup::Vision) != Learn::Frozen || !weights.device().is_cpu() {
            return Ok(None);
        }
        let held_as = weights.group(ParameterGroup::Vision).held_as();
        let files = ModelIdentity::of(info.family, held_as, std::slice::from_ref(&origin.template))?;
        let parameters = weights.parameters();
        let is_of_encoder = |name: &str| {
            let group = parameters.get(name).map_or(ParameterGroup::Vision, |parameter| parameter.group);
            group == ParameterGroup::Vision && !name.starts_with(PREFIX)
        };
        let own: BTreeMap<_, _> = learned.iter().filter(|(name, _)| is_of_encoder(name)).collect();
        let mut digest = Sha256::new_with_prefix(&files.checkpoint);
        for (name, tensor) in own {
            digest.update(format!("{name} {:?} ", tensor.dims()));
            let values = tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>()?;
            values.iter().for_each(|value| digest.update(value.to_le_bytes()));
        }
        let checkpoint = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        // Sums of products differ in their last bits between instruction sets.
        let held_as = format!("{} in training, {:?}", files.held_as, isa());
        Ok(Some(ModelIdentity { checkpoint, held_as, ..files }))
    }

    /// The adapters that are learned.
    pub(in crate::train) fn adapters(&self, stage: &Stage) -> Adapters {
        Adapters::of(&self.trained, |group| stage.learn(group), |_| true)
    }

    /// What was learned up to the end of `stage`, for a model that is held and learned as `next` says: adapters that
    /// it does not go on with are merged into their matrices.
    ///
    /// # Errors
    /// When weights that an adapter is merged into are missing or damaged.
    pub(in crate::train) fn hand_over(
        &self,
        origin: &Origin,
        learned: &HashMap<String, Tensor>,
        (stage, next): (&Stage, &Stage),
    ) -> Result<HashMap<String, Tensor>, LabError> {
        let mut all = learned.clone();
        all.extend(self.trained.iter().map(|(name, trained)| (name.clone(), trained.variable.as_detached_tensor())));
        let ends = |group| stage.learn(group) != next.learn(group);
        let ending = Adapters::of(&self.trained, |group| stage.learn(group), ends);
        if !ending.is_empty() {
            let weights = origin.weights(vec![ending.archive(), Archive::memory(all.clone())])?;
            let merged = ending.merged(&weights)?;
            ending.names().for_each(|name| drop(all.remove(name)));
            all.extend(merged);
        }
        Ok(all)
    }
}
