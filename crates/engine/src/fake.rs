//! A model for tests: arithmetic on ids that depends on every earlier row, so that a wrong cache, chunk or splice
//! shows.

use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{DType, Device, Tensor};
use zoetrope_media::{Frame, Rgb, Time};
use zoetrope_models::contract::*;
use zoetrope_models::error::ModelError;
use zoetrope_models::parts::cache::{KvCache, Memory};
use zoetrope_text::Tokenizer;

use crate::media::InMemory;

/// Ids of the special tokens, after 26 letters, space, `?`, `.` and the two bytes of `é`.
pub(crate) const USER: u32 = 31;
pub(crate) const ASSISTANT: u32 = 32;
pub(crate) const IMAGE: u32 = 33;
pub(crate) const END: u32 = 34;
const VOCABULARY: usize = 35;
const TOKENS_PER_FRAME: usize = 4;

/// The fake. Counts its work.
pub(crate) struct FakeModel {
    tokenizer: Tokenizer,
    device: Device,
    /// When not empty: the answer, whatever the question.
    script: Vec<u32>,
    prompt_length: AtomicUsize,
    pub(crate) max_positions: usize,
    pub(crate) frames_seen: AtomicUsize,
    pub(crate) rows_stepped: AtomicUsize,
    pub(crate) largest_step: AtomicUsize,
}

