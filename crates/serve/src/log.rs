//! One line a request.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use zoetrope_engine::TurnReport;

/// What is told of a request when its last user is gone: the route, or the stream of its answer.
#[derive(Clone)]
pub(crate) struct RequestLog(Arc<Line>);

struct Line {
    id: String,
    method: String,
    path: String,
    begun: Instant,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    status: u16,
    words: String,
}

impl RequestLog {
    pub(crate) fn new(id: String, method: &str, path: &str) -> Self {
        let path = crate::error::shorten(&path.escape_debug().to_string(), 100);
        let told = Mutex::default();
        RequestLog(Arc::new(Line { id, method: method.to_string(), path, begun: Instant::now(), told }))
    }

    pub(crate) fn id(&self) -> &str {
        &self.0.id
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.0.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn status(&self, status: u16) {
        self.told().status = status;
    }

    pub(crate) fn failed(&self, why: &str) {
        self.told().words = format!("failed: {}", crate::error::shorten(why, 200));
    }

    pub(crate) fn answered(&self, report: &TurnReport) {
        let frames: usize = report.media.iter().map(|media| media.frames.len()).sum();
        let tokens = &report.tokens;
        let visual = tokens.image + tokens.video;
        self.told().words = format!(
            "{frames} frames, {} tokens ({visual} visual, {} cached), {} written",
            tokens.prompt, tokens.reused, tokens.generated
        );
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let Told { status, words } = std::mem::take(self.told.get_mut().unwrap_or_else(PoisonError::into_inner));
        let seconds = (self.begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        let (id, method, path) = (&self.id, &self.method, &self.path);
        // The message is for people; the fields are for `--log json`.
        tracing::info!(id, method, path, status, seconds, "{words}");
    }
}
