//! What is measured in a cluster: how it is read, and which change of it is worth a word.

use std::collections::BTreeMap;

use qonnect_schema::documents::measured::{Measured, Usage};
use qonnect_schema::units::{Bytes, Cpu, Latency};
use serde_json::Value;

use crate::facts::amount;

/// A value that has changed by less than a tenth, or by less than these, is told as it was.
const SHARE: f64 = 0.1;
const CPU_MIN: f64 = 50.0;
const MEMORY_MIN: f64 = (64 << 20) as f64;
const WATTS_MIN: f64 = 5.0;
/// Round trips waver more, and each change of one is planned on: a fifth, and a millisecond.
const TRIP_SHARE: f64 = 0.2;
const TRIP_MIN: f64 = 1_000.0;

/// The most of what one place measures that is listened to: a cluster of 5,000 nodes is the largest that Kubernetes
/// is made for.
const NODES_MAX: usize = 5_000;

/// What is told from now on, given what was told and what was measured now.
pub fn told(before: &Measured, now: Measured) -> Measured {
    let usage = now.usage.into_iter().map(|(node, now)| {
        let was = before.usage.get(&node).copied().unwrap_or_default();
        let steady = Usage {
            cpu: steady(was.cpu, now.cpu, |cpu| cpu.0 as f64, SHARE, CPU_MIN),
            memory: steady(was.memory, now.memory, |memory| memory.0 as f64, SHARE, MEMORY_MIN),
            watts: steady(was.watts, now.watts, |watts| watts, SHARE, WATTS_MIN),
        };
        (node, steady)
    });
    let trips = now.round_trips.into_iter().filter_map(|(cluster, now)| {
        let was = before.round_trips.get(&cluster).copied();
        let told = steady(was, Some(now), |trip: Latency| trip.0 as f64, TRIP_SHARE, TRIP_MIN)?;
        Some((cluster, told))
    });
    Measured { usage: usage.take(NODES_MAX).collect(), round_trips: trips.collect() }
}

/// The value before, unless the one now differs by more than a share of it and by more than the least.
fn steady<T: Copy>(
    was: Option<T>,
    now: Option<T>,
    number: impl Fn(T) -> f64,
    share: f64,
    least: f64,
) -> Option<T> {
    let (Some(before), Some(after)) = (was, now) else { return now };
    let (from, to) = (number(before), number(after));
    if (to - from).abs() > least.max(from * share) { now } else { was }
}

/// An object of `metrics.k8s.io`: the node's name and what it uses.
pub fn usage(object: &Value) -> Option<(String, Usage)> {
    let name = object["metadata"]["name"].as_str()?;
    let usage = &object["usage"];
    let of = |name: &str| Some(&usage[name]).filter(|value| !value.is_null());
    let cpu = of("cpu").map(amount::<Cpu>);
    let memory = of("memory").map(amount::<Bytes>);
    Some((name.into(), Usage { cpu, memory, watts: None }))
}

/// The answer of Prometheus to a query of one series a node, each with one label that names it, with its port or
/// without.
pub fn watts(answer: &Value) -> Result<BTreeMap<String, f64>, String> {
    if answer["status"] != "success" {
        let why = answer["error"].as_str().unwrap_or("it says neither success nor error");
        return Err(format!("it refuses the query: {why}"));
    }
    let data = &answer["data"];
    if data["resultType"] != "vector" {
        return Err(format!("the query gives {} and not a vector", data["resultType"]));
    }
    let mut watts = BTreeMap::new();
    for series in data["result"].as_array().into_iter().flatten().take(NODES_MAX) {
        let labels = series["metric"].as_object().into_iter().flatten();
        let mut names =
            labels.filter(|(label, _)| *label != "__name__").filter_map(|(_, name)| name.as_str());
        let (Some(name), None) = (names.next(), names.next()) else {
            let metric = &series["metric"];
            return Err(format!(
                "a series has the labels {metric}, and one that names its node is expected: sum by (node) (…)"
            ));
        };
        let value = series["value"][1].as_str().and_then(|value| value.parse::<f64>().ok());
        // Prometheus also knows NaN and infinities, which are no power.
        if let Some(value) = value.filter(|value| value.is_finite() && *value >= 0.0) {
            watts.insert(name.split_once(':').map_or(name, |(host, _)| host).into(), value);
        }
    }
    Ok(watts)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn measured(cpu: u64, watts: f64, trip: u64) -> Measured {
        let usage = Usage { cpu: Some(Cpu(cpu)), memory: None, watts: Some(watts) };
        Measured { usage: [("n1".into(), usage)].into(), round_trips: [("fog".into(), Latency(trip))].into() }
    }

    #[test]
    fn small_changes_are_not_told_and_do_not_add_up_in_silence() {
        let first = told(&Measured::default(), measured(1000, 100.0, 20_000));
        assert_eq!(first, measured(1000, 100.0, 20_000));
        let second = told(&first, measured(1090, 109.0, 23_900));
        assert_eq!(second, first);
        assert_eq!(told(&second, measured(1110, 111.0, 24_100)), measured(1110, 111.0, 24_100));
        let idle = measured(10, 1.0, 300);
        assert_eq!(told(&idle, measured(50, 5.0, 1_200)), idle, "a multiple of next to nothing");
    }

    #[test]
    fn what_is_not_measured_any_more_is_not_told_any_more() {
        let before = measured(1000, 100.0, 20_000);
        assert_eq!(told(&before, Measured::default()), Measured::default());
        let mut now = before.clone();
        now.usage.get_mut("n1").unwrap().watts = None;
        assert_eq!(told(&before, now.clone()), now);
    }

    #[test]
    fn metrics_of_nodes_are_read_as_the_api_writes_them() {
        let object = json!({"metadata": {"name": "n1"}, "usage": {"cpu": "156340211n", "memory": "1024Ki"}});
        let wanted = Usage { cpu: Some(Cpu(157)), memory: Some(Bytes(1 << 20)), watts: None };
        assert_eq!(usage(&object), Some(("n1".into(), wanted)));
        assert_eq!(usage(&json!({"metadata": {"name": "n2"}})), Some(("n2".into(), Usage::default())));
    }

    #[test]
    fn power_is_read_by_the_one_label_that_names_a_node() {
        let answer =
            |series: Value| json!({"status": "success", "data": {"resultType": "vector", "result": series}});
        let one = |metric: Value, value: &str| json!({"metric": metric, "value": [1.0, value]});
        let found = watts(&answer(json!([
            one(json!({"instance": "n1:9102"}), "37.5"),
            one(json!({"node_name": "n2", "__name__": "x"}), "12"),
            one(json!({"node_name": "n3"}), "NaN"),
        ])));
        assert_eq!(found, Ok([("n1".into(), 37.5), ("n2".into(), 12.0)].into()));
        for (answer, why) in [
            (json!({"status": "error", "error": "parse error"}), "parse error"),
            (json!({"status": "success", "data": {"resultType": "matrix"}}), "not a vector"),
            (answer(json!([one(json!({}), "1")])), "one that names its node"),
            (answer(json!([one(json!({"a": "x", "b": "y"}), "1")])), "one that names its node"),
            (json!("gateway"), "neither success nor error"),
        ] {
            assert!(watts(&answer).unwrap_err().contains(why), "{answer}");
        }
    }
}
