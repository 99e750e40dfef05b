//! What the API server refuses to store.

use serde_json::Value;

use crate::sim::kinds::Kind;
use crate::sim::selector::label_selector_takes;
use crate::sim::status::{Cause, Status};

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
    and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
    start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SERVICE_NAME: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
    alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
    validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or \
    '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used \
    for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
/// All annotations of an object together, in bytes.
const ANNOTATIONS_MAX: usize = 256 * 1024;

pub(super) fn check(kind: &Kind, live: Option<&Value>, new: &Value) -> Result<(), Status> {
    let mut causes = Vec::new();
    metadata(kind, new, &mut causes);
    contents(kind, new, &mut causes);
    if let Some(live) = live {
        changes(kind, live, new, &mut causes);
    }
    let name = new["metadata"]["name"].as_str().unwrap_or_default();
    if causes.is_empty() { Ok(()) } else { Err(Status::invalid(kind, name, causes)) }
}

fn metadata(kind: &Kind, object: &Value, causes: &mut Vec<Cause>) {
    let metadata = &object["metadata"];
    match metadata["name"].as_str() {
        None | Some("") => causes.push(Cause::required("metadata.name", "name or generateName is required")),
        Some(name) => {
            if let Some(why) = name_fault(kind, name) {
                causes.push(Cause::invalid("metadata.name", &metadata["name"], why));
            }
        }
    }
    let annotations = metadata["annotations"].as_object().into_iter().flatten();
    let bytes: usize = annotations.map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum();
    if bytes > ANNOTATIONS_MAX {
        let message = format!("Too long: must have at most {ANNOTATIONS_MAX} bytes");
        causes.push(Cause { reason: "FieldValueTooLong", message, field: "metadata.annotations".into() });
    }
    for (key, value) in metadata["labels"].as_object().into_iter().flatten() {
        if !is_label_value(value.as_str().unwrap_or_default()) {
            causes.push(Cause::invalid("metadata.labels", value, LABEL_VALUE));
        }
        if key.is_empty() || key.len() > 317 {
            causes.push(Cause::invalid(
                "metadata.labels",
                &key.as_str().into(),
                "name part must be non-empty",
            ));
        }
    }
}

fn name_fault(kind: &Kind, name: &str) -> Option<&'static str> {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let label = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|c| inner(c) || c == b'-')
            && part.bytes().next().is_some_and(inner)
            && part.bytes().last().is_some_and(inner)
    };
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("rbac.authorization.k8s.io", _) => {
            (name == "." || name == ".." || name.contains(['/', '%'])).then_some("may not contain '/'")
        }
        ("", "Namespace") => (name.len() > 63 || !label(name)).then_some(LABEL),
        ("", "Service") => {
            let starts = name.bytes().next().is_some_and(|c| c.is_ascii_lowercase());
            (name.len() > 63 || !label(name) || !starts).then_some(SERVICE_NAME)
        }
        _ => (name.len() > 253 || !name.split('.').all(label)).then_some(SUBDOMAIN),
    }
}

fn is_label_value(text: &str) -> bool {
    let edge = |c: u8| c.is_ascii_alphanumeric();
    text.len() <= 63
        && text.bytes().all(|c| edge(c) || b"-_.".contains(&c))
        && text.bytes().next().is_none_or(edge)
        && text.bytes().last().is_none_or(edge)
}

fn contents(kind: &Kind, object: &Value, causes: &mut Vec<Cause>) {
    let spec = &object["spec"];
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("apps", "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet") => {
            workload(spec, causes);
            template(spec, &["Always"], causes);
        }
        ("batch", "Job") => template(spec, &["OnFailure", "Never"], causes),
        ("", "Pod") => pod_spec("spec", spec, causes),
        ("", "Service") => service(spec, causes),
        ("apiextensions.k8s.io", _) => definition(object, causes),
        _ => {}
    }
}

