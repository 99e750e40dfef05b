//! What waits for people, what they answer, and what goes on meanwhile.

use qonnect_schema::api::Registration;
use qonnect_schema::documents::approval::{Approval, Consent};
use qonnect_schema::documents::snapshot::ClusterStatus;

use super::*;
use crate::knowledge::ProposalState;
use crate::review::{Pair, Place};

/// Two review branches whose commits are names, and the revisions that can be read again.
#[derive(Default)]
pub(super) struct Office {
    pair: Pair,
    histories: BTreeMap<String, BTreeSet<String>>,
    written: u64,
    /// What was asked last.
    message: String,
    /// By commit of the spec branch.
    revisions: BTreeMap<String, Revision>,
    /// Nobody answers.
    silent: bool,
}

impl Office {
    pub(super) fn answer(&mut self, ask: Ask) -> Told {
        match ask {
            _ if self.silent => Told::Unreadable,
            Ask::Read { asks, .. } => {
                let see = |place: &Option<Place>| {
                    let place = place.clone()?;
                    let contains = self.histories[&place.commit].intersection(&asks).cloned().collect();
                    Some(Place { contains, ..place })
                };
                let pair = Pair { review: see(&self.pair.review), proposal: see(&self.pair.proposal) };
                Told::Read(Box::new(pair))
            }
            Ask::Write { review, message, .. } => {
                self.written += 1;
                self.message = message;
                let base = review.unwrap_or_else(|| self.commit("base", None));
                let commit = self.commit(&format!("p{}", self.written), Some(&base));
                Told::Written { review: base, tree: format!("tree of {commit}"), commit }
            }
            Ask::Push { seen, review, commit, .. } => {
                let names = |pair: &Pair| {
                    let name = |place: &Option<Place>| place.as_ref().map(|place| place.commit.clone());
                    (name(&pair.review), name(&pair.proposal))
                };
                if names(&seen) != names(&self.pair) {
                    return Told::Pushed(Pushed::Lost);
                }
                self.pair.review.get_or_insert_with(|| place(&review, ""));
                self.pair.proposal = Some(place(&commit, &format!("tree of {commit}")));
                Told::Pushed(Pushed::Published)
            }
            Ask::Remove { commit, .. } => {
                assert!(self.pair.proposal.take().is_some_and(|place| place.commit == commit));
                Told::Pushed(Pushed::Published)
            }
        }
    }

    fn commit(&mut self, name: &str, parent: Option<&str>) -> String {
        let mut history = parent.map(|parent| self.histories[parent].clone()).unwrap_or_default();
        history.insert(name.into());
        self.histories.insert(name.into(), history);
        name.into()
    }

    /// A person merges what stands there, and may change it on the way.
    pub(super) fn merge(&mut self, name: &str, edited: bool) {
        let proposal = self.pair.proposal.clone().unwrap();
        self.commit(name, Some(&proposal.commit));
        let tree = if edited { "another" } else { &proposal.tree };
        self.pair.review = Some(Place { by: "Ada".into(), ..place(name, tree) });
    }
}

fn place(commit: &str, tree: &str) -> Place {
    Place { commit: commit.into(), tree: tree.into(), ..Place::default() }
}

/// With a second cluster, and people to be asked.
pub(super) fn asking(commit: &str, applications: &[&str], approval: Option<Approval>) -> Box<Candidate> {
    let mut asking = candidate(commit, applications);
    let mut other = asking.revision.clusters["fog"].clone();
    other.metadata.name = "other".into();
    other.spec.defaults.energy = Some(qonnect_schema::units::EnergyRate(1.0));
    asking.revision.clusters.insert("other".into(), other);
    asking.revision.fleet.approval = approval;
    asking
}

/// Other objects for the same components.
pub(super) fn updated(mut candidate: Box<Candidate>, word: &str) -> Box<Candidate> {
    for source in candidate.revision.applications.values_mut() {
        let source = Arc::make_mut(source);
        for manifest in Arc::make_mut(&mut source.manifests).values_mut().flatten() {
            manifest.object["data"] = json!({"word": word});
        }
    }
    candidate
}

