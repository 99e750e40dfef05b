use std::collections::BTreeMap;

use qonnect_schema::api::Verdict;
use qonnect_schema::documents::application::{ApplicationSpec, Objectives};
use qonnect_schema::documents::cluster::DeclaredNode;
use qonnect_schema::revision::ApplicationSource;
use qonnect_schema::units::{Bytes, Cpu};
use qonnect_schema::{Application, Cluster, ClusterSpec};
use serde_json::json;

use super::*;
use crate::knowledge::{Command, Outcome};

mod asking;
mod recovery;
mod showing;
mod taking_over;

const ONE: Epoch = Epoch { era: 0, term: 1, node: 1 };
fn origin(epoch: Epoch) -> Origin {
    Origin { group: "ours".into(), epoch }
}

const TWO: Epoch = Epoch { era: 0, term: 2, node: 2 };

/// A remote branch, a Knowledge Base, and one lead; effects are carried out by hand, one at a time.
struct Scene {
    lead: Lead,
    knowledge: Knowledge,
    /// The branch: its newest commit last, each with its origin.
    branch: Vec<(String, Option<Origin>, Deployed)>,
    effects: Vec<Effect>,
    /// What was pushed, in order.
    pushes: Vec<String>,
    commits: u64,
    drafts: BTreeMap<String, Draft>,
    /// The id that the next group of leads takes.
    group: &'static str,
    office: asking::Office,
    /// What a forge was to show, the newest last.
    shown: Vec<Arc<Wanted>>,
}

fn candidate(commit: &str, applications: &[&str]) -> Box<Candidate> {
    let source = |name: &&str| {
        let component = json!({"name": "web", "manifests": ["m"]});
        let spec = ApplicationSpec {
            objectives: Objectives { energy: 1.0, ..Default::default() },
            components: vec![serde_json::from_value(component).unwrap()],
            ..Default::default()
        };
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
        let manifest = qonnect_schema::manifest::Manifest { path: "m".into(), document: 0, object };
        let source = ApplicationSource {
            commit: commit.into(),
            application: Application::new(*name, spec),
            manifests: BTreeMap::from([("web".into(), vec![manifest])]).into(),
        };
        ((*name).to_owned(), Arc::new(source))
    };
    let node = DeclaredNode {
        name: "n".into(),
        count: 1,
        cpu: Cpu(4000),
        memory: Bytes(1 << 30),
        storage: Bytes(1 << 30),
        pods: 110,
        extended: BTreeMap::new(),
        energy: None,
        price: None,
        bandwidth: None,
    };
    let fog =
        Cluster::new("fog", ClusterSpec { tier: "fog".into(), nodes: vec![node], ..Default::default() });
    Box::new(Candidate {
        revision: Revision {
            commit: commit.into(),
            time: Timestamp::UNIX_EPOCH,
            fleet: Default::default(),
            clusters: BTreeMap::from([("fog".into(), fog)]),
            signals: BTreeMap::new(),
            applications: applications.iter().map(source).collect(),
        },
        subject: "subject".into(),
        seen: Timestamp::UNIX_EPOCH,
        findings: Vec::new(),
        refused: false,
        distrust: None,
        faulty: BTreeSet::new(),
        allowed_removals: 0,
    })
}

impl Scene {
    fn new() -> Self {
        Self {
            lead: Lead::default(),
            knowledge: Knowledge::default(),
            branch: Vec::new(),
            effects: Vec::new(),
            pushes: Vec::new(),
            commits: 0,
            drafts: BTreeMap::new(),
            group: "ours",
            office: asking::Office::default(),
            shown: Vec::new(),
        }
    }

    /// Leads at epoch one, has seen `r1` with one application, and has published it.
    fn running() -> Self {
        let mut scene = Self::new();
        scene.lead_at(ONE);
        scene.on(Event::Candidate(candidate("r1", &["shop"])));
        scene.settle();
        scene
    }

    fn lead_at(&mut self, epoch: Epoch) {
        let Epoch { node, term, .. } = epoch;
        self.apply(Change::OpenEpoch { node, term, group: self.group.into() });
        self.on(Event::Leading(epoch));
    }

    fn on(&mut self, event: Event) {
        self.effects.extend(self.lead.observe(event));
        self.effects.extend(self.lead.decide(Timestamp::UNIX_EPOCH));
    }

    fn apply(&mut self, change: Change) {
        let index = self.knowledge.index + 1;
        self.knowledge.apply(index, &Command { key: index.to_string(), now: Timestamp::UNIX_EPOCH, change });
        self.on(Event::Knowledge(Arc::new(self.knowledge.clone())));
    }

