//! Three leads as real processes: one dies, and nobody loses more than a moment.

use std::collections::BTreeMap;
use std::time::Duration;

use qonnect_schema::Snapshot;
use qonnect_schema::api::{Grant, Heartbeat, LeadRole, ReleaseFolder};
use qonnect_tests::leads::{Leads, PATIENCE};
use qonnect_tests::speakers::{Speakers, register};
use qonnect_tests::wait::wait_for;
use qonnect_tests::world::DEPLOY;
use reqwest::Method;

const CLUSTERS: [&str; 3] = ["cloud-cost", "fog-cost", "edge-cost"];

/// Between two reports of one cluster.
const PAUSE: Duration = Duration::from_millis(20);

fn speakers(leads: &Leads) -> Speakers {
    leads.speakers(&CLUSTERS.map(String::from), PAUSE)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_disk_learns_before_it_votes_again() {
    let mut leads = Leads::new("wiped", 3);
    leads.start_all().await;
    let speakers = speakers(&leads);
    speakers.go_on(20, PATIENCE).await;
    let leader = leads.leader().await;
    let wiped = leads.names().into_iter().find(|name| *name != leader).unwrap();
    leads.kill(&wiped);
    leads.wipe(&wiped);
    leads.start(&wiped);
    wait_for("it to vote again", PATIENCE, async || {
        let voted = leads.log(&wiped).contains("this lead votes again");
        if voted { Ok(()) } else { Err(leads.tails()) }
    })
    .await;
    assert!(leads.log(&wiped).contains("the disk was lost: this lead learns before it votes again"));
    assert!(leads.log(&leader).contains("a lead belongs to the group no more"), "{}", leads.tails());
    speakers.go_on(20, PATIENCE).await;
    leads.ready(&wiped).await;
    leads.know(&speakers.acknowledged()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_disk_votes_again_also_if_its_lead_dies_on_the_way() {
    let mut leads = Leads::new("wiped-twice", 3);
    leads.start_all().await;
    let leader = leads.leader().await;
    let wiped = leads.names().into_iter().find(|name| *name != leader).unwrap();
    leads.kill(&wiped);
    leads.wipe(&wiped);
    leads.start(&wiped);
    wait_for("the group to count it no more", PATIENCE, async || {
        let removed = leads.log(&leader).contains("a lead belongs to the group no more");
        if removed { Ok(()) } else { Err(leads.tails()) }
    })
    .await;
    leads.kill(&wiped);
    leads.start(&wiped);
    wait_for("it to follow", PATIENCE, async || match leads.role(&wiped, &leader).await? {
        LeadRole::Follower => Ok(()),
        role => Err(format!("it is a {role:?}\n{}", leads.tails())),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_grows_shrinks_and_hands_its_leadership_over() {
    let mut leads = Leads::new("members", 3);
    leads.start_all().await;
    let first = leads.leader().await;

    // A planned stop: somebody else is asked to lead before it ends.
    leads.terminate(&first).await;
    assert!(leads.log(&first).contains("handing the leadership over"), "{}", leads.log(&first));
    assert!(!leads.log(&first).contains("was not handed over"), "{}", leads.log(&first));
    let second = leads.leader().await;
    leads.start(&first);
    leads.ready(&first).await;

    let said = leads.raft(&["transfer", &first]);
    assert!(said.contains(&format!("{first} leads")), "{said}");
    assert_eq!(leads.leader().await, first);

    let new = leads.name_another();
    leads.start(&new.name);
    wait_for("it to say what it waits for", PATIENCE, async || {
        let says = leads.log(&new.name).contains("`qonnect raft add` takes it in");
        if says { Ok(()) } else { Err(leads.tails()) }
    })
    .await;
    leads.raft(&["add", &new.name, "--node", "4", "--peer", &new.peer, "--api", &new.api]);
    assert_eq!(leads.role(&new.name, &first).await, Ok(LeadRole::Follower));

    leads.raft(&["remove", &first]);
    leads.kill(&first);
    let third = leads.leader().await;
    let group = leads.raft(&["status"]);
    assert!(!group.contains(&format!("{first} ")), "{group}");
    assert!(group.contains(&new.name) && group.contains(&second), "{group}");
    let registered = register(&leads.client(&[&third]), "fog-cost", 1).await;
    assert!(registered.is_ok(), "{registered:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_under_the_name_of_another_lead() {
    let mut leads = Leads::secured("secured", 3);
    let file = |name: &str| leads.certs().join(name);
    let (certificate, key) = (file("lead-2.pem"), file("lead-2.key"));
    let right = [&certificate, &key].map(|path| std::fs::read(path).unwrap());
    std::fs::copy(file("lead-1.pem"), &certificate).unwrap();
    std::fs::copy(file("lead-1.key"), &key).unwrap();
    for name in leads.names() {
        leads.start(&name);
    }
    wait_for("the impostor to be refused", PATIENCE, async || {
        let refused = leads.log("lead-3").contains("the certificate does not name lead-2.lead.");
        if refused { Ok(()) } else { Err(leads.tails()) }
    })
    .await;
    // The right ones are taken without a restart; then all have answered each other and the group is founded.
    for (path, bytes) in [&certificate, &key].into_iter().zip(right) {
        std::fs::write(path, bytes).unwrap();
    }
    leads.leader().await;
    assert_eq!(leads.log("lead-1").matches("founding the group").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_speaks_to_a_follower_stays_alive() {
    let mut leads = Leads::new("relayed", 3);
    // Short leases, so that a word that is not relayed shows soon.
    let fleet = leads.checkout.read("fleet.yaml");
    leads.checkout.write("fleet.yaml", with_short_leases(&fleet));
    leads.checkout.push("Short leases");
    leads.start_all().await;
    let leader = leads.leader().await;
    let follower = leads.names().into_iter().find(|name| *name != leader).unwrap();
    let client = leads.client(&[&follower]);
    for cluster in ["fog-cost", "edge-cost"] {
        register(&client, cluster, 1).await.unwrap();
    }
    // One goes on to speak, to the follower alone; the other falls silent.
    wait_for("the silent one to be lost", PATIENCE, async || {
        let heartbeat = Heartbeat { incarnation: 1, digest: None, generation: 0, leased: false };
        let path = "/v1alpha1/clusters/fog-cost/heartbeat";
        client.call::<_, Grant>(Method::POST, path, &heartbeat).await.map_err(|error| error.to_string())?;
        let path = "/v1alpha1/snapshot?consistency=linearizable";
        let snapshot: Snapshot =
            client.call(Method::GET, path, &()).await.map_err(|error| error.to_string())?;
        let status = |cluster: &str| format!("{:?}", snapshot.spec.clusters[cluster].status);
        assert_eq!(status("fog-cost"), "Ready", "{}", leads.tails());
        if status("edge-cost") == "Lost" { Ok(()) } else { Err(status("edge-cost")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_lead_hands_on_what_was_published() {
    let mut leads = Leads::new("relaying", 3);
    leads.checkout.copy("example-repo");
    leads.checkout.push("Bookinfo");
    leads.start_all().await;
    let published = wait_for("a release", PATIENCE, async || {
        leads.checkout.tip(DEPLOY).ok_or("no branch")?;
        let files = leads.checkout.files(DEPLOY);
        let cluster = files.iter().find_map(|(path, _)| path.strip_suffix("/release.yaml"));
        let folder = format!("{}/", cluster.ok_or_else(|| format!("{files:?}\n{}", leads.tails()))?);
        let own = files.iter().filter_map(|(path, text)| Some((path.strip_prefix(&folder)?, text)));
        let files: BTreeMap<_, _> = own.map(|(path, text)| (path.to_owned(), text.clone())).collect();
        Ok((folder, files))
    });
    let (folder, published) = published.await;
    let path = format!("/v1alpha1/{folder}release");
    for name in leads.names() {
        let client = leads.client(&[&name]);
        wait_for(&format!("{name} to hand it on"), PATIENCE, async || {
            let folder: ReleaseFolder =
                client.call(Method::GET, &path, &()).await.map_err(|error| error.to_string())?;
            if folder.files == published { Ok(()) } else { Err(format!("{folder:?} is not {published:?}")) }
        })
        .await;
    }
}

fn with_short_leases(fleet: &str) -> String {
    let lease = "  lease: {heartbeat: 1s, suspectAfter: 3s, lostAfter: 6s}\n";
    let kept: Vec<_> = fleet.lines().filter(|line| !line.trim_start().starts_with("lease:")).collect();
    kept.join("\n").replacen("spec:\n", &format!("spec:\n{lease}"), 1) + "\n"
}
