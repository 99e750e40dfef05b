//! The filters that ask one component about one cluster, whatever else is placed where.
//!
//! Capacity, latency and limit depend on what else is placed: see [`super::state`] and [`super::loads`].

use jiff::Timestamp;
use qonnect_schema::documents::application::Component;
use qonnect_schema::documents::cluster::{Taint, TaintEffect};
use qonnect_schema::documents::placement::{Filter, Refusal};
use qonnect_schema::documents::snapshot::ClusterStatus;

use super::labels::{self, Unmet};
use super::member::Member;
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
    /// It is worked on until then.
    Maintenance(Timestamp),
    Fenced,
    Silent(ClusterStatus),
    /// The component runs on a silent cluster, of which nobody knows whether it could be left.
    Pinned {
        home: &'a str,
        status: ClusterStatus,
    },
    /// Another part of the component, with the same objects, has not left it yet.
    Taken {
        part: &'a str,
    },
    /// It did not become Ready there, and is not tried again until then.
    GaveUp(Timestamp),
}

/// What a component asks of a cluster, whatever else is placed where.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wants<'a> {
    pub(super) component: &'a Component,
    /// The regions that its application must stay in.
    pub(super) residency: &'a [String],
}

impl<'a> Wants<'a> {
    pub(super) fn of(problem: &'a Problem, item: usize) -> Self {
        let residency = &problem.app(item).source.application.spec.constraints.regions;
        Self { component: problem.component(item), residency }
    }

    /// The first filter that refuses, in the order of [`Filter`] from `Tier` to `Lease`.
    pub(super) fn refused(self, member: &'a Member, runs: bool) -> Option<Refused<'a>> {
        let Self { component, residency } = self;
        let spec = &member.cluster.spec;
        let region = spec.region.as_deref();
        let lies_in = |regions: &[String]| {
            regions.is_empty() || regions.iter().any(|name| Some(name.as_str()) == region)
        };

        if !component.tiers.is_empty() && !component.tiers.contains(&spec.tier) {
            return Some(Refused::Tier { is: &spec.tier, wanted: &component.tiers });
        }
        if let Some(unmet) = labels::unmet(&component.cluster_selector, &member.cluster) {
            return Some(Refused::Selector(unmet));
        }
        let binds = |taint: &&Taint| !runs || taint.effect == TaintEffect::NoExecute;
        let tolerated = |taint: &&Taint| labels::tolerates(&component.tolerations, taint);
        if let Some(taint) = spec.taints.iter().filter(binds).find(|taint| !tolerated(taint)) {
            return Some(Refused::Taint(taint));
        }
        if let Some(allowed) =
            [component.regions.as_slice(), residency].into_iter().find(|regions| !lies_in(regions))
        {
            return Some(Refused::Residency { is: region, allowed });
        }
        if spec.fenced {
            return Some(Refused::Fenced);
        }
        if spec.drain {
            return Some(Refused::Drain);
        }
        if let Some(until) = member.maintenance {
            return Some(Refused::Maintenance(until));
        }
        if !runs && spec.cordon {
            return Some(Refused::Cordon);
        }
        match member.status {
            ClusterStatus::Lost => Some(Refused::Silent(member.status)),
            ClusterStatus::Suspect if !runs => Some(Refused::Silent(member.status)),
            ClusterStatus::Unknown | ClusterStatus::Ready | ClusterStatus::Suspect => None,
        }
    }
}

/// The first filter that refuses a component as it runs now.
pub(super) fn refused(problem: &Problem, item: usize, member: usize) -> Option<Refused<'_>> {
    let there = refused_there(problem, item, member);
    let home = problem.items[item].home.filter(|home| *home != member && problem.items[item].pinned);
    match (there, home) {
        (None, Some(home)) => {
            let home = &problem.members[home];
            Some(Refused::Pinned { home: &home.name, status: home.status })
        }
        (None, None) => {
            if let Some(part) = problem.taken(item, member) {
                return Some(Refused::Taken { part: &problem.component(part).name });
            }
            let gave_up = problem.items[item].gave_up.filter(|(cluster, _)| *cluster == member);
            gave_up.map(|(_, until)| Refused::GaveUp(until))
        }
        (there, _) => there,
    }
}

/// What runs on a silent cluster stays there until the cluster is lost, or a person wants it to go.
pub(super) fn is_pinned(problem: &Problem, item: usize, home: usize) -> bool {
    problem.members[home].status == ClusterStatus::Suspect && refused_there(problem, item, home).is_none()
}

pub(super) fn refused_there(problem: &Problem, item: usize, member: usize) -> Option<Refused<'_>> {
    let runs = problem.items[item].home == Some(member);
    Wants::of(problem, item).refused(&problem.members[member], runs)
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
            Self::Fenced => (Filter::Cordon, "is fenced: nothing runs here".into()),
            Self::Drain => (Filter::Cordon, "is drained: everything moves away".into()),
            Self::Maintenance(until) => {
                (Filter::Cordon, format!("is worked on until {until}: everything moves away"))
            }
            Self::Silent(ClusterStatus::Lost) => (Filter::Lease, "is Lost: nothing can run here".into()),
            Self::Silent(status) => (Filter::Lease, format!("is {status:?}: nothing new comes here")),
            Self::Taken { part } => {
                (Filter::Separation, format!("{part}, which has the same objects, has not left it yet"))
            }
            Self::GaveUp(until) => {
                (Filter::Failed, format!("it was not Ready here in time: tried again after {until}"))
            }
            Self::Pinned { home, status } => {
                (Filter::Lease, format!("runs on {home}, which is {status:?}: it stays there for now"))
            }
        };
        Refusal { filter, message }
    }
}
