//! Any-resolution sizes: how large a picture or frame becomes before it is cut into patches.
//!
//! A "token" here is one after merging; `factor` is patch side times merge side.

/// One picture or video whose size is sought.
#[derive(Clone, Copy, Debug)]
pub(super) struct SizeRequest {
    /// Source height in pixels.
    pub height: usize,
    /// Source width in pixels.
    pub width: usize,
    /// Frames that will be shown (1 for a picture).
    pub frames: usize,
    /// Patch side times merge side.
    pub factor: usize,
    /// Whether it is a video.
    pub video: bool,
}

impl SizeRequest {
    fn rounded(&self) -> (usize, usize) {
        let f = self.factor as f64;
        let near = |side: usize| (side as f64 / f).round_ties_even() as usize * self.factor;
        (near(self.height), near(self.width))
    }

    fn shrunk(&self, beta: f64) -> (usize, usize) {
        let f = self.factor as f64;
        let down = |side: usize| (side as f64 / beta / f).floor() as usize * self.factor;
        (down(self.height), down(self.width))
    }

    fn grown(&self, beta: f64) -> (usize, usize) {
        let f = self.factor as f64;
        let up = |side: usize| (side as f64 * beta / f).ceil() as usize * self.factor;
        (up(self.height), up(self.width))
    }

    fn area(&self) -> f64 {
        (self.height * self.width) as f64
    }
}

/// The authors' rule: one budget of tokens shared evenly by all frames of the request. (height, width) of each item.
pub(super) fn resize_to_budget(items: &[SizeRequest], min_tokens: usize, max_tokens: usize) -> Vec<(usize, usize)> {
    let frames: usize = items.iter().map(|item| item.frames).sum();
    let Some(first) = items.first() else { return Vec::new() };
    if items.iter().all(|item| item.factor == first.factor) {
        items.iter().map(|item| resize_one_to_budget(item, min_tokens, max_tokens, frames.max(1))).collect()
    } else {
        resize_mixed_to_budget(items, max_tokens)
    }
}

fn resize_one_to_budget(item: &SizeRequest, min_tokens: usize, max_tokens: usize, frames: usize) -> (usize, usize) {
    let square = item.factor * item.factor;
    let (min, max) = (min_tokens * square, max_tokens.saturating_mul(square) / frames);
    let (mut h, mut w) = item.rounded();
    if h * w > max {
        (h, w) = item.shrunk((item.area() / max as f64).sqrt());
    }
    if h * w < min {
        (h, w) = item.grown((min as f64 / item.area()).sqrt());
    }
    // Without a minimum (min_tokens 0) a thin picture could lose a side.
    (h.max(item.factor), w.max(item.factor))
}

/// Pictures and videos with different merge sides in one request: one common scale, no minimum in the reference;
/// a side never becomes zero here.
fn resize_mixed_to_budget(items: &[SizeRequest], max_tokens: usize) -> Vec<(usize, usize)> {
    let tokens =
        |item: &SizeRequest| item.frames * item.height.div_ceil(item.factor) * item.width.div_ceil(item.factor);
    let total: usize = items.iter().map(tokens).sum();
    let beta = (total as f64 / max_tokens as f64).sqrt();
    let size = |item: &SizeRequest| {
        let (h, w) = if total > max_tokens { item.shrunk(beta) } else { item.rounded() };
        (h.max(item.factor), w.max(item.factor))
    };
    items.iter().map(size).collect()
}

/// transformers' `smart_resize`: every item alone; a video's most pixels are divided by its frames.
pub(super) fn smart_resize(item: &SizeRequest, min: usize, max: usize) -> (usize, usize) {
    let max = if item.video { max / item.frames.max(1) } else { max };
    let (mut h, mut w) = item.rounded();
    if h * w > max {
        let shrunk = item.shrunk((item.area() / max as f64).sqrt());
        (h, w) = (shrunk.0.max(item.factor), shrunk.1.max(item.factor));
    } else if h * w < min {
        (h, w) = item.grown((min as f64 / item.area()).sqrt());
    }
    (h.max(item.factor), w.max(item.factor))
}
