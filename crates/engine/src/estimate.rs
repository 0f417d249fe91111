//! What a request will show the model and cost, without running it.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use zoetrope_models::contract::Processor;
use zoetrope_models::contract::feature_file::StoredFeatures;
use zoetrope_models::contract::media_plan::{MediaKind, MediaPlan};
use zoetrope_models::contract::model_info::ModelInfo;
use zoetrope_models::contract::prompt::{Prompt, Role, VisualSpan};
use zoetrope_models::kv::{BLOCK, KvDtype};

use crate::answer::{MediaUsage, TokenCounts, usage, visual_tokens};
use crate::conversation::{ContentPart, Conversation, NewMedia};
use crate::error::EngineError;
use crate::events::{Event, EventHandler};
use crate::generate::{CHUNK_ROWS, MIN_TAIL, PROJECTED_FRAMES, PrefixKeys, lasting_blocks};
use crate::limits::Limits;
use crate::media_input::{
    CHUNK_PATCHES, ContentDigest, FeatureIndex, FrameFaults, PatchStream, frames_per_run, kept_bytes, stored_media,
};
use crate::request::{Options, RequestContext};
use crate::session::Session;
use crate::store::ModelStore;

/// Values of a row that the layers hold at once, in widths of the model: states, queries, keys, values and what an MLP
/// widens to.
const WORK_WIDTHS: usize = 16;
/// Bytes that threads, buffers of decoders and the allocator take beside, as measured with a model of 5 MB.
const WORK_BASE: usize = 6 << 20;

/// Bytes that a request takes at its peak, by purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MemoryEstimate {
    /// The process as it is, with processor and tokenizer. Zero where the system does not tell.
    pub process: usize,
    /// Weights.
    pub weights: usize,
    /// Work space of the layers, about.
    pub work: usize,
    /// Decoded frames waiting for the encoder.
    pub frames: usize,
    /// Patches of the largest run of frames that is prepared at once.
    pub patches: usize,
    /// Features and visual tokens before pruning.
    pub visual_tokens: usize,
    /// Keys and values of prompt and answer.
    pub cache: usize,
    /// The sum.
    pub total: usize,
}

/// Bytes that a request leaves on disk, where what it computes is kept. Those that are there already count as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DiskEstimate {
    /// Files of features; before pruning, where it is not known what that leaves.
    pub features: u64,
    /// Files of keys and values.
    pub keys_values: u64,
    /// The sum.
    pub total: u64,
    /// Tokens of the prompt whose keys and values are there.
    pub cached_tokens: usize,
}

/// What a request would show the model and take.
#[derive(Clone, Debug, Serialize)]
pub struct RequestPlan {
    /// Which frames at which size, as an answer would report them.
    pub media: Vec<MediaUsage>,
    /// How the model's processor planned them.
    pub plans: Vec<MediaPlan>,
    /// Whether frames were decoded to find out what pruning leaves; otherwise nothing counts as pruned.
    pub pruned: bool,
    /// Tokens of the prompt by modality.
    pub tokens: TokenCounts,
    /// Bytes of memory.
    pub memory: MemoryEstimate,
    /// Bytes of disk, where what is computed is kept.
    pub disk: Option<DiskEstimate>,
}

/// How a request is planned.
#[derive(Clone, Copy, Debug)]
pub struct EstimateOptions<'o> {
    /// The request.
    pub request: &'o Options,
    /// Whether frames are decoded and compared, to count the tokens that pruning leaves; otherwise only headers are
    /// read.
    pub decode: bool,
    /// What the KV cache would keep.
    pub kv_dtype: KvDtype,
    /// Bytes of the weights in memory.
    pub weight_bytes: usize,
    /// Bytes of the process before a model is loaded.
    pub process_bytes: usize,
    /// Where stored features are looked for.
    pub index: Option<&'o FeatureIndex>,
}

/// What asking `content` of `processor`'s model would take.
///
/// # Errors
/// As [`Session::ask`], up to the encoder.
pub fn plan_request(
    processor: &Arc<dyn Processor>,
    limits: &Limits,
    system: Option<&str>,
    content: Vec<ContentPart>,
    options: EstimateOptions<'_>,
    handler: &mut EventHandler<'_>,
) -> Result<RequestPlan, EngineError> {
    let mut conversation = Conversation::new(Arc::clone(processor), limits.clone());
    if let Some(system) = system {
        conversation.push(Role::System, vec![ContentPart::Text(system.to_string())])?;
    }
    let mut request = RequestContext::new(limits, options.request, handler);
    next_turn(processor, conversation, content, &mut request, options)
}

