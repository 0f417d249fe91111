//! Media to visual tokens, a bounded run of frames at a time; only tokens that survive pruning are kept.

use std::sync::mpsc::sync_channel;
use std::time::Instant;

use candle_core::Tensor;
use zoetrope_media::{Frame, MediaError};
use zoetrope_models::contract::{Carry, ItemPlan, Patches, Plan, PlannedFrame};

use crate::answer::{FrameUsed, ItemUsed};
use crate::error::EngineError;
use crate::events::Event;
use crate::media::MediaSource;
use crate::run::Run;

/// Patches that go through the encoder at once, unless one frame alone has more: enough rows for full speed, few enough
/// that a layer's values stay in the caches.
pub const CHUNK_PATCHES: usize = 1024;

/// A picture or video that the encoder has seen.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) name: String,
    pub(crate) plan: ItemPlan,
    /// `[V, D]`, survivors only.
    pub(crate) tokens: Tensor,
    /// Planned frames that could not be decoded; they are not in the plan any more.
    pub(crate) lost: usize,
    /// Survivors of each frame.
    pub(crate) per_frame: Vec<usize>,
}

impl Seen {
    /// How it is reported in an answer.
    pub(crate) fn used(&self) -> ItemUsed {
        let frames = self.plan.frames.iter().zip(&self.per_frame);
        ItemUsed {
            name: self.name.clone(),
            kind: self.plan.kind,
            source: self.plan.source,
            resized: self.plan.resized,
            frames: frames
                .map(|(frame, &tokens)| FrameUsed { index: frame.index, time: frame.time, stamp: frame.stamp, tokens })
                .collect(),
            lost: self.lost,
            tokens_before: self.plan.tokens(),
            tokens: self.per_frame.iter().sum(),
        }
    }
}

/// How many frames of this item go through the encoder at once.
pub fn frames_per_chunk(plan: &ItemPlan) -> usize {
    (CHUNK_PATCHES / (plan.grid.0 * plan.grid.1).max(1)).max(1)
}

/// Frames of the whole request: how many are decoded and encoded, of how many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    pub(crate) decoded: usize,
    pub(crate) encoded: usize,
    pub(crate) total: usize,
}

impl Progress {
    /// Nothing done yet of `plan`.
    pub(crate) fn of(plan: &Plan) -> Self {
        Progress { decoded: 0, encoded: 0, total: plan.items.iter().map(|item| item.frames.len()).sum() }
    }
}

/// Decodes, prepares and encodes one item. `number` is its number in the conversation.
pub(crate) fn see(
    run: &mut Run<'_, '_>,
    number: usize,
    name: &str,
    source: &dyn MediaSource,
    plan: ItemPlan,
    progress: &mut Progress,
) -> Result<Seen, EngineError> {
    let (mut tokens, mut per_frame) = (Vec::new(), Vec::new());
    let (plan, lost) = walk(run, name, source, plan, progress, &mut |run, patches, progress| {
        run.tell(Event::Patches { item: number, patches })?;
        let begun = Instant::now();
        let visual = run.model.see(patches)?;
        run.timings.encode += begun.elapsed().as_secs_f64();
        run.tell(Event::Visual { item: number, tokens: &visual })?;
        tokens.push(visual.tokens.detach());
        per_frame.extend(visual.per_frame);
        progress.encoded += patches.frames;
        run.tell(Event::Encoding { done: progress.encoded, total: progress.total })
    })?;
    finish(name, plan, lost, &tokens, per_frame)
}

/// Decodes and prepares one item without encoding it: its plan with the frames that could be decoded, and the
/// visual tokens of each that would survive pruning.
pub(crate) fn survivors(
    run: &mut Run<'_, '_>,
    name: &str,
    source: &dyn MediaSource,
    plan: ItemPlan,
    progress: &mut Progress,
) -> Result<(ItemPlan, Vec<usize>), EngineError> {
    let per_frame = plan.tokens_per_frame.max(1);
    let mut kept = Vec::new();
    let (plan, _) = walk(run, name, source, plan, progress, &mut |_, patches, _| {
        kept.extend(patches.keep.chunks(per_frame).map(|frame| frame.iter().filter(|&&keep| keep).count()));
        Ok(())
    })?;
    Ok((plan, kept))
}

