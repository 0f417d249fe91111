//! Learning rate schedules.

/// Linear warm-up, then cosine decay (SGDR without restarts, arXiv 1608.03983).
#[derive(Clone, Copy, Debug)]
pub(super) struct CosineSchedule {
    /// The highest learning rate.
    pub(super) lr: f64,
    /// Steps of the warm-up.
    pub(super) warmup: usize,
    /// All steps.
    pub(super) steps: usize,
    /// What is left at the end, as a share of the highest learning rate.
    pub(super) min_ratio: f64,
}

impl CosineSchedule {
    /// The learning rate of a step (from 0).
    pub(super) fn lr_at(self, step: usize) -> f64 {
        if step < self.warmup {
            return self.lr * (step + 1) as f64 / self.warmup as f64;
        }
        let left = self.steps.saturating_sub(self.warmup).max(1) as f64;
        let done = ((step - self.warmup) as f64 / left).min(1.0);
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
        self.lr * (self.min_ratio + (1.0 - self.min_ratio) * cosine)
    }
}
