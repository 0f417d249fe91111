//! A conversation whose media are open and planned, ready for an engine.

use std::sync::Arc;
use std::time::Instant;

use zoetrope_models::contract::Processor;
use zoetrope_models::contract::media_plan::{MediaKind, PlanOptions};
use zoetrope_models::contract::prompt::{Prompt, Role};

use crate::conversation::{ContentPart, Conversation, NewMedia};
use crate::error::EngineError;
use crate::estimate::{EstimateOptions, RequestPlan, estimate};
use crate::events::ignore;
use crate::limits::Limits;
use crate::media_input::{FeatureIndex, MediaIdentity, MediaInput};
use crate::request::RequestContext;

/// A conversation to be answered. Its media are open and planned; nothing is decoded.
pub struct PreparedTurn {
    pub(super) conversation: Conversation,
    pub(crate) media: Vec<NewMedia>,
    /// Of each media.
    pub(super) identities: Vec<MediaIdentity>,
    /// Seconds that opening and planning took.
    pub(super) seconds: f64,
    /// The prompt, where it is not that of the conversation.
    pub(super) prompt: Option<Prompt>,
}

/// How long media lasts, and from when on it is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MediaClock {
    /// Seconds; `None` for pictures.
    pub duration: Option<f64>,
    /// The second from which it is shown. The first frame shown is the one on screen then, which may begin before.
    pub start: f64,
}

impl PreparedTurn {
    /// Opens and plans the media of `messages`: those of one message together, after those of earlier messages, so that
    /// a further message changes nothing of what was shown before.
    ///
    /// # Errors
    /// [`EngineError`], by who must act.
    pub fn new(
        processor: &Arc<dyn Processor>,
        limits: &Limits,
        messages: Vec<(Role, Vec<ContentPart>)>,
        plan: &PlanOptions,
        index: Option<FeatureIndex>,
    ) -> Result<Self, EngineError> {
        let begun = Instant::now();
        let mut conversation = Conversation::new(Arc::clone(processor), limits.clone());
        conversation.use_index(index);
        let mut media = Vec::new();
        for (role, content) in messages {
            let own_plans: Vec<Option<PlanOptions>> = content.iter().filter_map(own_plan).collect();
            conversation.push(role, content)?;
            for (options, most) in groups(&own_plans) {
                let new = conversation.plan_next(&media, most, options.unwrap_or(plan))?;
                media.extend(new);
            }
        }
        let identities = media.iter().map(|media| media.identity).collect();
        Ok(PreparedTurn { conversation, media, identities, seconds: begun.elapsed().as_secs_f64(), prompt: None })
    }

    /// When each of the media is shown.
    pub fn clocks(&self) -> Vec<MediaClock> {
        let clock = |media: &NewMedia| {
            let is_video = media.plan.kind == MediaKind::Video;
            let duration = is_video.then(|| media.source.metadata().timeline.end());
            MediaClock { duration, start: media.start }
        };
        self.media.iter().map(clock).collect()
    }

    /// A prompt of ids alone, without a template.
    pub fn of_ids(processor: &Arc<dyn Processor>, limits: &Limits, ids: &[u32]) -> Self {
        let conversation = Conversation::new(Arc::clone(processor), limits.clone());
        let prompt = Some(Prompt::of_text(ids));
        PreparedTurn { conversation, media: Vec::new(), identities: Vec::new(), seconds: 0.0, prompt }
    }

    /// The prompt, of a conversation that shows nothing.
    ///
    /// # Errors
    /// When the messages do not fit together.
    pub fn prompt(&self) -> Result<Prompt, EngineError> {
        match &self.prompt {
            Some(prompt) => Ok(prompt.clone()),
            None => self.conversation.prompt(&[]),
        }
    }

    /// What the reply would show the model and take.
    ///
    /// # Errors
    /// [`EngineError`], when the messages do not fit together or frames cannot be decoded.
    pub fn estimate(self, limits: &Limits, options: EstimateOptions<'_>) -> Result<RequestPlan, EngineError> {
        let processor = Arc::clone(self.conversation.processor());
        let mut handler = ignore;
        let mut request = RequestContext::new(limits, options.request, &mut handler);
        estimate(&processor, &self.conversation, self.media, &mut request, options)
    }
}

/// `Some` for media: its own sampling, where it has one.
fn own_plan(part: &ContentPart) -> Option<Option<PlanOptions>> {
    match part {
        ContentPart::Text(_) => None,
        ContentPart::Media(MediaInput::Opened(opened)) => Some(opened.plan.clone()),
        ContentPart::Media(_) => Some(None),
    }
}

/// How many media in a row are planned together, and with which options of their own: each that has some alone.
fn groups(plans: &[Option<PlanOptions>]) -> Vec<(Option<&PlanOptions>, usize)> {
    let mut groups: Vec<(Option<&PlanOptions>, usize)> = Vec::new();
    for plan in plans {
        match (plan, groups.last_mut()) {
            (None, Some((None, count))) => *count += 1,
            (own, _) => groups.push((own.as_ref(), 1)),
        }
    }
    groups
}
