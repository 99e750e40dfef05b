//! Releases where branch, Knowledge Base and agents do not know the same.

use qonnect_schema::documents::application::MoveStrategy;

use super::*;

#[test]
fn a_generation_is_above_any_that_branch_knowledge_or_agent_know() {
    let mut fleet = Fleet::running();
    fleet.releases.get_mut("a").unwrap().generation = 5;
    fleet.report("a", &["web", "db"]);
    fleet.snapshot.clusters.get_mut("a").unwrap().mark.generation = 8;
    fleet.revision.applications.insert("shop".into(), application("shop", "2"));
    fleet.publish(SAME).unwrap();
    assert_eq!(fleet.release("a").generation, 9);
}

#[test]
fn a_foreign_release_is_outranked() {
    let mut fleet = Fleet::running();
    let mut release = fleet.release("a");
    release.generation = 40;
    let tree = fleet.deployed.files.iter().map(|(path, bytes)| (path.clone(), Entry::File(bytes.clone())));
    let mut tree: Tree = tree.collect();
    let text = yaml::to_string(&Release::new("a", release)).unwrap();
    tree.insert("clusters/a/release.yaml".into(), Entry::file(text));
    fleet.deployed = Deployed::read(Some("foreign".into()), at(300), &tree);
    fleet.publish(SAME).unwrap();
    assert_eq!(fleet.release("a").generation, 41);
}

#[test]
fn a_vanished_branch_is_written_again_from_what_was_decided() {
    let mut fleet = Fleet::running();
    let before = fleet.deployed.files.len();
    fleet.deployed = Deployed::read(None, at(0), &Tree::new());
    fleet.publish(SAME).unwrap();
    assert_eq!(fleet.deployed.files.len(), before);
    assert_eq!(fleet.release("a").generation, 2);
}

#[test]
fn an_agent_that_remembers_more_than_the_branch_gets_a_release_above_that() {
    let mut fleet = Fleet::running();
    fleet.report("a", &["web", "db"]);
    let epoch = Epoch { era: 0, term: 1, node: 1 };
    let remembers = |fleet: &mut Fleet, epoch, generation, digest: &str| {
        let mark = Mark { generation, epoch, digest: digest.into() };
        fleet.snapshot.clusters.get_mut("a").unwrap().mark = mark;
    };
    remembers(&mut fleet, epoch, 7, "later");
    fleet.publish(SAME).unwrap();
    assert_eq!(fleet.release("a").generation, 8);
    assert_eq!(fleet.decide(SAME), None, "once is enough");
    remembers(&mut fleet, epoch, 8, "another with the same number");
    fleet.publish(SAME).unwrap();
    assert_eq!(fleet.release("a").generation, 9);
    remembers(&mut fleet, Epoch { era: 1, ..epoch }, 9, "");
    assert_eq!(fleet.decide(SAME), None, "only a new era helps");
}

#[test]
fn what_an_agent_has_accepted_and_never_completed_counts_when_everything_else_is_lost() {
    let mut fleet = Fleet::running();
    fleet.report("a", &["web"]);
    let state = fleet.snapshot.clusters.get_mut("a").unwrap();
    state.release = None;
    state.mark = Mark { generation: 7, ..Mark::default() };
    fleet.releases.clear();
    fleet.deployed = Deployed::read(None, at(0), &Tree::new());
    fleet.publish(SAME).unwrap();
    assert_eq!(fleet.release("a").generation, 8);
}

#[test]
fn what_an_agent_holds_is_removed_by_name_although_its_release_is_lost() {
    let mut fleet = Fleet::running();
    fleet.report("a", &["web", "db"]);
    fleet.revision.applications.remove("shop");
    fleet.snapshot.placements.remove("shop");
    fleet.deployed = Deployed::default();
    fleet.releases.clear();
    fleet.publish(SAME).unwrap();
    let release = fleet.release("a");
    assert_eq!(release.generation, 2, "above what the agent remembers");
    let left: Vec<_> = release.removals.iter().map(|removal| removal.component.as_str()).collect();
    assert_eq!(left, ["db", "web"]);
    fleet.frozen.insert("shop".into());
    fleet.deployed = Deployed::default();
    fleet.publish(SAME).unwrap();
    assert_eq!(fleet.release("a").removals, [], "what is held stays");
}

#[test]
fn what_leaves_while_the_branch_is_set_back_is_removed_by_name_although_nobody_has_reported_it() {
    let mut fleet = Fleet::running();
    fleet.revision.applications.remove("shop");
    fleet.deployed = Deployed::default();
    fleet.publish(SAME).unwrap();
    let left: Vec<_> = fleet.release("a").removals.into_iter().map(|removal| removal.component).collect();
    assert_eq!(left, ["db", "web"]);
}

#[test]
fn what_leaves_is_listed_again_when_a_restored_release_has_forgotten_it() {
    let to_b = &[("web", "a"), ("db", "b")];
    let mut fleet = Fleet::running();
    let source = Arc::make_mut(fleet.revision.applications.get_mut("shop").unwrap());
    source.application.spec.components.iter_mut().for_each(|one| one.strategy = MoveStrategy::Recreate);
    fleet.report("a", &["web", "db"]);
    fleet.publish(to_b).unwrap();
    let mut forgetful = fleet.release("a");
    assert_eq!(std::mem::take(&mut forgetful.removals).len(), 1);
    let tree = fleet.deployed.files.iter().map(|(path, bytes)| (path.clone(), Entry::File(bytes.clone())));
    let mut tree: Tree = tree.collect();
    let text = yaml::to_string(&Release::new("a", forgetful)).unwrap();
    tree.insert("clusters/a/release.yaml".into(), Entry::file(text));
    fleet.deployed = Deployed::read(Some("restored".into()), at(300), &tree);
    fleet.publish(to_b).unwrap();
    assert_eq!(fleet.release("a").removals.len(), 1);
    assert_eq!(fleet.decide(to_b), None, "once is enough");
}

#[test]
fn what_came_and_went_while_the_branch_remembers_neither_is_removed_by_name() {
    let mut fleet = Fleet::running();
    // The agent has accepted a release of this group, with an application that people removed since.
    fleet.report("a", &["web", "db"]);
    let state = fleet.snapshot.clusters.get_mut("a").unwrap();
    state.mark = Mark { generation: 1, ..Mark::default() };
    fleet.revision.applications.clear();
    fleet.snapshot.placements.clear();
    let mut empty = fleet.release("a");
    empty.order.clear();
    let text = yaml::to_string(&Release::new("a", empty)).unwrap();
    let tree = Tree::from([("clusters/a/release.yaml".to_owned(), Entry::file(text))]);
    fleet.deployed = Deployed::read(Some("set-back".into()), at(300), &tree);
    fleet.publish(SAME).unwrap();
    let left: Vec<_> = fleet.release("a").removals.into_iter().map(|removal| removal.component).collect();
    assert_eq!(left, ["db", "web"]);
    assert_eq!(fleet.decide(SAME), None, "once is enough");
}

#[test]
fn a_release_that_nobody_remembers_is_published_anew_and_known_from_then_on() {
    let mut fleet = Fleet::running();
    fleet.releases.remove("a");
    fleet.publish(SAME).unwrap();
    assert_eq!((fleet.release("a").generation, fleet.releases["a"].generation), (2, 2));
    assert_eq!(fleet.decide(SAME), None, "once is enough");
}
