//! Ten steps, each told, done, checked and measured.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use qonnect_schema::api::{ClusterView, LeadRole, LeadView, List, PlacementView, RevisionRecord, Verdict};
use qonnect_schema::documents::snapshot::Health;
use qonnect_schema::tree::{Entry, Tree};

use super::chart;
use super::repository::Push;
use super::stage::{PATIENCE, Stage};
use super::timeline::{Measured, Timeline};
use super::world;

const APPLICATION: &str = "apps/bookinfo/application.yaml";

pub(super) async fn tell(stage: &mut Stage, timeline: &mut Timeline) -> anyhow::Result<()> {
    let steps: [(&str, &str); 10] = [
        ("place", "A push brings Bookinfo, which asks for `energy: 1`"),
        ("move", "A commit asks for `cost: 1` instead; components move, make before break"),
        ("price", "A price rises; the component that it makes dearer moves"),
        ("die", "A cluster dies; what ran there is placed elsewhere"),
        ("return", "The dead cluster comes back, and is cleaned up"),
        ("drain", "A person drains a cluster"),
        ("kill", "The leader is killed with SIGKILL in the middle of a change; another one finishes it"),
        ("refuse", "A commit with a fault is refused with its place, and nothing moves"),
        ("heal", "Somebody deletes an object by hand; the agent puts it back"),
        ("remove", "The application is deleted, and every object goes"),
    ];
    for (number, (name, title)) in steps.iter().enumerate() {
        chart::title(&format!("{:>2}/{}  {title}", number + 1, steps.len()));
        let measured = match *name {
            "place" => place(stage).await,
            "move" => reweigh(stage).await,
            "price" => world::price(stage).await,
            "die" => world::die(stage).await,
            "return" => world::come_back(stage).await,
            "drain" => world::drain(stage).await,
            "kill" => kill(stage).await,
            "refuse" => refuse(stage).await,
            "heal" => heal(stage).await,
            _ => remove(stage).await,
        };
        let measured = measured.with_context(|| format!("step `{name}` failed"))?;
        chart::measured(&measured);
        timeline.add(name, measured);
    }
    Ok(())
}

async fn place(stage: &mut Stage) -> anyhow::Result<Vec<Measured>> {
    let example = stage.example.clone();
    stage.clone.copy(&example, |path| path.starts_with("apps/bookinfo/"))?;
    weigh(stage, "{energy: 1}")?;
    let push = stage.clone.push("Add Bookinfo, for energy").await?;
    let mut measured = follow(stage, &push).await?;
    let settled = settled(stage).await?;
    measured.push(Measured::new("push → Ready", push.started.elapsed()));
    chart::placements(&settled.items);
    Ok(measured)
}

async fn reweigh(stage: &mut Stage) -> anyhow::Result<Vec<Measured>> {
    let before = clusters_of(&settled(stage).await?);
    weigh(stage, "{cost: 1}")?;
    let push = stage.clone.push("Bookinfo: cost matters now").await?;
    let mut measured = follow(stage, &push).await?;
    let settled = settled(stage).await?;
    measured.push(Measured::new("moved and old copies dropped", push.started.elapsed()));
    let moved =
        clusters_of(&settled).iter().filter(|(name, cluster)| before.get(*name) != Some(*cluster)).count();
    ensure!(moved > 0, "no component moved");
    applied(stage).await?;
    chart::placements(&settled.items);
    Ok(measured)
}

async fn kill(stage: &mut Stage) -> anyhow::Result<Vec<Measured>> {
    settled(stage).await?;
    let leader = led(stage, |_| true).await?;
    weigh(stage, "{energy: 1}")?;
    let push = stage.clone.push("Bookinfo: energy matters again").await?;
    let moves = |list: &List<PlacementView>| list.items.iter().any(|item| item.moving.is_some());
    let moving = stage.until("a component to move", moves).await?.items;
    let killed = Instant::now();
    stage.leads.kill(&leader).await?;
    chart::line(&format!("killed {leader} while components move"));
    let next = led(stage, |name| name != leader).await?;
    let elected = Measured::new("killed → another leads", killed.elapsed());
    chart::line(&format!("{next} leads"));
    let settled = settled(stage).await?;
    applied(stage).await?;
    let finished = Measured::new("killed → the change is finished", killed.elapsed());
    let arrived = clusters_of(&settled);
    for item in moving.iter().filter(|item| item.moving.is_some()) {
        let at = arrived.get(&item.component);
        ensure!(
            at == Some(&item.cluster),
            "{} was on its way to {:?}, and is at {at:?}",
            item.component,
            item.cluster
        );
    }
    let record = judged(stage, &push, "its verdict", |_| true).await?;
    ensure!(record.verdict == Verdict::Accepted, "verdict {:?}: {}", record.verdict, record.message);
    let restarted = Instant::now();
    stage.leads.start(&leader)?;
    follows(stage, &leader).await?;
    chart::line(&format!("{leader} is back, and follows"));
    Ok(vec![elected, finished, Measured::new("started again → follows", restarted.elapsed())])
}

