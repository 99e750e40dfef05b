//! Decisions as a collector of OpenTelemetry gets them, over HTTP from a real lead.

use std::net::TcpListener;
use std::process::Command;

use qonnect_tests::collector::{Collector, Span, texts};
use qonnect_tests::leads::Leads;
use qonnect_tests::programs;
use qonnect_tests::world::DEPLOY;

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

fn push_an_application(leads: &Leads) -> String {
    leads.checkout.copy("example-repo");
    leads.checkout.push("An application")
}

#[tokio::test]
async fn a_decision_is_a_trace_from_its_plan_to_its_commit() {
    let collector = Collector::start().await;
    let mut leads = Leads::new("traces", 1);
    leads.environment.insert(ENDPOINT, format!("http://{}", collector.address));
    leads.start_all().await;
    let revision = push_an_application(&leads);
    leads.published(&revision).await;
    // It sends what waits before it ends.
    leads.terminate("lead-1").await;

    let spans = collector.spans();
    let decisions = spans.iter().filter(|(_, span)| span.name == "decision");
    let (sender, decision, said) = decisions
        .map(|(sender, span)| (sender, span, texts(&span.attributes)))
        .find(|(_, _, said)| said["revision"] == revision)
        .unwrap_or_else(|| panic!("{spans:#?}\n{}", leads.log("lead-1")));
    assert_eq!(sender["service.name"], "qonnect-lead");
    assert_eq!(sender["service.instance.id"], "lead-1");
    assert_eq!(said["outcome"], "Published", "{said:?}");
    assert_ne!(said["clusters"], "0", "{said:?}");
    assert!(said["planned_ms"].parse::<f64>().unwrap() > 0.0, "{said:?}");

    let steps = spans.iter().map(|(_, span)| span).filter(|span| span.parent_span_id == decision.span_id);
    let mut steps: Vec<&Span> = steps.collect();
    steps.sort_by_key(|span| span.start_time_unix_nano);
    let names: Vec<_> = steps.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["write", "record", "push", "settle"]);
    let commit = &texts(&steps[2].attributes)["commit"];
    assert!(leads.checkout.history(DEPLOY).iter().any(|entry| entry.commit == *commit), "{commit}");
    for step in steps {
        assert_eq!(step.trace_id, decision.trace_id, "{}", step.name);
        assert!(step.start_time_unix_nano >= decision.start_time_unix_nano, "{}", step.name);
        assert!(step.end_time_unix_nano <= decision.end_time_unix_nano, "{}", step.name);
    }
}

#[tokio::test]
async fn a_collector_that_is_away_holds_nothing_up() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut leads = Leads::new("traces-away", 1);
    leads.environment.insert(ENDPOINT, format!("http://{closed}"));
    leads.start_all().await;
    let revision = push_an_application(&leads);
    leads.published(&revision).await;
    leads.terminate("lead-1").await;
    let log = leads.log("lead-1");
    assert!(log.contains("opentelemetry") && log.contains("the lead ends"), "{log}");
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_by_the_name_of_its_variable() {
    let mut lead = Command::new(programs::qonnect());
    lead.args(["lead", "--data", "/nonexistent/data", "--repository", "/nonexistent/fleet.git"]);
    let output = lead.env(ENDPOINT, "no address").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains(ENDPOINT), "{said}");
}
