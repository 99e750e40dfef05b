//! Signatures through the whole loop: people sign the spec branch, leads the deploy branch, and nobody else counts.

use std::path::{Path, PathBuf};
use std::process::Command;

use qonnect_schema::api::{RevisionRecord, Verdict};
use qonnect_tests::process::{run, run_command};
use qonnect_tests::simulated::{PATIENCE, Simulated};
use qonnect_tests::wait::wait_for;
use qonnect_tests::world::{DEPLOY, Trust, World};
use qonnect_tests::{folder, programs};

const BOOKINFO: &str = "apps/bookinfo/application.yaml";

/// The keys of two people, of which one is allowed, and those of two leads, of which one is allowed.
struct Keys {
    folder: PathBuf,
}

impl Keys {
    fn new() -> (Self, Trust) {
        let keys = Self { folder: folder::fresh("trust-keys") };
        for person in ["ann", "bob"] {
            let file = keys.path(person);
            run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", person, "-f", file.to_str().unwrap()]);
        }
        let ann = std::fs::read_to_string(keys.path("ann.pub")).unwrap();
        std::fs::write(keys.path("people"), format!("ann@example.org {ann}")).unwrap();
        keys.certs("certs", "lead-1");
        keys.certs("others", "lead-2");
        std::fs::copy(keys.path("certs/lead-1.signing"), keys.path("signing")).unwrap();
        let trust = Trust {
            people: keys.path("people"),
            leads: keys.path("certs/allowed_signers"),
            signing_key: keys.path("signing"),
        };
        (keys, trust)
    }

    fn certs(&self, out: &str, lead: &str) {
        let mut certs = Command::new(programs::qonnect());
        certs.args(["certs", "--lead", lead, "--out"]).arg(self.path(out));
        run_command(certs);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

fn sign_as(world: &World, key: Option<&Path>) {
    let set = |name: &str, value: &str| drop(world.checkout.git(&["config", name, value]));
    set("gpg.format", "ssh");
    set("commit.gpgSign", if key.is_some() { "true" } else { "false" });
    if let Some(key) = key {
        set("user.signingKey", &key.display().to_string());
    }
}

async fn verdict(world: &World, commit: &str, wanted: Verdict) -> RevisionRecord {
    wait_for(&format!("{wanted:?} for {commit}"), PATIENCE, async || {
        let records = world.revisions().await?;
        let found = records.iter().find(|record| record.commit == commit && record.verdict == wanted);
        found.cloned().ok_or_else(|| format!("{records:?}\n{}", world.tails()))
    })
    .await
}

/// What the clusters say of the newest release, until all of it satisfies `holds`.
async fn stalled(world: &World, what: &str, holds: impl Fn(&[String]) -> bool) {
    wait_for(what, PATIENCE, async || {
        let clusters = world.clusters().await?;
        let stalled: Vec<_> = clusters.into_iter().map(|cluster| cluster.stalled).collect();
        if holds(&stalled) { Ok(()) } else { Err(format!("{stalled:?}\n{}", world.tails())) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_trusted_has_signed_changes_nothing_until_it_is_mended() {
    let (keys, trust) = Keys::new();
    let leads = trust.leads.clone();
    let world = World::signed("trust", trust);
    sign_as(&world, Some(&keys.path("ann")));
    let fleet = Simulated::start_in(world, "trust", |_| {}).await;
    let world = &fleet.world;
    world.settled(PATIENCE).await;

    // The ordinary git agrees with what the lead has signed, barrier commits and all.
    let checkout = &world.checkout;
    let allowed = format!("gpg.ssh.allowedSignersFile={}", leads.display());
    let verify = |commit: &str| checkout.git(&["-c", &allowed, "verify-commit", commit]);
    let history = checkout.history(DEPLOY);
    assert!(history.len() > 1);
    history.iter().for_each(|entry| drop(verify(&entry.commit)));

    // Unsigned, then by somebody who may not: both are refused as a whole, and say so.
    let (tip, placed) = (checkout.tip(DEPLOY), fleet.deployments());
    sign_as(world, None);
    checkout.edit(BOOKINFO, "energy: 1.0", "energy: 0.0");
    checkout.edit(BOOKINFO, "cost: 0.0", "cost: 1.0");
    let unsigned = verdict(world, &checkout.push("by nobody"), Verdict::Refused).await;
    assert!(
        unsigned.message.contains("it is not signed") && unsigned.message.contains("stays at"),
        "{unsigned:?}"
    );
    sign_as(world, Some(&keys.path("bob")));
    let by_bob = checkout.push("by bob");
    let refused = verdict(world, &by_bob, Verdict::Refused).await;
    assert!(refused.message.contains("not among the allowed signers"), "{refused:?}");
    let events = world.events().await.unwrap();
    assert!(
        events.iter().any(|event| event.reason == "RevisionRefused" && event.message.contains("not signed"))
    );
    assert_eq!((checkout.tip(DEPLOY), fleet.deployments()), (tip, placed));

    // Meanwhile the lead has a new key, which no agent knows yet.
    std::fs::copy(keys.path("others/lead-2.signing"), keys.path("signing")).unwrap();
    // Bob may sign from now on: his commit counts without another push.
    let people =
        [keys.path("ann.pub"), keys.path("bob.pub")].map(|path| std::fs::read_to_string(path).unwrap());
    std::fs::write(keys.path("people"), format!("ann {}bob {}", people[0], people[1])).unwrap();
    verdict(world, &by_bob, Verdict::Accepted).await;
    stalled(world, "agents that refuse the new key", |said| {
        said.iter().any(|why| why.contains("is not trusted: it is signed by SHA256:"))
    })
    .await;
    assert_eq!(fleet.deployments()["productpage"], ["cloud-energy".to_owned()].into(), "what runs goes on");

    let known = std::fs::read_to_string(&leads).unwrap();
    let new = std::fs::read_to_string(keys.path("others/allowed_signers")).unwrap();
    std::fs::write(&leads, known + &new).unwrap();
    stalled(world, "agents that know the new key", |said| said.iter().all(String::is_empty)).await;
    let settled = world.settled(PATIENCE).await;
    assert_ne!(settled["bookinfo/productpage"], "cloud-energy");
    verify(&checkout.history(DEPLOY).last().unwrap().commit);
}
