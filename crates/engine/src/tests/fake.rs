//! A model for tests: arithmetic on ids that depends on every earlier row, so that a wrong cache, chunk or splice
//! shows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{DType, Device, Tensor};
use zoetrope_media::{Frame, Rgb, Time};
use zoetrope_models::contract::features::{Features, Patches, PrepareState, Unit};
use zoetrope_models::contract::media_plan::{MediaKind, MediaMetadata, MediaPlan, PlanOptions, View};
use zoetrope_models::contract::model_info::{GenerationDefaults, ModelInfo, StopCriteria};
use zoetrope_models::contract::position::Position;
use zoetrope_models::contract::prompt::{
    GenerationPrompt, Message, MessagePart, Prompt, PromptToken, Role, VisualSpan,
};
use zoetrope_models::contract::settings::Settings;
use zoetrope_models::contract::{Processor, VideoLanguageModel};
use zoetrope_models::error::ModelResult;
use zoetrope_models::kv::{KvContext, KvShape};
use zoetrope_models::ops::AttentionOptions;
use zoetrope_models::weights::{LoadOptions, Weights};
use zoetrope_text::Tokenizer;

use crate::media_input::InMemory;

/// Ids of the special tokens, after 26 letters, space, `?`, `.` and the two bytes of `é`.
pub(crate) const USER: u32 = 31;
pub(crate) const ASSISTANT: u32 = 32;
pub(crate) const END: u32 = 34;
const VOCABULARY: usize = 35;
const TOKENS_PER_FRAME: usize = 4;
const PATCHES_PER_FRAME: usize = 16;

/// What needs no weights.
struct FakeProcessor {
    tokenizer: Tokenizer,
    info: ModelInfo,
    prompt_length: AtomicUsize,
}

/// The fake. Counts its work.
pub(crate) struct FakeModel {
    processor: Arc<FakeProcessor>,
    as_processor: Arc<dyn Processor>,
    weights: Weights,
    /// When not empty: the answer, whatever the question.
    script: Vec<u32>,
    /// How long an encoder chunk takes.
    pub(crate) encode_millis: u64,
    pub(crate) frames_seen: AtomicUsize,
    pub(crate) frames_projected: AtomicUsize,
    /// The frame whose visual tokens its projector forgets.
    pub(crate) forgets: Option<usize>,
    pub(crate) rows_computed: AtomicUsize,
    pub(crate) largest_pass: AtomicUsize,
}