impl Session {
    /// What answering `content` as the next turn would take; see [`plan_request`].
    ///
    /// # Errors
    /// As [`Session::ask`], up to the encoder.
    pub fn plan_turn(
        self,
        limits: &Limits,
        content: Vec<ContentPart>,
        options: EstimateOptions<'_>,
        handler: &mut EventHandler<'_>,
    ) -> Result<RequestPlan, EngineError> {
        let processor = Arc::clone(self.processor());
        let mut request = RequestContext::new(limits, options.request, handler);
        next_turn(&processor, self.into_conversation(), content, &mut request, options)
    }
}

fn next_turn(
    processor: &Arc<dyn Processor>,
    mut conversation: Conversation,
    content: Vec<ContentPart>,
    request: &mut RequestContext<'_, '_>,
    options: EstimateOptions<'_>,
) -> Result<RequestPlan, EngineError> {
    conversation.push(Role::User, content)?;
    conversation.use_index(options.index.cloned());
    let media = conversation.plan_new(&request.options.plan)?;
    estimate(processor, &conversation, media, request, options)
}

/// What the reply to `conversation` would take, of whose media `media` is not encoded yet.
pub(crate) fn estimate(
    processor: &Arc<dyn Processor>,
    conversation: &Conversation,
    media: Vec<NewMedia>,
    request: &mut RequestContext<'_, '_>,
    options: EstimateOptions<'_>,
) -> Result<RequestPlan, EngineError> {
    let earlier: Vec<_> = conversation.encoded().map(|media| (media.plan.clone(), media.spans.clone())).collect();
    for (name, cues) in media.iter().filter_map(|media| media.captions.clone()) {
        request.emit(&Event::Subtitles { name, cues })?;
    }
    request.emit(&Event::Planned(media.iter().map(|media| media.plan.clone()).collect()))?;
    let fresh = media.iter().filter(|media| media.stored.is_none());
    let total = fresh.map(|media| media.plan.frames.len()).sum();
    let (mut new, mut done) = (Vec::new(), 0);
    let (mut faults, mut files): (Vec<FrameFaults>, Vec<Option<PathBuf>>) =
        conversation.encoded().map(|media| (media.faults, media.features.file())).unzip();
    let (store, mut features) = (conversation.store(), 0);
    for media in media {
        files.push(media.stored.as_ref().map(|stored| stored.file().to_path_buf()));
        let film = (media.digest, media.plan.clone(), media.stored.clone());
        let (plan, spans, own) = match (&media.stored, options.decode) {
            (Some(stored), _) => {
                let media = stored_media(&media.name, &media.plan, Arc::clone(stored), processor.as_ref());
                (media.plan, media.spans, media.faults)
            }
            (None, true) => prune(processor, media, request, (&mut done, total))?,
            (None, false) => {
                let spans = processor.visual_spans(&media.plan, None);
                (media.plan, spans, FrameFaults::default())
            }
        };
        features += store.map_or(Ok(0), |store| feature_bytes(store, film, &plan, &spans, processor.as_ref()))?;
        new.push((plan, spans));
        faults.push(own);
    }
    let prompt = conversation.prompt(&new)?;
    let disk = store.map(|store| disk(store, conversation, &prompt, features)).transpose()?;
    let (plans, spans): (Vec<_>, Vec<_>) = earlier.into_iter().chain(new).unzip();
    let of = |kind: MediaKind| -> usize {
        let own = plans.iter().zip(&spans).filter(|(plan, _): &(&MediaPlan, _)| plan.kind == kind);
        own.map(|(_, spans)| visual_tokens(spans)).sum()
    };
    let tokens = TokenCounts {
        text: prompt.tokens.len() - prompt.visual_tokens(),
        image: of(MediaKind::Image),
        video: of(MediaKind::Video),
        prompt: prompt.tokens.len(),
        ..TokenCounts::default()
    };
    let positions = prompt.tokens.len() + request.options.max_new_tokens;
    let whole = |plan: &MediaPlan| visual_tokens(&processor.visual_spans(plan, None));
    let visual = plans.iter().map(whole).sum();
    let is_stored: Vec<bool> = files.iter().map(Option::is_some).collect();
    let memory = memory(&plans, &is_stored, processor.info(), (visual, positions), &options);
    let names = conversation.names().into_iter();
    let mut media = Vec::with_capacity(plans.len());
    for ((((name, plan), spans), faults), features) in names.zip(&plans).zip(&spans).zip(faults).zip(files) {
        let usage = usage(name, plan, spans, &processor.visual_spans(plan, None));
        media.push(MediaUsage { faults, features, ..usage });
    }
    Ok(RequestPlan { media, plans, pruned: options.decode, tokens, memory, disk })
}

