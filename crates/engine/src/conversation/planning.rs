//! Opening and planning the media that are new in a conversation: headers only, nothing is decoded.

use std::ops::Range;

use zoetrope_media::subtitle::SubtitleChoice;
use zoetrope_models::contract::media_plan::{MediaKind, MediaMetadata, MediaPlan, PlanOptions};

use super::state::{Conversation, MediaState, NewMedia};
use crate::answer::visual_tokens;
use crate::error::EngineError;
use crate::limits::check_limit;
use crate::media_input::{MediaIdentity, OpenedMedia, open_file, plan_chosen};
use crate::store::{FileState, state_of};

/// Metadata of media, and where their subtitles come from, with how many there are.
type WithCaptions = (Vec<MediaMetadata>, Vec<Option<(String, usize)>>);

impl Conversation {
    /// Opens and plans the media that are not encoded yet; headers only. Checks the number of visual tokens.
    pub(crate) fn plan_new(&mut self, options: &PlanOptions) -> Result<Vec<NewMedia>, EngineError> {
        self.plan_next(&[], self.media.len(), options)
    }

    /// As [`Conversation::plan_new`], but only the next `most` media after those that are `planned` already.
    pub(crate) fn plan_next(
        &mut self,
        planned: &[NewMedia],
        most: usize,
        options: &PlanOptions,
    ) -> Result<Vec<NewMedia>, EngineError> {
        // More than the limit cannot be shown: what is asked beyond it goes into no arithmetic.
        let within = |number: Option<usize>| number.map(|number| number.min(self.limits.visual_tokens));
        let (max_visual_tokens, max_frames) = (within(options.max_visual_tokens), within(options.max_frames));
        let options = &PlanOptions { max_visual_tokens, max_frames, ..options.clone() };
        let earlier = self.encoded().map(|media| &media.plan).chain(planned.iter().map(|media| &media.plan));
        let earlier: Vec<MediaPlan> = earlier.cloned().collect();
        let first = earlier.len();
        let end = self.media.len().min(first.saturating_add(most));
        let mut files = self.open_files(first..end)?;
        let opened = self.media[first..end].iter().filter_map(|media| match media {
            MediaState::Open(opened) => Some(opened.clone()),
            MediaState::File(_) | MediaState::Encoded(..) => None,
        });
        let opened: Vec<OpenedMedia> = opened.collect();
        if opened.is_empty() {
            return Ok(Vec::new());
        }
        let alone = self.stored_alone(&opened)?;
        let (metadata, mut captions) = self.metadata(&opened, &alone, options)?;
        let with_own_plan: Vec<MediaPlan> = earlier.iter().chain(alone.iter().flatten()).cloned().collect();
        let planned = match &opened[..] {
            [one] if one.source.is_chosen() && metadata.len() == 1 => {
                plan_chosen(self.processor.as_ref(), &with_own_plan, &metadata[0], options)?
            }
            _ if metadata.is_empty() => Vec::new(),
            _ => self.processor.plan(&with_own_plan, &metadata, options)?,
        };
        if planned.len() != metadata.len() {
            let text = format!("the model planned {} media of {}", planned.len(), metadata.len());
            return Err(EngineError::Bug(text));
        }
        let mut planned = planned.into_iter();
        let plans: Vec<MediaPlan> = alone.into_iter().filter_map(|own| own.or_else(|| planned.next())).collect();
        let tokens = |plan: &MediaPlan| visual_tokens(&self.processor.visual_spans(plan, None));
        let all: usize = earlier.iter().chain(&plans).map(tokens).sum();
        check_limit("visual tokens", all, self.limits.visual_tokens)?;
        let mut new = Vec::with_capacity(opened.len());
        for (number, (media, plan)) in opened.into_iter().zip(plans).enumerate() {
            let OpenedMedia { name, source, path, digest, .. } = media;
            let (path, processor) = (path.as_deref(), self.processor.as_ref());
            let found = || self.index.as_ref()?.find_film(path, digest.as_ref(), &plan, processor);
            let (stored, captions) = (source.stored().or_else(found), captions[number].take());
            let identity = MediaIdentity::new(digest.as_ref(), &plan);
            let (number, file, start) = (first + number, files[number].take(), options.start.unwrap_or(0.0));
            new.push(NewMedia { number, name, source, plan, start, digest, identity, file, stored, captions });
        }
        self.identities.truncate(first);
        self.identities.extend(new.iter().map(|media| media.identity));
        Ok(new)
    }