impl Scene {
    pub(super) fn push(&mut self, candidate: Box<Candidate>) {
        self.office.revisions.insert(candidate.revision.commit.clone(), candidate.revision.clone());
        self.on(Event::Candidate(candidate));
        self.settle();
    }

    pub(super) fn read_approved(&mut self, good: Good) {
        let revision = self.office.revisions.get(&good.commit).cloned();
        let effective =
            revision.map(|revision| Effective { revision: Arc::new(revision), frozen: BTreeSet::new() });
        self.on(Event::Approved { good, effective });
    }

    pub(super) fn poll(&mut self) {
        self.on(Event::Poll);
        self.settle();
    }

    fn lose(&mut self, cluster: &str) {
        let registration =
            Registration { incarnation: 1, agent_version: String::new(), kubernetes_version: String::new() };
        self.apply(Change::Register { cluster: cluster.into(), registration });
        self.apply(Change::Status { clusters: BTreeMap::from([(cluster.into(), ClusterStatus::Lost)]) });
        self.settle();
    }

    /// The lead starts again, at a later epoch.
    pub(super) fn start_again(&mut self, newest: Box<Candidate>) {
        self.lead = Lead { forge: self.lead.forge, ..Lead::default() };
        self.effects.clear();
        self.on(Event::Knowledge(Arc::new(self.knowledge.clone())));
        self.lead_at(TWO);
        let good = self.knowledge.good.as_deref().unwrap().commit.clone();
        let revision = Arc::new(self.office.revisions[&good].clone());
        self.on(Event::Restored(Some(Effective { revision, frozen: BTreeSet::new() })));
        self.on(Event::Candidate(newest));
        self.settle();
    }

    pub(super) fn state(&self) -> Option<ProposalState> {
        self.knowledge.proposal.as_ref().map(|proposal| proposal.state.clone())
    }

    /// What stands on the deploy branch of this cluster.
    fn deployed(&self, cluster: &str) -> String {
        let files = self.drafts.values().flat_map(|draft| &draft.files);
        let ours = files.filter(|(path, _)| path.starts_with(&format!("clusters/{cluster}/shop/web/")));
        let texts = ours.filter_map(|(_, bytes)| Some(String::from_utf8_lossy(bytes.as_ref()?).into_owned()));
        texts.collect()
    }
}

/// Approved and published: `shop` on `fog`.
fn approved() -> Scene {
    let mut scene = Scene::new();
    scene.lead_at(ONE);
    scene.push(asking("r1", &["shop"], Some(Approval::default())));
    assert_eq!(scene.pushes, ["begin epoch 0.1.1"], "nothing is placed unasked");
    assert_eq!(scene.state(), Some(ProposalState::Offered));
    scene.office.merge("m1", false);
    scene.poll();
    assert_eq!(scene.pushes[1..], ["place shop: web -> fog"]);
    scene
}

#[test]
fn what_people_have_merged_is_published_and_the_proposal_is_taken_back() {
    let scene = approved();
    assert!(scene.drafts["c2"].message.ends_with("\nQonnect-Approved-By: Ada\n"));
    assert_eq!(scene.knowledge.proposal, None);
    assert_eq!(scene.office.pair.proposal, None);
    assert_eq!(scene.knowledge.approved, None, "nothing waits any more");
    let told = ["RevisionAccepted", "Proposed", "Approved", "ComponentPlaced", "Published"];
    assert!(told.iter().all(|reason| scene.reasons().contains(reason)), "{:?}", scene.reasons());
}

