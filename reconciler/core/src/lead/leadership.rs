//! One leadership: when to plan again, and what becomes of a plan.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use qonnect_schema::documents::approval::{Class, Request};
use qonnect_schema::documents::fleet::Branches;
use qonnect_schema::revision::Revision;
use qonnect_schema::{Epoch, FleetSpec, SnapshotSpec};

use super::board::{Asked as Text, Board};
use super::desk::{Desk, Offer};
use super::planning::Planning;
use super::waiting::Approved;
use super::{Effect, Fence, relevant};
use crate::decision::{self, Draft, Input, Rendered};
use crate::hold::Effective;
use crate::knowledge::{Change, Knowledge, Proposal, ProposalState, Reviewed};
use crate::placement::{self, Plan, Report};
use crate::review::{self, Policy};
use crate::rollout;

/// Applications whose constraints a pull request weighs: each costs a look at every cluster.
const EXPLAINED_MAX: usize = 10;

#[derive(Debug)]
pub(super) struct Leadership {
    pub(super) fence: Fence,
    pub(super) desk: Desk,
    pub(super) board: Board,
    /// Something that decisions depend on has changed.
    pub(super) due: bool,
    /// What the last decision was made on.
    planned_on: Arc<Knowledge>,
    planning: Planning,
    rendered: Rendered,
}

/// What decisions are made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sources<'a> {
    pub(super) newest: &'a Effective,
    pub(super) approved: Approved<'a>,
}

impl<'a> Sources<'a> {
    /// What is carried out without asking anybody; `None` if nothing ever was approved.
    fn approved(&self) -> Option<&'a Effective> {
        match self.approved {
            Approved::All => Some(self.newest),
            Approved::Older(effective) => Some(effective),
            Approved::Nothing | Approved::Lost | Approved::Unread => None,
        }
    }

    /// A commit that waits for people does not say where they are asked, unless nobody was asked before.
    fn asking(&self) -> &'a FleetSpec {
        let asking = self.approved().filter(|approved| approved.revision.fleet.approval.is_some());
        &asking.unwrap_or(self.newest).revision.fleet
    }

    fn branches(&self) -> &'a Branches {
        &self.asking().branches
    }

    /// Who is asked, and how.
    fn settings(&self) -> Request {
        self.asking().approval.as_ref().map(|approval| approval.request.clone()).unwrap_or_default()
    }
}

impl Leadership {
    /// `forge` says whether there is one that shows what people are asked.
    pub(super) fn new(epoch: Epoch, forge: bool) -> Self {
        Self {
            fence: Fence::new(epoch),
            desk: Desk::new(epoch),
            board: Board::new(forge),
            due: true,
            planned_on: Arc::default(),
            planning: Planning::default(),
            rendered: Rendered::default(),
        }
    }

    pub(super) fn decide(
        &mut self,
        sources: Sources<'_>,
        knowledge: &Arc<Knowledge>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let published = sources.approved().unwrap_or(sources.newest);
        if matches!(sources.approved, Approved::Unread)
            || !self.fence.ready(&published.revision.fleet.branches.deploy, knowledge, effects)
        {
            return;
        }
        self.due |= self.fence.take_due() | self.desk.take_due();
        if !std::mem::take(&mut self.due) {
            return;
        }
        self.planned_on = knowledge.clone();
        let newest = sources.newest;
        let (plan, snapshot) = self.planning.plan(&newest.revision, snapshot(knowledge, now));
        let nothing = BTreeSet::new();
        let draft = draft(&self.fence, newest, (plan, snapshot), knowledge, &nothing, &mut self.rendered);
        let wake = wake(&newest.revision, snapshot).into_iter();
        let approved = sources.approved().map(|approved| &*approved.revision);
        let policy = match sources.approved {
            Approved::Lost => Policy::everything(),
            _ => Policy::of(&newest.revision, approved),
        };
        let asks = draft.as_ref().is_some_and(|draft| policy.asks(draft, &newest.revision, approved));
        let report = asks.then(|| Report::new(&newest.revision, snapshot, plan));
        let settled = draft.is_none().then_some(newest.revision.commit.as_str());
        self.board.decided(sources.branches(), settled);
        effects.extend(wake.chain(self.planning.review()).min().map(Effect::WakeAt));
        match (draft, report) {
            (Some(draft), Some(report)) => {
                self.ask(Asked { draft, report, policy }, sources, knowledge, now, effects);
            }
            (draft, _) => {
                self.desk.withdraw(sources.branches(), knowledge, effects);
                let waits = knowledge.approved.is_some();
                match draft {
                    Some(draft) => {
                        let completes = waits.then(|| newest.good());
                        self.fence.submit(Draft { completes, ..draft }, effects);
                    }
                    None if waits => effects.push(Effect::Propose(Change::Settled { good: newest.good() })),
                    None => {}
                }
            }
        }
    }

