//! `/metrics`, as a collector reads it.

use qonnect_tests::metrics;

use super::{Lead, report};

#[tokio::test]
async fn metrics_say_how_the_fleet_is() {
    let lead = Lead::start().await;
    lead.register("fog", 1).await.unwrap();
    lead.report("fog", &report(1)).await.unwrap();

    let answer = reqwest::get(format!("{}/metrics", lead.server.url())).await.unwrap();
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    let text = answer.text().await.unwrap();

    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    metrics::check(
        &text,
        &[
            "qonnect_clusters{status=\"ready\"} 1",
            "qonnect_brake_engaged 0",
            "qonnect_moves_in_flight 0",
            "qonnect_events_total{reason=\"ClusterRegistered\"} 1",
        ],
    );
}
