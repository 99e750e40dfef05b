//! What became of the newest commits of the spec branch, as people see it beside the commit.

use std::fmt;

use qonnect_schema::api::{RevisionRecord, Verdict};

use crate::knowledge::{Knowledge, Proposal, ProposalState};

/// Commits before the newest whose unfinished statuses are closed: as many as a hasty person pushes in a row.
const REPLACED_MAX: usize = 3;

/// Names in a description; forges cut it off at 140 characters.
const NAMED_MAX: usize = 3;

/// A step on the way of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub commit: String,
    pub context: Context,
    pub state: State,
    pub description: String,
    pub link: Link,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Context {
    Valid,
    Planned,
    Published,
    Applied,
    Ready,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Pending,
    Success,
    Failure,
    /// A newer commit counts: what is pending will not end.
    Replaced,
}

/// Where more is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    Commit(String),
    Request,
}

impl Context {
    const ALL: [Self; 5] = [Self::Valid, Self::Planned, Self::Published, Self::Applied, Self::Ready];

    pub(super) fn step(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Planned => "planned",
            Self::Published => "published",
            Self::Applied => "applied",
            Self::Ready => "ready",
        }
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "qonnect/{}", self.step())
    }
}

/// Of the newest commit all that is known, of those before it that they were replaced. `settled` is a commit that
/// was planned and changes nothing.
pub fn statuses(knowledge: &Knowledge, settled: Option<&str>) -> Vec<Status> {
    let mut records = knowledge.revisions.iter().rev();
    let Some(newest) = records.next() else { return Vec::new() };
    let mut statuses = Commit { knowledge, record: newest, settled }.statuses();
    let description = format!("replaced by {}", short(&newest.commit));
    for record in records.take(REPLACED_MAX).filter(|record| record.commit != newest.commit) {
        statuses.extend(Context::ALL.map(|context| Status {
            commit: record.commit.clone(),
            context,
            state: State::Replaced,
            description: description.clone(),
            link: Link::Commit(newest.commit.clone()),
        }));
    }
    statuses
}

struct Commit<'a> {
    knowledge: &'a Knowledge,
    record: &'a RevisionRecord,
    settled: Option<&'a str>,
}

impl Commit<'_> {
    fn statuses(&self) -> Vec<Status> {
        let mut steps = vec![(Context::Valid, self.valid())];
        if self.knowledge.good.as_deref().is_some_and(|good| good.commit == self.record.commit) {
            steps.push((Context::Planned, self.planned()));
            steps.push((Context::Published, self.published()));
            if self.is_published() {
                steps.push((Context::Applied, self.applied()));
                steps.push((Context::Ready, self.ready()));
            }
        }
        let status = |(context, (state, description)): (Context, (State, String))| Status {
            commit: self.record.commit.clone(),
            context,
            state,
            description,
            link: self.link(context),
        };
        steps.into_iter().map(status).collect()
    }

    fn link(&self, context: Context) -> Link {
        match (context, &self.record.published) {
            (Context::Valid, _) => Link::Commit(self.record.commit.clone()),
            (_, Some(published)) => Link::Commit(published.clone()),
            (_, None) if self.proposal().is_some() => Link::Request,
            (_, None) => Link::Commit(self.record.commit.clone()),
        }
    }

    fn valid(&self) -> (State, String) {
        let RevisionRecord { verdict, held, message, .. } = self.record;
        match verdict {
            Verdict::Accepted => (State::Success, "free of faults".into()),
            Verdict::Held => (State::Failure, format!("held at an older commit: {}", list(held))),
            Verdict::Refused => (State::Failure, message.clone()),
            Verdict::Waiting => (State::Pending, message.clone()),
        }
    }

    fn planned(&self) -> (State, String) {
        let asked = self.proposal().is_some_and(|proposal| proposal.state != ProposalState::Void);
        match self.is_published() || asked {
            true => (State::Success, "every component was weighed".into()),
            false => (State::Pending, "is being planned".into()),
        }
    }

    fn published(&self) -> (State, String) {
        if let Some(published) = &self.record.published {
            return (State::Success, format!("as {}", short(published)));
        }
        if self.is_published() {
            return (State::Success, "nothing had to change".into());
        }
        let Some(proposal) = self.proposal() else { return (State::Pending, "is being planned".into()) };
        let commit = short(&proposal.commit);
        match &proposal.state {
            ProposalState::Written | ProposalState::Offered => {
                (State::Pending, format!("waits for the merge of {commit}"))
            }
            ProposalState::Approved { by } => (State::Pending, format!("{commit} was approved by {by}")),
            ProposalState::Rejected => (State::Failure, format!("people refused {commit}")),
            ProposalState::Void => (State::Pending, format!("people did not approve {commit}; asking again")),
            ProposalState::Closed => (State::Pending, "is being planned".into()),
        }
    }

    fn applied(&self) -> (State, String) {
        let Knowledge { releases, clusters, stalled, .. } = self.knowledge;
        let applied = |name: &&String| {
            let release = clusters.get(*name).and_then(|state| state.release.as_ref());
            release.is_some_and(|release| release.generation >= releases[*name].generation)
        };
        let behind: Vec<_> = releases.keys().filter(|name| !applied(name)).cloned().collect();
        let failing: Vec<_> = behind.iter().filter(|name| stalled.contains_key(*name)).cloned().collect();
        match (&*behind, &*failing) {
            ([], _) => (State::Success, format!("by {} clusters", releases.len())),
            (_, []) => (State::Pending, format!("not yet by {}", list(&behind))),
            _ => (State::Failure, format!("not by {}", list(&failing))),
        }
    }

    fn ready(&self) -> (State, String) {
        let (mut count, mut waiting, mut failing) = (0usize, Vec::new(), Vec::new());
        for (application, placement) in &*self.knowledge.placements {
            for (component, placed) in &placement.spec.components {
                let name = format!("{application}/{component}");
                let Some(cluster) = &placed.cluster else {
                    failing.push(name);
                    continue;
                };
                count += 1;
                if self.knowledge.is_ready(cluster, application, component) {
                    continue;
                }
                let state = self.knowledge.clusters.get(cluster);
                match state.is_some_and(|state| state.failing.contains_key(&name)) {
                    true => failing.push(name),
                    false => waiting.push(name),
                }
            }
        }
        match (&*failing, &*waiting) {
            ([], []) => (State::Success, format!("{count} components")),
            ([], _) => (State::Pending, format!("not yet {}", list(&waiting))),
            _ => (State::Failure, format!("not {}", list(&failing))),
        }
    }

    fn is_published(&self) -> bool {
        self.record.published.is_some() || self.settled == Some(self.record.commit.as_str())
    }

    /// That asks about this commit.
    fn proposal(&self) -> Option<&Proposal> {
        self.knowledge.proposal.as_deref().filter(|proposal| proposal.revision == self.record.commit)
    }
}

fn list(names: &[String]) -> String {
    let named = names.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMED_MAX) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}
