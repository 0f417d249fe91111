//! One request on its way: its limits, its clock, its caller.

use std::ops::ControlFlow;
use std::time::Instant;

use zoetrope_models::contract::media_plan::PlanOptions;

use crate::answer::Timings;
use crate::error::EngineError;
use crate::events::{CancelFlag, Event, EventHandler};
use crate::generate::Sampling;
use crate::limits::Limits;

/// How an answer is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which frames, how many visual tokens, which of the family's settings.
    pub plan: PlanOptions,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Most tokens of the answer.
    pub max_new_tokens: usize,
    /// The answer ends before any of these texts.
    pub stop_texts: Vec<String>,
    /// Whether patches, features, visual tokens and logits are told.
    pub trace: bool,
    /// Cancels the request from outside.
    pub cancel: CancelFlag,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            plan: PlanOptions::default(),
            sampling: Sampling::default(),
            max_new_tokens: 1024,
            stop_texts: Vec::new(),
            trace: false,
            cancel: CancelFlag::new(),
        }
    }
}

/// What all stages of one request share.
pub(crate) struct RequestContext<'r, 'w> {
    pub(crate) limits: &'r Limits,
    pub(crate) options: &'r Options,
    pub(crate) timings: Timings,
    pub(crate) begun: Instant,
    handler: &'r mut EventHandler<'w>,
}

impl<'r, 'w> RequestContext<'r, 'w> {
    /// The clock starts now.
    pub(crate) fn new(limits: &'r Limits, options: &'r Options, handler: &'r mut EventHandler<'w>) -> Self {
        RequestContext { limits, options, timings: Timings::default(), begun: Instant::now(), handler }
    }

    /// Reports an event; fails when the caller cancels or the wall time is used up.
    pub(crate) fn emit(&mut self, event: &Event) -> Result<(), EngineError> {
        if self.show(event).is_break() {
            return Err(EngineError::Cancelled);
        }
        self.check()
    }

    /// Reports an event whatever the caller says.
    pub(crate) fn show(&mut self, event: &Event) -> ControlFlow<()> {
        (self.handler)(event)
    }

    /// Fails when the request was cancelled from outside or its wall time is used up.
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        if self.options.cancel.is_cancelled() {
            return Err(EngineError::Cancelled);
        }
        let limit = self.limits.wall_time;
        if self.begun.elapsed() > limit {
            let number = self.begun.elapsed().as_secs();
            return Err(EngineError::Limit { what: "seconds of wall time", number, limit: limit.as_secs() });
        }
        Ok(())
    }
}