    fn tip(&self) -> Option<&str> {
        self.branch.last().map(|(commit, ..)| commit.as_str())
    }

    /// Carries out effects until one of them is a push, which it returns undone.
    fn until_push(&mut self) -> Option<(String, String, Option<String>)> {
        while !self.effects.is_empty() {
            match self.effects.remove(0) {
                Effect::Propose(change) => self.apply(change),
                Effect::Show(_) | Effect::WakeAt(_) => {}
                Effect::Forge(wanted) => self.shown.push(wanted),
                Effect::ReadSpec(epoch) => self.on(Event::SpecRead(epoch)),
                Effect::Restore(_) => {}
                Effect::ReadApproved(good) => self.read_approved(good),
                Effect::Review(ask) => {
                    let told = self.office.answer(ask);
                    self.on(Event::Review(told));
                }
                Effect::ReadTip { expected, .. }
                    if expected.is_some() && expected.as_deref() == self.tip() =>
                {
                    self.on(Event::TipUnchanged);
                }
                Effect::ReadTip { asks, .. } => {
                    let history = self.branch.iter().map(|(commit, ..)| commit.clone());
                    let contains = history.filter(|commit| asks.contains(commit)).collect();
                    let (deployed, origin) = match self.branch.last() {
                        Some((_, origin, deployed)) => (deployed.clone(), origin.clone()),
                        None => (Deployed::default(), None),
                    };
                    self.on(Event::Tip(Box::new(Tip { deployed, origin, asks, contains })));
                }
                Effect::Write(draft) => {
                    self.commits += 1;
                    let (intent, commit) = (draft.intent.clone(), format!("c{}", self.commits));
                    self.drafts.insert(commit.clone(), *draft);
                    self.on(Event::Written { intent, commit });
                }
                Effect::Record(intent) => {
                    let id = intent.id.clone();
                    let before = self.knowledge.intents.len();
                    self.apply(Change::Intent(intent));
                    let accepted = self.knowledge.intents.len() > before;
                    self.on(Event::Recorded { intent: id, accepted });
                }
                Effect::Push { intent, commit, base, .. } => {
                    assert!(
                        self.knowledge.intents.iter().any(|known| known.id == intent),
                        "pushed before it was recorded"
                    );
                    return Some((intent, commit, base));
                }
            }
        }
        None
    }

    /// What the remote does with a push: an exact compare-and-swap.
    fn arrive(&mut self, commit: &str, base: Option<&str>) -> Pushed {
        if self.tip() != base {
            return Pushed::Lost;
        }
        let draft = &self.drafts[commit];
        let mut deployed = self.branch.last().map(|(.., deployed)| deployed.clone()).unwrap_or_default();
        deployed.advance(commit.into(), draft.time, &draft.files);
        self.branch.push((commit.into(), Some(origin(draft.epoch)), deployed));
        self.pushes.push(draft.message.lines().next().unwrap().into());
        Pushed::Published
    }

    fn settle(&mut self) {
        while let Some((intent, commit, base)) = self.until_push() {
            let result = self.arrive(&commit, base.as_deref());
            self.on(Event::Pushed { intent, result });
        }
    }

    fn outcomes(&self) -> Vec<Outcome> {
        self.knowledge.intents.iter().map(|intent| intent.outcome.clone()).collect()
    }

    fn reasons(&self) -> Vec<&str> {
        self.knowledge.events.iter().map(|event| event.reason.as_str()).collect()
    }

    /// Somebody else pushes an empty commit.
    fn foreign(&mut self) {
        let mut deployed = self.branch.last().unwrap().2.clone();
        deployed.tip = Some("foreign".into());
        self.branch.push(("foreign".into(), self.branch.last().unwrap().1.clone(), deployed));
    }
}

#[test]
fn the_barrier_comes_before_any_decision_and_creates_an_absent_branch() {
    let scene = Scene::running();
    assert_eq!(scene.pushes, ["begin epoch 0.1.1", "place shop: web -> fog"]);
    assert_eq!(scene.outcomes(), [Outcome::Published, Outcome::Published]);
    assert!(scene.knowledge.placements.contains_key("shop"));
    assert_eq!(scene.knowledge.good.as_ref().unwrap().commit, "r1");
    assert_eq!(scene.knowledge.revisions[0].published.as_deref(), Some("c2"));
}