/// Waits until a lead leads whose name will do.
async fn led(stage: &mut Stage, will_do: impl Fn(&str) -> bool) -> anyhow::Result<String> {
    group(stage, "a leader", |lead| lead.role == LeadRole::Leader && will_do(&lead.name)).await
}

/// Waits until this lead serves, and says itself that it follows.
async fn follows(stage: &mut Stage, name: &str) -> anyhow::Result<()> {
    let own = stage.leads.client(name)?;
    let started = Instant::now();
    while !own.ready().await {
        stage.leads.check()?;
        ensure!(started.elapsed() < PATIENCE, "waited {} s for {name}", PATIENCE.as_secs());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let follows = |lead: &LeadView| lead.name == name && lead.role == LeadRole::Follower;
    let seen = own.list::<LeadView>().await?.items;
    ensure!(seen.iter().any(follows), "{name} does not follow: {seen:?}");
    Ok(())
}

/// The name of the lead that is waited for.
async fn group(stage: &mut Stage, what: &str, found: impl Fn(&LeadView) -> bool) -> anyhow::Result<String> {
    let started = Instant::now();
    loop {
        stage.leads.check()?;
        // Between two leaders nobody may answer for a moment.
        let seen = stage.client.list::<LeadView>().await.map(|list| list.items).unwrap_or_default();
        if let Some(lead) = seen.into_iter().find(&found) {
            return Ok(lead.name);
        }
        ensure!(started.elapsed() < PATIENCE, "waited {} s for {what}", PATIENCE.as_secs());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn refuse(stage: &mut Stage) -> anyhow::Result<Vec<Measured>> {
    let before = clusters_of(&settled(stage).await?);
    let good = stage.clone.read(APPLICATION)?;
    ensure!(good.contains("objectives:"), "the example has no objectives");
    stage.clone.write(APPLICATION, good.replace("objectives:", "objektives:").as_bytes())?;
    let push = stage.clone.push("Bookinfo: a typo").await?;
    let record = judged(stage, &push, "a verdict", |_| true).await?;
    let took = Measured::new("push → verdict", push.started.elapsed());
    ensure!(matches!(record.verdict, Verdict::Held | Verdict::Refused), "the fault was accepted");
    ensure!(record.published.is_none(), "a fault was published");
    ensure!(!record.findings.is_empty(), "a verdict without a finding");
    let source = Tree::from([(APPLICATION.to_owned(), Entry::file(stage.clone.read(APPLICATION)?))]);
    chart::findings(&record.findings, &source);
    ensure!(clusters_of(&settled(stage).await?) == before, "components moved");
    stage.clone.write(APPLICATION, good.as_bytes())?;
    let push = stage.clone.push("Bookinfo: mend the typo").await?;
    judged(stage, &push, "the mended revision", |record| record.verdict == Verdict::Accepted).await?;
    Ok(vec![took])
}

async fn heal(stage: &mut Stage) -> anyhow::Result<Vec<Measured>> {
    const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/bookinfo/deployments/ratings-v1";
    let placements = clusters_of(&settled(stage).await?);
    let cluster = placements.get("ratings").cloned().flatten().context("ratings is nowhere")?;
    let uid = |object: &serde_json::Value| object.pointer("/metadata/uid").cloned();
    let old =
        stage.clusters.get(&cluster, DEPLOYMENT).await?.context("the Deployment of ratings is not there")?;
    let started = Instant::now();
    stage.clusters.delete(&cluster, DEPLOYMENT).await?;
    chart::line(&format!("deleted Deployment ratings-v1 in {cluster}"));
    loop {
        let now = stage.clusters.get(&cluster, DEPLOYMENT).await?;
        if now
            .is_some_and(|now| uid(&now) != uid(&old) && now.pointer("/metadata/deletionTimestamp").is_none())
        {
            break;
        }
        ensure!(started.elapsed() < PATIENCE, "the Deployment did not come back");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let back = Measured::new("deleted → there again", started.elapsed());
    settled(stage).await?;
    Ok(vec![back, Measured::new("→ Ready", started.elapsed())])
}

async fn remove(stage: &mut Stage) -> anyhow::Result<Vec<Measured>> {
    let components = settled(stage).await?.items.len();
    stage.clone.remove_folder("apps/bookinfo")?;
    let message = format!("Remove Bookinfo\n\nQonnect-Allow-Removals: {components}");
    let push = stage.clone.push(&message).await?;
    let measured = follow(stage, &push).await?;
    loop {
        let left: usize = stage.clusters.owned().await?.values().sum();
        if left == 0 {
            break;
        }
        ensure!(push.started.elapsed() < PATIENCE, "{left} objects are still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let gone = Measured::new("push → every object gone", push.started.elapsed());
    chart::line("no cluster holds an object of it any more");
    Ok(measured.into_iter().chain([gone]).collect())
}

/// Sets the weights by replacing the line, as a person would.
fn weigh(stage: &Stage, weights: &str) -> anyhow::Result<()> {
    let text = stage.clone.read(APPLICATION)?;
    let line = text.lines().find(|line| line.trim_start().starts_with("objectives:"));
    let line = line.context("the example has no line `objectives:`")?;
    let indent = &line[..line.len() - line.trim_start().len()];
    stage.clone.write(APPLICATION, text.replace(line, &format!("{indent}objectives: {weights}")).as_bytes())
}

/// Follows a push until every cluster has applied what came of it.
async fn follow(stage: &mut Stage, push: &Push) -> anyhow::Result<Vec<Measured>> {
    let record = judged(stage, push, "the commit on the deploy branch", |record| {
        record.published.is_some() || record.verdict != Verdict::Accepted
    })
    .await?;
    ensure!(record.verdict == Verdict::Accepted, "verdict {:?}: {}", record.verdict, record.message);
    let committed = Measured::new("push → committed", push.started.elapsed());
    applied(stage).await?;
    Ok(vec![committed, Measured::new("push → applied everywhere", push.started.elapsed())])
}

async fn judged(
    stage: &mut Stage,
    push: &Push,
    what: &str,
    enough: impl Fn(&RevisionRecord) -> bool,
) -> anyhow::Result<RevisionRecord> {
    let ours = |record: &&RevisionRecord| record.commit == push.commit && enough(record);
    let list: List<RevisionRecord> = stage.until(what, |list| list.items.iter().find(ours).is_some()).await?;
    Ok(list.items.into_iter().find(|record| ours(&record)).expect("the list was just searched"))
}

/// Waits until every cluster runs what the deploy branch says.
async fn applied(stage: &mut Stage) -> anyhow::Result<()> {
    let same = |view: &ClusterView| match (&view.wanted, &view.applied) {
        (Some(wanted), Some(applied)) => {
            wanted.generation == applied.generation && wanted.digest == applied.digest
        }
        (None, _) => true,
        (Some(_), None) => false,
    };
    stage.until("all clusters to apply it", |list: &List<ClusterView>| list.items.iter().all(same)).await?;
    Ok(())
}

/// Waits until no component moves and all are Ready.
pub(super) async fn settled(stage: &mut Stage) -> anyhow::Result<List<PlacementView>> {
    let ready = |item: &PlacementView| {
        item.moving.is_none() && item.status.as_ref().is_some_and(|status| status.health == Health::Ready)
    };
    let all = |list: &List<PlacementView>| !list.items.is_empty() && list.items.iter().all(ready);
    stage.until("all components to be Ready", all).await
}

pub(super) fn clusters_of(list: &List<PlacementView>) -> BTreeMap<String, Option<String>> {
    list.items.iter().map(|item| (item.component.clone(), item.cluster.clone())).collect()
}
