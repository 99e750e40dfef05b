//! The filters that ask one component about one cluster, whatever else is placed where.
//!
//! Capacity, latency and limit depend on what else is placed: see [`super::state`] and [`super::options`].

use qonnect_schema::documents::cluster::{Taint, TaintEffect};
use qonnect_schema::documents::placement::{Filter, Refusal};
use qonnect_schema::documents::snapshot::ClusterStatus;

use super::labels::{self, Unmet};
use super::problem::Problem;

/// Why a cluster is out of the question; becomes words only if someone asks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Refused<'a> {
    Tier {
        is: &'a str,
        wanted: &'a [String],
    },
    Selector(Unmet<'a>),
    Taint(&'a Taint),
    Residency {
        is: Option<&'a str>,
        allowed: &'a [String],
    },
    Cordon,
    Drain,
    Silent(ClusterStatus),
    /// The component runs on a silent cluster, of which nobody knows whether it could be left.
    Pinned {
        home: &'a str,
        status: ClusterStatus,
    },
}

/// The first filter that refuses, in the order of [`Filter`] from `Tier` to `Lease`.
pub(super) fn refused<'a>(problem: &Problem<'a>, item: usize, member: usize) -> Option<Refused<'a>> {
    let there = refused_there(problem, item, member);
    let home = problem.items[item].home.filter(|home| *home != member);
    match (there, home) {
        (None, Some(home)) if is_pinned(problem, item, home) => {
            let home = &problem.members[home];
            Some(Refused::Pinned { home: home.name, status: home.status })
        }
        _ => there,
    }
}

/// What runs on a silent cluster stays there, unless a person wants it to go.
pub(super) fn is_pinned(problem: &Problem<'_>, item: usize, home: usize) -> bool {
    matches!(problem.members[home].status, ClusterStatus::Suspect | ClusterStatus::Lost)
        && refused_there(problem, item, home).is_none()
}

fn refused_there<'a>(problem: &Problem<'a>, item: usize, member: usize) -> Option<Refused<'a>> {
    let runs = problem.items[item].home == Some(member);
    let component = problem.items[item].component;
    let residency = &problem.app(item).source.application.spec.constraints.regions;
    let status = problem.members[member].status;
    let cluster = problem.members[member].cluster;
    let spec = &cluster.spec;
    let region = spec.region.as_deref();
    let lies_in =
        |regions: &[String]| regions.is_empty() || regions.iter().any(|name| Some(name.as_str()) == region);

    if !component.tiers.is_empty() && !component.tiers.contains(&spec.tier) {
        return Some(Refused::Tier { is: &spec.tier, wanted: &component.tiers });
    }
    if let Some(unmet) = labels::unmet(&component.cluster_selector, cluster) {
        return Some(Refused::Selector(unmet));
    }
    let binds = |taint: &&Taint| !runs || taint.effect == TaintEffect::NoExecute;
    let tolerated = |taint: &&Taint| labels::tolerates(&component.tolerations, taint);
    if let Some(taint) = spec.taints.iter().filter(binds).find(|taint| !tolerated(taint)) {
        return Some(Refused::Taint(taint));
    }
    if let Some(allowed) = [&component.regions, residency].into_iter().find(|regions| !lies_in(regions)) {
        return Some(Refused::Residency { is: region, allowed });
    }
    if spec.drain {
        return Some(Refused::Drain);
    }
    if runs {
        return None;
    }
    if spec.cordon {
        return Some(Refused::Cordon);
    }
    match status {
        ClusterStatus::Unknown | ClusterStatus::Ready => None,
        ClusterStatus::Suspect | ClusterStatus::Lost => Some(Refused::Silent(status)),
    }
}

impl Refused<'_> {
    pub(super) fn refusal(&self) -> Refusal {
        let (filter, message) = match self {
            Self::Tier { is, wanted } => {
                (Filter::Tier, format!("wants tier {}, is {is}", wanted.join(" or ")))
            }
            Self::Selector(unmet) => (Filter::Selector, unmet.message()),
            Self::Taint(Taint { key, value, effect }) => {
                let value = value.as_deref().map(|value| format!("={value}")).unwrap_or_default();
                (Filter::Taint, format!("does not tolerate the taint {key}{value}:{effect:?}"))
            }
            Self::Residency { is, allowed } => {
                let is = is.map_or("has no region".to_owned(), |region| format!("lies in {region}"));
                (Filter::Residency, format!("must stay in {}, {is}", allowed.join(" or ")))
            }
            Self::Cordon => (Filter::Cordon, "is cordoned: nothing new comes here".into()),
            Self::Drain => (Filter::Cordon, "is drained: everything moves away".into()),
            Self::Silent(status) => (Filter::Lease, format!("is {status:?}: nothing new comes here")),
            Self::Pinned { home, status } => {
                (Filter::Lease, format!("runs on {home}, which is {status:?}: it stays there for now"))
            }
        };
        Refusal { filter, message }
    }
}
