//! The messages and media of a conversation, and what is known of them.

use std::path::PathBuf;
use std::sync::Arc;

use zoetrope_models::contract::feature_file::StoredFeatures;
use zoetrope_models::contract::media_plan::{MediaKind, MediaPlan};
use zoetrope_models::contract::prompt::{GenerationPrompt, Message, MessagePart, Placement, Prompt, Role, VisualSpan};
use zoetrope_models::contract::{Processor, VideoLanguageModel};

use super::projections::Projections;
use crate::answer::{MediaUsage, TokenCounts, usage, visual_tokens};
use crate::error::EngineError;
use crate::generate::VisualTokens;
use crate::limits::{Limits, check_limit};
use crate::media_input::{
    ContentDigest, EncodedMedia, FeatureIndex, MediaIdentity, MediaInput, MediaSource, OpenedMedia, keep, stored_media,
};
use crate::store::{FileState, ModelStore};

/// A part of a message, as the caller gives it.
pub enum ContentPart {
    /// Text; special tokens inside are ordinary characters.
    Text(String),
    /// A picture or video.
    Media(MediaInput),
}

/// A picture or video of the conversation. Those that are not encoded yet stand at the end.
pub(super) enum MediaState {
    /// Not opened yet.
    File(PathBuf),
    /// Open, not encoded yet.
    Open(OpenedMedia),
    /// Encoded, under the name of this conversation, with the visual tokens for each instruction so far.
    Encoded(String, Arc<EncodedMedia>, Projections),
}

impl MediaState {
    fn name(&self) -> String {
        match self {
            MediaState::File(path) => path.display().to_string(),
            MediaState::Open(opened) => opened.name.clone(),
            MediaState::Encoded(name, ..) => name.clone(),
        }
    }
}

/// Media that was opened and planned, to be encoded.
pub(crate) struct NewMedia {
    pub(crate) number: usize,
    pub(crate) name: String,
    pub(crate) source: Arc<dyn MediaSource>,
    pub(crate) plan: MediaPlan,
    /// The second from which it is shown.
    pub(crate) start: f64,
    pub(crate) digest: Option<ContentDigest>,
    pub(crate) identity: MediaIdentity,
    /// The file that it is read from, as it was when its content was digested.
    pub(crate) file: Option<FileState>,
    /// Features that were stored before.
    pub(crate) stored: Option<Arc<StoredFeatures>>,
    /// Where its subtitles come from, and how many there are.
    pub(crate) captions: Option<(String, usize)>,
}

impl NewMedia {
    /// Whether what was decoded may be something else than what was digested.
    pub(crate) fn has_changed(&self) -> bool {
        self.file.as_ref().is_some_and(|file| !file.is_unchanged())
    }
}

/// The conversation. Media of one turn are planned together; those of earlier turns stay as they were encoded.
pub(crate) struct Conversation {
    pub(super) processor: Arc<dyn Processor>,
    pub(super) limits: Limits,
    messages: Vec<Message>,
    pub(super) media: Vec<MediaState>,
    /// Of the media that are planned.
    pub(super) identities: Vec<MediaIdentity>,
    /// Where stored features are looked for.
    pub(super) index: Option<FeatureIndex>,
}

/// How much of a conversation there is.
#[derive(Clone, Copy)]
pub(crate) struct Length {
    messages: usize,
    media: usize,
}

impl Conversation {
    pub(crate) fn new(processor: Arc<dyn Processor>, limits: Limits) -> Self {
        Conversation { processor, limits, messages: Vec::new(), media: Vec::new(), identities: Vec::new(), index: None }
    }

    /// Looks for stored features from now on.
    pub(crate) fn use_index(&mut self, index: Option<FeatureIndex>) {
        self.index = index;
    }

    /// Where films are found by their content.
    pub(crate) fn store(&self) -> Option<&ModelStore> {
        self.index.as_ref().and_then(FeatureIndex::store)
    }

    pub(crate) fn messages(&self) -> &[Message] {
        &self.messages
    }

    pub(crate) fn add(&mut self, message: Message) {
        self.messages.push(message);
    }

    pub(crate) fn clear(&mut self) {
        self.messages.clear();
        self.media.clear();
    }

    pub(crate) fn len(&self) -> Length {
        Length { messages: self.messages.len(), media: self.media.len() }
    }

    /// Forgets what came after it was so long.
    pub(crate) fn truncate(&mut self, to: Length) {
        self.messages.truncate(to.messages);
        self.media.truncate(to.media);
    }

