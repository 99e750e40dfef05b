//! From a plan and what stands on the deploy branch to the draft of a commit, or to nothing.
//!
//! *Guarantees:* the same input gives the same draft, and with it the same commit id. A file changes only when
//! its decision or its rendered bytes do; without such a change there is no draft. Paths that leads own are
//! brought to what was decided, whoever changed them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use qonnect_schema::api::ReleaseHint;
use qonnect_schema::documents::approval::Class;
use qonnect_schema::documents::placement::{Candidate, ComponentPlacement, PlacementSpec};
use qonnect_schema::documents::snapshot::ClusterStatus;
use qonnect_schema::revision::{ApplicationSource, Revision};
use qonnect_schema::{Epoch, Placement, SnapshotSpec, layout, yaml};
use sha2::{Digest, Sha256};

use crate::knowledge::Good;
use crate::placement::Plan;
use crate::rollout::{self, Copies, Progress, Step, World};

mod deployed;
pub use deployed::Deployed;

mod change;
pub use change::{Change, What};

mod desired;

mod rendered;
pub use rendered::Rendered;

mod message;
pub use message::Note;
pub(crate) use message::words;

mod trailers;
use trailers::APPROVED_BY;
pub use trailers::Trailers;

mod release;
pub use release::NewRelease;

#[cfg(test)]
mod tests;

/// Everything that a decision depends on.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    pub revision: &'a Revision,
    /// Applications that are held without a readable source: what is deployed of them stays, byte by byte.
    pub frozen: &'a BTreeSet<String>,
    pub plan: &'a Plan,
    pub snapshot: &'a SnapshotSpec,
    /// The newest release of each cluster that the Knowledge Base knows.
    pub releases: &'a BTreeMap<String, ReleaseHint>,
    pub deployed: &'a Deployed,
    pub epoch: Epoch,
    /// The group of leads that decides.
    pub group: &'a str,
    /// Changes of these kinds wait for people, and are left out.
    pub withheld: &'a BTreeSet<Class>,
}

/// A commit of the deploy branch before it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    pub intent: String,
    pub epoch: Epoch,
    pub base: Option<String>,
    /// The commit of the spec branch; empty for a barrier.
    pub revision: String,
    pub kb_index: u64,
    /// Changed files; `None` deletes.
    pub files: BTreeMap<String, Option<Arc<[u8]>>>,
    pub message: String,
    pub time: Timestamp,
    /// Changed placements; `None` forgets an application.
    pub placements: BTreeMap<String, Option<Placement>>,
    pub releases: BTreeMap<String, NewRelease>,
    /// Clusters that must still be lost when it is published.
    pub lost: BTreeSet<String>,
    /// What readers are told once it is published.
    pub notes: Vec<Note>,
    pub changes: Vec<Change>,
    /// Nothing of this waits for people any more once it is published.
    pub completes: Option<Good>,
    /// Other objects are rendered for components that stay where they are.
    pub renders: bool,
}

impl Draft {
    /// What people have approved says who they are.
    pub fn approve(&mut self, by: &str) {
        self.message.push_str(&format!("{APPROVED_BY}: {by}\n"));
    }
}

/// Runners-up that a `Placement` keeps for each component; `explain` shows all of them, scored now.
const RUNNERS_UP_MAX: usize = 5;

/// Refused clusters that a `Placement` keeps for each component.
const REFUSED_MAX: usize = 20;

/// What to commit, if anything.
///
/// `rendered` is what it was given for the last decision, or empty: the draft is the same.
pub fn decide(input: &Input<'_>, rendered: &mut Rendered) -> Option<Draft> {
    let revision = input.plan.divided(input.revision);
    let input = &Input { revision: &revision, ..*input };
    let world = World {
        revision: input.revision,
        plan: input.plan,
        snapshot: input.snapshot,
        releases: input.releases,
    };
    let mut progress = rollout::roll_out(&world);
    progress.retain(|application, _| !input.frozen.contains(application));
    withhold(input, &mut progress);
    let intent = intent_id(input);
    let steps = steps(input, &progress);
    let copies = progress.iter().map(|(name, components)| (name.clone(), copies(components))).collect();
    let placements = changed_placements(input, progress);

    let mut tree = desired::files(input, &copies, rendered);
    let releases = release::releases(input, &copies, &intent, &mut tree);
    desired::placements(input, &placements, &mut tree);
    let files = input.deployed.changes(&tree);
    if files.is_empty() {
        return None;
    }
    let is_lost = |cluster: &str| {
        let state = input.snapshot.clusters.get(cluster);
        state.is_some_and(|state| state.status == ClusterStatus::Lost)
    };
    let message = message::message(input, &intent, &steps, &files);
    Some(Draft {
        intent,
        epoch: input.epoch,
        base: input.deployed.tip.clone(),
        revision: input.revision.commit.clone(),
        kb_index: input.snapshot.index,
        message,
        time: input.revision.time.max(input.deployed.time),
        placements,
        releases,
        lost: steps
            .iter()
            .filter_map(Change::lost)
            // What people take out of the fleet may answer or not, and what they fence need not be lost yet.
            .filter(|lost| input.revision.clusters.contains_key(lost) && is_lost(lost))
            .collect(),
        notes: message::notes(&steps),
        renders: renders(&steps, &files),
        changes: steps,
        completes: None,
        files,
    })
}

