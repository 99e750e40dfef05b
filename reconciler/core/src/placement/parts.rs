//! Components that run on several clusters at once: each is divided into parts, which are components like others.
//!
//! The first part keeps the name of the component, the next ones are called `<name>.2`, `<name>.3`; with
//! `division: all` each is called after its cluster. A part has all objects of the component, and its share of the
//! replicas. No two parts are ever on one cluster, not even while they move: they have the same objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use qonnect_schema::documents::application::{
    Component, Dependency, Division, LabelOperator, LabelRequirement, PACKED_MAX, Replicas, Separation,
};
use qonnect_schema::manifest::{Manifest, ObjectId};
use qonnect_schema::revision::ApplicationSource;
use qonnect_schema::{SnapshotSpec, layout};
use serde_json::{Value, json};

use super::communication;
use super::filter::{Refused, Wants};
use super::labels::CLUSTER;
use super::member::Member;
use super::problem::Problem;

/// What the documents leave open about one component.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Open {
    /// For `division: all`: the clusters that it is on.
    pub(super) clusters: Vec<String>,
    /// For `division: packed`: over how many clusters it is divided; this grows where they have no room.
    pub(super) packed: usize,
}

/// An application whose divided components are replaced by their parts; the same one if there are none.
pub(super) fn divide(
    source: &Arc<ApplicationSource>,
    open: impl Fn(&Component) -> Open,
) -> Arc<ApplicationSource> {
    let spec = &source.application.spec;
    if !spec.components.iter().any(Component::is_divided) {
        return source.clone();
    }
    let parts: BTreeMap<&str, Parts> = spec
        .components
        .iter()
        .map(|component| (component.name.as_str(), Parts::of(component, open(component))))
        .collect();
    let mut divided = ApplicationSource::clone(source);
    let manifests = Arc::make_mut(&mut divided.manifests);
    divided.application.spec.components.clear();
    for component in &spec.components {
        let own = &parts[component.name.as_str()];
        let written = manifests.remove(&component.name).unwrap_or_default();
        for (nth, name) in own.names.iter().enumerate() {
            let part = own.part(component, nth, &parts);
            manifests.insert(name.clone(), shared(&written, own, nth));
            divided.application.spec.components.push(part);
        }
    }
    Arc::new(divided)
}

/// Over how many clusters a component may be packed, at the least and at the most.
pub(super) fn packed(component: &Component) -> Option<(usize, usize)> {
    let replicas = component.replicas.as_ref().filter(|replicas| replicas.division == Division::Packed)?;
    let least = component.spread.as_ref().map_or(1, |spread| spread.min);
    let most = replicas.clusters.unwrap_or(PACKED_MAX).max(least);
    Some((least as usize, most as usize))
}

impl Problem {
    /// What is known of one component of an application that its document leaves open.
    pub(super) fn open(
        &self,
        application: &str,
        source: &ApplicationSource,
        component: &Component,
        snapshot: &SnapshotSpec,
    ) -> Open {
        if !component.is_divided() {
            return Open::default();
        }
        let placed = snapshot.placements.get(application).map(|placement| &placement.spec.components);
        let runs = |part: &str| {
            let part = placed.and_then(|placed| placed.get(part));
            part.is_some_and(|part| part.cluster.is_some())
        };
        if let Some((least, most)) = packed(component) {
            let parts =
                placed.into_iter().flatten().filter(|(name, _)| layout::whole(name) == component.name);
            let grown = self.grown.get(&(application.to_owned(), component.name.clone())).copied();
            let wanted = parts.count().max(grown.unwrap_or(least));
            let replicas = source.manifests.get(&component.name).and_then(|manifests| replicas(manifests));
            let most = most.min(replicas.map_or(1, |replicas| replicas as usize));
            return Open { packed: wanted.clamp(least.min(most), most), ..Open::default() };
        }
        let wants = Wants { component, residency: &source.application.spec.constraints.regions };
        let may_be = |member: &&Member| {
            let there = runs(&layout::part(&component.name, &member.name));
            matches!(wants.refused(member, there), None | Some(Refused::Cordon | Refused::Silent(_)))
        };
        let clusters = self.members.iter().filter(may_be).map(|member| member.name.clone());
        Open { clusters: clusters.collect(), packed: 0 }
    }
}

/// The fewest replicas that any of its workloads has; what has none cannot be divided.
fn replicas(manifests: &[Manifest]) -> Option<u64> {
    manifests.iter().filter_map(|manifest| workload(&manifest.object)).min()
}

/// The replicas of an object that can be divided.
fn workload(object: &Value) -> Option<u64> {
    let id = ObjectId::of(object)?;
    id.has_replicas().then(|| object.pointer("/spec/replicas").and_then(Value::as_u64).unwrap_or(1))
}

/// The parts of a component; only one, of its name, where it is not divided.
#[derive(Debug, Default)]
struct Parts {
    names: Vec<String>,
    /// By part; empty where each has all replicas.
    weights: Vec<u32>,
    /// For `division: all`: their clusters.
    clusters: Vec<String>,
}