#[test]
fn a_commit_that_changes_nothing_is_accepted_and_publishes_nothing() {
    let mut scene = Scene::running();
    scene.on(Event::Candidate(candidate("r2", &["shop"])));
    scene.settle();
    assert_eq!(scene.pushes.len(), 2);
    assert_eq!(scene.knowledge.revisions[1].verdict, Verdict::Accepted);
}

#[test]
fn a_push_whose_outcome_is_unknown_is_looked_up_and_pushed_again() {
    for arrived in [true, false] {
        let mut scene = Scene::running();
        scene.on(Event::Candidate(candidate("r2", &["shop", "bank"])));
        let (intent, commit, base) = scene.until_push().unwrap();
        if arrived {
            scene.arrive(&commit, base.as_deref());
        }
        scene.on(Event::Pushed { intent, result: Pushed::Unknown });
        scene.settle();
        assert_eq!(scene.pushes.len(), 3, "arrived: {arrived}");
        assert_eq!(scene.tip(), Some(commit.as_str()), "the very same commit");
        assert!(scene.outcomes().iter().all(|outcome| *outcome == Outcome::Published));
    }
}

#[test]
fn a_lost_race_is_closed_again_and_planned_again() {
    let mut scene = Scene::running();
    scene.on(Event::Candidate(candidate("r2", &["shop", "bank"])));
    let (intent, commit, base) = scene.until_push().unwrap();
    scene.foreign();
    let result = scene.arrive(&commit, base.as_deref());
    assert_eq!(result, Pushed::Lost);
    scene.on(Event::Pushed { intent, result });
    scene.settle();
    assert_eq!(scene.pushes[2..], ["begin epoch 0.1.1", "place bank: web -> fog"]);
    assert_eq!(scene.outcomes()[2..], [Outcome::Lost, Outcome::Published, Outcome::Published]);
    assert!(scene.reasons().contains(&"ForeignCommit"));
}

#[test]
fn a_foreign_commit_is_noticed_by_polling_and_said_once() {
    let mut scene = Scene::running();
    scene.foreign();
    scene.on(Event::Poll);
    scene.settle();
    scene.on(Event::Poll);
    scene.settle();
    assert_eq!(scene.pushes[2..], ["begin epoch 0.1.1"], "its files were ours: nothing to restore");
    assert_eq!(scene.reasons().iter().filter(|reason| **reason == "ForeignCommit").count(), 1);
}

#[test]
fn a_removed_branch_is_written_again() {
    let mut scene = Scene::running();
    scene.branch.clear();
    scene.on(Event::Poll);
    scene.settle();
    assert_eq!(scene.branch.len(), 2);
    assert!(scene.reasons().contains(&"BranchAbsent"));
    assert!(scene.branch[1].2.knowledge().0.contains_key("shop"));
}

#[test]
fn a_refused_push_is_recorded_and_tried_again() {
    let mut scene = Scene::running();
    scene.on(Event::Candidate(candidate("r2", &["shop", "bank"])));
    let (intent, ..) = scene.until_push().unwrap();
    scene.on(Event::Pushed { intent, result: Pushed::Refused("protected".into()) });
    scene.settle();
    assert_eq!(scene.outcomes()[2], Outcome::Refused("protected".into()));
    assert_eq!(scene.pushes[2..], ["place bank: web -> fog"], "without another barrier");
}

#[test]
fn what_fails_again_and_again_waits_longer_each_time_and_is_told_once() {
    let mut scene = Scene::running();
    scene.on(Event::Candidate(candidate("r2", &["shop", "bank"])));
    let mut pauses = Vec::new();
    for _ in 0..12 {
        let (intent, ..) = scene.until_push().unwrap();
        scene.on(Event::Pushed { intent, result: Pushed::Refused("protected".into()) });
        let pause = scene.effects.iter().find_map(|effect| match effect {
            Effect::ReadTip { after, .. } => Some(*after),
            _ => None,
        });
        pauses.push(pause.expect("the branch is read again"));
    }
    assert!(pauses.is_sorted() && pauses[0] < pauses[4], "{pauses:?}");
    assert_eq!(pauses[11], Duration::from_secs(30));
    assert_eq!(scene.reasons().iter().filter(|reason| **reason == "PublishFailing").count(), 1);
}

