//! Learning rate schedules.

use super::super::recipe::{Schedule, ScheduleKind};

/// Linear warm-up, then half a cosine (SGDR without restarts, arXiv 1608.03983), a line, or nothing.
#[derive(Clone, Copy, Debug)]
pub(in crate::train) struct LrSchedule {
    kind: ScheduleKind,
    warmup: usize,
    steps: usize,
    min_ratio: f64,
}

impl LrSchedule {
    /// The schedule over so many steps.
    pub(in crate::train) fn new(schedule: &Schedule, steps: usize) -> Self {
        let share = schedule.warmup_share.map(|share| (share * steps as f64).round() as usize);
        let warmup = schedule.warmup.or(share).unwrap_or(0).min(steps);
        LrSchedule { kind: schedule.kind, warmup, steps, min_ratio: schedule.min_ratio }
    }

    /// The learning rate of a step (from 0) whose peak is `lr`.
    pub(in crate::train) fn lr_at(self, lr: f64, step: usize) -> f64 {
        if step < self.warmup {
            return lr * (step + 1) as f64 / self.warmup as f64;
        }
        let left = self.steps.saturating_sub(self.warmup).max(1) as f64;
        let done = ((step - self.warmup) as f64 / left).min(1.0);
        let share = match self.kind {
            ScheduleKind::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
            ScheduleKind::Linear => 1.0 - done,
            ScheduleKind::Constant => return lr,
        };
        lr * (self.min_ratio + (1.0 - self.min_ratio) * share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_rise_and_fall_as_the_schedule_says() {
        let rates = |kind, warmup, warmup_share| {
            let schedule = LrSchedule::new(&Schedule { kind, warmup, warmup_share, min_ratio: 0.1 }, 10);
            [0, 1, 2, 6, 10].map(|step| (100.0 * schedule.lr_at(2.0, step)).round() / 100.0)
        };
        assert_eq!(rates(ScheduleKind::Linear, Some(2), None), [1.0, 2.0, 2.0, 1.1, 0.2]);
        assert_eq!(rates(ScheduleKind::Linear, None, Some(0.2)), [1.0, 2.0, 2.0, 1.1, 0.2]);
        assert_eq!(rates(ScheduleKind::Cosine, Some(2), None), [1.0, 2.0, 2.0, 1.1, 0.2]);
        assert_eq!(rates(ScheduleKind::Constant, Some(2), None), [1.0, 2.0, 2.0, 2.0, 2.0]);
        assert_eq!(rates(ScheduleKind::Constant, None, None), [2.0; 5]);
    }
}