/// Decodes and prepares media without encoding it: its plan with the frames that could be decoded, and what pruning
/// leaves, and what was not as planned.
fn prune(
    processor: &Arc<dyn Processor>,
    media: NewMedia,
    request: &mut RequestContext<'_, '_>,
    (done, total): (&mut usize, usize),
) -> Result<(MediaPlan, Vec<VisualSpan>, FrameFaults), EngineError> {
    let mut stream = PatchStream::new(processor, &media.name, &media.source, &media.plan);
    let all = processor.visual_spans(&media.plan, None);
    let (mut plan, mut kept) = (MediaPlan { frames: Vec::new(), ..media.plan }, Vec::new());
    for prepared in &mut stream {
        let prepared = prepared?;
        for (unit, span) in prepared.patches.units.iter().zip(all.iter().cycle()) {
            let left = |keep: &Vec<bool>| keep.iter().filter(|&&keep| keep).count();
            kept.push(unit.keep.as_ref().map_or(span.tokens, left));
        }
        *done += prepared.frames.len();
        plan.frames.extend(prepared.frames);
        request.emit(&Event::Decoding { done: *done, total })?;
    }
    let pruned = kept.len() == plan.frames.len();
    let spans = processor.visual_spans(&plan, pruned.then_some(&kept[..]));
    Ok((plan, spans, stream.faults()))
}

/// Bytes of the file of features of a film of this content that was planned, and of which `plan` and `spans` are left.
/// Features that lie elsewhere cost the store nothing.
fn feature_bytes(
    store: &ModelStore,
    (content, planned, stored): (Option<ContentDigest>, MediaPlan, Option<Arc<StoredFeatures>>),
    plan: &MediaPlan,
    spans: &[VisualSpan],
    processor: &dyn Processor,
) -> Result<u64, EngineError> {
    if let Some(stored) = stored {
        let is_kept = stored.file().starts_with(store.store().folder());
        return Ok(if is_kept { stored.file().metadata().map_or(0, |found| found.len()) } else { 0 });
    }
    let (Some(content), MediaKind::Video) = (content, plan.kind) else { return Ok(0) };
    let (left, all) = (visual_tokens(spans), visual_tokens(&processor.visual_spans(plan, None)));
    // Who prunes has a row for each token.
    let rows = if left < all { left } else { processor.feature_rows(plan) };
    Ok(kept_bytes(store, &content, (&planned, plan), rows, processor)?)
}

/// Bytes that the answer to `prompt` leaves on disk, beside those of `features`.
fn disk(
    store: &ModelStore,
    conversation: &Conversation,
    prompt: &Prompt,
    features: u64,
) -> Result<DiskEstimate, EngineError> {
    let (keys, is_lasting): (Vec<u128>, Vec<bool>) = conversation.token_keys()?.into_iter().unzip();
    let known = |placement: u32| is_lasting.get(placement as usize).copied().unwrap_or_default();
    let lasting = lasting_blocks(&prompt.tokens, known);
    let readable = lasting.min(prompt.tokens.len().saturating_sub(MIN_TAIL) / BLOCK);
    let cached = store.known_blocks(&PrefixKeys::of_prompt(store.seed(), prompt, &keys).blocks[..readable]);
    let keys_values = lasting as u64 * store.block_bytes().1;
    Ok(DiskEstimate { features, keys_values, total: features + keys_values, cached_tokens: cached * BLOCK })
}

/// `visual` tokens are those before pruning. What is stored is neither decoded nor encoded, and its features are read
/// a few frames at a time.
fn memory(
    plans: &[MediaPlan],
    is_stored: &[bool],
    info: &ModelInfo,
    (visual, positions): (usize, usize),
    options: &EstimateOptions<'_>,
) -> MemoryEstimate {
    let (mut frames, mut patches, mut rows, mut features) = (0, 0, 0, 0);
    for (plan, is_stored) in plans.iter().zip(is_stored) {
        let most = if *is_stored { PROJECTED_FRAMES } else { usize::MAX };
        features += plan.frames.len().min(most) * plan.patches_per_frame();
        if *is_stored {
            continue;
        }
        let run = frames_per_run(plan).min(plan.frames.len());
        let pixels = plan.source.0 as usize * plan.source.1 as usize;
        frames = frames.max(run * pixels * 3);
        rows = rows.max(run * plan.patches_per_frame());
        patches = patches.max(run * plan.patches_per_frame() * info.patch_values * size_of::<f32>());
    }
    let features = if is_stored.contains(&true) { features } else { visual };
    let visual_tokens = (features * info.feature_width + visual * info.hidden) * size_of::<f32>();
    let cache = positions * info.kv.bytes_per_token(options.kv_dtype);
    let encoder = rows.min(CHUNK_PATCHES) * info.feature_width;
    let decoder = positions.min(CHUNK_ROWS) * info.hidden;
    let work = WORK_BASE + encoder.max(decoder) * WORK_WIDTHS * size_of::<f32>();
    let (process, weights) = (options.process_bytes, options.weight_bytes);
    let total = process + weights + work + frames + patches + visual_tokens + cache;
    MemoryEstimate { process, weights, work, frames, patches, visual_tokens, cache, total }
}
