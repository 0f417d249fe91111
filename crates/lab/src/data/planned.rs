//! A sample as a model will see it, before anything is decoded.

use std::ops::Range;

use zoetrope_models::contract::Processor;
use zoetrope_models::contract::media_plan::{MediaPlan, PlanOptions};
use zoetrope_models::contract::prompt::{GenerationPrompt, Prompt, PromptToken, VisualSpan};

use crate::error::LabError;
use crate::sample::Sample;

/// A sample as a model will see it. Visual tokens are counted before pruning.
#[derive(Clone, Debug)]
pub struct PlannedSample {
    /// Frames, sizes and settings of each picture and video.
    pub plans: Vec<MediaPlan>,
    /// The tokens, their positions and which of them are learned.
    pub prompt: Prompt,
}

/// A run of a prompt's tokens, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PromptRun {
    /// Text, and whether it is learned.
    Text(String, bool),
    /// So many visual tokens.
    Visual(usize),
}

impl PlannedSample {
    /// Plans the media and writes the prompt.
    ///
    /// # Errors
    /// What the model's processor refuses, and prompts with more tokens than the model has positions.
    pub fn new(sample: &Sample, processor: &dyn Processor, options: &PlanOptions) -> Result<Self, LabError> {
        let planned = PlannedSample::unchecked(sample, processor, options)?;
        let prompt = &planned.prompt;
        let (tokens, most) = (prompt.tokens.len(), processor.info().max_positions);
        if tokens > most {
            return Err(LabError::Caller(format!("{tokens} tokens, the model has {most} positions")));
        }
        if prompt.targets.is_empty() {
            return Err(LabError::Caller("no token of it is learned".to_string()));
        }
        Ok(planned)
    }

    /// As [`PlannedSample::new`], whatever its length, and also when nothing of it is learned.
    pub(crate) fn unchecked(
        sample: &Sample,
        processor: &dyn Processor,
        options: &PlanOptions,
    ) -> Result<Self, LabError> {
        let plans = sample.plan(processor, options)?;
        let spans: Vec<Vec<VisualSpan>> = plans.iter().map(|plan| processor.visual_spans(plan, None)).collect();
        let prompt = processor.prompt(&sample.messages, &plans, &spans, GenerationPrompt::None)?;
        Ok(PlannedSample { plans, prompt })
    }

    /// Visual tokens, before pruning.
    pub fn visual_tokens(&self) -> usize {
        self.prompt.visual_tokens()
    }

    /// Tokens of text.
    pub fn text_tokens(&self) -> usize {
        self.prompt.tokens.len() - self.visual_tokens()
    }

    /// The prompt as text, visual tokens counted.
    ///
    /// # Errors
    /// When the tokenizer cannot write its own tokens.
    pub fn runs(&self, processor: &dyn Processor) -> Result<Vec<PromptRun>, LabError> {
        let is_target: std::collections::HashSet<usize> = self.prompt.targets.iter().copied().collect();
        let state = |at: usize| match self.prompt.tokens[at] {
            PromptToken::Text(_) => Some(is_target.contains(&at)),
            PromptToken::Visual { .. } => None,
        };
        let mut runs = Vec::new();
        let mut begin = 0;
        while begin < self.prompt.tokens.len() {
            let own = state(begin);
            let end = (begin..self.prompt.tokens.len()).find(|at| state(*at) != own);
            let run = begin..end.unwrap_or(self.prompt.tokens.len());
            runs.push(match own {
                None => PromptRun::Visual(run.len()),
                Some(is_learned) => PromptRun::Text(self.text(run.clone(), processor)?, is_learned),
            });
            begin = run.end;
        }
        Ok(runs)
    }

    fn text(&self, run: Range<usize>, processor: &dyn Processor) -> Result<String, LabError> {
        let id = |token: &PromptToken| if let PromptToken::Text(id) = token { Some(*id) } else { None };
        let ids: Vec<u32> = self.prompt.tokens[run].iter().filter_map(id).collect();
        let text = processor.tokenizer().decode(&ids, false);
        text.map_err(|error| LabError::Caller(format!("the tokenizer cannot write its tokens: {error}")))
    }
}