#[test]
fn people_read_what_changes_why_how_far_it_reaches_and_how_to_answer() {
    let mut scene = Scene::new();
    scene.lead_at(ONE);
    scene.push(asking("r1", &["shop"], Some(Approval::default())));
    let text = scene.office.message.clone();
    for line in [
        "place shop: web -> fog",
        "| place shop: web -> fog | ",
        "Objects that change, by cluster: fog 2.",
        "merge `qonnect/review-next` into `qonnect/review` as it is",
        "Qonnect-Revision: r1",
    ] {
        assert!(
            text.lines().any(|known| known.starts_with(line) || known.contains(line)),
            "no {line} in\n{text}"
        );
    }
    assert!(text.contains("other"), "the runner-up\n{text}");
    assert!(
        crate::decision::Trailers::parse(&text).is_none(),
        "a proposal is no commit of the deploy branch"
    );
    scene.office.merge("m1", false);
    scene.poll();
    scene.push(updated(asking("r2", &["shop"], Some(Approval::default())), "new"));
    assert!(scene.office.message.contains("| render shop/web on fog anew | "), "{}", scene.office.message);
}

#[test]
fn a_failover_waits_for_nobody_and_brings_only_what_was_approved() {
    let mut scene = approved();
    scene.push(updated(asking("r2", &["shop"], Some(Approval::default())), "new"));
    assert_eq!(scene.state(), Some(ProposalState::Offered));
    scene.lose("fog");
    assert_eq!(scene.pushes[2..], ["fail over shop: web fog -> other"]);
    assert!(!scene.deployed("other").contains("new"), "{}", scene.deployed("other"));
    assert_eq!(scene.knowledge.approved.as_ref().unwrap().commit, "r1");
    // The update now concerns the other cluster.
    assert_eq!(scene.office.written, 3);
    scene.office.merge("m2", false);
    scene.poll();
    assert!(scene.deployed("other").contains("new"));
    assert_eq!(scene.knowledge.approved, None);
}

#[test]
fn a_new_leader_goes_on_with_what_was_approved_and_with_what_was_asked() {
    let mut scene = approved();
    let r2 = updated(asking("r2", &["shop"], Some(Approval::default())), "new");
    scene.push(r2.clone());
    let asked = scene.knowledge.proposal.clone();
    scene.start_again(r2.clone());
    assert_eq!(scene.pushes[2..], ["begin epoch 0.2.2"], "nothing else");
    assert_eq!(scene.knowledge.proposal, asked);
    scene.office.merge("m2", false);
    scene.start_again(r2);
    scene.poll();
    assert_eq!(scene.pushes[4..], ["render shop on fog"]);
    assert!(scene.deployed("fog").contains("new"));
}

#[test]
fn nothing_is_decided_before_what_was_approved_is_known() {
    let mut scene = approved();
    scene.office.revisions.remove("r1");
    let r2 = updated(asking("r2", &["shop"], None), "new");
    scene.push(r2.clone());
    scene.start_again(r2.clone());
    scene.lose("fog");
    assert_eq!(scene.pushes.len(), 3, "it cannot be read: people are asked about everything");
    assert!(!scene.deployed("fog").contains("new"));
    scene.office.revisions.insert("r1".into(), asking("r1", &["shop"], Some(Approval::default())).revision);
    scene.poll();
    assert_eq!(scene.pushes[3..], ["fail over shop: web fog -> other"]);
}

#[test]
fn an_edited_merge_is_refused_and_asked_again() {
    let mut scene = approved();
    scene.push(updated(asking("r2", &["shop"], Some(Approval::default())), "new"));
    scene.office.merge("m2", true);
    scene.poll();
    assert_eq!(scene.pushes.len(), 2, "it is not published");
    let refused = scene.knowledge.events.iter().find(|event| event.reason == "ApprovalRefused").unwrap();
    assert!(
        refused.message.contains("m2 merges p2 with other files than were proposed"),
        "{}",
        refused.message
    );
    assert_eq!(scene.state(), Some(ProposalState::Offered));
    assert_eq!(scene.office.written, 3, "asked again");
}