    /// Adds a message. Fails, and adds nothing, when it is over a limit.
    pub(crate) fn push(&mut self, role: Role, content: Vec<ContentPart>) -> Result<(), EngineError> {
        let new_media = content.iter().filter(|part| matches!(part, ContentPart::Media(_))).count();
        check_limit("pictures and videos of a conversation", self.media.len() + new_media, self.limits.media)?;
        let characters = |part: &ContentPart| match part {
            ContentPart::Text(text) => text.chars().count(),
            ContentPart::Media(_) => 0,
        };
        check_limit("characters of a message", content.iter().map(characters).sum(), self.limits.characters)?;
        let mut parts = Vec::with_capacity(content.len());
        for part in content {
            parts.push(match part {
                ContentPart::Text(text) => MessagePart::Text(text),
                ContentPart::Media(input) => {
                    self.media.push(match input {
                        MediaInput::Path(path) => MediaState::File(path),
                        MediaInput::Opened(opened) => MediaState::Open(opened),
                    });
                    MessagePart::Media(self.media.len() - 1)
                }
            });
        }
        self.messages.push(Message { role, parts });
        Ok(())
    }

    /// Notes that media number `number` is encoded.
    pub(crate) fn set_encoded(&mut self, number: usize, media: Arc<EncodedMedia>) {
        if let Some(state) = self.media.get_mut(number) {
            *state = MediaState::Encoded(state.name(), media, Projections::default());
        }
    }

    /// Media number `number`, when it is encoded.
    pub(crate) fn encoded_media(&self, number: usize) -> Option<&Arc<EncodedMedia>> {
        match self.media.get(number) {
            Some(MediaState::Encoded(_, media, _)) => Some(media),
            _ => None,
        }
    }

    /// Notes that `new` media is encoded, and lets what the encoder gave be kept.
    pub(crate) fn take_encoded(&mut self, new: &NewMedia, media: EncodedMedia) {
        let media = Arc::new(media);
        if new.has_changed() {
            if let Some(identity) = self.identities.get_mut(new.number) {
                *identity = MediaIdentity::of_unknown();
            }
        } else if let Some(store) = self.store() {
            keep(store, new.digest.as_ref(), &new.plan, &media, self.processor.as_ref());
        }
        self.set_encoded(new.number, media);
    }

    /// Takes the stored features of new media as those of the encoder; the file, where there is one.
    pub(crate) fn take_stored(&mut self, media: &NewMedia) -> Option<PathBuf> {
        let stored = media.stored.as_ref()?;
        let encoded = stored_media(&media.name, &media.plan, Arc::clone(stored), self.processor.as_ref());
        self.set_encoded(media.number, Arc::new(encoded));
        Some(stored.file().to_path_buf())
    }

    pub(crate) fn encoded(&self) -> impl Iterator<Item = &EncodedMedia> {
        self.media.iter().filter_map(|media| match media {
            MediaState::Encoded(_, media, _) => Some(media.as_ref()),
            MediaState::File(_) | MediaState::Open(..) => None,
        })
    }

    /// Where media are shown.
    pub(crate) fn placements(&self) -> Result<Vec<Placement>, EngineError> {
        Ok(self.processor.placements(&self.messages, self.media.len())?)
    }

    /// The key of the visual tokens of every placement, and whether it means the same in another process.
    pub(crate) fn token_keys(&self) -> Result<Vec<(u128, bool)>, EngineError> {
        let key = |placement: &Placement| {
            let identity = self.identities.get(placement.media)?;
            Some((identity.token_key(placement.instruction.as_deref()), identity.is_lasting))
        };
        Ok(self.placements()?.iter().map(|placement| key(placement).unwrap_or_default()).collect())
    }

    /// The visual tokens of a placement, and whether they are new.
    pub(crate) fn visual_tokens(
        &mut self,
        model: &Arc<dyn VideoLanguageModel>,
        placement: &Placement,
    ) -> Result<(VisualTokens, bool), EngineError> {
        let Some(MediaState::Encoded(_, media, projections)) = self.media.get_mut(placement.media) else {
            return Err(EngineError::Bug(format!("media {} is shown before it is encoded", placement.media)));
        };
        let Some(identity) = self.identities.get(placement.media) else {
            return Err(EngineError::Bug(format!("media {} is shown before it is planned", placement.media)));
        };
        Ok(projections.tokens(model, identity, media, placement.instruction.as_deref()))
    }

