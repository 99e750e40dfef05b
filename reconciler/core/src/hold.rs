//! Which revision counts: a fault holds what it touches at its last good state, and nothing shrinks by accident.
//!
//! A fault under `apps/<app>/` holds that application, any other fault refuses the revision. What is held or
//! cannot be read never counts as removed. A revision that removes much waits until somebody says that it is
//! meant.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use qonnect_schema::api::{RevisionRecord, Verdict};
use qonnect_schema::claims::clashes;
use qonnect_schema::diagnostic::{Diagnostic, Severity};
use qonnect_schema::documents::snapshot::ClusterStatus;
use qonnect_schema::layout;
use qonnect_schema::revision::{ApplicationSource, Revision};

use crate::knowledge::{Good, Knowledge};

#[cfg(test)]
mod tests;

/// In the message of a commit: that so many components may go.
pub const ALLOW_REMOVALS: &str = "Qonnect-Allow-Removals";

/// Findings that the Knowledge Base keeps of one revision; `qonnect validate` shows all.
const FINDINGS_MAX: usize = 100;

/// A commit of the spec branch, checked but not yet judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The good part: faulty applications are left out.
    pub revision: Revision,
    pub subject: String,
    pub seen: Timestamp,
    pub findings: Vec<Diagnostic>,
    /// An error outside of `apps/`.
    pub refused: bool,
    /// Why nobody is trusted who has signed it; nothing of it was read then.
    pub distrust: Option<String>,
    pub faulty: BTreeSet<String>,
    /// The largest number that a trailer since the last good commit allows.
    pub allowed_removals: usize,
}

/// What is planned from.
#[derive(Debug, Clone, PartialEq)]
pub struct Effective {
    pub revision: Arc<Revision>,
    /// Applications that run, and whose source cannot be read: they stay byte by byte.
    pub frozen: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    pub record: RevisionRecord,
    /// Absent: what counted before goes on to count.
    pub effective: Option<Effective>,
    /// The verdict may change without another commit, once clusters are empty.
    pub provisional: bool,
}

impl Effective {
    /// Applications of which nothing changes: those that cannot be read, and those that are suspended.
    pub fn untouched(&self) -> BTreeSet<String> {
        let suspended =
            self.revision.applications.iter().filter(|(_, source)| source.application.spec.suspend);
        self.frozen.iter().chain(suspended.map(|(name, _)| name)).cloned().collect()
    }

    /// What a restarted lead needs to read the same again.
    pub fn good(&self) -> Good {
        let Revision { commit, applications, .. } = &*self.revision;
        let older = applications.iter().filter(|(_, source)| source.commit != *commit);
        Good {
            commit: commit.clone(),
            applications: older.map(|(name, source)| (name.clone(), source.commit.clone())).collect(),
        }
    }

    /// The commits of a [`Good`], read again: `base` is the revision at its commit, `older` holds the
    /// applications that were read at their own commits.
    pub fn restored(
        base: Candidate,
        older: BTreeMap<String, Arc<ApplicationSource>>,
        knowledge: &Knowledge,
    ) -> Self {
        let before = Revision { applications: older, ..base.revision.clone() };
        let before = Self { revision: Arc::new(before), frozen: BTreeSet::new() };
        let Candidate { revision, faulty, .. } = hold_clashing(&base, Some(&before));
        combined(revision, &faulty, |name| before.revision.applications.get(name).cloned(), knowledge)
    }
}

