//! A conversation: messages, media that are encoded once, keys and values that are kept from turn to turn.

use std::path::PathBuf;
use std::time::Instant;

use candle_core::Tensor;
use zoetrope_models::contract::{Message, Part, Plan, PlanOptions, Prompt, Role, VideoLanguageModel};

use crate::answer::{Answer, FinishReason, TokenCounts};
use crate::clip::open_file;
use crate::cost::DryRun;
use crate::error::EngineError;
use crate::events::{CancelFlag, Event, Watch};
use crate::limits::{Limits, within};
use crate::media::{Input, MediaSource};
use crate::prefix::{Prefix, positions};
use crate::run::{Run, generate, prefill};
use crate::sampler::{Sampler, Sampling};
use crate::sequence::Sequence;
use crate::vision::{Progress, Seen, see, survivors};

/// A piece of a message, as the caller gives it.
pub enum Piece {
    /// Text; special tokens inside are ordinary characters.
    Text(String),
    /// A picture or video.
    Media(Input),
}

/// How an answer is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which frames, how many tokens.
    pub plan: PlanOptions,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Most tokens of the answer.
    pub max_new_tokens: usize,
    /// The answer ends before any of these strings.
    pub stops: Vec<String>,
    /// Cancels the request from outside.
    pub cancel: CancelFlag,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            plan: PlanOptions::default(),
            sampling: Sampling::default(),
            max_new_tokens: 1024,
            stops: Vec::new(),
            cancel: CancelFlag::new(),
        }
    }
}

/// A picture or video of the conversation. Those that are not encoded yet stand at the end.
enum Medium {
    /// Not opened yet.
    File(PathBuf),
    /// Open, not encoded yet.
    Open(String, Box<dyn MediaSource>),
    /// Encoded.
    Seen(Seen),
}

impl Medium {
    fn name(&self) -> String {
        match self {
            Medium::File(path) => path.display().to_string(),
            Medium::Open(name, _) => name.clone(),
            Medium::Seen(seen) => seen.name.clone(),
        }
    }
}

impl From<Input> for Medium {
    fn from(input: Input) -> Self {
        match input {
            Input::Path(path) => Medium::File(path),
            Input::Source(name, source) => Medium::Open(name, source),
        }
    }
}

/// A conversation with one model. Media of one turn are planned together; those of earlier turns stay as they were
/// encoded.
pub struct Session<'m> {
    model: &'m dyn VideoLanguageModel,
    limits: Limits,
    messages: Vec<Message>,
    media: Vec<Medium>,
    prefix: Option<Prefix>,
}

impl<'m> Session<'m> {
    /// An empty conversation.
    pub fn new(model: &'m dyn VideoLanguageModel, limits: Limits) -> Self {
        Session { model, limits, messages: Vec::new(), media: Vec::new(), prefix: None }
    }

    /// The conversation so far.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    #[cfg(test)]
    pub(crate) fn messages_for_test(&mut self) -> &mut Vec<Message> {
        &mut self.messages
    }

    /// Forgets messages and media; the system message too.
    pub fn reset(&mut self) {
        self.messages.clear();
        self.media.clear();
        self.prefix = None;
    }

    /// Adds a message without answering it. Fails, and adds nothing, when it is over a limit.
    pub fn push(&mut self, role: Role, pieces: Vec<Piece>) -> Result<(), EngineError> {
        let new_media = pieces.iter().filter(|piece| matches!(piece, Piece::Media(_))).count();
        within("pictures and videos of a conversation", self.media.len() + new_media, self.limits.media)?;
        let characters = |piece: &Piece| match piece {
            Piece::Text(text) => text.chars().count(),
            Piece::Media(_) => 0,
        };
        within("characters of a message", pieces.iter().map(characters).sum(), self.limits.characters)?;
        let mut parts = Vec::with_capacity(pieces.len());
        for piece in pieces {
            parts.push(match piece {
                Piece::Text(text) => Part::Text(text),
                Piece::Media(input) => {
                    self.media.push(input.into());
                    Part::Media(self.media.len() - 1)
                }
            });
        }
        self.messages.push(Message { role, parts });
        Ok(())
    }