fn tokenizer() -> Tokenizer {
    let mut symbols: Vec<String> = ('a'..='z').map(String::from).collect();
    symbols.extend(["Ġ", "?", ".", "Ã", "©"].map(String::from));
    let vocabulary: Vec<String> = symbols.iter().enumerate().map(|(id, symbol)| format!("{symbol:?}: {id}")).collect();
    let special =
        [("<user>", USER), ("<assistant>", ASSISTANT), ("<image>", IMAGE), ("<end>", END)].map(|(text, id)| {
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

impl FakeModel {
    /// One whose answers follow from the arithmetic.
    pub(crate) fn new() -> Self {
        FakeModel {
            tokenizer: tokenizer(),
            device: Device::Cpu,
            script: Vec::new(),
            prompt_length: AtomicUsize::new(0),
            max_positions: 8192,
            frames_seen: AtomicUsize::new(0),
            rows_stepped: AtomicUsize::new(0),
            largest_step: AtomicUsize::new(0),
        }
    }

    /// One that answers `text` and ends its turn.
    pub(crate) fn saying(text: &str) -> Self {
        let mut model = FakeModel::new();
        model.script = model.tokenizer.encode_plain(text).expect("known letters");
        model.script.push(END);
        model
    }

    /// The favourite token at absolute position `at`, given a number that depends on all rows up to it.
    fn favourite(&self, at: usize, state: f64) -> usize {
        let script_at = (at + 1).saturating_sub(self.prompt_length.load(Ordering::SeqCst));
        match self.script.get(script_at) {
            Some(&id) => id as usize,
            None => state.rem_euclid(29.0) as usize,
        }
    }
}

impl VideoLanguageModel for FakeModel {
    fn info(&self) -> ModelInfo {
        ModelInfo {
            family: "fake",
            layout: "none".into(),
            parameters: Vec::new(),
            weights: "none".into(),
            bytes_per_token: 0,
            vocabulary: VOCABULARY,
            tied: false,
            hidden: 2,
            max_positions: self.max_positions,
            kv_cache: "f32",
            cache_bytes_per_token: 16,
            patch_values: 1,
            details: Vec::new(),
        }
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn dtype(&self) -> DType {
        DType::F32
    }

    fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    fn stop_ids(&self) -> &[u32] {
        &[END]
    }

    fn sampling_defaults(&self) -> SamplingDefaults {
        SamplingDefaults::default()
    }

    fn plan(&self, sources: &[Source], options: &PlanOptions) -> Result<Plan, ModelError> {
        let item = |source: &Source| {
            let frame = |(index, time): (usize, &Time)| PlannedFrame {
                index,
                time: time.seconds(),
                stamp: time.seconds().floor(),
            };
            let most = options.max_frames.unwrap_or(usize::MAX);
            ItemPlan {
                kind: source.kind,
                source: (source.width, source.height),
                frames: source.times.iter().enumerate().take(most).map(frame).collect(),
                resized: (56, 56),
                grid: (4, 4),
                merge: 2,
                tokens_per_frame: TOKENS_PER_FRAME,
                prune: source.kind == MediaKind::Video,
            }
        };
        Ok(Plan { items: sources.iter().map(item).collect() })
    }

    fn prepare(&self, item: &ItemPlan, frames: &[Frame], carry: &mut Carry) -> Result<Patches, ModelError> {
        let (mut pixels, mut keep) = (Vec::new(), Vec::new());
        for frame in frames {
            let value = f32::from(frame.image.data[0]);
            let same = item.prune && carry.previous.first() == Some(&value);
            keep.extend((0..TOKENS_PER_FRAME).map(|n| !same || n == 0));
            pixels.extend((0..16).map(|n| value + n as f32 / 16.0));
            carry.previous = vec![value];
        }
        let pixels = Tensor::from_vec(pixels, (16 * frames.len(), 1), &self.device)?;
        Ok(Patches { pixels, frames: frames.len(), grid: item.grid, merge: item.merge, keep })
    }

    fn shown(&self, _item: &ItemPlan, frame: &Frame) -> Result<Rgb, ModelError> {
        Ok(frame.image.clone())
    }

    fn see(&self, patches: &Patches) -> Result<VisualTokens, ModelError> {
        self.frames_seen.fetch_add(patches.frames, Ordering::SeqCst);
        let values = patches.pixels.flatten_all()?.to_vec1::<f32>()?;
        let rows: Vec<Vec<f32>> = (0..patches.keep.len())
            .filter(|&token| patches.keep[token])
            .map(|token| vec![(values[token * 4] * 16.0).round(), 1.0])
            .collect();
        let per_frame =
            patches.keep.chunks(TOKENS_PER_FRAME).map(|frame| frame.iter().filter(|&&keep| keep).count()).collect();
        Ok(VisualTokens { tokens: Tensor::new(rows, &self.device)?, per_frame })
    }

    fn prompt(
        &self,
        messages: &[Message],
        _plan: &Plan,
        kept: &[Vec<usize>],
        answer_next: bool,
    ) -> Result<Prompt, ModelError> {
        let mut prompt = Prompt::default();
        for message in messages {
            prompt.ids.push(if message.role == Role::Assistant { ASSISTANT } else { USER });
            for part in &message.parts {
                match part {
                    Part::Text(text) => prompt.ids.extend(self.tokenizer.encode_plain(text)?),
                    Part::Media(n) => {
                        for _ in 0..kept[*n].iter().sum() {
                            prompt.visual.push(prompt.ids.len());
                            prompt.ids.push(IMAGE);
                        }
                    }
                }
            }
            prompt.ids.push(END);
        }
        if answer_next {
            prompt.ids.push(ASSISTANT);
        }
        self.prompt_length.store(prompt.ids.len(), Ordering::SeqCst);
        Ok(prompt)
    }

    fn embed(&self, prompt: &Prompt, visual: Option<&Tensor>) -> Result<Tensor, ModelError> {
        let given = visual.map_or(Ok(0), |visual| visual.dim(0))?;
        if given != prompt.visual.len() {
            return Err(ModelError::Caller(format!("{given} visual tokens for {} places", prompt.visual.len())));
        }
        let mut rows: Vec<Vec<f32>> = prompt.ids.iter().map(|&id| vec![id as f32, 0.0]).collect();
        if let Some(visual) = visual {
            for (at, row) in prompt.visual.iter().zip(visual.to_vec2::<f32>()?) {
                rows[*at] = row;
            }
        }
        Ok(Tensor::new(rows, &self.device)?)
    }

    fn step(&self, x_td: &Tensor, memory: &mut Memory<'_>, rows: &[usize]) -> Result<Tensor, ModelError> {
        let new = x_td.dim(0)?;
        self.rows_stepped.fetch_add(new, Ordering::SeqCst);
        self.largest_step.fetch_max(new, Ordering::SeqCst);
        let all = match memory {
            Memory::Packed(_) => x_td.clone(),
            Memory::Cache(cache) => {
                let x = x_td.unsqueeze(1)?;
                let (keys, _) = cache.append(0, &x, &x)?;
                cache.advance(new);
                keys.floats()?.squeeze(1)?
            }
        };
        let all = all.to_vec2::<f32>()?;
        let old = all.len() - new;
        let mut logits = Vec::with_capacity(rows.len() * VOCABULARY);
        for row in rows {
            let at = old + row;
            let weigh = |(i, x): (usize, &Vec<f32>)| (i % 13 + 1) as f64 * f64::from(x[0] + 5.0 * x[1]);
            let state: f64 = all[..=at].iter().enumerate().map(weigh).sum();
            let favourite = self.favourite(at, state);
            let distance = |id: usize| (id + VOCABULARY - favourite) % VOCABULARY;
            logits.extend((0..VOCABULARY).map(|id| 2.0 - 0.25 * distance(id) as f32));
        }
        Ok(Tensor::from_vec(logits, (rows.len(), VOCABULARY), &self.device)?)
    }

    fn new_cache(&self, capacity: usize) -> Result<KvCache, ModelError> {
        Ok(KvCache::new(1, capacity, 1, 2, DType::F32, &self.device)?)
    }
}

/// A video of one grey value a frame, one frame a second.
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

/// A picture of one grey value.
pub(crate) fn picture(value: u8) -> InMemory {
    InMemory { kind: MediaKind::Image, ..video(&[value]) }
}