    /// The whole conversation with the header of the next reply. `new` are plans and spans of media that are not
    /// encoded.
    pub(crate) fn prompt(&self, new: &[(MediaPlan, Vec<VisualSpan>)]) -> Result<Prompt, EngineError> {
        let encoded = self.encoded().map(|media| (media.plan.clone(), media.spans.clone()));
        let (plans, spans): (Vec<_>, Vec<_>) = encoded.chain(new.iter().cloned()).unzip();
        let prompt = self.processor.prompt(&self.messages, &plans, &spans, GenerationPrompt::Reply(""))?;
        let placements = self.placements()?;
        let wanted: usize = placements.iter().map(|placement| visual_tokens(&spans[placement.media])).sum();
        if prompt.tokens.is_empty() || prompt.visual_tokens() != wanted {
            let text = format!(
                "a prompt of {} tokens has {} visual tokens of {wanted}",
                prompt.tokens.len(),
                prompt.visual_tokens()
            );
            return Err(EngineError::Bug(text));
        }
        Ok(prompt)
    }

    /// Media number `number`, as the caller named it.
    pub(crate) fn name(&self, number: usize) -> String {
        self.media.get(number).map(MediaState::name).unwrap_or_default()
    }

    /// The media, as the caller named them.
    pub(crate) fn names(&self) -> Vec<String> {
        self.media.iter().map(MediaState::name).collect()
    }

    /// How the media are reported in an answer.
    pub(crate) fn usage(&self) -> Vec<MediaUsage> {
        let usage = |state: &MediaState| {
            let MediaState::Encoded(name, media, _) = state else { return None };
            let before = self.processor.visual_spans(&media.plan, None);
            let usage = usage(name.clone(), &media.plan, &media.spans, &before);
            Some(MediaUsage { faults: media.faults, features: media.features.file(), ..usage })
        };
        self.media.iter().filter_map(usage).collect()
    }

    /// What needs no weights.
    pub(crate) fn processor(&self) -> &Arc<dyn Processor> {
        &self.processor
    }

    /// Tokens of `prompt` by modality.
    pub(crate) fn count(&self, prompt: &Prompt) -> TokenCounts {
        let of = |kind| -> usize {
            self.encoded().filter(|media| media.plan.kind == kind).map(|media| visual_tokens(&media.spans)).sum()
        };
        TokenCounts {
            text: prompt.tokens.len() - prompt.visual_tokens(),
            image: of(MediaKind::Image),
            video: of(MediaKind::Video),
            prompt: prompt.tokens.len(),
            ..TokenCounts::default()
        }
    }

    /// How many tokens the answer to `prompt` may take, of those `wanted`, when keys and values take `bytes_per_token`.
    ///
    /// # Errors
    /// [`EngineError::Limit`] when the prompt, or the KV cache, is over a limit.
    pub(crate) fn answer_budget(
        &self,
        prompt: &Prompt,
        wanted: usize,
        bytes_per_token: usize,
    ) -> Result<usize, EngineError> {
        let (length, next) = (prompt.tokens.len(), prompt.next_position().id as usize);
        let most = self.processor.info().max_positions;
        check_limit("prompt tokens", length, self.limits.prompt_tokens)?;
        check_limit("prompt tokens", next, most)?;
        let budget = wanted.min(most - next);
        let bytes = (length + budget).saturating_mul(bytes_per_token);
        check_limit("bytes of keys and values", bytes, self.limits.cache_bytes)?;
        Ok(budget)
    }

    /// Fails as [`answer_budget`](Self::answer_budget) where the prompt has no room whatever pruning will leave of
    /// `new`: before any of it is decoded, which may take hours. Where nothing is to be decoded, the exact check comes
    /// at once.
    pub(crate) fn check_room(
        &self,
        new: &[NewMedia],
        wanted: usize,
        bytes_per_token: usize,
    ) -> Result<(), EngineError> {
        if new.iter().all(|media| media.stored.is_some()) {
            return Ok(());
        }
        let least = |plan: &MediaPlan| self.processor.visual_spans(plan, Some(&vec![0; plan.units()]));
        let new: Vec<_> = new.iter().map(|media| (media.plan.clone(), least(&media.plan))).collect();
        self.answer_budget(&self.prompt(&new)?, wanted, bytes_per_token).map(|_| ())
    }
}
