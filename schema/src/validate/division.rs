//! What a component that is divided over several clusters may say.

use super::findings::{Findings, Origin};
use super::fleet::Declared;
use crate::documents::application::{Component, Division, PACKED_MAX, Replicas};
use crate::layout;
use crate::manifest::{Manifest, ObjectId};

/// The length of a label's value, which the name of a part becomes.
const NAME_CHARS_MAX: usize = 63;

pub(super) fn check(components: &[Component], fleet: &Declared, origin: Origin<'_>, findings: &mut Findings) {
    for (index, component) in components.iter().enumerate() {
        let most = most(component, fleet);
        if let Some(least) = component.min_available.filter(|least| *least > most) {
            let pointer = format!("/spec/components/{index}/minAvailable");
            let message =
                format!("it is on {most} clusters at the most, and would never be Ready on {least}");
            findings.error(origin, "contradiction", pointer, message);
        }
    }
    for (index, component) in components.iter().enumerate().filter(|(_, component)| component.is_divided()) {
        let at = format!("/spec/components/{index}");
        one(component, fleet, origin, &at, findings);
        let asked = components.iter().any(|other| other.colocate.contains(&component.name));
        if asked || !component.colocate.is_empty() {
            let message =
                format!("`{}` is on several clusters, and must be on one with others", component.name);
            findings
                .error(origin, "contradiction", format!("{at}/name"), message)
                .help("drop `colocate`, or `replicas` and `spread`");
        }
    }
}

/// On how many clusters it may be at once.
fn most(component: &Component, fleet: &Declared) -> u32 {
    let Replicas { division, clusters, weights } = component.replicas.clone().unwrap_or_default();
    let spread = component.spread.as_ref().map_or(1, |spread| spread.min);
    match division {
        Division::All => u32::try_from(fleet.clusters.len()).unwrap_or(u32::MAX),
        Division::Weighted => clusters.unwrap_or(weights.len() as u32).max(spread),
        Division::Packed => clusters.unwrap_or(PACKED_MAX).max(spread),
    }
}

fn one(component: &Component, fleet: &Declared, origin: Origin<'_>, at: &str, findings: &mut Findings) {
    let Replicas { division, clusters, weights } = component.replicas.clone().unwrap_or_default();
    let mut contradiction = |field: &str, message: String| {
        findings.error(origin, "contradiction", format!("{at}/{field}"), message);
    };
    if division != Division::Weighted && !weights.is_empty() {
        contradiction("replicas/weights", "only `division: weighted` has weights".into());
    }
    if division == Division::All && clusters.is_some() {
        let message = "with `division: all` it is on every cluster that it may be on";
        contradiction("replicas/clusters", message.into());
    }
    if division == Division::Weighted
        && clusters.is_none()
        && weights.is_empty()
        && component.spread.is_none()
    {
        contradiction("replicas", "over how many clusters? give it `clusters` or `weights`".into());
    }
    let weighted = division == Division::Weighted && !weights.is_empty();
    if let Some(clusters) = clusters.filter(|clusters| weighted && *clusters as usize != weights.len()) {
        let message = format!("there are {} weights for {clusters} clusters", weights.len());
        contradiction("replicas/weights", message);
    }
    if let Some(spread) = &component.spread {
        let most = clusters.or((!weights.is_empty()).then_some(weights.len() as u32));
        if division == Division::All {
            let message = "with `division: all` it is on every cluster that it may be on already";
            contradiction("spread", message.into());
        } else if let Some(most) = most.filter(|most| *most < spread.min) {
            contradiction("spread/min", format!("{most} clusters do not lie in {} places", spread.min));
        }
        fleet.expect_label(&spread.by, origin, format!("{at}/spread/by"), findings);
    }
    let longest = match division {
        Division::All => fleet.clusters.keys().map(|name| name.len()).max().unwrap_or(0),
        Division::Weighted | Division::Packed => 2,
    };
    let name = layout::part(&component.name, "").len() + longest;
    if name > NAME_CHARS_MAX {
        let message =
            format!("its parts would have names of {name} characters, above the {NAME_CHARS_MAX} of a label");
        findings.error(origin, "invalid-value", format!("{at}/name"), message).help("give it a shorter name");
    }
}

/// More clusters than replicas: so many are asked for, and so many are there.
pub(super) fn too_few(component: &Component, manifests: &[Manifest]) -> Option<(u64, u64)> {
    let replicas = component.replicas.clone().unwrap_or_default();
    if !component.is_divided() || replicas.division == Division::All {
        return None;
    }
    let least = component.spread.as_ref().map_or(1, |spread| spread.min);
    let wanted = match replicas.division {
        Division::Packed => least,
        _ => replicas.clusters.unwrap_or(replicas.weights.len() as u32).max(least),
    };
    let counts = manifests.iter().filter_map(|manifest| {
        let id = ObjectId::of(&manifest.object)?;
        id.has_replicas().then(|| {
            manifest.object.pointer("/spec/replicas").and_then(serde_json::Value::as_u64).unwrap_or(1)
        })
    });
    let there = counts.min()?;
    (there < u64::from(wanted)).then_some((u64::from(wanted), there))
}
