//! A branch of others, a lost Knowledge Base, and answers that come late.

use super::*;

/// The leads of a running scene lose their disks, and others begin with empty ones.
fn rebuilt() -> Scene {
    let mut scene = Scene::running();
    scene.knowledge = Knowledge::default();
    scene.lead = Lead::default();
    scene.effects.clear();
    scene.group = "heirs";
    scene.lead_at(ONE);
    scene
}

#[test]
fn an_empty_knowledge_base_publishes_nothing_on_the_branch_of_another_group() {
    let mut scene = rebuilt();
    scene.on(Event::Candidate(candidate("r1", &["shop"])));
    scene.settle();
    for _ in 0..3 {
        scene.on(Event::Poll);
        scene.settle();
    }
    assert_eq!(scene.pushes.len(), 2);
    assert_eq!(scene.knowledge.blocked.as_deref(), Some(&origin(ONE)));
    assert_eq!(scene.reasons(), ["BranchOfOthers"], "said once");
    assert!(scene.knowledge.events[0].message.contains("--adopt ours"));
}

#[test]
fn a_person_hands_the_branch_to_the_group_and_it_begins_a_new_era_with_what_stands_there() {
    let placement = Scene::running().knowledge.placements["shop"].clone();
    let mut scene = rebuilt();
    scene.on(Event::Candidate(candidate("r1", &["shop"])));
    scene.settle();
    scene.apply(Change::Recover { adopt: Some("ours".into()) });
    scene.settle();
    assert_eq!(scene.knowledge.placements["shop"], placement, "nothing is decided anew");
    assert_eq!(scene.knowledge.epoch, Epoch { era: 1, ..ONE });
    assert_eq!(scene.pushes[2..], ["begin epoch 1.1.1"]);
    assert_eq!(scene.knowledge.blocked, None);
}

#[test]
fn a_revision_that_empties_what_a_lost_knowledge_base_had_placed_waits() {
    let mut scene = rebuilt();
    scene.on(Event::Candidate(candidate("r2", &[])));
    scene.settle();
    scene.apply(Change::Recover { adopt: Some("ours".into()) });
    scene.settle();
    assert_eq!(scene.knowledge.revisions[0].verdict, Verdict::Waiting);
    assert_eq!(scene.pushes[2..], ["begin epoch 1.1.1"]);
    assert!(scene.knowledge.placements.contains_key("shop"));
}

#[test]
fn a_branch_that_is_given_back_is_noticed_at_the_next_poll() {
    let mut scene = Scene::running();
    let ours = scene.branch.clone();
    let mut theirs = ours[1].2.clone();
    theirs.tip = Some("theirs".into());
    let group = Origin { group: "theirs".into(), epoch: Epoch::default() };
    scene.branch.push(("theirs".into(), Some(group), theirs));
    scene.on(Event::Poll);
    scene.settle();
    assert!(scene.knowledge.blocked.is_some());
    scene.branch = ours;
    scene.on(Event::Poll);
    scene.settle();
    assert_eq!(scene.knowledge.blocked, None);
    assert_eq!(scene.pushes[2..], ["begin epoch 0.1.1"]);
}

#[test]
fn a_refusal_settles_nothing_while_an_earlier_push_may_still_arrive() {
    let mut scene = Scene::running();
    scene.on(Event::Candidate(candidate("r2", &["shop", "bank"])));
    let (intent, commit, base) = scene.until_push().unwrap();
    scene.on(Event::Pushed { intent, result: Pushed::Unknown });
    let (intent, again, _) = scene.until_push().unwrap();
    assert_eq!(again, commit, "the very same commit");
    scene.on(Event::Pushed { intent, result: Pushed::Refused("protected".into()) });
    scene.arrive(&commit, base.as_deref());
    scene.settle();
    assert_eq!(scene.outcomes()[2..], [Outcome::Published]);
}

#[test]
fn an_answer_to_an_earlier_question_is_not_taken_for_the_one_that_was_asked() {
    let mut scene = Scene::running();
    scene.on(Event::Candidate(candidate("r2", &["shop", "bank"])));
    let (intent, commit, base) = scene.until_push().unwrap();
    let deployed = scene.branch[1].2.clone();
    scene.arrive(&commit, base.as_deref());
    scene.on(Event::Pushed { intent, result: Pushed::Unknown });
    // Read before the push had arrived, and asked for nothing.
    let (asks, contains) = Default::default();
    let late = Tip { deployed, origin: Some(origin(ONE)), asks, contains };
    scene.on(Event::Tip(Box::new(late)));
    scene.settle();
    assert_eq!(scene.pushes.len(), 3, "not pushed again");
    assert_eq!(scene.outcomes()[2], Outcome::Published);
}
