//! Numbers for Prometheus. No label comes from a client.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use zoetrope_engine::{ServiceState, TurnReport};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Route {
    route: &'static str,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Modality {
    modality: &'static str,
}

/// All numbers.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Route, Counter>,
    running: Gauge,
    waiting: Gauge,
    sequences: Gauge,
    prompt_tokens: Family<Modality, Counter>,
    cached_tokens: Counter,
    generated_tokens: Counter,
    frames: Counter,
    cache_bytes: Gauge,
    cache_used: Gauge,
    media_bytes: Gauge,
    spool_bytes: Gauge,
    first_token: Histogram,
    answer: Histogram,
}

/// Seconds: from a tenth of a second to some minutes.
fn seconds() -> Histogram {
    Histogram::new([0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0])
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("zoetrope");
        let metrics = Metrics {
            requests: Family::default(),
            running: Gauge::default(),
            waiting: Gauge::default(),
            sequences: Gauge::default(),
            prompt_tokens: Family::default(),
            cached_tokens: Counter::default(),
            generated_tokens: Counter::default(),
            frames: Counter::default(),
            cache_bytes: Gauge::default(),
            cache_used: Gauge::default(),
            media_bytes: Gauge::default(),
            spool_bytes: Gauge::default(),
            first_token: seconds(),
            answer: seconds(),
            registry: Registry::default(),
        };
        registry.register("requests", "Answered requests by route and status", metrics.requests.clone());
        registry.register("requests_running", "Requests that are not finished", metrics.running.clone());
        registry.register("requests_waiting", "Of these, requests that wait for memory", metrics.waiting.clone());
        registry.register("sequences_running", "Replies that are computed", metrics.sequences.clone());
        registry.register("prompt_tokens", "Tokens of prompts by modality", metrics.prompt_tokens.clone());
        registry.register("cached_tokens", "Tokens of prompts that were not read again", metrics.cached_tokens.clone());
        registry.register("generated_tokens", "Tokens of replies", metrics.generated_tokens.clone());
        registry.register("frames", "Frames that were shown to a model", metrics.frames.clone());
        registry.register_with_unit("kv_cache", "KV cache", Unit::Bytes, metrics.cache_bytes.clone());
        registry.register_with_unit("kv_cache_used", "KV cache in use", Unit::Bytes, metrics.cache_used.clone());
        registry.register_with_unit("media_cache", "Encoded media", Unit::Bytes, metrics.media_bytes.clone());
        registry.register_with_unit("spool", "Uploaded and fetched media", Unit::Bytes, metrics.spool_bytes.clone());
        registry.register_with_unit(
            "first_token",
            "Time to the first token",
            Unit::Seconds,
            metrics.first_token.clone(),
        );
        registry.register_with_unit("answer", "Time of a whole answer", Unit::Seconds, metrics.answer.clone());
        Metrics { registry, ..metrics }
    }

    /// A request was answered.
    pub(crate) fn answered(&self, route: &'static str, status: u16) {
        self.requests.get_or_create(&Route { route, status }).inc();
    }

    /// The first token of an answer came.
    pub(crate) fn first_token(&self, after: Duration) {
        self.first_token.observe(after.as_secs_f64());
    }

    /// An answer is complete.
    pub(crate) fn finished(&self, report: &TurnReport) {
        let tokens = &report.tokens;
        for (modality, count) in [("text", tokens.text), ("image", tokens.image), ("video", tokens.video)] {
            self.prompt_tokens.get_or_create(&Modality { modality }).inc_by(count as u64);
        }
        self.cached_tokens.inc_by(tokens.reused as u64);
        self.generated_tokens.inc_by(tokens.generated as u64);
        self.frames.inc_by(report.media.iter().map(|media| media.frames.len() as u64).sum());
        self.answer.observe(report.timings.total);
    }

    /// The page, with how busy all services are now.
    pub(crate) fn page(&self, states: &[ServiceState], spool: u64) -> Result<String, std::fmt::Error> {
        let sum = |of: fn(&ServiceState) -> usize| states.iter().map(of).sum::<usize>() as i64;
        self.running.set(sum(|state| state.requests));
        self.waiting.set(sum(|state| state.waiting));
        self.sequences.set(sum(|state| state.running));
        self.cache_bytes.set(sum(|state| state.cache_bytes));
        self.cache_used.set(sum(|state| state.cache_used));
        self.media_bytes.set(sum(|state| state.media_bytes));
        self.spool_bytes.set(spool as i64);
        let mut page = String::new();
        encode(&mut page, &self.registry)?;
        Ok(page)
    }
}
