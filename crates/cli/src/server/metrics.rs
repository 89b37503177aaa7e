//! Metrics of a server, for Prometheus.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use semblance_api::{Admission, Report};
use semblance_process::DroppedLines;

use super::connections::Connections;

/// Upper bounds of the histogram buckets, in seconds. A cached request takes about one millisecond, a
/// request with 1,000 texts about ten seconds.
const BUCKETS_SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// The media type of OpenMetrics, which Prometheus reads.
///
/// Source: <https://prometheus.io/docs/specs/om/open_metrics_spec/#overall-structure>.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Metrics of a server.
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    seconds: Family<Route, Histogram>,
    infer_seconds: Histogram,
    queue_seconds: Histogram,
    texts: Counter,
    cache_hits: Counter,
    truncated: Counter,
    tokens: Counter,
    padded_tokens: Counter,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Request {
    route: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Route {
    route: String,
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS_SECONDS)
}

impl Metrics {
    pub(super) fn new(current: Current) -> Self {
        let mut registry = Registry::with_prefix("semblance");
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let texts = counter("texts", "Texts of successful requests");
        let cache_hits = counter("cache_hits", "Texts whose embeddings were in the cache");
        let truncated = counter("truncated_texts", "Texts truncated to the limit of a model");
        let tokens = counter("tokens", "Tokens that went through a model");
        let padded_tokens = counter("padded_tokens", "Tokens of the passes; equal to tokens_total");
        let requests = Family::default();
        registry.register("requests", "Requests by route and status", requests.clone());
        let seconds = Family::new_with_constructor(histogram as fn() -> Histogram);
        let help = "Time from the headers of a request to those of its response";
        registry.register_with_unit("request", help, Unit::Seconds, seconds.clone());
        let (infer_seconds, queue_seconds) = (histogram(), histogram());
        let help = "Time of a request in the models";
        registry.register_with_unit("infer", help, Unit::Seconds, infer_seconds.clone());
        let help = "Time of a request waiting for a model";
        registry.register_with_unit("queue", help, Unit::Seconds, queue_seconds.clone());
        registry.register_collector(Box::new(current));
        Self {
            registry,
            requests,
            seconds,
            infer_seconds,
            queue_seconds,
            texts,
            cache_hits,
            truncated,
            tokens,
            padded_tokens,
        }
    }

    /// Counts a request.
    pub(super) fn count(&self, route: &str, status: u16, elapsed: Duration, report: &Report) {
        let (route, cost) = (route.to_owned(), &report.cost);
        self.requests.get_or_create(&Request { route: route.clone(), status }).inc();
        self.seconds.get_or_create(&Route { route }).observe(elapsed.as_secs_f64());
        if cost.texts > 0 {
            self.infer_seconds.observe(cost.infer_time.as_secs_f64());
            self.queue_seconds.observe(cost.queue_time.as_secs_f64());
            self.texts.inc_by(cost.texts as u64);
            self.cache_hits.inc_by(cost.cache_hits as u64);
            self.truncated.inc_by(cost.truncated.len() as u64);
            self.tokens.inc_by(cost.tokens as u64);
            self.padded_tokens.inc_by(cost.padded_tokens as u64);
        }
    }

    /// Returns the response of `/metrics`.
    pub(super) fn response(&self) -> Response {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
            Err(fmt::Error) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

/// Values that are collected on each request to `/metrics`.
pub(super) struct Current {
    pub(super) admission: Admission,
    pub(super) connections: Arc<Connections>,
    pub(super) dropped_lines: DroppedLines,
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current").field("admitted", &self.admission.admitted()).finish()
    }
}

impl Collector for Current {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (admission, connections) = (&self.admission, &self.connections);
        let gauges = [
            ("in_flight", "Requests in progress", admission.admitted()),
            ("buffered_bytes", "Bytes of bodies and responses", admission.buffered_bytes()),
            ("connections", "Open connections", connections.open()),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let displaced = "Connections without a request that were closed in favor of another";
        let dropped = "Log lines that were dropped because the output was blocked or failed";
        let counters = [
            ("displaced_connections", displaced, connections.displaced()),
            ("dropped_log_lines", dropped, self.dropped_lines.get()),
        ];
        for (name, help, value) in counters {
            let counter = ConstCounter::new(value);
            let kind = counter.metric_type();
            counter.encode(encoder.encode_descriptor(name, help, None, kind)?)?;
        }
        Ok(())
    }
}
