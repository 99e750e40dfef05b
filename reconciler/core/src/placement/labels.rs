//! Label selectors and tolerations, with the meaning that Kubernetes gives them.

use std::borrow::Cow;

use qonnect_schema::Cluster;
use qonnect_schema::documents::application::{
    ClusterSelector, LabelOperator, LabelRequirement, Toleration, TolerationOperator,
};
use qonnect_schema::documents::cluster::Taint;

/// Labels that every cluster has, whatever its document says.
const TIER: &str = "qonnect.io/tier";
const REGION: &str = "qonnect.io/region";
pub(super) const CLUSTER: &str = "qonnect.io/cluster";

pub(super) fn label<'a>(cluster: &'a Cluster, key: &str) -> Option<&'a str> {
    match key {
        TIER => Some(&cluster.spec.tier),
        REGION => cluster.spec.region.as_deref(),
        CLUSTER => Some(cluster.name()),
        _ => cluster.metadata.labels.get(key).map(String::as_str),
    }
}

/// What the document of a cluster says in one of the fields that can be selected by.
fn field<'a>(cluster: &'a Cluster, name: &str) -> Option<&'a str> {
    match name {
        "metadata.name" => Some(cluster.name()),
        "spec.tier" => Some(&cluster.spec.tier),
        "spec.region" => cluster.spec.region.as_deref(),
        _ => None,
    }
}

/// Where a cluster is, by a short word or by any label.
pub(super) fn place<'a>(cluster: &'a Cluster, by: &str) -> Option<&'a str> {
    match by {
        "tier" => label(cluster, TIER),
        "region" => label(cluster, REGION),
        "cluster" => label(cluster, CLUSTER),
        key => label(cluster, key),
    }
}

/// The first requirement of a selector that a cluster does not meet, with what it has instead.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unmet<'a> {
    pub(super) requirement: Requirement<'a>,
    pub(super) found: Option<&'a str>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Requirement<'a> {
    Label { key: &'a str, value: &'a str },
    Expression(&'a LabelRequirement),
    Field(&'a LabelRequirement),
}

pub(super) fn unmet<'a>(selector: &'a ClusterSelector, cluster: &'a Cluster) -> Option<Unmet<'a>> {
    for (key, value) in &selector.match_labels {
        let found = label(cluster, key);
        if found != Some(value) {
            return Some(Unmet { requirement: Requirement::Label { key, value }, found });
        }
    }
    let labels = selector.match_expressions.iter().map(|one| (one, label(cluster, &one.key), true));
    let fields = selector.match_fields.iter().map(|one| (one, field(cluster, &one.key), false));
    for (requirement, found, is_label) in labels.chain(fields) {
        let listed = || found.is_some_and(|found| requirement.values.iter().any(|value| value == found));
        let met = match requirement.operator {
            LabelOperator::In => listed(),
            LabelOperator::NotIn => !listed(),
            LabelOperator::Exists => found.is_some(),
            LabelOperator::DoesNotExist => found.is_none(),
        };
        if !met {
            let requirement = match is_label {
                true => Requirement::Expression(requirement),
                false => Requirement::Field(requirement),
            };
            return Some(Unmet { requirement, found });
        }
    }
    None
}

impl Unmet<'_> {
    pub(super) fn message(&self) -> String {
        let (key, wanted): (_, Cow<'_, str>) = match self.requirement {
            Requirement::Label { key, value } => (key, value.into()),
            Requirement::Expression(LabelRequirement { key, operator, values })
            | Requirement::Field(LabelRequirement { key, operator, values }) => {
                let wanted = match operator {
                    LabelOperator::In => format!("one of {}", values.join(", ")),
                    LabelOperator::NotIn => format!("none of {}", values.join(", ")),
                    LabelOperator::Exists => "any value".into(),
                    LabelOperator::DoesNotExist => "no value".into(),
                };
                (key.as_str(), wanted.into())
            }
        };
        let kind = if matches!(self.requirement, Requirement::Field(_)) { "field" } else { "label" };
        match self.found {
            Some(found) => format!("wants {wanted} in {kind} {key}, found {found}"),
            None => format!("wants {wanted} in {kind} {key}, which is absent"),
        }
    }
}

pub(super) fn tolerates(tolerations: &[Toleration], taint: &Taint) -> bool {
    tolerations.iter().any(|toleration| {
        let effect = toleration.effect.is_none_or(|effect| effect == taint.effect);
        let key = toleration.key.as_deref().filter(|key| !key.is_empty());
        let value =
            || toleration.value.as_deref().unwrap_or_default() == taint.value.as_deref().unwrap_or_default();
        effect
            && match (key, toleration.operator) {
                (None, TolerationOperator::Exists) => true,
                // Kubernetes lets only `Exists` do without a key.
                (None, TolerationOperator::Equal) => false,
                (Some(key), TolerationOperator::Exists) => key == taint.key,
                (Some(key), TolerationOperator::Equal) => key == taint.key && value(),
            }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use qonnect_schema::ClusterSpec;
    use qonnect_schema::documents::cluster::TaintEffect;

    #[test]
    fn a_toleration_matches_as_in_kubernetes() {
        let taint = Taint { key: "gpu".into(), value: Some("a100".into()), effect: TaintEffect::NoSchedule };
        let case = |key: Option<&str>, operator, value: Option<&str>, effect| {
            let toleration =
                Toleration { key: key.map(Into::into), operator, value: value.map(Into::into), effect };
            tolerates(&[toleration], &taint)
        };
        use TolerationOperator::{Equal, Exists};
        assert!(case(None, Exists, None, None));
        assert!(case(Some("gpu"), Exists, None, None));
        assert!(case(Some("gpu"), Equal, Some("a100"), None));
        assert!(case(Some("gpu"), Equal, Some("a100"), Some(TaintEffect::NoSchedule)));
        assert!(!case(Some("gpu"), Equal, Some("a100"), Some(TaintEffect::NoExecute)));
        assert!(!case(Some("gpu"), Equal, None, None));
        assert!(!case(Some("cpu"), Exists, None, None));
        assert!(!case(None, Equal, Some("a100"), None));
        assert!(!tolerates(&[], &taint));
    }

    #[test]
    fn a_selector_names_what_it_misses() {
        let mut cluster = Cluster::new("fog-1", ClusterSpec { tier: "fog".into(), ..Default::default() });
        cluster.metadata.labels.insert("disk".into(), "ssd".into());
        let case = |key: &str, operator, values: &[&str]| {
            let values = values.iter().map(ToString::to_string).collect();
            let requirement = LabelRequirement { key: key.into(), operator, values };
            let selector = ClusterSelector { match_expressions: vec![requirement], ..Default::default() };
            unmet(&selector, &cluster).map(|unmet| unmet.message())
        };
        use LabelOperator::{DoesNotExist, Exists, In, NotIn};
        assert_eq!(case("qonnect.io/tier", In, &["fog", "edge"]), None);
        assert_eq!(case("qonnect.io/cluster", In, &["fog-1"]), None);
        assert_eq!(case("absent", NotIn, &["x"]), None);
        assert_eq!(case("disk", Exists, &[]), None);
        assert_eq!(case("disk", In, &["hdd"]).unwrap(), "wants one of hdd in label disk, found ssd");
        assert_eq!(case("disk", NotIn, &["ssd"]).unwrap(), "wants none of ssd in label disk, found ssd");
        assert_eq!(case("gpu", Exists, &[]).unwrap(), "wants any value in label gpu, which is absent");
        assert_eq!(case("disk", DoesNotExist, &[]).unwrap(), "wants no value in label disk, found ssd");
    }
}