fn tokenizer() -> Tokenizer {
    let mut symbols: Vec<String> = ('a'..='z').map(String::from).collect();
    symbols.extend(["Ġ", "?", ".", "Ã", "©"].map(String::from));
    let vocabulary: Vec<String> = symbols.iter().enumerate().map(|(id, symbol)| format!("{symbol:?}: {id}")).collect();
    let special = [("<user>", USER), ("<assistant>", ASSISTANT), ("<image>", 33), ("<end>", END)].map(|(text, id)| {
        format!(
            r#"{{"id": {id}, "content": "{text}", "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true}}"#
        )
    });
    let json = format!(
        r#"{{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [{}], "normalizer": null,
            "pre_tokenizer": {{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}},
            "post_processor": null,
            "decoder": {{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}},
            "model": {{"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                "vocab": {{{}}}, "merges": []}}}}"#,
        special.join(","),
        vocabulary.join(",")
    );
    Tokenizer::from_bytes(json.as_bytes()).expect("the fake tokenizer parses")
}

fn info(max_positions: usize) -> ModelInfo {
    ModelInfo {
        family: "fake",
        hidden: 2,
        vocabulary: VOCABULARY,
        max_positions,
        kv: KvShape { layers: 1, heads: 1, width: 2 },
        feature_width: 2,
        patch_values: 1,
        stop: StopCriteria { ids: vec![END], texts: Vec::new() },
        generation: GenerationDefaults::default(),
        settings: Vec::new(),
        details: Vec::new(),
    }
}

impl FakeModel {
    /// One whose answers follow from the arithmetic.
    pub(crate) fn new() -> Self {
        Self::with_positions(8192)
    }

    /// One for so many positions.
    pub(crate) fn with_positions(max_positions: usize) -> Self {
        let processor = Arc::new(FakeProcessor {
            tokenizer: tokenizer(),
            info: info(max_positions),
            prompt_length: AtomicUsize::new(0),
        });
        FakeModel {
            as_processor: processor.clone(),
            processor,
            weights: Weights::open(Vec::new(), LoadOptions::cpu(DType::F32)).expect("no weights"),
            script: Vec::new(),
            encode_millis: 0,
            frames_seen: AtomicUsize::new(0),
            frames_projected: AtomicUsize::new(0),
            forgets: None,
            rows_computed: AtomicUsize::new(0),
            largest_pass: AtomicUsize::new(0),
        }
    }

    /// One that answers `text` and ends its turn.
    pub(crate) fn saying(text: &str) -> Self {
        let mut model = FakeModel::new();
        model.script = model.processor.tokenizer.encode_ordinary(text).expect("known letters");
        model.script.push(END);
        model
    }

    /// The favorite token at absolute position `at`, given a number that depends on all rows up to it.
    fn favorite(&self, at: usize, state: f64) -> usize {
        let script_at = (at + 1).saturating_sub(self.processor.prompt_length.load(Ordering::SeqCst));
        match self.script.get(script_at) {
            Some(&id) => id as usize,
            None => state.rem_euclid(29.0) as usize,
        }
    }
}

impl Processor for FakeProcessor {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    fn plan(&self, _: &[MediaPlan], new: &[MediaMetadata], options: &PlanOptions) -> ModelResult<Vec<MediaPlan>> {
        let plan = |media: &MediaMetadata| {
            let frame = |index: usize| media.planned_frame(index, media.timeline.start_of(index).floor());
            let most = options.max_frames.unwrap_or(usize::MAX);
            MediaPlan {
                kind: media.kind,
                source: media.size(),
                frames: (0..media.timeline.len().min(most)).map(frame).collect(),
                views: vec![View::whole(media.size(), (56, 56), (4, 4))],
                joint: false,
                captions: media.captions.iter().map(|caption| (0, caption.text.clone())).collect(),
                settings: Settings::default(),
            }
        };
        Ok(new.iter().map(plan).collect())
    }

    fn uses_captions(&self, options: &PlanOptions) -> bool {
        options.fps.is_none()
    }

    fn prepare(&self, plan: &MediaPlan, frames: &[Frame], state: &mut PrepareState) -> ModelResult<Patches> {
        let (mut pixels, mut units) = (Vec::new(), Vec::new());
        for frame in frames {
            let value = f32::from(frame.image.data[0]);
            let same = plan.kind == MediaKind::Video && state.previous_frame.first() == Some(&value);
            let keep = (0..TOKENS_PER_FRAME).map(|n| !same || n == 0).collect();
            units.push(Unit { grid: [1, 4, 4], keep: Some(keep) });
            pixels.extend((0..PATCHES_PER_FRAME).map(|n| value + n as f32 / 16.0));
            state.previous_frame = vec![value];
        }
        let pixels = Tensor::from_vec(pixels, (PATCHES_PER_FRAME * frames.len(), 1), &Device::Cpu)?;
        Ok(Patches { pixels, units })
    }

    fn view_image(&self, _: &MediaPlan, _: usize, frame: &Frame) -> ModelResult<Rgb> {
        Ok(frame.image.clone())
    }

    fn visual_spans(&self, plan: &MediaPlan, kept: Option<&[usize]>) -> Vec<VisualSpan> {
        let tokens = |frame: usize| kept.map_or(TOKENS_PER_FRAME, |kept| kept[frame]);
        (0..plan.frames.len()).map(|frame| VisualSpan { frames: frame..frame + 1, tokens: tokens(frame) }).collect()
    }

    fn feature_rows(&self, plan: &MediaPlan) -> usize {
        plan.frames.len() * TOKENS_PER_FRAME
    }

    fn prompt(
        &self,
        messages: &[Message],
        _: &[MediaPlan],
        spans: &[Vec<VisualSpan>],
        end: GenerationPrompt<'_>,
    ) -> ModelResult<Prompt> {
        let (mut tokens, mut placement) = (Vec::new(), 0);
        for message in messages {
            tokens.push(PromptToken::Text(if message.role == Role::Assistant { ASSISTANT } else { USER }));
            for part in &message.parts {
                match part {
                    MessagePart::Text(text) => {
                        tokens.extend(self.tokenizer.encode_ordinary(text)?.into_iter().map(PromptToken::Text));
                    }
                    MessagePart::Media(media) => {
                        let n: usize = spans[*media].iter().map(|span| span.tokens).sum();
                        tokens.extend((0..n as u32).map(|row| PromptToken::Visual { placement, row }));
                        placement += 1;
                    }
                }
            }
            tokens.push(PromptToken::Text(END));
        }
        if end != GenerationPrompt::None {
            tokens.push(PromptToken::Text(ASSISTANT));
        }
        self.prompt_length.store(tokens.len(), Ordering::SeqCst);
        let positions = (0..tokens.len() as u32).map(Position::text).collect();
        Ok(Prompt { tokens, positions, targets: Vec::new() })
    }
}

impl VideoLanguageModel for FakeModel {
    fn processor(&self) -> &Arc<dyn Processor> {
        &self.as_processor
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }

    fn encode(&self, _: &MediaPlan, patches: &Patches) -> ModelResult<Features> {
        std::thread::sleep(std::time::Duration::from_millis(self.encode_millis));
        self.frames_seen.fetch_add(patches.units.len(), Ordering::SeqCst);
        let values = patches.pixels.flatten_all()?.to_vec1::<f32>()?;
        let (mut rows, mut per_unit) = (Vec::new(), Vec::new());
        for (unit, values) in patches.units.iter().zip(values.chunks(PATCHES_PER_FRAME)) {
            let kept = unit.keep.iter().flatten().enumerate().filter(|(_, keep)| **keep);
            let before = rows.len();
            rows.extend(kept.map(|(token, _)| vec![(values[token * 4] * 16.0).round(), 1.0]));
            per_unit.push(rows.len() - before);
        }
        Ok(Features { rows: Tensor::new(rows, &Device::Cpu)?, per_unit })
    }

    fn project(&self, _: &MediaPlan, features: &Features, first: usize, _: Option<&str>) -> ModelResult<Tensor> {
        let frames = features.per_unit.len();
        self.frames_projected.fetch_add(frames, Ordering::SeqCst);
        let forgets = self.forgets.is_some_and(|frame| (first..first + frames).contains(&frame));
        Ok(features.rows.narrow(0, 0, features.rows.dim(0)? - usize::from(forgets))?)
    }

    fn embed_tokens(&self, ids: &[u32]) -> ModelResult<Tensor> {
        let rows: Vec<Vec<f32>> = ids.iter().map(|&id| vec![id as f32, 0.0]).collect();
        Ok(Tensor::new(rows, &Device::Cpu)?)
    }

    fn forward(
        &self,
        x_td: &Tensor,
        positions: &[Position],
        context: &mut KvContext<'_>,
        rows: &[usize],
    ) -> ModelResult<Tensor> {
        let t = x_td.dim(0)?;
        self.rows_computed.fetch_add(t, Ordering::SeqCst);
        self.largest_pass.fetch_max(t, Ordering::SeqCst);
        // Small integers, of which attention without scores gives the mean: their sum is exact enough to be rounded.
        let value = |(x, position): (&Vec<f32>, &Position)| {
            let weight = f64::from(position.id % 13 + 1);
            vec![(weight * f64::from(x[0] + 5.0 * x[1])).rem_euclid(29.0) as f32, 0.0]
        };
        let values: Vec<Vec<f32>> = x_td.to_vec2::<f32>()?.iter().zip(positions).map(value).collect();
        let v = Tensor::new(values, &Device::Cpu)?.unsqueeze(1)?;
        let queries = context.rows_from_first(rows)?;
        let q = v.zeros_like()?.narrow(0, 0, queries.rows.len())?;
        let compute = self.weights.attention_compute();
        let options = AttentionOptions { compute, causal: true, scale: 1.0 };
        let means = context.attend(0, &q, &v.zeros_like()?, &v, &queries, options)?.flatten_all()?.to_vec1::<f32>()?;
        let mut logits = Vec::with_capacity(rows.len() * VOCABULARY);
        for &row in rows {
            let at = queries.rows.partition_point(|query| (*query as usize) < row);
            let position = positions[row].id as usize;
            let state = (f64::from(means[2 * at]) * (position + 1) as f64).round();
            let favorite = self.favorite(position, state);
            let distance = |id: usize| (id + VOCABULARY - favorite) % VOCABULARY;
            logits.extend((0..VOCABULARY).map(|id| 2.0 - 0.25 * distance(id) as f32));
        }
        Ok(Tensor::from_vec(logits, (rows.len(), VOCABULARY), &Device::Cpu)?)
    }
}

/// A video of one gray value per frame, one frame per second.
pub(crate) fn video(values: &[u8]) -> InMemory {
    let frame = |(index, &value): (usize, &u8)| Frame {
        index,
        time: Time::new(index as i64, 1),
        image: Rgb { width: 1, height: 1, data: vec![value; 3] },
    };
    InMemory {
        kind: MediaKind::Video,
        frames: values.iter().enumerate().map(frame).collect(),
        end: values.len() as f64,
    }
}

/// A picture of one gray value.
pub(crate) fn picture(value: u8) -> InMemory {
    InMemory { kind: MediaKind::Image, ..video(&[value]) }
}