fn workload(spec: &Value, causes: &mut Vec<Cause>) {
    if let Some(replicas) = spec.get("replicas").filter(|replicas| replicas.as_i64().is_some_and(|n| n < 0)) {
        causes.push(Cause::invalid("spec.replicas", replicas, "must be greater than or equal to 0"));
    }
    let selector = &spec["selector"];
    if !selector.is_object() {
        causes.push(Cause::required("spec.selector", ""));
        causes.push(Cause::invalid(
            "spec.template.metadata.labels",
            &spec["template"]["metadata"]["labels"],
            "`selector` does not match template `labels`",
        ));
        return;
    }
    if selector.as_object().is_some_and(|selector| selector.is_empty()) {
        causes.push(Cause::invalid("spec.selector", selector, "empty selector is invalid for deployment"));
    }
    let labels = &spec["template"]["metadata"]["labels"];
    if !label_selector_takes(selector, labels) {
        let why = "`selector` does not match template `labels`";
        causes.push(Cause::invalid("spec.template.metadata.labels", labels, why));
    }
}

fn template(spec: &Value, policies: &[&str], causes: &mut Vec<Cause>) {
    let pod = &spec["template"]["spec"];
    pod_spec("spec.template.spec", pod, causes);
    if !policies.iter().any(|policy| pod["restartPolicy"] == *policy) {
        let wanted: Vec<_> = policies.iter().map(|policy| format!("\"{policy}\"")).collect();
        causes.push(Cause {
            reason: "FieldValueNotSupported",
            message: format!(
                "Unsupported value: {}: supported values: {}",
                pod["restartPolicy"],
                wanted.join(", ")
            ),
            field: "spec.template.spec.restartPolicy".into(),
        });
    }
}

fn pod_spec(path: &str, spec: &Value, causes: &mut Vec<Cause>) {
    let containers = spec["containers"].as_array().map_or(&[][..], Vec::as_slice);
    if containers.is_empty() {
        causes.push(Cause::required(format!("{path}.containers"), ""));
    }
    let mut names = Vec::new();
    for (at, container) in containers.iter().enumerate() {
        let field = format!("{path}.containers[{at}]");
        match container["name"].as_str() {
            None | Some("") => causes.push(Cause::required(format!("{field}.name"), "")),
            Some(name) if names.contains(&name) => causes.push(Cause {
                reason: "FieldValueDuplicate",
                message: format!("Duplicate value: \"{name}\""),
                field: format!("{field}.name"),
            }),
            Some(name) => names.push(name),
        }
        if container["image"].as_str().is_none_or(str::is_empty) {
            causes.push(Cause::required(format!("{field}.image"), ""));
        }
    }
}

fn service(spec: &Value, causes: &mut Vec<Cause>) {
    let ports = spec["ports"].as_array().map_or(&[][..], Vec::as_slice);
    if ports.is_empty() && spec["type"] != "ExternalName" && spec["clusterIP"] != "None" {
        causes.push(Cause::required("spec.ports", ""));
    }
    for (at, port) in ports.iter().enumerate() {
        if port["port"].as_u64().is_none_or(|port| port == 0 || port > 65_535) {
            let why = "must be between 1 and 65535, inclusive";
            causes.push(Cause::invalid(format!("spec.ports[{at}].port"), &port["port"], why));
        }
        if ports.len() > 1 && port.get("name").is_none() {
            causes.push(Cause::required(format!("spec.ports[{at}].name"), ""));
        }
    }
}