impl Parts {
    fn of(component: &Component, open: Open) -> Self {
        if !component.is_divided() {
            return Self { names: vec![component.name.clone()], ..Self::default() };
        }
        let Replicas { division, clusters, weights } = component.replicas.clone().unwrap_or_default();
        let least = component.spread.as_ref().map_or(1, |spread| spread.min) as usize;
        let count = match division {
            Division::All => {
                let names = open.clusters.iter().map(|cluster| layout::part(&component.name, cluster));
                return Self { names: names.collect(), weights: Vec::new(), clusters: open.clusters };
            }
            Division::Weighted => clusters.map_or(weights.len(), |clusters| clusters as usize).max(least),
            Division::Packed => open.packed.max(least),
        };
        let number = |nth: usize| match nth {
            0 => component.name.clone(),
            _ => layout::part(&component.name, nth + 1),
        };
        let weights = if weights.is_empty() { vec![1; count] } else { weights };
        Self { names: (0..count).map(number).collect(), weights, clusters: Vec::new() }
    }

    /// One part, with what it asks of the parts of others.
    fn part(&self, component: &Component, nth: usize, all: &BTreeMap<&str, Self>) -> Component {
        let mut part = Component {
            name: self.names[nth].clone(),
            replicas: None,
            spread: None,
            depends_on: Vec::new(),
            separate: Vec::new(),
            ..component.clone()
        };
        if let Some(cluster) = self.clusters.get(nth) {
            part.cluster_selector.match_expressions.push(on(vec![cluster.clone()]));
        } else {
            let spread = component.spread.as_ref().filter(|spread| nth < spread.min as usize);
            for other in &self.names[..nth] {
                // The first ones lie in different places, the others on different clusters.
                let by = spread.map_or("cluster", |spread| &spread.by);
                part.separate.push(Separation { from: other.clone(), by: by.into() });
            }
        }
        for separation in &component.separate {
            let from = all.get(separation.from.as_str()).map_or(&[][..], |parts| &parts.names);
            let each = from.iter().map(|from| Separation { from: from.clone(), ..separation.clone() });
            part.separate.extend(each);
        }
        for dependency in &component.depends_on {
            let Some(callees) = all.get(dependency.component.as_str()) else { continue };
            self.depend(&mut part, nth, dependency, callees);
        }
        part
    }

    /// Callers and callees that are both divided come in pairs; where there are fewer callees they are taken in turn.
    fn depend(&self, part: &mut Component, nth: usize, dependency: &Dependency, callees: &Self) {
        let sum: u32 = self.weights.iter().sum();
        let own = match self.weights.get(nth) {
            Some(weight) => f64::from(*weight) / f64::from(sum.max(1)),
            None => 1.0 / self.names.len() as f64,
        };
        let traffic = dependency.traffic.map(|traffic| communication::share(&traffic, own));
        if callees.clusters.is_empty() {
            let turn = callees.names.get(nth % callees.names.len().max(1));
            let component = turn.unwrap_or(&dependency.component).clone();
            part.depends_on.push(Dependency { component, traffic, ..dependency.clone() });
            return;
        }
        // What is on all clusters is called where the caller is, which costs no round trip.
        let beside = self.clusters.get(nth).and_then(|cluster| callees.on(cluster));
        if let Some(component) = beside {
            part.depends_on.push(Dependency { component: component.into(), traffic, ..dependency.clone() });
        } else if dependency.max_latency.is_some() {
            part.cluster_selector.match_expressions.push(on(callees.clusters.clone()));
        }
    }

    fn on(&self, cluster: &str) -> Option<&str> {
        let at = self.clusters.iter().position(|known| known == cluster)?;
        Some(&self.names[at])
    }
}

fn on(values: Vec<String>) -> LabelRequirement {
    LabelRequirement { key: CLUSTER.into(), operator: LabelOperator::In, values }
}

/// The manifests of one part: workloads have its share of the replicas.
fn shared(manifests: &[Manifest], parts: &Parts, nth: usize) -> Vec<Manifest> {
    let mut manifests = manifests.to_vec();
    for object in manifests.iter_mut().map(|manifest| &mut manifest.object).filter(|_| parts.names.len() > 1)
    {
        let Some(all) = workload(object).filter(|_| !parts.weights.is_empty()) else { continue };
        if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
            spec.insert("replicas".into(), json!(share(all, &parts.weights, nth)));
        }
    }
    manifests
}

/// One for each, and the rest by weight; what is left over goes to the largest remainders, of equals to the first.
fn share(all: u64, weights: &[u32], nth: usize) -> u64 {
    let count = weights.len() as u64;
    if all < count {
        return u64::from((nth as u64) < all);
    }
    let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    let exact = |weight: u32| (all - count) as u128 * u128::from(weight);
    let floor = |weight: u32| (exact(weight) / u128::from(sum.max(1))) as u64;
    let left = all - count - weights.iter().map(|weight| floor(*weight)).sum::<u64>();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|at| (std::cmp::Reverse(exact(weights[*at]) % u128::from(sum.max(1))), *at));
    let first = order.iter().take(left as usize).any(|at| *at == nth);
    1 + floor(weights[nth]) + u64::from(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_and_leave_nobody_without() {
        let shares = |all: u64, weights: &[u32]| -> Vec<u64> {
            (0..weights.len()).map(|nth| share(all, weights, nth)).collect()
        };
        assert_eq!(shares(7, &[1, 1, 1]), [3, 2, 2]);
        assert_eq!(shares(10, &[3, 1]), [7, 3]);
        assert_eq!(shares(3, &[1000, 1, 1]), [1, 1, 1]);
        assert_eq!(shares(1, &[1, 1]), [1, 0]);
        for all in 3..40 {
            assert_eq!(shares(all, &[5, 2, 1]).iter().sum::<u64>(), all);
        }
    }
}