    /// Adds a user's message and answers it. When that fails, or is cancelled before the first word, the conversation
    /// is as it was before.
    pub fn ask(&mut self, pieces: Vec<Piece>, options: &Options, watch: &mut Watch<'_>) -> Result<Answer, EngineError> {
        let (messages, media) = (self.messages.len(), self.media.len());
        let answer = self.push(Role::User, pieces).and_then(|()| self.answer(options, watch));
        let unanswered = answer.as_ref().is_ok_and(|a| a.finish_reason == FinishReason::Cancelled && a.ids.is_empty());
        if answer.is_err() || unanswered {
            self.messages.truncate(messages);
            if self.media.len() > media {
                // The rows kept for these media must not be taken for those of other media.
                self.media.truncate(media);
                self.prefix = None;
            }
        }
        answer
    }

    /// Answers the conversation as it stands and adds the answer to it.
    pub fn answer(&mut self, options: &Options, watch: &mut Watch<'_>) -> Result<Answer, EngineError> {
        options.sampling.check()?;
        within("tokens of the answer", options.max_new_tokens, self.limits.answer_tokens)?;
        let limits = self.limits.clone();
        let mut run = Run::new(self.model, &limits, &options.cancel, watch);
        let (text, finish_reason, tokens, ids) = match self.read_and_write(&mut run, options) {
            Ok((sequence, tokens)) => {
                let finish = sequence.finish_reason().unwrap_or(FinishReason::Length);
                self.messages.push(Message::text(Role::Assistant, sequence.text()));
                (sequence.text().to_string(), finish, tokens, sequence.ids().to_vec())
            }
            Err(EngineError::Cancelled) => (String::new(), FinishReason::Cancelled, TokenCounts::default(), Vec::new()),
            Err(error) => return Err(error),
        };
        run.timings.total = run.begun.elapsed().as_secs_f64();
        let media = self.seen().map(Seen::used).collect();
        Ok(Answer { text, finish_reason, media, tokens, timings: run.timings, ids })
    }

    fn read_and_write(
        &mut self,
        run: &mut Run<'_, '_>,
        options: &Options,
    ) -> Result<(Sequence, TokenCounts), EngineError> {
        self.look(run, &options.plan)?;
        let prompt = self.prompt()?;
        let budget = self.answer_budget(&prompt, options.max_new_tokens)?;
        run.tell(Event::Prompt(&prompt))?;
        let visual = self.visual_tokens()?;
        let positions = positions(&prompt);
        let capacity = prompt.ids.len() + budget;
        let mut prefix = match self.prefix.take() {
            Some(prefix) => prefix,
            None => Prefix::new(self.model, capacity)?,
        };
        let reused = prefix.reuse(&positions, capacity)?;
        let mut tokens = self.count(&prompt, reused);
        let read = prefill(run, &prompt, &positions, visual.as_ref(), &mut prefix, reused);
        let written = read.and_then(|logits| {
            let mut sampler = Sampler::new(&options.sampling, &prompt.ids)?;
            let model = self.model;
            let mut sequence = Sequence::new(model.tokenizer(), model.stop_ids(), &options.stops, budget)?;
            generate(run, logits, &mut sampler, &mut sequence, &mut prefix)?;
            Ok(sequence)
        });
        self.prefix = Some(prefix);
        let sequence = written?;
        tokens.generated = sequence.ids().len();
        Ok((sequence, tokens))
    }

    /// Opens and plans the media that nobody has looked at yet; headers only. Checks the number of visual tokens.
    fn open(&mut self, run: &mut Run<'_, '_>, options: &PlanOptions) -> Result<Plan, EngineError> {
        let begun = Instant::now();
        let first = self.seen().count();
        let mut sources = Vec::new();
        for medium in &mut self.media[first..] {
            if let Medium::File(path) = medium {
                *medium = Medium::Open(path.display().to_string(), open_file(path, run.limits)?);
            }
            if let Medium::Open(_, source) = medium {
                sources.push(source.source());
            }
        }
        if sources.is_empty() {
            return Ok(Plan::default());
        }
        let plan = self.model.plan(&sources, options)?;
        if plan.items.len() != sources.len() {
            let text = format!("the model planned {} items of {}", plan.items.len(), sources.len());
            return Err(EngineError::Bug(text));
        }
        let before: usize = self.seen().map(|seen| seen.plan.tokens()).sum();
        let new: usize = plan.items.iter().map(|item| item.tokens()).sum();
        within("visual tokens", before + new, run.limits.visual_tokens)?;
        run.timings.open = begun.elapsed().as_secs_f64();
        run.tell(Event::Planned(&plan))?;
        Ok(plan)
    }