#[test]
fn a_new_leader_finishes_what_an_old_one_left_unknown() {
    for arrived in [true, false] {
        let mut scene = Scene::running();
        scene.on(Event::Candidate(candidate("r2", &["shop", "bank"])));
        let (_, commit, base) = scene.until_push().unwrap();
        if arrived {
            scene.arrive(&commit, base.as_deref());
        }
        scene.lead = Lead::default();
        scene.effects.clear();
        scene.on(Event::Knowledge(Arc::new(scene.knowledge.clone())));
        scene.lead_at(TWO);
        assert!(
            scene.effects.iter().any(|effect| matches!(effect, Effect::Restore(good) if good.commit == "r2"))
        );
        let revision = Arc::new(candidate("r2", &["shop", "bank"]).revision);
        scene.on(Event::Restored(Some(Effective { revision, frozen: BTreeSet::new() })));
        scene.settle();
        let expected = if arrived { Outcome::Published } else { Outcome::Lost };
        assert_eq!(scene.outcomes()[2], expected);
        assert!(scene.outcomes()[3..].iter().all(|outcome| *outcome == Outcome::Published));
        assert!(scene.knowledge.placements.contains_key("bank"));
        assert_eq!(scene.branch.iter().filter(|(known, ..)| *known == commit).count(), usize::from(arrived));
        let origins: Vec<_> = scene.branch.iter().map(|(_, origin, _)| origin.clone()).collect();
        assert!(origins.is_sorted(), "{origins:?}");
    }
}

#[test]
fn a_deposed_leader_publishes_nothing_more() {
    let mut scene = Scene::running();
    scene.on(Event::Candidate(candidate("r2", &["shop", "bank"])));
    scene.apply(Change::OpenEpoch { node: 2, term: 2, group: "ours".into() });
    assert_eq!(scene.until_push(), None, "its intent is not accepted any more");
    assert_eq!(scene.pushes.len(), 2);
}

#[test]
fn a_branch_of_a_later_epoch_is_left_alone() {
    let mut scene = Scene::running();
    let mut deployed = scene.branch[1].2.clone();
    deployed.tip = Some("later".into());
    scene.branch.push(("later".into(), Some(origin(TWO)), deployed));
    scene.on(Event::Poll);
    scene.on(Event::Candidate(candidate("r2", &["shop", "bank"])));
    scene.settle();
    assert_eq!((scene.pushes.len(), scene.tip()), (2, Some("later")));
    assert_eq!(scene.knowledge.blocked.as_deref(), Some(&origin(TWO)));
}

#[test]
fn nothing_is_judged_before_the_last_good_revision_was_read_again() {
    let mut scene = Scene::running();
    scene.lead = Lead::default();
    scene.effects.clear();
    scene.on(Event::Knowledge(Arc::new(scene.knowledge.clone())));
    scene.lead_at(TWO);
    scene.on(Event::Candidate(candidate("r2", &[])));
    scene.settle();
    assert_eq!(scene.knowledge.revisions.len(), 1);
    scene.on(Event::Restored(None));
    scene.settle();
    assert_eq!(scene.knowledge.revisions[1].verdict, Verdict::Waiting, "what runs still counts");
}

#[test]
fn a_good_revision_that_cannot_be_read_is_asked_for_again_at_a_poll_and_not_before() {
    let mut scene = Scene::running();
    scene.lead = Lead::default();
    scene.effects.clear();
    let restores =
        |scene: &Scene| scene.effects.iter().filter(|effect| matches!(effect, Effect::Restore(_))).count();
    scene.on(Event::Knowledge(Arc::new(scene.knowledge.clone())));
    assert_eq!(restores(&scene), 1);
    scene.effects.clear();
    scene.on(Event::Restored(None));
    scene.on(Event::Knowledge(Arc::new(scene.knowledge.clone())));
    assert_eq!(restores(&scene), 0);
    scene.on(Event::Poll);
    assert_eq!(restores(&scene), 1);
}

#[test]
fn a_verdict_that_was_lost_with_its_leadership_is_given_again() {
    let mut scene = Scene::running();
    scene.on(Event::Candidate(candidate("r2", &["shop", "bank"])));
    // None of it arrives.
    scene.effects.clear();
    scene.on(Event::Deposed);
    scene.on(Event::Knowledge(Arc::new(scene.knowledge.clone())));
    assert!(matches!(scene.effects[..], [Effect::Restore(_)]));
    let revision = Arc::new(candidate("r1", &["shop"]).revision);
    scene.effects.clear();
    scene.on(Event::Restored(Some(Effective { revision, frozen: BTreeSet::new() })));
    scene.lead_at(TWO);
    scene.settle();
    assert_eq!(scene.knowledge.good.as_ref().unwrap().commit, "r2");
    assert!(scene.knowledge.placements.contains_key("bank"));
}
