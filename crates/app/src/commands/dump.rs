//! `zoetrope dump`: the numbers of a request, for comparing with a reference implementation.

use std::collections::HashMap;
use std::io;
use std::ops::ControlFlow;

use candle_core::{DType, Device, Tensor};
use zoetrope_engine::{ContentPart, Event, Options, Session};
use zoetrope_models::contract::media_plan::MediaPlan;
use zoetrope_models::contract::prompt::{PromptToken, Role};
use zoetrope_system::files::replace_whole;

use super::media_args::Question;
use super::request::{media_limits, plan_options};
use crate::cli::{Common, DumpArgs};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::model;
use crate::output;
use crate::progress::Bars;

/// What was collected on the way.
#[derive(Default)]
struct Trace {
    /// Values of all patches `[N, P]`, run by run.
    patches: Vec<Tensor>,
    /// Which feature rows pruning kept, media after media.
    keep: Vec<u8>,
    /// Units that are not encoded yet: which rows will be kept, all when it does not say.
    units: Vec<Option<Vec<bool>>>,
    /// Frames, and patches (rows, columns) of a frame, of every view of every media.
    grids: Vec<[i64; 3]>,
    /// The setting `merge` of every view of every media, where the family has it.
    merges: Vec<i64>,
    features: Vec<Tensor>,
    visual_tokens: Vec<Tensor>,
    /// Text ids; visual tokens are -1.
    input_ids: Vec<i64>,
    logits: Vec<Vec<f32>>,
    ids: Vec<i64>,
}

impl Trace {
    fn note(&mut self, event: &Event) {
        match event {
            Event::Planned(plans) => plans.iter().for_each(|plan| self.note_plan(plan)),
            Event::Patches { patches, .. } => {
                self.patches.push(patches.pixels.clone());
                self.units.extend(patches.units.iter().map(|unit| unit.keep.clone()));
            }
            Event::Features { features, .. } => {
                for (unit, rows) in self.units.drain(..).zip(&features.per_unit) {
                    let keep = unit.unwrap_or_else(|| vec![true; *rows]);
                    self.keep.extend(keep.into_iter().map(u8::from));
                }
                self.features.push(features.rows.clone());
            }
            Event::VisualTokens { tokens, .. } => self.visual_tokens.push(tokens.clone()),
            Event::Prompt(prompt) => {
                let id = |token: &PromptToken| match *token {
                    PromptToken::Text(id) => i64::from(id),
                    PromptToken::Visual { .. } => -1,
                };
                self.input_ids = prompt.tokens.iter().map(id).collect();
            }
            Event::Logits(logits) => self.logits.push(logits.clone()),
            Event::Token(id) => self.ids.push(i64::from(*id)),
            _ => {}
        }
    }

    fn note_plan(&mut self, plan: &MediaPlan) {
        for view in &plan.views {
            self.grids.push([plan.frames.len(), view.grid.0, view.grid.1].map(|n| n as i64));
            self.merges.extend(plan.settings.integer("merge").map(|merge| merge as i64));
        }
    }

    fn tensors(self) -> Result<HashMap<String, Tensor>, candle_core::Error> {
        let cpu = &Device::Cpu;
        let mut tensors = HashMap::new();
        let mut put = |name: &str, tensor: Tensor| tensors.insert(name.to_string(), tensor);
        let joined = |parts: &[Tensor]| Tensor::cat(parts, 0)?.to_dtype(DType::F32)?.to_device(cpu);
        put("input_ids", Tensor::new(self.input_ids, cpu)?);
        put("greedy_ids", Tensor::new(self.ids, cpu)?);
        if let Some(first) = self.logits.first() {
            put("logits", Tensor::new(first.as_slice(), cpu)?);
            put("greedy_logits", Tensor::new(self.logits, cpu)?);
        }
        if !self.patches.is_empty() {
            put("patches", joined(&self.patches)?);
            put("features", joined(&self.features)?);
            put("visual_tokens", joined(&self.visual_tokens)?);
            put("keep", Tensor::new(self.keep, cpu)?);
            put("grid", Tensor::new(self.grids.concat(), cpu)?.reshape(((), 3))?);
        }
        if !self.merges.is_empty() {
            put("merge", Tensor::new(self.merges, cpu)?);
        }
        Ok(tensors)
    }
}

/// Runs the request greedily and writes its numbers.
pub(crate) fn run(args: &DumpArgs, common: &Common) -> Result<(), Failure> {
    let question = Question::of(&args.content)?;
    let limits = media_limits(&args.media, common);
    question.check(&limits)?;
    let interrupt = Interrupt::install();
    let options = Options {
        plan: plan_options(&args.media)?,
        max_new_tokens: args.max_new_tokens,
        cancel: interrupt.flag(),
        trace: true,
        ..Options::default()
    };
    let mut bars = Bars::new(common);
    let loaded = model::load(&args.model, &mut bars)?;
    bars.spin("opening".to_string());
    let mut session = Session::new(loaded.model, limits)?;
    if let Some(system) = &args.system {
        session.push(Role::System, vec![ContentPart::Text(system.clone())])?;
    }
    let mut trace = Trace::default();
    let mut watch = |event: &Event| {
        bars.event(event);
        trace.note(event);
        ControlFlow::Continue(())
    };
    let content = question.content();
    let answer = interrupt.while_busy(|| session.ask(content, &options, &mut watch))?;
    drop(bars);
    let failed = |error: candle_core::Error| Failure::new(format!("{}: {error}", args.out.display()));
    let tensors = trace.tensors().map_err(failed)?;
    replace_whole(&args.out, |part| candle_core::safetensors::save(&tensors, part).map_err(io::Error::other))
        .map_err(|error| Failure::file(&args.out, &error))?;
    if common.json {
        let mut names: Vec<_> = tensors.iter().map(|(name, t)| (name.clone(), t.dims().to_vec())).collect();
        names.sort();
        let file = args.out.display().to_string();
        let (text, media) = (answer.text, answer.media);
        return output::json(&serde_json::json!({ "file": file, "tensors": names, "answer": text, "media": media }));
    }
    Ok(output::text(&format!("{}\n", answer.text))?)
}
