//! What agents say.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use qonnect_core::knowledge::{Answer, Change};
use qonnect_schema::api::{Grant, Heartbeat, Neighbours, Registration, ReleaseFolder, ReleaseHint, Report};
use qonnect_schema::layout::LEASE;
use qonnect_schema::units::Span;
use serde::Deserialize;

use super::neighbours;
use super::problem::{Body, Refusal};
use super::shared::Shared;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Patience {
    /// How long to wait for another release.
    wait: Option<Span>,
}

pub(super) async fn register(
    State(shared): State<Arc<Shared>>,
    Path(cluster): Path<String>,
    Body(registration): Body<Registration>,
) -> Result<Json<Grant>, Refusal> {
    shared.hear(&cluster)?;
    let change = Change::Register { cluster: cluster.clone(), registration };
    match shared.propose(change).await? {
        Answer::Superseded => Err(superseded(&cluster)),
        _ => Ok(Json(shared.grant(&cluster, false))),
    }
}

/// Never enters the log, and looks at nothing but its own cluster.
pub(super) async fn heartbeat(
    State(shared): State<Arc<Shared>>,
    Path(cluster): Path<String>,
    patience: Result<Query<Patience>, QueryRejection>,
    Body(heartbeat): Body<Heartbeat>,
) -> Result<Json<Grant>, Refusal> {
    let Query(Patience { wait }) = patience?;
    shared.hear(&cluster)?;
    let knows = match shared.knowledge().clusters.get(&cluster) {
        Some(state) if state.incarnation > heartbeat.incarnation => return Err(superseded(&cluster)),
        Some(state) => state.incarnation == heartbeat.incarnation,
        None => false,
    };
    let news = |release: Option<&ReleaseHint>| {
        release.is_some_and(|release| {
            heartbeat.digest.as_ref() != Some(&release.digest) || heartbeat.generation != release.generation
        })
    };
    // Never longer than a heartbeat: an agent that waits still gives signs of life.
    let wait = wait.map_or(Duration::ZERO, Span::as_duration).min(shared.lease().heartbeat.as_duration());
    if knows && !wait.is_zero() {
        let mut releases = shared.releases.clone();
        let told = releases.wait_for(|releases| news(releases.get(&cluster)));
        // Either way the answer says what counts now.
        tokio::time::timeout(wait, told).await.ok();
    }
    let lease_ms = if knows && heartbeat.leased { shared.vouch(&cluster).await } else { None };
    Ok(Json(Grant { lease_ms, ..shared.grant(&cluster, !knows) }))
}

/// What git would give, at the price of one exchange with it for all agents together.
pub(super) async fn release(
    State(shared): State<Arc<Shared>>,
    Path(cluster): Path<String>,
) -> Result<Json<ReleaseFolder>, Refusal> {
    let known = shared.knowledge().releases.get(&cluster).cloned();
    let release = known
        .ok_or_else(|| Refusal::not_found(format!("nothing was published for cluster `{cluster}` yet")))?;
    let revision = shared.revision();
    let branch = revision.as_ref().map(|revision| revision.fleet.branches.deploy.as_str());
    let branch = branch
        .ok_or_else(|| Refusal::not_ready("the spec branch was not read yet; try again in a moment"))?;
    let folder = shared.parts.relay.folder(branch, &cluster, &release.commit).await;
    folder.map(Json).ok_or_else(|| Refusal::not_ready("this lead waits for git; fetch the deploy branch"))
}

pub(super) async fn neighbours(
    State(shared): State<Arc<Shared>>,
    Path(cluster): Path<String>,
) -> Result<Json<Neighbours>, Refusal> {
    let revision = shared.revision();
    let revision = revision
        .ok_or_else(|| Refusal::not_ready("the spec branch was not read yet; try again in a moment"))?;
    Ok(Json(neighbours::neighbours(&cluster, &revision.clusters, &shared.knowledge())))
}

/// A person asks for it; the agent hears of that by its next heartbeat.
pub(super) async fn reconcile(
    State(shared): State<Arc<Shared>>,
    Path(cluster): Path<String>,
) -> Result<StatusCode, Refusal> {
    match shared.propose(Change::Reconcile { cluster: cluster.clone() }).await? {
        Answer::NotFound => Err(Refusal::not_found(format!(
            "no agent has registered for `{cluster}`: `qonnect get clusters`"
        ))),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}

pub(super) async fn report(
    State(shared): State<Arc<Shared>>,
    Path(cluster): Path<String>,
    Body(report): Body<Report>,
) -> Result<Json<Grant>, Refusal> {
    shared.hear(&cluster)?;
    if !shared.knowledge().learns_from(&cluster, &report) {
        return Ok(Json(shared.grant(&cluster, false)));
    }
    let incarnation = report.incarnation;
    let change = Change::Report { cluster: cluster.clone(), report: Box::new(report) };
    let answer = shared.propose(change).await?;
    let knowledge = shared.knowledge();
    let later = knowledge.clusters.get(&cluster).is_some_and(|state| state.incarnation > incarnation);
    match answer {
        Answer::Superseded if later => Err(superseded(&cluster)),
        answer => {
            let grant = shared.grant(&cluster, answer == Answer::Unregistered);
            Ok(Json(Grant { repeat: answer == Answer::Differs, ..grant }))
        }
    }
}

impl Shared {
    /// A word from a cluster that the fleet has.
    fn hear(&self, cluster: &str) -> Result<(), Refusal> {
        self.hears()?;
        let knowledge = self.knowledge();
        match self.parts.revision.borrow().as_ref() {
            // One that has left the fleet still reports how it ends.
            Some(revision) if revision.clusters.contains_key(cluster) => {}
            Some(_) if knowledge.releases.contains_key(cluster) => {}
            Some(_) => {
                return Err(Refusal::not_found(format!(
                    "the fleet has no cluster `{cluster}`: add clusters/{cluster}.yaml to the spec branch, or \
                     mend `cluster` in the agent's configuration"
                )));
            }
            // Git may be away for long; that is no reason to take those for silent who are not.
            None if knowledge.clusters.contains_key(cluster) => {}
            None => {
                return Err(Refusal::not_ready("the spec branch was not read yet; try again in a moment"));
            }
        }
        self.parts.liveness.heard(cluster);
        Ok(())
    }

    async fn propose(&self, change: Change) -> Result<Answer, Refusal> {
        let command = self.parts.consensus.command(change);
        Ok(self.parts.consensus.propose(command).await?)
    }

    fn grant(&self, cluster: &str, register: bool) -> Grant {
        let knowledge = self.knowledge();
        Grant {
            epoch: knowledge.epoch,
            heartbeat_ms: self.lease().heartbeat.0,
            register,
            repeat: false,
            release: knowledge.releases.get(cluster).cloned(),
            lease_ms: None,
            reconcile: knowledge.clusters.get(cluster).and_then(|state| state.asked),
        }
    }

    /// Milliseconds from the moment of asking, which lies before this.
    async fn vouch(&self, cluster: &str) -> Option<u64> {
        // A lead that was deposed meanwhile, or knows less than the others, must not vouch for anything.
        self.parts.consensus.linearizable().await.ok()?;
        let lease = u64::try_from(LEASE.as_millis()).ok();
        lease.filter(|_| self.knowledge().vouches_for(cluster))
    }
}

fn superseded(cluster: &str) -> Refusal {
    Refusal::new(
        StatusCode::CONFLICT,
        "Superseded",
        format!(
            "a later start of the agent speaks for `{cluster}`: end one of the two, or mend the clock of this one and restart it"
        ),
    )
}
