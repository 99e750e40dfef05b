//! The steps in which the world changes: a price, a cluster that dies and returns, a drain.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use qonnect_schema::api::{ClusterView, Event, List, PlacementView};
use qonnect_schema::documents::snapshot::{ClusterStatus, Health};

use super::chart;
use super::stage::{PATIENCE, Stage};
use super::story::{clusters_of, settled};
use super::timeline::Measured;

const SIGNALS: &str = "signals/market.yaml";

/// A price rises where a component runs.
pub(super) async fn price(stage: &mut Stage) -> anyhow::Result<Vec<Measured>> {
    let from = home(stage, "reviews").await?;
    let document = format!(
        "apiVersion: qonnect.io/v1alpha1\nkind: Signals\nmetadata: {{name: market}}\nspec:\n  source: the demo\n  \
         time: 2026-01-01T00:00:00Z\n  prices: [{{cluster: {from}, price: 90}}]\n"
    );
    stage.clone.write(SIGNALS, document.as_bytes())?;
    let push = stage.clone.push(&format!("A node of {from} costs 90 an hour")).await?;
    let to = replaced(stage, "reviews", &from).await?;
    let moved = Measured::new("price → moved, make before break", push.started.elapsed());
    chart::line(&format!("reviews moved from {from} to {to}"));
    stage.clone.remove_file(SIGNALS)?;
    stage.clone.push("The price is as before").await?;
    let back = replaced(stage, "reviews", &to).await?;
    chart::line(&format!("reviews is back on {back}, where it costs what it did"));
    Ok(vec![moved])
}

/// A cluster dies; what ran there runs elsewhere.
pub(super) async fn die(stage: &mut Stage) -> anyhow::Result<Vec<Measured>> {
    let dead = home(stage, "reviews").await?;
    let died = Instant::now();
    stage.clusters.kill(&dead).await?;
    stage.agents.kill(&dead).await?;
    chart::line(&format!("{dead} is dead, and so is its agent"));
    let is_lost = |view: &ClusterView| view.name == dead && view.status == ClusterStatus::Lost;
    stage.until("it to be lost", |list: &List<ClusterView>| list.items.iter().any(is_lost)).await?;
    let detected = died.elapsed();
    let decided = |event: &Event| event.reason == "ComponentFailedOver" && event.message.contains(&dead);
    stage.until("the decision", |list: &List<Event>| list.items.iter().any(decided)).await?;
    let placed = died.elapsed();
    let to = replaced(stage, "reviews", &dead).await?;
    let ready = died.elapsed();
    chart::line(&format!("reviews runs on {to} now"));
    chart::line(
        "the paper's settings: detected after 30 to 40 s, placed up to 10 s later, pulled up to 10 s later",
    );
    stage.fallen = Some(dead);
    Ok(vec![
        Measured::new("died → detected (lease 8 s)", detected),
        Measured::new("→ placed elsewhere", placed.saturating_sub(detected)),
        Measured::new("→ Ready there", ready.saturating_sub(placed)),
    ])
}

/// The dead cluster comes back with what it held; that goes.
pub(super) async fn come_back(stage: &mut Stage) -> anyhow::Result<Vec<Measured>> {
    let cluster = stage.fallen.take().context("no cluster has died")?;
    let started = Instant::now();
    stage.clusters.resume(&cluster).await?;
    stage.agents.start(&cluster)?;
    emptied(stage, &cluster, started).await?;
    let gone = Measured::new("back → cleaned up", started.elapsed());
    settled(stage).await?;
    chart::line(&format!("{cluster} is back, holds nothing of ours, and takes part again"));
    Ok(vec![gone])
}

/// A person drains a cluster.
pub(super) async fn drain(stage: &mut Stage) -> anyhow::Result<Vec<Measured>> {
    let cluster = home(stage, "reviews").await?;
    let file = format!("clusters/{cluster}.yaml");
    let before = stage.clone.read(&file)?;
    stage.clone.write(&file, before.replacen("spec:\n", "spec:\n  drain: true\n", 1).as_bytes())?;
    let push = stage.clone.push(&format!("Drain {cluster}")).await?;
    emptied(stage, &cluster, push.started).await?;
    let drained = Measured::new("drain → empty", push.started.elapsed());
    chart::line(&format!("{cluster} is empty; nothing was interrupted"));
    stage.clone.write(&file, before.as_bytes())?;
    stage.clone.push(&format!("Uncordon {cluster}")).await?;
    settled(stage).await?;
    Ok(vec![drained])
}

async fn home(stage: &mut Stage, component: &str) -> anyhow::Result<String> {
    let places = clusters_of(&settled(stage).await?);
    places.get(component).cloned().flatten().with_context(|| format!("{component} runs nowhere"))
}

/// Waits until a component is Ready elsewhere, and nothing of the move is left.
async fn replaced(stage: &mut Stage, component: &str, from: &str) -> anyhow::Result<String> {
    let elsewhere = |item: &PlacementView| {
        item.component == component
            && item.moving.is_none()
            && item.cluster.as_deref().is_some_and(|cluster| cluster != from)
            && item.status.as_ref().is_some_and(|status| status.health == Health::Ready)
    };
    let holds = |list: &List<PlacementView>| list.items.iter().any(elsewhere);
    let list = stage.until(&format!("{component} to be elsewhere"), holds).await?;
    let item = list.items.into_iter().find(elsewhere).context("the list was just searched")?;
    item.cluster.context("it is somewhere")
}

async fn emptied(stage: &Stage, cluster: &str, started: Instant) -> anyhow::Result<()> {
    while stage.clusters.owned_by(cluster).await? > 0 {
        ensure!(started.elapsed() < PATIENCE, "{cluster} still holds objects of ours");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
