//! Plans made for readers: scored now, thrown away afterwards.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use qonnect_core::placement::{self, ApplicationPlan};
use qonnect_schema::{Placement, PlacementSpec};
use tokio::sync::OnceCell;

use super::problem::Refusal;
use super::readers::Reading;
use super::shared::Shared;

/// One explanation of an application for all who ask between two changes of its input.
#[derive(Default)]
pub(super) struct Explanations(Mutex<(Input, BTreeMap<String, Planned>)>);

/// Filled by the first who asks; the others wait for it.
type Planned = Arc<OnceCell<Option<ApplicationPlan>>>;

#[derive(Default, PartialEq, Eq)]
struct Input {
    commit: String,
    index: u64,
}

impl Explanations {
    fn cell(&self, input: Input, application: &str) -> Planned {
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.0 != input {
            *newest = (input, BTreeMap::new());
        }
        newest.1.entry(application.to_owned()).or_default().clone()
    }
}

pub(super) async fn explain(
    State(shared): State<Arc<Shared>>,
    Path(application): Path<String>,
    reading: Result<Query<Reading>, QueryRejection>,
) -> Result<Json<Placement>, Refusal> {
    shared.catch_up_for(reading).await?;
    let not_read = || Refusal::not_ready("the spec branch was not read yet; ask again in a moment");
    let revision = shared.revision().ok_or_else(not_read)?;
    let knowledge = shared.knowledge();
    let unknown = || {
        Refusal::not_found(format!(
            "there is no application `{application}` in revision {}; `qonnect get apps` lists them",
            revision.commit
        ))
    };
    if !revision.applications.contains_key(&application) {
        return Err(unknown());
    }
    let input = Input { commit: revision.commit.clone(), index: knowledge.index };
    let cell = shared.explanations.cell(input, &application);
    let planned = cell.get_or_try_init(|| {
        let (revision, knowledge, name) = (revision.clone(), knowledge.clone(), application.clone());
        async move {
            tokio::task::spawn_blocking(move || placement::explain(&revision, &knowledge.snapshot(), &name))
                .await
                .map_err(|_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "PlanFailed", "planning failed"))
        }
    });
    let planned = planned.await?.clone().ok_or_else(unknown)?;
    let mut components = planned.components;
    if let Some(deployed) = knowledge.placements.get(&application) {
        for (name, component) in &mut components {
            component.moving = deployed.spec.components.get(name).and_then(|known| known.moving.clone());
        }
    }
    let spec = PlacementSpec {
        revision: revision.commit.clone(),
        kb_index: knowledge.index,
        epoch: knowledge.epoch,
        strategy: planned.strategy,
        components,
        ..Default::default()
    };
    Ok(Json(Placement::new(application, spec)))
}