fn definition(object: &Value, causes: &mut Vec<Cause>) {
    let spec = &object["spec"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let wanted = format!("{}.{}", text(&spec["names"]["plural"]), text(&spec["group"]));
    if object["metadata"]["name"] != wanted.as_str() {
        let why = "must be spec.names.plural+\".\"+spec.group";
        causes.push(Cause::invalid("metadata.name", &object["metadata"]["name"], why));
    }
    let versions = spec["versions"].as_array().map_or(&[][..], Vec::as_slice);
    if versions.iter().filter(|version| version["storage"] == true).count() != 1 {
        let why = "must have exactly one version marked as storage version";
        causes.push(Cause::invalid("spec.versions", &spec["versions"], why));
    }
    for (at, version) in versions.iter().enumerate() {
        if !version["schema"]["openAPIV3Schema"].is_object() {
            let field = format!("spec.versions[{at}].schema.openAPIV3Schema");
            causes.push(Cause::required(field, "schemas are required"));
        }
    }
}

fn changes(kind: &Kind, live: &Value, new: &Value, causes: &mut Vec<Cause>) {
    let mut fixed = |field: &str| {
        let pointer = format!("/{}", field.replace('.', "/"));
        let (before, after) = (live.pointer(&pointer), new.pointer(&pointer));
        if before != after {
            causes.push(Cause::invalid(field, after.unwrap_or(&Value::Null), "field is immutable"));
        }
    };
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("apps", "Deployment" | "ReplicaSet" | "DaemonSet") => fixed("spec.selector"),
        ("batch", "Job") => {
            fixed("spec.selector");
            fixed("spec.template");
            fixed("spec.completions");
        }
        ("apps", "StatefulSet") => stateful_set(&live["spec"], &new["spec"], causes),
        ("", "ConfigMap" | "Secret") => immutable_contents(live, new, causes),
        ("", "Service") => service_address(&live["spec"], &new["spec"], causes),
        ("", "Pod") => pod(&live["spec"], &new["spec"], causes),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding")
            if live["roleRef"] != new["roleRef"] =>
        {
            causes.push(Cause::invalid("roleRef", &new["roleRef"], "cannot change roleRef"));
        }
        ("apiextensions.k8s.io", _) => {
            fixed("spec.group");
            fixed("spec.names.plural");
            fixed("spec.scope");
        }
        _ => {}
    }
}

fn without<'a>(spec: &'a Value, fields: &'a [&str]) -> impl Iterator<Item = (&'a String, &'a Value)> {
    spec.as_object().into_iter().flatten().filter(move |(name, _)| !fields.contains(&name.as_str()))
}

fn stateful_set(live: &Value, new: &Value, causes: &mut Vec<Cause>) {
    const MUTABLE: [&str; 8] = [
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
        "revisionHistoryLimit",
        "podManagementPolicy",
    ];
    if !without(live, &MUTABLE[..7]).eq(without(new, &MUTABLE[..7])) {
        causes.push(Cause::forbidden(
            "spec",
            "updates to statefulset spec for fields other than 'replicas', \
            'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', \
            'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        ));
    }
}

fn immutable_contents(live: &Value, new: &Value, causes: &mut Vec<Cause>) {
    if live["immutable"] != true {
        return;
    }
    for field in ["data", "binaryData", "stringData", "immutable"] {
        if live.get(field) != new.get(field) {
            causes.push(Cause::forbidden(field, "field is immutable when `immutable` is set"));
        }
    }
}

fn service_address(live: &Value, new: &Value, causes: &mut Vec<Cause>) {
    let held = live["clusterIP"].as_str().filter(|address| !address.is_empty());
    if held.is_some() && new["type"] != "ExternalName" && live["clusterIP"] != new["clusterIP"] {
        causes.push(Cause::invalid("spec.clusterIPs[0]", &new["clusterIP"], "may not change once set"));
    }
}

fn pod(live: &Value, new: &Value, causes: &mut Vec<Cause>) {
    const MUTABLE: [&str; 6] = [
        "activeDeadlineSeconds",
        "tolerations",
        "terminationGracePeriodSeconds",
        "schedulingGates",
        "nodeName",
        "ephemeralContainers",
    ];
    let images = |spec: &Value| {
        let mut spec = spec.clone();
        for list in ["containers", "initContainers"] {
            for container in spec[list].as_array_mut().into_iter().flatten() {
                container["image"] = Value::Null;
            }
            if spec[list].is_null() {
                spec.as_object_mut().map(|spec| spec.remove(list));
            }
        }
        spec
    };
    let (live, new) = (images(live), images(new));
    if !without(&live, &MUTABLE).eq(without(&new, &MUTABLE)) {
        causes.push(Cause::forbidden("spec", "pod updates may not change fields other than \
            `spec.containers[*].image`, `spec.initContainers[*].image`, `spec.activeDeadlineSeconds`, \
            `spec.tolerations` (only additions to existing tolerations), `spec.terminationGracePeriodSeconds` (allow \
            it to be set to 1 if it was previously negative)"));
    }
}
