//! One pass over what is left to do: enter into the inventory, apply stage by stage, delete, write down.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use futures::{StreamExt, stream};
use qonnect_agent_core::inventory::SHARDS;
use qonnect_agent_core::state::{Apply, Deleted, Deletion, Problem, State};
use tracing::{info, warn};

use crate::cluster::{Cluster, Outcome};
use crate::metrics::Metrics;

/// Calls at once: eight keep an API server busy, and more only queue there.
const PARALLEL: usize = 8;
/// Deleting objects frees their namespaces, which is a second round; more would be a fault of ours.
const DELETE_ROUNDS: usize = 3;

/// What the event loop and a pass share.
#[derive(Clone)]
pub(crate) struct Shared {
    state: Arc<Mutex<State>>,
    /// The hash of each shard as it was last written.
    written: Arc<Mutex<BTreeMap<u8, u64>>>,
    start: Instant,
    pub(crate) metrics: Metrics,
}

impl Shared {
    /// `state` holds the inventory as the cluster has it.
    pub(crate) fn new(state: State, metrics: Metrics) -> Self {
        let written = (0..SHARDS).map(|shard| (shard, hash(&state.inventory().encode(shard)))).collect();
        Self {
            state: Arc::new(Mutex::new(state)),
            written: Arc::new(Mutex::new(written)),
            start: Instant::now(),
            metrics,
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics while it holds this lock")
    }

    /// Milliseconds of a clock that never goes back.
    pub(crate) fn now(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }

    fn unwritten(&self) -> Vec<(u8, u64, BTreeMap<String, String>)> {
        let state = self.state();
        let written = self.written.lock().expect("no thread panics while it holds this lock");
        let shards = (0..SHARDS).map(|shard| (shard, state.inventory().encode(shard)));
        let hashed = shards.map(|(shard, data)| (shard, hash(&data), data));
        hashed.filter(|(shard, hash, _)| written.get(shard) != Some(hash)).collect()
    }

    fn wrote(&self, shard: u8, hash: u64) {
        self.written.lock().expect("no thread panics while it holds this lock").insert(shard, hash);
    }
}

fn hash(data: &BTreeMap<String, String>) -> u64 {
    let mut hasher = DefaultHasher::new();
    data.hash(&mut hasher);
    hasher.finish()
}

/// Does what is due. It may be dropped at any await: what it has done so far is known, and the next pass goes on.
///
/// `in_place` is awaited when the cluster holds what it should, before that is written down.
pub(crate) async fn pass(
    shared: Shared,
    cluster: Arc<Cluster>,
    in_place: impl Future<Output = ()>,
) -> Result<(), Problem> {
    let stages = {
        let mut state = shared.state();
        let stages = state.to_apply(shared.now());
        state.register(&stages);
        stages
    };
    let objects: usize = stages.iter().map(Vec::len).sum();
    if objects > 0 {
        // Before anything is created, so that nothing is ever created and forgotten.
        write_down(&shared, &cluster).await?;
    }
    for stage in stages {
        apply_stage(&shared, &cluster, stage).await;
    }
    let deleted = delete(&shared, &cluster).await;
    in_place.await;
    if objects + deleted > 0 {
        let release = shared.state().release().map_or(0, |release| release.spec.generation);
        info!(generation = release, applied = objects, deleted, "synced");
    }
    write_down(&shared, &cluster).await?;
    let (complete, mark) = {
        let state = shared.state();
        (state.is_complete(), state.mark())
    };
    if complete && objects + deleted > 0 {
        cluster.save_mark(&mark).await?;
    }
    Ok(())
}

async fn apply_stage(shared: &Shared, cluster: &Cluster, stage: Vec<Apply>) {
    let definitions: Vec<_> = stage
        .iter()
        .filter(|apply| apply.desired.id.kind == "CustomResourceDefinition")
        .map(|apply| apply.desired.id.clone())
        .collect();
    stream::iter(stage)
        .for_each_concurrent(PARALLEL, |apply| async move {
            shared.state().applying(&apply);
            let outcome = cluster.apply(&apply).await;
            let (mut state, now) = (shared.state(), shared.now());
            let count = if outcome.is_ok() { &shared.metrics.applied } else { &shared.metrics.failed };
            count.inc();
            match outcome {
                Ok(Outcome::Applied(object)) => state.applied(&apply, &object, now),
                Ok(Outcome::Recreated(object)) => {
                    state.recreated(&apply.desired);
                    state.applied(&apply, &object, now);
                }
                Ok(Outcome::OfOthers) => state.belongs_to_others(&apply.desired),
                Err(problem) => {
                    let (object, reason, why) = (&apply.desired.id, &problem.reason, &problem.message);
                    warn!(%object, reason, why, "object not applied, will retry");
                    state.failed(&apply.desired.id, problem, now);
                }
            }
        })
        .await;
    for id in definitions {
        if !cluster.established(&id).await {
            warn!(object = %id, "definition not established yet");
        }
    }
}

async fn delete(shared: &Shared, cluster: &Cluster) -> usize {
    let mut count = 0;
    for _ in 0..DELETE_ROUNDS {
        let deletions: Vec<Deletion> = shared.state().to_delete(shared.now());
        if deletions.is_empty() {
            break;
        }
        count += stream::iter(deletions)
            .map(|deletion| async move {
                let outcome = cluster.delete(&deletion).await;
                let ended = matches!(outcome, Deleted::Gone | Deleted::Kept(_));
                if matches!(outcome, Deleted::Gone) {
                    shared.metrics.deleted.inc();
                }
                shared.state().deleted(&deletion, outcome, shared.now());
                usize::from(ended)
            })
            .buffer_unordered(PARALLEL)
            .fold(0, |ended, one| async move { ended + one })
            .await;
    }
    count
}

async fn write_down(shared: &Shared, cluster: &Cluster) -> Result<(), Problem> {
    let mut saves =
        stream::iter(shared.unwritten())
            .map(|(shard, hash, data)| async move {
                cluster.save_shard(shard, data).await.map(|()| (shard, hash))
            })
            .buffer_unordered(PARALLEL);
    while let Some(saved) = saves.next().await {
        let (shard, hash) = saved.map_err(|problem| Problem {
            message: format!("the inventory cannot be written: {}", problem.message),
            ..problem
        })?;
        shared.wrote(shard, hash);
    }
    Ok(())
}
