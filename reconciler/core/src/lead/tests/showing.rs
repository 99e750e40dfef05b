//! What a forge shows of what people are asked, and of what became of their commits.

use qonnect_schema::api::{Registration, Report};
use qonnect_schema::documents::approval::Approval;

use super::asking::{asking, updated};
use super::*;
use crate::forge::{Context, Link, PullRequest, State, Wish};
use crate::knowledge::ProposalState;

impl Scene {
    fn with_forge(applications: &[&str], approval: Option<Approval>) -> Self {
        let mut scene = Self { lead: Lead::with_forge(), ..Self::new() };
        scene.lead_at(ONE);
        scene.push(asking("r1", applications, approval));
        scene
    }

    fn shows(&self) -> &Wanted {
        self.shown.last().expect("something is shown")
    }

    fn request(&self) -> &PullRequest {
        match &self.shows().request {
            Wish::Open(request) => request,
            other => panic!("{other:?}"),
        }
    }

    fn status(&self, commit: &str, context: Context) -> Option<(State, &str)> {
        let mut all = self.shows().statuses.iter();
        let found = all.find(|status| status.commit == commit && status.context == context)?;
        Some((found.state, found.description.as_str()))
    }
}

#[test]
fn a_pull_request_is_open_while_a_proposal_waits_and_follows_it() {
    let mut scene = Scene::with_forge(&["shop"], Some(Approval::default()));
    let first = scene.request().clone();
    assert_eq!((first.commit.as_str(), first.title.as_str()), ("p1", "place shop: web -> fog"));
    assert_eq!(first.settings.labels, ["qonnect"]);
    for part in
        ["| place shop: web -> fog |", "<details>", "+++ clusters/fog/shop/web/", "close its pull request"]
    {
        assert!(first.body.contains(part), "no {part} in\n{}", first.body);
    }
    assert_eq!(scene.status("r1", Context::Published), Some((State::Pending, "waits for the merge of p1")));
    scene.push(updated(asking("r2", &["shop"], Some(Approval::default())), "new"));
    assert_eq!(scene.request().commit, "p2");
    assert!(scene.request().body.contains("new"), "{}", scene.request().body);
    let closed = scene.shown.iter().filter(|wanted| wanted.request == Wish::Closed).count();
    assert_eq!(closed, 1, "it was closed before anything was asked, and never in between");
    scene.office.merge("m1", false);
    scene.poll();
    assert_eq!(scene.shows().request, Wish::Closed);
    let same = scene.shown.windows(2).filter(|pair| pair[0] == pair[1]).count();
    assert_eq!(same, 0, "nothing is said twice in a row");
}

#[test]
fn a_closed_pull_request_is_a_refusal_of_what_it_asked_and_of_nothing_else() {
    let mut scene = Scene::with_forge(&["shop"], Some(Approval::default()));
    scene.on(Event::Review(Told::Closed { commit: "p0".into() }));
    scene.settle();
    assert_eq!(scene.state(), Some(ProposalState::Offered));
    scene.on(Event::Review(Told::Closed { commit: "p1".into() }));
    scene.settle();
    assert_eq!(scene.state(), Some(ProposalState::Rejected));
    assert_eq!(scene.shows().request, Wish::Closed);
    assert_eq!(scene.status("r1", Context::Published), Some((State::Failure, "people refused p1")));
    scene.push(updated(asking("r2", &["shop"], Some(Approval::default())), "new"));
    assert_eq!(scene.request().commit, "p2");
}

#[test]
fn a_merge_is_looked_at_as_soon_as_somebody_tells_of_it() {
    let mut scene = Scene::with_forge(&["shop"], Some(Approval::default()));
    scene.office.merge("m1", false);
    scene.on(Event::Review(Told::Moved));
    // While the branches are read somebody tells again: they are read once more.
    scene.on(Event::Review(Told::Moved));
    scene.settle();
    assert_eq!(scene.pushes[1..], ["place shop: web -> fog"]);
    let before = scene.effects.len();
    scene.on(Event::Review(Told::Moved));
    assert_eq!(scene.effects.len(), before, "nothing waits, so nobody looks");
}

#[test]
fn a_new_leader_says_nothing_of_the_pull_request_before_it_knows_what_to_ask() {
    let mut scene = Scene::with_forge(&["shop"], Some(Approval::default()));
    let asked = scene.request().clone();
    scene.shown.clear();
    scene.start_again(asking("r1", &["shop"], Some(Approval::default())));
    let wishes: Vec<_> = scene.shown.iter().map(|wanted| &wanted.request).collect();
    assert!(!wishes.contains(&&Wish::Closed), "{wishes:?}");
    assert_eq!(scene.request().commit, asked.commit);
}

#[test]
fn statuses_say_how_far_a_commit_has_come() {
    let mut scene = Scene::with_forge(&["shop"], None);
    assert_eq!(scene.status("r1", Context::Valid), Some((State::Success, "free of faults")));
    assert_eq!(scene.status("r1", Context::Published), Some((State::Success, "as c2")));
    assert_eq!(scene.status("r1", Context::Applied), Some((State::Pending, "not yet by fog")));
    assert_eq!(scene.status("r1", Context::Ready), Some((State::Pending, "not yet shop/web")));
    let published =
        scene.shows().statuses.iter().find(|status| status.context == Context::Published).unwrap();
    assert_eq!(published.link, Link::Commit("c2".into()));

    let registration =
        Registration { incarnation: 1, agent_version: String::new(), kubernetes_version: String::new() };
    scene.apply(Change::Register { cluster: "fog".into(), registration });
    let hint = scene.knowledge.releases["fog"].clone();
    let report: Report = serde_json::from_value(json!({
        "incarnation": 1, "seq": 1, "nodes": [],
        "release": {"commit": hint.commit, "generation": hint.generation, "digest": hint.digest, "epoch": ONE},
        "components": [{"application": "shop", "component": "web", "generation": 1, "health": "Ready", "objects": 1}],
    }))
    .unwrap();
    scene.apply(Change::Report { cluster: "fog".into(), report: Box::new(report) });
    scene.settle();
    assert_eq!(scene.status("r1", Context::Applied), Some((State::Success, "by 1 clusters")));
    assert_eq!(scene.status("r1", Context::Ready), Some((State::Success, "1 components")));

    scene.push(asking("r2", &["shop"], None));
    assert_eq!(scene.status("r2", Context::Published), Some((State::Success, "nothing had to change")));
    assert_eq!(scene.status("r1", Context::Ready), Some((State::Replaced, "replaced by r2")));
    let mut refused = asking("r3", &["shop"], None);
    refused.refused = true;
    scene.push(refused);
    assert_eq!(scene.status("r3", Context::Valid).unwrap().0, State::Failure);
    assert_eq!(scene.status("r3", Context::Planned), None, "nothing of it counts");
}