    /// Opens the media of `numbers`; the state of those that are files, where their content is asked for.
    fn open_files(&mut self, numbers: Range<usize>) -> Result<Vec<Option<FileState>>, EngineError> {
        let (store, mut files) = (self.store().cloned(), Vec::with_capacity(numbers.len()));
        for media in &mut self.media[numbers] {
            let path = match media {
                MediaState::File(path) | MediaState::Open(OpenedMedia { path: Some(path), .. }) => Some(&*path),
                MediaState::Open(_) | MediaState::Encoded(..) => None,
            };
            // Before it is digested and decoded, so that a change in between shows.
            files.push(path.filter(|_| store.is_some()).and_then(|path| state_of(path).ok()));
            if let MediaState::File(path) = media {
                let source = open_file(path, &self.limits)?;
                *media = MediaState::Open(OpenedMedia::of_file(path.clone(), source));
            }
            if let (MediaState::Open(OpenedMedia { path: Some(path), digest: digest @ None, .. }), Some(store)) =
                (media, &store)
            {
                *digest = store.content_digest(path);
            }
        }
        Ok(files)
    }

    /// The plans of media of which there are only features.
    fn stored_alone(&self, opened: &[OpenedMedia]) -> Result<Vec<Option<MediaPlan>>, EngineError> {
        let plan = |OpenedMedia { name, source, .. }: &OpenedMedia| match (source.stored(), &self.index) {
            (None, _) => Ok(None),
            (Some(stored), Some(index)) => index.plan_alone(&stored, self.processor.as_ref()).map(Some),
            (Some(_), None) => Err(EngineError::caller(format!("{name}: stored features are not to be used"))),
        };
        opened.iter().map(plan).collect()
    }

    /// What planning needs to know of media that were opened and have no plan of their own, with their subtitles where
    /// the family reads them.
    fn metadata(
        &self,
        opened: &[OpenedMedia],
        alone: &[Option<MediaPlan>],
        options: &PlanOptions,
    ) -> Result<WithCaptions, EngineError> {
        let uses_captions = self.processor.uses_captions(options);
        let named = !matches!(self.limits.files.subtitles, SubtitleChoice::Auto | SubtitleChoice::None);
        if named && !uses_captions {
            let family = self.processor.info().family;
            return Err(EngineError::caller(format!("subtitles were named, and {family} reads none")));
        }
        let (mut all, mut from) = (Vec::new(), Vec::new());
        for (OpenedMedia { name, source, .. }, own) in opened.iter().zip(alone) {
            if own.is_some() {
                from.push(None);
                continue;
            }
            let (mut metadata, mut told) = (source.metadata(), None);
            if uses_captions {
                let found = source.subtitles();
                let found = found.map_err(|error| EngineError::Media { name: name.clone(), error })?;
                if let Some(found) = found {
                    told = Some((found.name, found.captions.len()));
                    metadata.captions = found.captions;
                }
            }
            all.push(metadata);
            from.push(told);
        }
        let films = all.iter().filter(|metadata| metadata.kind == MediaKind::Video).count();
        if films > 1 && matches!(self.limits.files.subtitles, SubtitleChoice::File(_)) {
            return Err(EngineError::caller(format!("one file of subtitles was named for {films} videos")));
        }
        Ok((all, from))
    }
}