    /// Publishes what people were not to be asked about, then what they have approved, and asks them about the rest.
    fn ask(
        &mut self,
        Asked { draft: mut asked, report, policy }: Asked,
        sources: Sources<'_>,
        knowledge: &Arc<Knowledge>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let unasked = sources.approved().and_then(|approved| {
            let snapshot = snapshot(knowledge, now);
            let plan = placement::plan(&approved.revision, &snapshot);
            let (withheld, rendered) = (policy.withheld(), &mut self.rendered);
            draft(&self.fence, approved, (&plan, &snapshot), knowledge, withheld, rendered)
        });
        if let Some(unasked) = unasked {
            return self.fence.submit(unasked, effects);
        }
        let id = review::substance(&asked);
        let proposal = knowledge.proposal.as_deref();
        match proposal.map(|proposal| (proposal, &proposal.state)) {
            Some((proposal, ProposalState::Approved { by })) if proposal.id == id => {
                asked.approve(by);
                asked.completes = Some(sources.newest.good());
                self.fence.submit(asked, effects);
            }
            Some((Proposal { commit, .. }, ProposalState::Approved { .. })) => {
                let why =
                    format!("{} was merged, and is not what would be done by now", review::short(commit));
                let reviewed = Reviewed::Void(why);
                effects.push(Effect::Propose(Change::Reviewed { commit: commit.clone(), reviewed }));
            }
            _ => {
                let branches = sources.branches();
                let message = review::message(&asked, &id, &report, branches);
                if self.board.is_used() {
                    let title = message.lines().next().unwrap_or_default().into();
                    let (id, body) = (id.clone(), self.request(&asked, &report, branches));
                    self.board.asks(Text { id, title, body, settings: sources.settings() });
                }
                let offer = Offer { id, draft: asked, message };
                self.desk.offer(offer, branches, knowledge, effects);
            }
        }
    }

    fn request(&mut self, asked: &Draft, report: &Report, branches: &Branches) -> String {
        let names: BTreeSet<&str> = asked.changes.iter().map(|change| change.application.as_str()).collect();
        let bindings = self.planning.bindings(names.into_iter().take(EXPLAINED_MAX));
        review::request(asked, self.fence.deployed(), report, &bindings, branches)
    }

    /// The Knowledge Base has moved on.
    pub(super) fn learned(&mut self, knowledge: &Knowledge, effects: &mut Vec<Effect>) {
        if self.fence.learned(knowledge) {
            // A phase of a move may be over without anybody's report, and what waits may be asked about.
            self.due |= relevant::moving(knowledge) || relevant::waiting(knowledge);
        }
        self.desk.learned(knowledge, effects);
        self.due = self.due || relevant::changed(&self.planned_on, knowledge);
    }
}

/// A draft about which people are to be asked.
struct Asked {
    draft: Draft,
    report: Report,
    policy: Policy,
}

fn snapshot(knowledge: &Knowledge, now: Timestamp) -> SnapshotSpec {
    let mut snapshot = knowledge.snapshot();
    snapshot.now = snapshot.now.max(now);
    snapshot
}

fn draft(
    fence: &Fence,
    effective: &Effective,
    (plan, snapshot): (&Plan, &SnapshotSpec),
    knowledge: &Knowledge,
    withheld: &BTreeSet<Class>,
    rendered: &mut Rendered,
) -> Option<Draft> {
    let input = Input {
        revision: &effective.revision,
        frozen: &effective.untouched(),
        plan,
        snapshot,
        releases: &knowledge.releases,
        deployed: fence.deployed(),
        epoch: fence.epoch(),
        group: &knowledge.group,
        withheld,
    };
    decision::decide(&input, rendered)
}

/// The next moment at which the same world is to be decided anew.
fn wake(revision: &Revision, snapshot: &SnapshotSpec) -> Option<Timestamp> {
    let signals = revision.signals.values().filter_map(|signals| signals.spec.valid_until);
    let signals = signals.filter(|until| *until > snapshot.now);
    signals.chain(rollout::next_deadline(snapshot, revision)).min()
}
