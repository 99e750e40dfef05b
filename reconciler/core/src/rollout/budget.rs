//! Which moves start now: what must leave goes first, what would only be better off waits for its turn.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use qonnect_schema::documents::placement::{Cause, ComponentPlacement};
use qonnect_schema::units::Span;

use super::available::{self, Available};
use super::step::{Subject, stayed};
use super::{Progress, Step, World};

type Application = BTreeMap<String, Progress>;

/// Takes back what may not start yet.
pub(super) fn admit(world: &World<'_>, progress: &mut BTreeMap<String, Application>) {
    let mut budget = Budget::of(world);
    let mut groups: Vec<Group> =
        progress.iter().flat_map(|(name, components)| groups(world, name, components)).collect();
    groups.sort_by_key(|group| (group.class, Reverse(group.gain), group.application.clone()));
    for group in groups {
        if budget.take(world, &group) {
            continue;
        }
        let components = progress.entry(group.application).or_default();
        components.extend(group.starts.into_iter().map(|start| (start.component, start.stays)));
    }
}

/// Moves that start together or not at all.
#[derive(Debug)]
pub(super) struct Group {
    class: Class,
    gain: i64,
    pub(super) application: String,
    pub(super) starts: Vec<Start>,
    /// Nothing else starts with it.
    alone: bool,
    /// It is under way, and only where it goes is new.
    turns: bool,
}

#[derive(Debug)]
pub(super) struct Start {
    pub(super) component: String,
    from: String,
    to: String,
    /// What becomes of it if it may not start yet.
    stays: Progress,
}

/// The more urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Forced,
    Asked,
    Improved,
}

/// What must leave, or be kept available, moves by itself; the other wishes of an application wait for each other.
fn groups(world: &World<'_>, application: &str, components: &Application) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (component, progress) in components {
        let Step::Started { from, to } = &progress.step else { continue };
        let Some(deployed) = world.deployed(application, component) else { continue };
        let turns = deployed.moving.is_some();
        let class = match progress.placement.arrived.map(|arrived| arrived.cause) {
            Some(Cause::Improved) => Class::Improved,
            Some(Cause::Asked) => Class::Asked,
            _ => Class::Forced,
        };
        let gain = gain(&progress.placement, from);
        let (from, to) = (from.clone(), to.clone());
        let stays = if turns { as_before(world, application, component, deployed) } else { stayed(deployed) };
        let start = Start { component: component.clone(), from, to, stays };
        let alone = turns || class == Class::Forced || available::is_kept(world, application, component);
        match groups.iter_mut().find(|group| group.class == class && !alone && !group.alone) {
            Some(group) => {
                group.gain = group.gain.saturating_add(gain);
                group.starts.push(start);
            }
            None => {
                let starts = vec![start];
                groups.push(Group { class, gain, application: application.into(), starts, alone, turns });
            }
        }
    }
    groups
}

/// The next step on the way to where it goes already.
fn as_before(
    world: &World<'_>,
    application: &str,
    component: &str,
    deployed: &ComponentPlacement,
) -> Progress {
    let Some(source) = world.revision.applications.get(application) else { return stayed(deployed) };
    let component = source.application.spec.components.iter().find(|found| found.name == component);
    component.map_or_else(
        || stayed(deployed),
        |component| Subject { world, application, source, component }.next(Some(deployed), Some(deployed)),
    )
}

/// How much better than where it was.
fn gain(placement: &ComponentPlacement, from: &str) -> i64 {
    let there = placement.others.iter().find(|other| other.cluster == from);
    let there = there.and_then(|other| other.score.as_ref());
    there.zip(placement.score.as_ref()).map_or(0, |(there, here)| there.total.saturating_sub(here.total))
}

/// What is under way, and how often something began to move within the last hour to be better off, whatever became of it.
#[derive(Default)]
struct Budget {
    moving: usize,
    by_cluster: BTreeMap<String, usize>,
    by_application: BTreeMap<String, usize>,
    available: Available,
    improved: usize,
}

