//! A workload in one line.

use qonnect_schema::manifest::Manifest;
use serde_json::json;

const FORM: &str = "`COUNT x CPU MEMORY [NAME=AMOUNT]...`";

/// `COUNT x CPU MEMORY [NAME=AMOUNT]...`; `each x CPU MEMORY` for a DaemonSet.
pub fn deployment(name: &str, pods: &str) -> Manifest {
    let (count, requests) = pods.split_once(" x ").expect(FORM);
    let mut words = requests.split(' ');
    let (cpu, memory) = (words.next().expect(FORM), words.next().expect(FORM));
    let mut requests = json!({ "cpu": cpu, "memory": memory });
    for word in words {
        let (name, amount) = word.split_once('=').expect(FORM);
        requests[name] = amount.into();
    }
    let (kind, replicas) = match count {
        "each" => ("DaemonSet", None),
        count => ("Deployment", Some(count.parse::<u32>().expect(FORM))),
    };
    let container = json!({ "name": "main", "resources": { "requests": requests } });
    let mut object = json!({
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": { "name": name },
        "spec": { "template": { "spec": { "containers": [container] } } },
    });
    if let Some(replicas) = replicas {
        object["spec"]["replicas"] = json!(replicas);
    }
    Manifest { path: format!("{name}.yaml"), document: 0, object }
}
