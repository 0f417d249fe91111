//! Frames of noise through processor and encoder, as many at once as in an answer.

use std::sync::Arc;

use candle_core::DType;
use zoetrope_engine::{InMemory, MediaSource, PatchStream};
use zoetrope_media::{Frame, Rgb, Time};
use zoetrope_models::contract::VideoLanguageModel;
use zoetrope_models::contract::media_plan::{MediaKind, PlanOptions};
use zoetrope_models::contract::settings::Settings;
use zoetrope_models::weights::ParameterGroup;

use super::speed::{Speed, Workload, median};
use crate::error::LabError;

/// Encodes and projects a clip, nothing pruned.
pub fn encode(model: &dyn VideoLanguageModel, workload: &Workload) -> Result<Speed, LabError> {
    let frames = (0..workload.frames).map(|index| noise(index, workload.size)).collect();
    let clip = InMemory { kind: MediaKind::Video, frames, end: workload.frames as f64 };
    let source: Arc<dyn MediaSource> = Arc::new(clip);
    let known = &model.processor().info().settings;
    // Where the family prunes, noise is not to be pruned.
    let prunes = known.iter().any(|setting| setting.name == "prune");
    let settings = if prunes { Settings::default().with("prune", false) } else { Settings::default() };
    let options = PlanOptions { max_frames: Some(workload.frames), settings, ..PlanOptions::default() };
    let plans = model.processor().plan(&[], &[source.metadata()], &options)?;
    let plan = &plans[0];
    let runs: Vec<_> = PatchStream::new(model.processor(), "noise", &source, plan)
        .collect::<Result<_, _>>()
        .map_err(LabError::from)?;
    let seconds = median(workload.repeats, || {
        let mut first_unit = 0;
        runs.iter().try_for_each(|run| {
            let features = model.encode(plan, &run.patches)?;
            // One value is read so that nothing is left undone.
            let visual = model.project(plan, &features, first_unit, None)?;
            visual.get(0)?.get(0)?.to_dtype(DType::F32)?.to_scalar::<f32>()?;
            first_unit += run.patches.units.len();
            Ok(())
        })
    })?;
    let rate = plan.patches() as f64 / seconds;
    let parameters = model.weights().summary().parameters;
    let vision = parameters.iter().filter(|(group, _)| *group == ParameterGroup::Vision).map(|(_, n)| *n as f64);
    let giga_operations = 2.0 * vision.sum::<f64>() * rate / 1e9;
    Ok(Speed { work: "encode".into(), unit: "patches/s", rate, giga_operations, giga_bytes: 0.0 })
}

fn noise(index: usize, (width, height): (u32, u32)) -> Frame {
    let byte = |n: usize| ((n + 1).wrapping_mul(2_654_435_761 + 2 * index) >> 13) as u8;
    let data = (0..width as usize * height as usize * 3).map(byte).collect();
    Frame { index, time: Time::new(index as i64, 1), image: Rgb { width, height, data } }
}
