//! What a leadership begins with, and what must not keep it from going on.

use super::*;
use crate::hold;

/// Another leader has made `r2` good and published it; this lead has followed, and read `r1` only.
fn behind() -> Scene {
    let mut scene = Scene::running();
    scene.on(Event::Deposed);
    let r2 = candidate("r2", &["shop", "bank"]);
    let record = hold::judge(&r2, None, &scene.knowledge).record;
    let good = Good { commit: "r2".into(), applications: BTreeMap::new() };
    scene.apply(Change::Revision { record: Box::new(record), good: Some(good), waits: false });
    scene.effects.clear();
    scene
}

fn restored(commit: &str, applications: &[&str]) -> Event {
    let revision = Arc::new(candidate(commit, applications).revision);
    Event::Restored(Some(Effective { revision, frozen: BTreeSet::new() }))
}

#[test]
fn a_new_leader_does_not_go_back_to_a_revision_that_it_had_read_before() {
    let mut scene = behind();
    scene.on(restored("r2", &["shop", "bank"]));
    scene.lead_at(TWO);
    assert!(scene.effects.iter().any(|effect| matches!(effect, Effect::ReadSpec(TWO))));
    // The spec branch cannot be read yet.
    scene.effects.retain(|effect| !matches!(effect, Effect::ReadSpec(_)));
    scene.settle();
    assert_eq!(scene.knowledge.good.as_ref().unwrap().commit, "r2");
    assert_eq!(scene.pushes[2..], ["begin epoch 0.2.2", "place bank: web -> fog"], "what is good goes on");
    // An answer to an earlier leadership says nothing.
    scene.on(Event::SpecRead(ONE));
    scene.settle();
    assert_eq!(scene.knowledge.good.as_ref().unwrap().commit, "r2");
    scene.on(Event::Candidate(candidate("r3", &["shop", "bank", "news"])));
    scene.on(Event::SpecRead(TWO));
    scene.settle();
    assert_eq!(scene.knowledge.good.as_ref().unwrap().commit, "r3");
}

#[test]
fn a_new_leader_that_has_not_read_what_is_good_decides_nothing_before_it_has() {
    let mut scene = behind();
    scene.lead_at(TWO);
    scene.settle();
    assert_eq!(scene.pushes[2..], ["begin epoch 0.2.2"]);
    scene.on(restored("r1", &["shop"]));
    scene.settle();
    assert_eq!(scene.pushes.len(), 3, "that was asked for before");
    scene.on(Event::Candidate(candidate("r2", &["shop", "bank"])));
    scene.on(restored("r2", &["shop", "bank"]));
    scene.settle();
    assert_eq!(scene.pushes[3..], ["place bank: web -> fog"]);
}

#[test]
fn a_revision_that_counts_again_is_what_is_good() {
    let mut scene = Scene::running();
    scene.on(Event::Candidate(candidate("r2", &["shop", "bank"])));
    scene.settle();
    let mut back = candidate("r1", &["shop"]);
    back.allowed_removals = 1;
    scene.on(Event::Candidate(back));
    scene.settle();
    assert_eq!(scene.knowledge.revisions.len(), 2, "its verdict is known");
    assert_eq!(scene.knowledge.good.as_ref().unwrap().commit, "r1");
}

#[test]
fn a_decision_that_is_made_again_before_its_refusal_is_known_is_published_all_the_same() {
    let mut scene = Scene::running();
    scene.on(Event::Candidate(candidate("r2", &["shop", "bank"])));
    let (intent, ..) = scene.until_push().unwrap();
    scene.on(Event::Pushed { intent, result: Pushed::Refused("protected".into()) });
    assert!(matches!(scene.effects[..], [Effect::Propose(_), Effect::ReadTip { .. }]));
    // The tip comes sooner than the Knowledge Base.
    scene.effects.swap(0, 1);
    scene.settle();
    assert_eq!(scene.pushes[2..], ["place bank: web -> fog"]);
    assert!(scene.knowledge.placements.contains_key("bank"));
}
