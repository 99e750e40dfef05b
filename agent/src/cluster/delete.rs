//! Deletion: of what is still ours to delete, and of what is to be made anew.

use std::time::Duration;

use kube::api::{DeleteParams, Preconditions, PropagationPolicy};
use qonnect_agent_core::state::{Apply, Deleted, Deletion, Problem};
use qonnect_agent_core::{immutable, prune};
use qonnect_schema::layout::RUNS_ONCE;
use serde_json::Value;

use super::client::{Cluster, within};
use super::kinds::Served;
use super::problem::{problem, transient};

/// Until an object that is to be made anew is gone; one that takes longer is looked at again later.
const GONE_TIMEOUT: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(50);

impl Cluster {
    /// Deletes one object if it is still ours to delete. The uid makes sure that a namesake made meanwhile stays.
    pub(crate) async fn delete(&self, deletion: &Deletion) -> Deleted {
        within(self.delete_unless_kept(deletion)).await.unwrap_or_else(Deleted::Failed)
    }

    async fn delete_unless_kept(&self, deletion: &Deletion) -> Result<Deleted, Problem> {
        let Deletion { id, api_version, user, .. } = deletion;
        let served = match self.served(api_version, id).await {
            // With its definition went every object.
            Err(problem) if problem.reason == "NotServed" => return Ok(Deleted::Gone),
            other => other?.by(user),
        };
        let Some(live) = self.live(&served, id).await? else { return Ok(Deleted::Gone) };
        if let Some(why) = prune::kept_by_itself(&live) {
            return Ok(Deleted::Kept(why.into()));
        }
        if !live["metadata"]["deletionTimestamp"].is_null() {
            return Ok(Deleted::Going);
        }
        if id.kind == "Namespace"
            && let Some(occupant) = self.occupant(&id.name).await?
        {
            return Ok(Deleted::Occupied(occupant));
        }
        match self.remove(&served, id, &finally(&live)).await {
            Ok(true) => Ok(Deleted::Gone),
            Ok(false) => Ok(Deleted::Going),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(Deleted::Gone),
            Err(error) => Err(problem(&error)),
        }
    }

    /// Makes an object anew whose manifest agrees to that; else says what cannot change.
    pub(super) async fn recreate(
        &self,
        served: &Served,
        apply: &Apply,
        refused: Problem,
    ) -> Result<Value, Problem> {
        let id = &apply.desired.id;
        if !immutable::may_recreate(id, &apply.desired.object()) {
            return Err(refused);
        }
        let gone = async {
            while let Some(live) = self.live(served, id).await? {
                if live["metadata"]["deletionTimestamp"].is_null() {
                    match self.remove(served, id, &exactly(&live)).await {
                        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
                        answer => drop(answer.map_err(|error| problem(&error))?),
                    }
                } else {
                    tokio::time::sleep(LOOK).await;
                }
            }
            Ok(())
        };
        match tokio::time::timeout(GONE_TIMEOUT, gone).await {
            Ok(gone) => gone?,
            Err(_) => {
                return Err(transient(
                    "Recreating",
                    "it is being deleted to be made anew, and finalizers hold it",
                ));
            }
        }
        self.patch(served, apply).await
    }
}

/// What must not run twice is gone when its pods are; they are deleted before it. Of others the pods may follow.
fn finally(live: &Value) -> DeleteParams {
    let (key, value) = RUNS_ONCE;
    let params = exactly(live);
    match live["metadata"]["annotations"][key] == value {
        true => DeleteParams { propagation_policy: Some(PropagationPolicy::Foreground), ..params },
        false => params,
    }
}

/// The uid makes sure that a namesake made meanwhile stays.
fn exactly(live: &Value) -> DeleteParams {
    let uid = live["metadata"]["uid"].as_str().map(Into::into);
    DeleteParams {
        preconditions: Some(Preconditions { uid, resource_version: None }),
        ..DeleteParams::background()
    }
}
