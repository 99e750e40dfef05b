//! `/metrics`, as a collector reads it.

use std::collections::BTreeSet;

use super::{Lead, report};

#[tokio::test]
async fn metrics_say_how_the_fleet_is_and_each_has_a_type_and_a_help() {
    let lead = Lead::start().await;
    lead.register("fog", 1).await.unwrap();
    lead.report("fog", &report(1)).await.unwrap();

    let answer = reqwest::get(format!("{}/metrics", lead.server.url())).await.unwrap();
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    let text = answer.text().await.unwrap();

    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    assert!(text.ends_with("# EOF\n"), "{text}");
    for line in [
        "qonnect_clusters{status=\"ready\"} 1",
        "qonnect_brake_engaged 0",
        "qonnect_moves_in_flight 0",
        "qonnect_events_total{reason=\"ClusterRegistered\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "no `{line}` in\n{text}");
    }
    let described = |word: &str| -> BTreeSet<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(word));
        lines.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
    };
    let (helps, types) = (described("# HELP "), described("# TYPE "));
    for sample in text.lines().filter(|line| !line.starts_with('#')) {
        let name = sample.split(['{', ' ']).next().unwrap();
        let family = name.strip_suffix("_total").unwrap_or(name);
        assert!(name.starts_with("qonnect_"), "{name}");
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
        assert!(helps.contains(family) && types.contains(family), "{name} is not described");
    }
}
