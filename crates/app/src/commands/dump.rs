//! `zoetrope dump`: the numbers of a request, for comparing with a reference implementation.

use std::collections::HashMap;
use std::ops::ControlFlow;

use candle_core::{Device, Tensor};
use zoetrope_engine::{Event, Options, Piece, Session};
use zoetrope_models::contract::Role;

use super::{limits, plan_options, words};
use crate::cli::{Common, DumpArgs};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::model;
use crate::output;
use crate::progress::Bars;

/// What was collected on the way.
#[derive(Default)]
struct Numbers {
    pixels: Vec<Tensor>,
    /// (frames, rows, columns, merge) of every item.
    grids: Vec<[i64; 4]>,
    keep: Vec<u8>,
    visual: Vec<Tensor>,
    input_ids: Vec<i64>,
    logits: Vec<Vec<f32>>,
    ids: Vec<i64>,
}

impl Numbers {
    fn note(&mut self, event: &Event<'_>) {
        match event {
            Event::Planned(plan) => {
                let grid = |item: &zoetrope_models::contract::ItemPlan| {
                    [item.frames.len(), item.grid.0, item.grid.1, item.merge].map(|n| n as i64)
                };
                self.grids = plan.items.iter().map(grid).collect();
            }
            Event::Patches { patches, .. } => {
                self.pixels.push(patches.pixels.clone());
                self.keep.extend(patches.keep.iter().map(|&keep| u8::from(keep)));
            }
            Event::Visual { tokens, .. } => self.visual.push(tokens.tokens.clone()),
            Event::Prompt(prompt) => self.input_ids = prompt.ids.iter().map(|&id| i64::from(id)).collect(),
            Event::Logits(logits) => self.logits.push(logits.to_vec()),
            Event::Token(id) => self.ids.push(i64::from(*id)),
            _ => {}
        }
    }

    fn tensors(self) -> Result<HashMap<String, Tensor>, candle_core::Error> {
        let cpu = &Device::Cpu;
        let mut tensors = HashMap::new();
        let mut put = |name: &str, tensor: Tensor| tensors.insert(name.to_string(), tensor);
        put("input_ids", Tensor::new(self.input_ids.as_slice(), cpu)?);
        put("greedy_ids", Tensor::new(self.ids.as_slice(), cpu)?);
        if let Some(first) = self.logits.first() {
            put("logits", Tensor::new(first.as_slice(), cpu)?);
            put("greedy_logits", Tensor::new(self.logits, cpu)?);
        }
        if !self.pixels.is_empty() {
            put("patches", Tensor::cat(&self.pixels, 0)?);
            put("visual_tokens", Tensor::cat(&self.visual, 0)?.to_dtype(candle_core::DType::F32)?);
            put("keep", Tensor::new(self.keep.as_slice(), cpu)?);
            let grids: Vec<Vec<i64>> = self.grids.iter().map(|grid| grid[..3].to_vec()).collect();
            put("grid", Tensor::new(grids, cpu)?);
            put("merge", Tensor::new(self.grids.iter().map(|grid| grid[3]).collect::<Vec<i64>>(), cpu)?);
        }
        Ok(tensors)
    }
}

/// Runs the request greedily and writes its numbers.
pub(crate) fn run(args: &DumpArgs, common: &Common) -> Result<(), Failure> {
    let (files, question) = words::split(&args.words)?;
    let interrupt = Interrupt::install();
    let options = Options {
        plan: plan_options(&args.media)?,
        max_new_tokens: args.max_new_tokens,
        cancel: interrupt.flag(),
        ..Options::default()
    };
    let mut bars = Bars::new(common);
    let loaded = model::load(&args.model, &mut bars)?;
    bars.spin("opening".to_string());
    let mut session = Session::new(loaded.model.as_ref(), limits(common));
    if let Some(system) = &args.system {
        session.push(Role::System, vec![Piece::Text(system.clone())])?;
    }
    let mut numbers = Numbers::default();
    let mut watch = |event: Event<'_>| {
        bars.event(&event);
        numbers.note(&event);
        ControlFlow::Continue(())
    };
    let answer = interrupt.while_busy(|| session.ask(words::pieces(&files, &question), &options, &mut watch))?;
    drop(bars);
    let failed = |error: candle_core::Error| Failure::new(format!("{}: {error}", args.out.display()));
    let tensors = numbers.tensors().map_err(failed)?;
    candle_core::safetensors::save(&tensors, &args.out).map_err(failed)?;
    if common.json {
        let mut names: Vec<_> = tensors.iter().map(|(name, t)| (name.clone(), t.dims().to_vec())).collect();
        names.sort();
        return output::json(&serde_json::json!({ "file": args.out, "tensors": names, "answer": answer.text }));
    }
    Ok(output::text(&format!("{}\n", answer.text))?)
}