/// Judges a commit against what counted before.
pub fn judge(candidate: &Candidate, before: Option<&Effective>, knowledge: &Knowledge) -> Judged {
    let candidate = &hold_clashing(candidate, before);
    let mut record = RevisionRecord {
        commit: candidate.revision.commit.clone(),
        subject: candidate.subject.clone(),
        seen: candidate.seen,
        verdict: Verdict::Accepted,
        held: candidate.faulty.iter().cloned().collect(),
        message: String::new(),
        findings: candidate.findings.iter().take(FINDINGS_MAX).cloned().collect(),
        published: None,
    };
    let stays = before.map_or("", |before| &before.revision.commit);
    if let Some(distrust) = &candidate.distrust {
        record.verdict = Verdict::Refused;
        record.message = format!("{distrust}{}", stays_at(stays));
        return Judged { record, effective: None, provisional: false };
    }
    if candidate.refused {
        record.verdict = Verdict::Refused;
        record.message = format!("{} outside of apps/{}", errors(candidate, None), stays_at(stays));
        return Judged { record, effective: None, provisional: false };
    }
    let occupied = removed_but_occupied(candidate, before, knowledge);
    if !occupied.is_empty() {
        record.verdict = Verdict::Refused;
        record.message = format!("a cluster that is not empty was removed{}", stays_at(stays));
        record.findings.splice(0..0, occupied);
        return Judged { record, effective: None, provisional: true };
    }
    let removals = Removals::count(candidate, before, knowledge);
    if removals.need_consent() && candidate.allowed_removals < removals.components {
        record.verdict = Verdict::Waiting;
        record.message = removals.request();
        return Judged { record, effective: None, provisional: false };
    }
    if !candidate.faulty.is_empty() {
        record.verdict = Verdict::Held;
        record.message = held(candidate, before);
    }
    let source = |name: &str| before?.revision.applications.get(name).cloned();
    let effective = combined(candidate.revision.clone(), &candidate.faulty, source, knowledge);
    Judged { record, effective: Some(effective), provisional: false }
}

/// The number after the trailer, or zero.
pub fn allowed_removals(message: &str) -> usize {
    let trailers = message.lines().filter_map(|line| line.trim().split_once(':'));
    let allowed = trailers.filter(|(key, _)| key.eq_ignore_ascii_case(ALLOW_REMOVALS));
    allowed.filter_map(|(_, number)| number.trim().parse().ok()).max().unwrap_or(0)
}

/// What is held keeps its objects and node ports: an application that takes them over in this commit is held, too.
fn hold_clashing(candidate: &Candidate, before: Option<&Effective>) -> Candidate {
    let mut candidate = candidate.clone();
    let old = |name: &String| Some((name.clone(), before?.revision.applications.get(name)?.clone()));
    loop {
        let mut together = candidate.revision.applications.clone();
        together.extend(candidate.faulty.iter().filter_map(old));
        let mut more = false;
        // Without anything held, checking the commit has found every clash.
        let clashes = match candidate.faulty.is_empty() {
            true => Vec::new(),
            false => clashes(&together, &candidate.revision.fleet.cluster_scoped),
        };
        for clash in clashes {
            let (first, second) = (&clash.first.0, &clash.second.0);
            let Some((fresh, holder)) = [(second, &clash.first), (first, &clash.second)]
                .into_iter()
                .find(|(name, _)| !candidate.faulty.contains(*name))
            else {
                continue;
            };
            candidate.findings.push(taken(&clash.thing, fresh, holder));
            candidate.revision.applications.remove(fresh);
            candidate.faulty.insert(fresh.clone());
            more = true;
        }
        if !more {
            return candidate;
        }
    }
}

fn taken(thing: &str, application: &str, holder: &(String, String)) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        code: "duplicate-object".into(),
        file: format!("{}/{application}/{}", layout::APPLICATIONS, layout::APPLICATION),
        place: None,
        pointer: String::new(),
        message: format!("{thing} still belongs to the component `{}` of `{}`", holder.1, holder.0),
        help: Some(format!("mend `{}`, which is held at an older commit", holder.0)),
        application: Some(application.into()),
    }
}

/// A revision with each faulty application at the source that counted before, or frozen if there is none.
fn combined(
    mut revision: Revision,
    faulty: &BTreeSet<String>,
    source: impl Fn(&str) -> Option<Arc<ApplicationSource>>,
    knowledge: &Knowledge,
) -> Effective {
    let mut frozen = BTreeSet::new();
    for name in faulty {
        match source(name) {
            Some(source) => drop(revision.applications.insert(name.clone(), source)),
            None if knowledge.placements.contains_key(name) => drop(frozen.insert(name.clone())),
            None => {}
        }
    }
    Effective { revision: Arc::new(revision), frozen }
}

