//! A collector of OpenTelemetry that keeps what it is sent: OTLP over HTTP, protobuf.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
pub use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

#[derive(Debug)]
pub struct Collector {
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<ResourceSpans>>>,
}

impl Collector {
    pub async fn start() -> Self {
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = received.clone();
        let take = async move |body: Bytes| {
            let request = ExportTraceServiceRequest::decode(body).expect("exporters send this");
            kept.lock().expect("no thread panics while it holds this lock").extend(request.resource_spans);
        };
        let router = Router::new().route("/v1/traces", post(take));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
        let address = listener.local_addr().expect("it is bound");
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { address, received }
    }

    /// All that came, and what each sender says of itself.
    pub fn spans(&self) -> Vec<(BTreeMap<String, String>, Span)> {
        let received = self.received.lock().expect("no thread panics while it holds this lock");
        let each = received.iter().flat_map(|sent| {
            let sender =
                sent.resource.as_ref().map(|resource| texts(&resource.attributes)).unwrap_or_default();
            let spans = sent.scope_spans.iter().flat_map(|scope| &scope.spans);
            spans.map(move |span| (sender.clone(), span.clone()))
        });
        each.collect()
    }
}

/// Attributes, each as a text.
pub fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &KeyValue| match value.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes.iter().map(|attribute| (attribute.key.clone(), text(attribute))).collect()
}