/// An empty commit that closes the branch to every older leadership.
pub fn barrier(deployed: &Deployed, group: &str, epoch: Epoch, kb_index: u64) -> Draft {
    let tip = deployed.tip.as_deref().unwrap_or_default();
    let intent = digest(&["barrier", tip, &epoch.to_string(), &kb_index.to_string()]);
    let trailers =
        Trailers { epoch, group: group.into(), revision: String::new(), kb_index, intent: intent.clone() };
    Draft {
        message: format!("begin epoch {epoch}\n\n{trailers}"),
        intent,
        epoch,
        base: deployed.tip.clone(),
        revision: String::new(),
        kb_index,
        files: BTreeMap::new(),
        time: deployed.time,
        placements: BTreeMap::new(),
        releases: BTreeMap::new(),
        lost: BTreeSet::new(),
        notes: Vec::new(),
        changes: Vec::new(),
        completes: None,
        renders: false,
    }
}

/// Leaves what people have not approved where it is deployed.
fn withhold(input: &Input<'_>, progress: &mut BTreeMap<String, BTreeMap<String, Progress>>) {
    if input.withheld.is_empty() {
        return;
    }
    for (application, components) in progress.iter_mut() {
        let deployed = input.snapshot.placements.get(application).map(|placement| &placement.spec.components);
        components.retain(|name, progress| {
            if !change::class(&progress.step).is_some_and(|class| input.withheld.contains(&class)) {
                return true;
            }
            let before = deployed.and_then(|deployed| deployed.get(name));
            if let Some(before) = before {
                *progress = Progress { placement: before.clone(), step: Step::Stayed };
            }
            before.is_some()
        });
    }
    progress.retain(|_, components| !components.is_empty());
}

/// Whether files change of components about which nothing was decided.
fn renders(changes: &[Change], files: &BTreeMap<String, Option<Arc<[u8]>>>) -> bool {
    let decided: BTreeSet<(&str, &str)> =
        changes.iter().map(|change| (change.application.as_str(), change.component.as_str())).collect();
    files.keys().any(|path| match path.split('/').collect::<Vec<_>>()[..] {
        [layout::CLUSTERS, _, application, component, _, ..] => {
            !decided.contains(&(application, component)) && !decided.contains(&(application, ""))
        }
        _ => false,
    })
}

/// By application and component: where its objects are. Without an entry it has none.
type AllCopies = BTreeMap<String, BTreeMap<String, Copies>>;

fn copies(components: &BTreeMap<String, Progress>) -> BTreeMap<String, Copies> {
    let placed = components.iter();
    placed
        .filter_map(|(name, progress)| Some((name.clone(), rollout::copies(&progress.placement)?)))
        .collect()
}

fn steps(input: &Input<'_>, progress: &BTreeMap<String, BTreeMap<String, Progress>>) -> Vec<Change> {
    let mut changes = Vec::new();
    for (application, components) in progress {
        for (component, progress) in components.iter().filter(|(_, progress)| progress.step != Step::Stayed) {
            let what = What::Step(progress.step.clone());
            let cause = progress.placement.arrived.map(|arrived| arrived.cause);
            let (application, component) = (application.clone(), component.clone());
            changes.push(Change { application, component, what, cause });
        }
    }
    for (application, placement) in &input.snapshot.placements {
        if input.frozen.contains(application) {
            continue;
        }
        let removed = |component: &str| Change {
            application: application.clone(),
            component: component.into(),
            what: What::Removed,
            cause: None,
        };
        match progress.get(application) {
            None => changes.push(removed("")),
            Some(now) => {
                let gone = placement.spec.components.keys().filter(|name| !now.contains_key(*name));
                changes.extend(gone.map(|name| removed(name)));
            }
        }
    }
    changes
}