/// What is done with the patches of a run of frames.
type Each<'e> = dyn FnMut(&mut Run<'_, '_>, &Patches, &mut Progress) -> Result<(), EngineError> + 'e;

/// Decodes and prepares the frames of one item, a bounded run at a time; the next ones are decoded meanwhile. Returns
/// the plan without the frames that could not be decoded, and their number.
fn walk(
    run: &mut Run<'_, '_>,
    name: &str,
    source: &dyn MediaSource,
    mut plan: ItemPlan,
    progress: &mut Progress,
    each: &mut Each<'_>,
) -> Result<(ItemPlan, usize), EngineError> {
    let planned = std::mem::take(&mut plan.frames);
    let indices: Vec<usize> = planned.iter().map(|frame| frame.index).collect();
    let most = frames_per_chunk(&plan).min(planned.len());
    std::thread::scope(|scope| {
        let (ready, decoded) = sync_channel(most);
        let indices = &indices;
        // Ends when all are decoded, or at the first frame that nobody takes any more.
        scope.spawn(move || source.frames(indices).try_for_each(|frame| ready.send(frame)).ok());
        let (mut decoded, mut left, mut carry) = (decoded.into_iter(), planned.into_iter(), Carry::default());
        loop {
            let (frames, places) = pull(run, name, most, &mut decoded, &mut left, progress)?;
            if frames.is_empty() {
                break;
            }
            plan.frames.extend(places);
            let begun = Instant::now();
            let patches = run.model.prepare(&plan, &frames, &mut carry)?;
            drop(frames);
            run.timings.encode += begun.elapsed().as_secs_f64();
            each(run, &patches, progress)?;
        }
        let lost = indices.len() - plan.frames.len();
        progress.total -= lost;
        Ok((plan, lost))
    })
}

fn finish(
    name: &str,
    plan: ItemPlan,
    lost: usize,
    tokens: &[Tensor],
    per_frame: Vec<usize>,
) -> Result<Seen, EngineError> {
    if tokens.is_empty() {
        let text = match lost {
            0 => format!("{name}: no frame lies in the part that was asked for"),
            lost => format!("{name}: none of the {lost} frames that were asked for can be decoded"),
        };
        return Err(EngineError::Caller(text));
    }
    let tokens = Tensor::cat(tokens, 0)?;
    let (rows, survivors) = (tokens.dim(0)?, per_frame.iter().sum::<usize>());
    if rows != survivors || per_frame.len() != plan.frames.len() {
        let (got, want) = (per_frame.len(), plan.frames.len());
        let text = format!("{name}: {rows} visual tokens of {got} frames, expected {survivors} of {want}");
        return Err(EngineError::Bug(text));
    }
    Ok(Seen { name: name.to_string(), plan, lost, tokens, per_frame })
}

/// Up to `most` more frames and their places in the plan; planned frames that the source leaves out are passed over.
fn pull(
    run: &mut Run<'_, '_>,
    name: &str,
    most: usize,
    decoded: &mut impl Iterator<Item = Result<Frame, MediaError>>,
    left: &mut impl Iterator<Item = PlannedFrame>,
    progress: &mut Progress,
) -> Result<(Vec<Frame>, Vec<PlannedFrame>), EngineError> {
    let (mut frames, mut places) = (Vec::with_capacity(most), Vec::with_capacity(most));
    while frames.len() < most {
        let begun = Instant::now();
        let next = decoded.next();
        run.timings.decode += begun.elapsed().as_secs_f64();
        let frame = match next {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Err(EngineError::Media { name: name.to_string(), error }),
            None => break,
        };
        let Some(place) = left.find(|place| place.index == frame.index) else {
            return Err(EngineError::Bug(format!("{name}: frame {} came out of turn", frame.index)));
        };
        frames.push(frame);
        places.push(place);
        progress.decoded += 1;
        run.tell(Event::Decoding { done: progress.decoded, total: progress.total })?;
    }
    Ok((frames, places))
}
