//! Three leads as real processes: one dies, and nobody loses more than a moment.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use qonnect::api::client::Client;
use qonnect_schema::Snapshot;
use qonnect_schema::api::{Grant, Heartbeat, LeadRole, Registration, ReleaseFolder};
use qonnect_tests::leads::{Leads, PATIENCE};
use qonnect_tests::wait::wait_for;
use qonnect_tests::world::DEPLOY;
use reqwest::Method;
use tokio::task::JoinHandle;

const CLUSTERS: [&str; 3] = ["cloud-cost", "fog-cost", "edge-cost"];

/// Registers clusters again and again, and remembers what was acknowledged.
struct Writer {
    acknowledged: Arc<Mutex<BTreeMap<String, u64>>>,
    count: Arc<AtomicU64>,
    /// The longest time without an acknowledgement.
    pause: Arc<Mutex<Duration>>,
    task: JoinHandle<()>,
}

impl Writer {
    fn start(client: Client) -> Self {
        let acknowledged = Arc::new(Mutex::new(BTreeMap::new()));
        let pause = Arc::new(Mutex::new(Duration::ZERO));
        let count = Arc::new(AtomicU64::new(0));
        let (acks, counted, longest) = (acknowledged.clone(), count.clone(), pause.clone());
        let task = tokio::spawn(async move {
            let mut last = Instant::now();
            // Later starts outrank earlier ones, also those of another writer.
            let first = jiff::Timestamp::now().as_millisecond().unsigned_abs();
            for number in first.. {
                let cluster = CLUSTERS[(number % 3) as usize];
                if register(&client, cluster, number).await.is_ok() {
                    acks.lock().unwrap().insert(cluster.to_owned(), number);
                    counted.fetch_add(1, Ordering::Relaxed);
                    let mut longest = longest.lock().unwrap();
                    *longest = last.elapsed().max(*longest);
                    last = Instant::now();
                }
            }
        });
        Self { acknowledged, count, pause, task }
    }

    fn acknowledged(&self) -> BTreeMap<String, u64> {
        self.acknowledged.lock().unwrap().clone()
    }

    async fn goes_on(&self) {
        let before = self.count.load(Ordering::Relaxed);
        wait_for("twenty more acknowledgements", PATIENCE, async || {
            let now = self.count.load(Ordering::Relaxed);
            if now >= before + 20 { Ok(()) } else { Err(format!("{before}, then {now}")) }
        })
        .await;
    }
}

async fn register(client: &Client, cluster: &str, incarnation: u64) -> Result<Grant, String> {
    let registration =
        Registration { incarnation, agent_version: "0.1.0".into(), kubernetes_version: "1.33".into() };
    let path = format!("/v1alpha1/clusters/{cluster}/registration");
    client.call(Method::PUT, &path, &registration).await.map_err(|error| error.to_string())
}

/// What a lead knows when it is asked for everything that was acknowledged.
async fn known(leads: &Leads, name: &str) -> BTreeMap<String, u64> {
    let client = leads.client(&[name]);
    let snapshot: Snapshot = wait_for(&format!("a linearizable read at {name}"), PATIENCE, async || {
        let path = "/v1alpha1/snapshot?consistency=linearizable";
        client.call(Method::GET, path, &()).await.map_err(|error| format!("{error}\n{}", leads.tails()))
    })
    .await;
    snapshot.spec.clusters.into_iter().map(|(name, state)| (name, state.incarnation)).collect()
}

async fn every_lead_knows(leads: &Leads, acknowledged: &BTreeMap<String, u64>) {
    for name in leads.names() {
        let known = known(leads, &name).await;
        for (cluster, incarnation) in acknowledged {
            let at = known.get(cluster).copied().unwrap_or(0);
            assert!(at >= *incarnation, "{name} lost {incarnation} of {cluster}, it is at {at}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_is_replaced_and_comes_back_as_follower() {
    let mut leads = Leads::new("group", 3);
    leads.start_all().await;
    let writer = Writer::start(leads.client_of_all());
    writer.goes_on().await;
    for _ in 0..kills() {
        let killed = leads.leader().await;
        leads.kill(&killed);
        writer.goes_on().await;
        let next = leads.leader().await;
        assert_ne!(next, killed);
        leads.start(&killed);
        wait_for("the killed one to follow", PATIENCE, async || match leads.role(&next, &killed).await? {
            LeadRole::Leader => Ok(()),
            role => Err(format!("it takes {next} for {role:?}\n{}", leads.tails())),
        })
        .await;
        assert_eq!(leads.role(&killed, &next).await, Ok(LeadRole::Follower));
    }
    writer.goes_on().await;
    writer.task.abort();
    every_lead_knows(&leads, &writer.acknowledged()).await;
    let pause = *writer.pause.lock().unwrap();
    assert!(pause < Duration::from_secs(20), "nothing was acknowledged for {pause:?}");
}

/// How often the leader is killed; `QONNECT_KILLS` says it for longer runs.
fn kills() -> u32 {
    std::env::var("QONNECT_KILLS").map_or(10, |kills| kills.parse().expect("QONNECT_KILLS is a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_hangs_is_replaced_and_wakes_up_as_follower() {
    let mut leads = Leads::new("hung", 3);
    leads.start_all().await;
    for _ in 0..3 {
        let hung = leads.leader().await;
        let others: Vec<_> = leads.names().into_iter().filter(|name| *name != hung).collect();
        let writer = Writer::start(leads.client(&[&others[0], &others[1]]));
        writer.goes_on().await;
        leads.signal(&hung, "STOP");
        wait_for("another leader", PATIENCE, async || {
            for name in &others {
                if leads.role(name, name).await? == LeadRole::Leader {
                    return Ok(());
                }
            }
            Err(leads.tails())
        })
        .await;
        writer.goes_on().await;
        leads.signal(&hung, "CONT");
        // It learns that it was replaced, and that it wrote nothing meanwhile.
        assert_ne!(leads.leader().await, hung);
        writer.goes_on().await;
        writer.task.abort();
        every_lead_knows(&leads, &writer.acknowledged()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_disk_learns_before_it_votes_again() {
    let mut leads = Leads::new("wiped", 3);
    leads.start_all().await;
    let writer = Writer::start(leads.client_of_all());
    writer.goes_on().await;
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
    writer.goes_on().await;
    writer.task.abort();
    leads.ready(&wiped).await;
    every_lead_knows(&leads, &writer.acknowledged()).await;
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
        let heartbeat = Heartbeat { incarnation: 1, digest: None, generation: 0 };
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
