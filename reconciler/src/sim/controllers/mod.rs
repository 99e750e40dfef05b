//! The controllers and nodes of a simulated cluster: they act on what changed, and on nothing else.

mod claims;
mod collector;
mod daemon_sets;
mod definitions;
mod deployments;
mod jobs;
mod namespaces;
mod nodes;
mod pods;
mod replica_sets;
mod scheduler;
mod stateful_sets;
mod work;
mod workload;

use std::sync::Arc;
use std::time::Duration;

use super::cluster::Cluster;
use super::state::State;
use work::Task;

pub(super) use namespaces::make as make_namespace;
pub(super) use nodes::{fill, register};
pub(super) use work::Work;

/// Tasks done before others get the lock; some milliseconds of work.
const BATCH: usize = 64;

/// How the nodes of a cluster behave.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// From binding to Ready.
    pub(super) ready_after: Duration,
}

/// Works until the cluster is dropped or stopped.
pub(super) async fn run(cluster: Arc<Cluster>) {
    let woken = cluster.state().work.woken();
    loop {
        cluster.running().await;
        let next = {
            let mut state = cluster.state();
            state.work.promote();
            for _ in 0..BATCH {
                let Some(task) = state.work.pop() else { break };
                act(&mut state, cluster.pace(), task);
            }
            state.work.next_due()
        };
        tokio::select! {
            () = woken.notified() => {}
            () = next.sleep() => {}
        }
    }
}

fn act(state: &mut State, pace: Pace, task: Task) {
    match task {
        Task::Orphans(uid) => collector::owner_gone(state, &uid),
        Task::Dependent(key) => collector::check_owners(state, &key),
        Task::Start(key, uid) => pods::start(state, pace, &key, &uid),
        Task::Succeed(key, uid) => pods::succeed(state, &key, &uid),
        Task::Owner(uid) => {
            if let Some(key) = state.store.by_uid(&uid).cloned() {
                act(state, pace, Task::Object(key));
            }
        }
        Task::Object(key) => {
            if collector::finalize(state, &key) {
                return;
            }
            match &*key.kind {
                "pods" => pods::act(state, pace, &key),
                "namespaces" => namespaces::act(state, &key),
                "persistentvolumeclaims" => claims::bind(state, &key),
                "services" => claims::balance(state, &key),
                "nodes" => nodes::changed(state),
                "customresourcedefinitions.apiextensions.k8s.io" => definitions::act(state, &key),
                "deployments.apps" => deployments::act(state, &key),
                "replicasets.apps" => replica_sets::act(state, &key),
                "statefulsets.apps" => stateful_sets::act(state, &key),
                "daemonsets.apps" => daemon_sets::act(state, &key),
                "jobs.batch" => jobs::act(state, &key),
                _ => {}
            }
        }
    }
}