    /// Opens, plans and encodes the media that nobody has looked at yet.
    fn look(&mut self, run: &mut Run<'_, '_>, options: &PlanOptions) -> Result<(), EngineError> {
        let first = self.seen().count();
        let plan = self.open(run, options)?;
        let mut progress = Progress::of(&plan);
        for (number, item) in (first..).zip(plan.items) {
            if let Medium::Open(name, source) = &self.media[number] {
                let seen = see(run, number, name, source.as_ref(), item, &mut progress)?;
                self.media[number] = Medium::Seen(seen);
            }
        }
        Ok(())
    }

    /// What answering `pieces` as the next turn would take, without running the model. With `prune_now` frames are
    /// decoded and compared to count the tokens that survive pruning; otherwise only headers are read.
    pub fn dry_run(
        mut self,
        pieces: Vec<Piece>,
        options: &Options,
        prune_now: bool,
        watch: &mut Watch<'_>,
    ) -> Result<DryRun, EngineError> {
        self.push(Role::User, pieces)?;
        let limits = self.limits.clone();
        let mut run = Run::new(self.model, &limits, &options.cancel, watch);
        let (mut items, mut kept): (Vec<_>, Vec<_>) =
            self.seen().map(|seen| (seen.plan.clone(), seen.per_frame.clone())).unzip();
        let new = self.open(&mut run, &options.plan)?;
        let mut progress = Progress::of(&new);
        for (item, medium) in new.items.into_iter().zip(&self.media[kept.len()..]) {
            let (item, tokens) = match medium {
                Medium::Open(name, source) if prune_now => {
                    survivors(&mut run, name, source.as_ref(), item, &mut progress)?
                }
                _ => {
                    let tokens = vec![item.tokens_per_frame; item.frames.len()];
                    (item, tokens)
                }
            };
            items.push(item);
            kept.push(tokens);
        }
        let plan = Plan { items };
        let prompt = self.model.prompt(&self.messages, &plan, &kept, true)?;
        let names = self.media.iter().map(Medium::name).collect();
        Ok(DryRun::new(self.model, names, plan, kept, &prompt, options.max_new_tokens, prune_now))
    }

    fn seen(&self) -> impl Iterator<Item = &Seen> {
        self.media.iter().filter_map(|medium| match medium {
            Medium::Seen(seen) => Some(seen),
            Medium::File(_) | Medium::Open(..) => None,
        })
    }

    /// The whole conversation as ids.
    fn prompt(&self) -> Result<Prompt, EngineError> {
        let plan = Plan { items: self.seen().map(|seen| seen.plan.clone()).collect() };
        let kept: Vec<Vec<usize>> = self.seen().map(|seen| seen.per_frame.clone()).collect();
        let prompt = self.model.prompt(&self.messages, &plan, &kept, true)?;
        let survivors: usize = kept.iter().flatten().sum();
        if prompt.ids.is_empty() || prompt.visual.len() != survivors {
            let text = format!(
                "a prompt of {} tokens has {} visual placeholders for {survivors} visual tokens",
                prompt.ids.len(),
                prompt.visual.len()
            );
            return Err(EngineError::Bug(text));
        }
        Ok(prompt)
    }

    /// How many tokens the answer may take; fails when the prompt or the cache is over a limit.
    fn answer_budget(&self, prompt: &Prompt, wanted: usize) -> Result<usize, EngineError> {
        let info = self.model.info();
        let length = prompt.ids.len();
        within("prompt tokens", length, self.limits.prompt_tokens.min(info.max_positions))?;
        let budget = wanted.min(info.max_positions - length);
        let bytes = (length + budget).saturating_mul(info.cache_bytes_per_token);
        within("bytes of keys and values", bytes, self.limits.cache_bytes)?;
        Ok(budget)
    }

    /// All visual tokens of the conversation, `[V, D]`.
    fn visual_tokens(&self) -> Result<Option<Tensor>, EngineError> {
        let all: Vec<&Tensor> = self.seen().map(|seen| &seen.tokens).collect();
        Ok(if all.is_empty() { None } else { Some(Tensor::cat(&all, 0)?) })
    }

    fn count(&self, prompt: &Prompt, reused: usize) -> TokenCounts {
        use zoetrope_models::contract::MediaKind::{Image, Video};
        let of = |kind| -> usize {
            self.seen().filter(|seen| seen.plan.kind == kind).flat_map(|seen| &seen.per_frame).sum()
        };
        TokenCounts {
            text: prompt.ids.len() - prompt.visual.len(),
            image: of(Image),
            video: of(Video),
            prompt: prompt.ids.len(),
            reused,
            generated: 0,
        }
    }
}
