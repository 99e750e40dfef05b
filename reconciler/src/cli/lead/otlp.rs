//! Decisions as traces for a collector of OpenTelemetry, by the variables that every exporter reads: OTLP over HTTP,
//! protobuf.

use std::env;

use anyhow::Context as _;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::{Layer, Registry};

const SERVICE: &str = "qonnect-lead";

/// Spans wait in a queue with a limit, and are sent by a thread of its own: a collector that is away holds nothing up.
pub(super) struct Traces(SdkTracerProvider);

impl Traces {
    /// To the collector that a variable names.
    ///
    /// # Errors
    /// For an address that is none.
    pub(super) fn open(variable: &str, lead: &str) -> anyhow::Result<Option<Self>> {
        let exporter = SpanExporter::builder().with_http().build().with_context(|| {
            format!("{variable} names no collector of OpenTelemetry, such as http://HOST:4318")
        })?;
        let service = env::var("OTEL_SERVICE_NAME").unwrap_or_else(|_| SERVICE.into());
        let resource = Resource::builder()
            .with_service_name(service)
            .with_attribute(KeyValue::new("service.instance.id", lead.to_owned()))
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider =
            SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build();
        Ok(Some(Self(provider)))
    }

    pub(super) fn layer(&self) -> impl Layer<Registry> + use<> {
        tracing_opentelemetry::layer().with_tracer(self.0.tracer(SERVICE)).with_threads(false)
    }

    /// Sends what waits, for five seconds at most.
    pub(super) fn close(self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!(%error, "the last traces have not reached their collector");
        }
    }
}
