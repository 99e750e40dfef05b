//! Clusters that die, hang and come back: what runs there afterwards, by looking into the clusters.

use std::collections::{BTreeMap, BTreeSet};

use qonnect_schema::documents::snapshot::{Brake, ClusterStatus};
use qonnect_tests::simulated::{PATIENCE, Simulated};
use qonnect_tests::wait::wait_for;

type Places = BTreeMap<String, BTreeSet<String>>;

fn places(pairs: &[(&str, &str)]) -> Places {
    let mut places = Places::new();
    for (component, cluster) in pairs {
        places.entry((*component).into()).or_default().insert((*cluster).into());
    }
    places
}

/// Where Bookinfo runs while energy counts.
const AT_FIRST: [(&str, &str); 4] = [
    ("productpage", "cloud-energy"),
    ("reviews", "fog-energy"),
    ("details", "fog-energy"),
    ("ratings", "edge-energy"),
];

async fn runs(fleet: &Simulated, wanted: &Places) {
    wait_for(&format!("{wanted:?}"), PATIENCE, async || {
        let found = fleet.deployments();
        match found == *wanted {
            true => Ok(()),
            false => Err(format!("{found:?}\n{}", fleet.world.tails())),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ran_on_a_dead_cluster_runs_elsewhere_by_one_commit_and_the_dead_one_is_cleaned_up_when_it_returns()
 {
    let mut fleet = Simulated::start("failover", |_| {}).await;
    runs(&fleet, &places(&AT_FIRST)).await;
    fleet.world.settled(PATIENCE).await;
    let before = fleet.commits().len();

    fleet.kill("fog-energy");
    // The dead cluster keeps its objects: it cannot be reached, and nobody knows what it does.
    let both = [("reviews", "fog-cost"), ("details", "fog-cost")];
    let all = places(&[&AT_FIRST[..], &both].concat());
    runs(&fleet, &all).await;
    let settled = fleet.world.settled(PATIENCE).await;
    assert_eq!(settled["bookinfo/reviews"], "fog-cost");
    let commits = fleet.commits();
    let since: Vec<_> = commits[..commits.len() - before].iter().map(String::as_str).collect();
    assert_eq!(since, ["fail over bookinfo: details fog-energy -> fog-cost, reviews fog-energy -> fog-cost"]);

    fleet.revive("fog-energy").await;
    let after = [("productpage", "cloud-energy"), ("ratings", "edge-energy")];
    runs(&fleet, &places(&[&after[..], &both].concat())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_answers_again_before_it_is_lost_keeps_what_it_runs() {
    let fleet = Simulated::start("hang", |checkout| {
        checkout.edit("fleet.yaml", "lostAfter: 6s", "lostAfter: 60s");
    })
    .await;
    runs(&fleet, &places(&AT_FIRST)).await;
    fleet.world.settled(PATIENCE).await;
    let before = fleet.commits();

    fleet.signal_agent("fog-energy", "STOP");
    fleet.statuses("a suspicion", |seen| seen["fog-energy"] == ClusterStatus::Suspect).await;
    fleet.signal_agent("fog-energy", "CONT");
    fleet.statuses("all to be Ready", |seen| seen.values().all(|one| *one == ClusterStatus::Ready)).await;

    assert_eq!(fleet.commits(), before);
    assert_eq!(fleet.deployments(), places(&AT_FIRST));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_other_cluster_takes_stays_assigned_and_says_why() {
    let mut fleet = Simulated::start("stranded", |checkout| {
        for cluster in ["fog-cost", "fog-performance"] {
            checkout.edit(&format!("clusters/{cluster}.yaml"), "tier: fog", "tier: fog\n  cordon: true");
        }
    })
    .await;
    runs(&fleet, &places(&AT_FIRST)).await;
    fleet.world.settled(PATIENCE).await;

    fleet.kill("fog-energy");
    wait_for("the reason", PATIENCE, async || {
        let events = fleet.world.events().await?;
        let told = events.iter().filter(|event| event.reason == "ComponentStranded");
        let told: Vec<_> = told.map(|event| (event.regarding.clone(), event.message.clone())).collect();
        let named =
            told.iter().any(|(what, why)| what == "component/bookinfo/reviews" && why.contains("cordoned"));
        if named { Ok(()) } else { Err(format!("{told:?}\n{}", fleet.world.tails())) }
    })
    .await;
    let reviews = fleet.world.placements().await.unwrap();
    let reviews = reviews.iter().find(|one| one.component == "reviews").unwrap();
    assert_eq!(reviews.cluster.as_deref(), Some("fog-energy"));

    fleet.revive("fog-energy").await;
    fleet.statuses("it to be back", |seen| seen["fog-energy"] == ClusterStatus::Ready).await;
    runs(&fleet, &places(&AT_FIRST)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clusters_that_fall_silent_together_move_nothing_until_a_person_says_that_they_are_gone() {
    let mut fleet = Simulated::start("brake", |checkout| {
        checkout.edit("fleet.yaml", "spec:\n", "spec:\n  failover: {batch: {every: 2s}}\n");
    })
    .await;
    runs(&fleet, &places(&AT_FIRST)).await;
    fleet.world.settled(PATIENCE).await;
    let before = fleet.commits();

    for cluster in ["fog-energy", "edge-energy", "cloud-energy"] {
        fleet.kill(cluster);
    }
    wait_for("the brake", PATIENCE, async || {
        let brakes: Vec<Brake> = fleet.world.brakes().await?;
        match brakes.iter().any(|brake| brake.is_engaged() && brake.clusters.len() == 3) {
            true => Ok(()),
            false => Err(format!("{brakes:?}\n{}", fleet.world.tails())),
        }
    })
    .await;
    // A push is still carried out, and nothing that runs is touched by it.
    fleet.world.checkout.edit(
        "apps/bookinfo/application.yaml",
        "energy: 1.0, cost: 0.0",
        "energy: 0.0, cost: 1.0",
    );
    fleet.world.push("cost counts").await;
    assert_eq!(fleet.deployments(), places(&AT_FIRST));
    assert_eq!(fleet.commits(), before);

    fleet.world.release_brake().await;
    wait_for("everything on the clusters that cost little", PATIENCE, async || {
        let places = fleet.world.settled(PATIENCE).await;
        match places.values().all(|cluster| cluster.ends_with("-cost")) {
            true => Ok(()),
            false => Err(format!("{places:?}\n{}", fleet.world.tails())),
        }
    })
    .await;
    let subjects = fleet.commits();
    let failed_over = subjects.iter().filter(|subject| subject.starts_with("fail over")).count();
    assert!((1..=3).contains(&failed_over), "one commit for each batch at most: {subjects:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_not_run_twice_leaves_before_it_comes_and_waits_for_a_person_where_nobody_answers() {
    let mut fleet = Simulated::start("once", |checkout| {
        checkout.edit(
            "apps/bookinfo/application.yaml",
            "- name: ratings\n",
            "- name: ratings\n      strategy: recreate\n",
        );
    })
    .await;
    runs(&fleet, &places(&AT_FIRST)).await;
    fleet.world.settled(PATIENCE).await;
    let before = fleet.commits().len();

    fleet.world.checkout.edit("clusters/edge-energy.yaml", "tier: edge", "tier: edge\n  drain: true");
    fleet.world.push("edge-energy is drained").await;
    let elsewhere = [&AT_FIRST[..3], &[("ratings", "edge-cost")]].concat();
    runs(&fleet, &places(&elsewhere)).await;
    fleet.world.settled(PATIENCE).await;
    let commits = fleet.commits();
    let moved: Vec<_> =
        commits[..commits.len() - before].iter().filter(|subject| subject.contains("ratings")).collect();
    assert_eq!(
        moved,
        [
            "place bookinfo: ratings -> edge-cost, gone from edge-energy",
            "place bookinfo: ratings edge-energy -> edge-cost"
        ],
        "the newest first"
    );

    // Its cluster dies. Nobody knows whether it still runs there, until a person does.
    fleet.kill("edge-cost");
    wait_for("the way out", PATIENCE, async || {
        let events = fleet.world.events().await?;
        let told = events.iter().filter(|event| event.reason == "ComponentStranded");
        let told: Vec<_> = told.map(|event| event.message.clone()).collect();
        match told.iter().any(|why| why.contains("`qonnect fence edge-cost`")) {
            true => Ok(()),
            false => Err(format!("{told:?}\n{}", fleet.world.tails())),
        }
    })
    .await;
    assert_eq!(fleet.deployments(), places(&elsewhere));

    fleet.world.checkout.edit("clusters/edge-cost.yaml", "tier: edge", "tier: edge\n  fenced: true");
    fleet.world.push("edge-cost is switched off").await;
    // What the dead cluster holds is still in its store.
    let both = [&elsewhere[..], &[("ratings", "edge-performance")]].concat();
    runs(&fleet, &places(&both)).await;
}