impl Budget {
    fn of(world: &World<'_>) -> Self {
        let mut budget = Self::default();
        let placements = world.snapshot.placements.iter();
        let components = placements.flat_map(|(name, placement)| {
            placement.spec.components.values().map(move |component| (name, component))
        });
        for (application, component) in components {
            if let Some((moving, to)) = component.moving.as_ref().zip(component.cluster.as_ref()) {
                budget.begin(application, &moving.from, to);
            }
            let recent = component.improved.iter().filter(|at| is_recent(**at, world.snapshot.now));
            budget.improved += recent.count();
        }
        budget
    }

    fn begin(&mut self, application: &str, from: &str, to: &str) {
        self.moving += 1;
        *self.by_application.entry(application.into()).or_default() += 1;
        for cluster in [from, to] {
            *self.by_cluster.entry(cluster.into()).or_default() += 1;
        }
    }

    /// Whether the group starts; then it counts. One that is larger than a budget starts when nothing else uses it.
    fn take(&mut self, world: &World<'_>, group: &Group) -> bool {
        let moves = &world.revision.fleet.moves;
        let count = group.starts.len();
        let fits = |used: usize, limit: u32| used == 0 || used + count <= limit as usize;
        if group.turns {
            return self.turn(group, |used| fits(used, moves.in_flight.cluster));
        }
        if group.class == Class::Improved {
            let hourly = moves.per_hour > 0 && fits(self.improved, moves.per_hour);
            if !hourly || !group.starts.iter().all(|start| has_settled(world, &group.application, start)) {
                return false;
            }
        }
        let limit = moves.in_flight;
        let clusters = group.starts.iter().flat_map(|start| [&start.from, &start.to]);
        let used = |cluster: &String| self.by_cluster.get(cluster).copied().unwrap_or(0);
        let of_application = self.by_application.get(&group.application).copied().unwrap_or(0);
        if !fits(self.moving, limit.fleet)
            || !fits(of_application, limit.application)
            || !clusters.clone().all(|one| fits(used(one), limit.cluster))
            || !self.available.spare(world, group)
        {
            return false;
        }
        for start in &group.starts {
            self.begin(&group.application, &start.from, &start.to);
        }
        self.improved += if group.class == Class::Improved { count } else { 0 };
        true
    }

    /// Whether the cluster that it turns to has room; the one that it turned from has it back with the next decision.
    fn turn(&mut self, group: &Group, fits: impl Fn(usize) -> bool) -> bool {
        let free =
            group.starts.iter().all(|start| fits(self.by_cluster.get(&start.to).copied().unwrap_or(0)));
        for start in group.starts.iter().filter(|_| free) {
            *self.by_cluster.entry(start.to.clone()).or_default() += 1;
        }
        free
    }
}

/// It has been where it is for long enough, and where it goes was not lost lately.
fn has_settled(world: &World<'_>, application: &str, start: &Start) -> bool {
    let (moves, now) = (&world.revision.fleet.moves, world.snapshot.now);
    let arrived = world.deployed(application, &start.component).and_then(|deployed| deployed.arrived);
    let back = world.snapshot.clusters.get(&start.to).and_then(|state| state.back);
    arrived.is_none_or(|arrived| after(arrived.at, moves.residence) <= now)
        && back.is_none_or(|back| after(back, moves.failback_after) <= now)
}

pub(super) fn after(at: Timestamp, span: Span) -> Timestamp {
    let span = SignedDuration::try_from(span.as_duration()).unwrap_or(SignedDuration::MAX);
    at.checked_add(span).unwrap_or(Timestamp::MAX)
}

/// When it does not count in the hour's budget any more.
pub(super) fn hour_after(at: Timestamp) -> Timestamp {
    at.checked_add(SignedDuration::from_hours(1)).unwrap_or(Timestamp::MAX)
}

pub(super) fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    hour_after(at) > now
}