#[test]
fn a_proposal_that_is_replaced_cannot_be_approved_any_more() {
    let mut scene = approved();
    scene.push(updated(asking("r2", &["shop"], Some(Approval::default())), "new"));
    let old = scene.office.pair.proposal.clone();
    scene.push(updated(asking("r3", &["shop"], Some(Approval::default())), "newer"));
    let new = std::mem::replace(&mut scene.office.pair.proposal, old);
    scene.office.merge("m2", false);
    scene.office.pair.proposal = new;
    scene.poll();
    assert_eq!(scene.pushes.len(), 2);
    let refused = scene.knowledge.events.iter().find(|event| event.reason == "ApprovalRefused").unwrap();
    assert!(refused.message.contains("m2 merges p2, which p3 has replaced"), "{}", refused.message);
}

#[test]
fn what_was_merged_is_not_published_if_something_else_would_be_done_by_now() {
    let mut scene = approved();
    scene.push(updated(asking("r2", &["shop"], Some(Approval::default())), "new"));
    scene.office.merge("m2", false);
    // The merge and the next commit are seen together.
    scene.on(Event::Poll);
    scene.push(updated(asking("r3", &["shop"], Some(Approval::default())), "newer"));
    assert_eq!(scene.pushes.len(), 2);
    let refused = scene.knowledge.events.iter().filter(|event| event.reason == "ApprovalRefused");
    assert_eq!(refused.count(), 1);
    assert_eq!(scene.state(), Some(ProposalState::Offered));
}

#[test]
fn a_refusal_holds_until_the_spec_branch_or_the_change_is_another() {
    let mut scene = approved();
    scene.push(updated(asking("r2", &["shop"], Some(Approval::default())), "new"));
    scene.office.pair.proposal = None;
    scene.poll();
    scene.poll();
    assert_eq!(scene.state(), Some(ProposalState::Rejected));
    assert_eq!(scene.office.written, 2);
    scene.push(updated(asking("r3", &["shop"], Some(Approval::default())), "new"));
    assert_eq!(scene.state(), Some(ProposalState::Offered));
}

#[test]
fn what_is_reverted_is_asked_no_more() {
    let mut scene = approved();
    scene.push(updated(asking("r2", &["shop"], Some(Approval::default())), "new"));
    scene.push(asking("r3", &["shop"], Some(Approval::default())));
    assert_eq!(scene.knowledge.proposal, None);
    assert_eq!(scene.office.pair.proposal, None);
    assert_eq!(scene.knowledge.approved, None, "it changes nothing: there is nothing to approve");
    assert_eq!(scene.reasons().last(), Some(&"ProposalWithdrawn"));
}

#[test]
fn a_commit_cannot_free_itself_of_approval() {
    let mut scene = approved();
    scene.push(updated(asking("r2", &["shop"], None), "new"));
    assert_eq!(scene.pushes.len(), 2);
    assert_eq!(scene.state(), Some(ProposalState::Offered));
    scene.office.merge("m2", false);
    scene.poll();
    scene.push(updated(asking("r3", &["shop"], None), "newer"));
    assert_eq!(scene.pushes[2..], ["render shop on fog", "render shop on fog"], "it is off");
}

#[test]
fn only_the_kinds_that_were_asked_for_wait() {
    let approval = Approval { update: Consent::Auto, ..Approval::default() };
    let mut scene = approved();
    scene.push(asking("r2", &["shop"], Some(approval.clone())));
    scene.push(updated(asking("r3", &["shop"], Some(approval.clone())), "new"));
    assert_eq!(scene.pushes[2..], ["render shop on fog"]);
    scene.push(updated(asking("r4", &["shop", "bank"], Some(approval.clone())), "new"));
    assert_eq!(scene.pushes.len(), 3, "a new application waits");
    scene.push(asking("r5", &[], Some(approval)));
    assert_eq!(scene.pushes.len(), 3, "a removal waits");
}

#[test]
fn a_forge_that_is_silent_holds_nothing_else_up() {
    let mut scene = approved();
    scene.office.silent = true;
    scene.push(updated(asking("r2", &["shop"], Some(Approval::default())), "new"));
    scene.lose("fog");
    assert_eq!(scene.pushes[2..], ["fail over shop: web fog -> other"]);
    scene.office.silent = false;
    scene.poll();
    assert_eq!(scene.state(), Some(ProposalState::Offered));
}