/// A `Cluster` document may go only when nothing runs there.
fn removed_but_occupied(
    candidate: &Candidate,
    before: Option<&Effective>,
    knowledge: &Knowledge,
) -> Vec<Diagnostic> {
    let mut occupants: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (application, placement) in &*knowledge.placements {
        for (component, placed) in &placement.spec.components {
            let clusters = placed.cluster.iter().chain(placed.moving.as_ref().map(|moving| &moving.from));
            for cluster in clusters {
                occupants.entry(cluster).or_default().insert(format!("{application}/{component}"));
            }
        }
    }
    let known = before.into_iter().flat_map(|before| before.revision.clusters.keys().map(String::as_str));
    for cluster in known.collect::<Vec<_>>() {
        let Some(state) = knowledge.clusters.get(cluster) else { continue };
        if matches!(state.status, ClusterStatus::Ready | ClusterStatus::Suspect) {
            let held = state.components.iter().map(|held| format!("{}/{}", held.application, held.component));
            occupants.entry(cluster).or_default().extend(held);
        }
    }
    let removed = occupants
        .into_iter()
        .filter(|(name, held)| !candidate.revision.clusters.contains_key(*name) && !held.is_empty());
    removed
        .map(|(cluster, held)| Diagnostic {
            severity: Severity::Error,
            code: "cluster-not-empty".into(),
            file: layout::CLUSTERS.into(),
            place: None,
            pointer: String::new(),
            message: format!("cluster `{cluster}` was removed, but {} run there", some(&held)),
            help: Some("set `drain: true` in its document, and remove it when it is empty".into()),
            application: None,
        })
        .collect()
}

/// Components that ran, or were meant to, and are in the candidate no more.
#[derive(Debug, PartialEq, Eq)]
struct Removals {
    components: usize,
    /// Of so many.
    total: usize,
    /// Applications that lose all of their components.
    applications: usize,
}

impl Removals {
    fn count(candidate: &Candidate, before: Option<&Effective>, knowledge: &Knowledge) -> Self {
        let mut known: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (name, placement) in &*knowledge.placements {
            let components = placement.spec.components.keys().map(|name| layout::whole(name));
            known.entry(name).or_default().extend(components);
        }
        for (name, source) in before.into_iter().flat_map(|before| &before.revision.applications) {
            known.entry(name).or_default().extend(names(source));
        }
        let mut removals =
            Self { components: 0, total: known.values().map(BTreeSet::len).sum(), applications: 0 };
        for (name, components) in known.into_iter().filter(|(name, _)| !candidate.faulty.contains(*name)) {
            let now: BTreeSet<&str> = candidate
                .revision
                .applications
                .get(name)
                .into_iter()
                .flat_map(|source| names(source))
                .collect();
            let gone = components.difference(&now).count();
            removals.components += gone;
            removals.applications += usize::from(gone == components.len() && gone > 0);
        }
        removals
    }

    /// More than a quarter of everything, or several whole applications, is too much for a slip of the hand.
    fn need_consent(&self) -> bool {
        self.components * 4 > self.total || self.applications > 1
    }

    fn request(&self) -> String {
        let Self { components, total, applications } = self;
        let whole = match applications {
            0 => String::new(),
            1 => ", among them a whole application".into(),
            many => format!(", among them {many} whole applications"),
        };
        format!(
            "removes {components} of {total} components{whole}; if that is meant, push a commit with the trailer \
             `{ALLOW_REMOVALS}: {components}` (an empty one will do)"
        )
    }
}

fn names(source: &ApplicationSource) -> impl Iterator<Item = &str> {
    source.application.spec.components.iter().map(|component| component.name.as_str())
}

fn held(candidate: &Candidate, before: Option<&Effective>) -> String {
    let each = candidate.faulty.iter().map(|name| {
        let source = before.and_then(|before| before.revision.applications.get(name));
        let at = source.map_or("", |source| &source.commit);
        format!("{name}: {}{}", errors(candidate, Some(name)), stays_at(at))
    });
    each.collect::<Vec<_>>().join("; ")
}

fn errors(candidate: &Candidate, application: Option<&str>) -> String {
    let errors = candidate.findings.iter().filter(|finding| finding.severity == Severity::Error);
    match errors.filter(|finding| finding.application.as_deref() == application).count() {
        1 => "1 error".into(),
        many => format!("{many} errors"),
    }
}

fn stays_at(commit: &str) -> String {
    match commit.get(..7) {
        Some(short) => format!(", stays at {short}"),
        None => String::new(),
    }
}

/// The first three, and how many more.
fn some(names: &BTreeSet<String>) -> String {
    let first = names.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(3) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