/// Placements whose decision is another one now.
fn changed_placements(
    input: &Input<'_>,
    progress: BTreeMap<String, BTreeMap<String, Progress>>,
) -> BTreeMap<String, Option<Placement>> {
    let known = &input.snapshot.placements;
    let gone = known.keys().filter(|name| !progress.contains_key(*name) && !input.frozen.contains(*name));
    let mut changed: BTreeMap<_, _> = gone.map(|name| (name.clone(), None)).collect();
    for (name, components) in progress {
        let same = known.get(&name).is_some_and(|placement| {
            placement.spec.components.len() == components.len()
                && components.values().all(|progress| progress.step == Step::Stayed)
        });
        if same {
            continue;
        }
        let source = input.revision.applications.get(&name);
        let spec = PlacementSpec {
            revision: input.revision.commit.clone(),
            kb_index: input.snapshot.index,
            epoch: input.epoch,
            strategy: source.map(|source| source.application.spec.strategy).unwrap_or_default(),
            asked: source.map(|source| asked(input, source, &components)).unwrap_or_default(),
            components: components.into_iter().map(|(name, progress)| (name, shortened(progress))).collect(),
        };
        changed.insert(name.clone(), Some(Placement::new(name, spec)));
    }
    changed
}

/// What the application asks for counts as asked until it is fulfilled.
fn asked(input: &Input<'_>, source: &ApplicationSource, components: &BTreeMap<String, Progress>) -> String {
    let name = source.application.name();
    let plan = input.plan.applications.get(name);
    let fulfilled = components.iter().all(|(component, Progress { placement, .. })| {
        let wanted = plan.and_then(|plan| plan.components.get(component));
        placement.moving.is_none() && wanted.is_none_or(|wanted| wanted.cluster == placement.cluster)
    });
    let before = input.snapshot.placements.get(name).map(|placement| &placement.spec.asked);
    match before.filter(|before| !before.is_empty()) {
        Some(before) if !fulfilled => before.clone(),
        _ => rollout::asked(source),
    }
}

/// Keeps the best runners-up and the first refusals: a fleet of thousands would fill the file with the rest.
fn shortened(progress: Progress) -> ComponentPlacement {
    let (mut runners_up, mut refused): (Vec<Candidate>, Vec<Candidate>) =
        progress.placement.others.into_iter().partition(|other| other.refused.is_none());
    runners_up.truncate(RUNNERS_UP_MAX);
    refused.truncate(REFUSED_MAX);
    runners_up.append(&mut refused);
    ComponentPlacement { others: runners_up, ..progress.placement }
}

/// The components of an application, callees first; of equals the one that stands first.
fn callees_first(source: &ApplicationSource) -> Vec<&str> {
    fn visit<'a>(
        source: &'a ApplicationSource,
        name: &'a str,
        seen: &mut BTreeSet<&'a str>,
        order: &mut Vec<&'a str>,
    ) {
        let components = &source.application.spec.components;
        let Some(component) = components.iter().find(|component| component.name == name) else { return };
        if seen.insert(name) {
            component.depends_on.iter().for_each(|on| visit(source, &on.component, seen, order));
            order.push(name);
        }
    }
    let (mut seen, mut order) = (BTreeSet::new(), Vec::new());
    for component in &source.application.spec.components {
        visit(source, &component.name, &mut seen, &mut order);
    }
    order
}

/// The same inputs give the same intent; after each outcome the index is another one.
fn intent_id(input: &Input<'_>) -> String {
    digest(&[
        "decision",
        input.deployed.tip.as_deref().unwrap_or_default(),
        &input.epoch.to_string(),
        &input.revision.commit,
        &input.snapshot.index.to_string(),
    ])
}

/// Short enough for a trailer; 64 bits keep the intents of one branch apart.
fn digest(parts: &[&str]) -> String {
    let hash = Sha256::digest(parts.join("\n"));
    hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn document<T: serde::Serialize>(document: &T) -> Arc<[u8]> {
    yaml::to_string(document).expect("our documents have a YAML form").into_bytes().into()
}

fn component_folder(cluster: &str, application: &str, component: &str) -> String {
    format!("{}/{application}/{component}", layout::cluster_folder(cluster))
}
