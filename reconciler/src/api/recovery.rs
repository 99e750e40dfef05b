//! A person hands the deploy branch to this group of leads.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use qonnect_core::knowledge::{Answer, Change};
use qonnect_schema::api::{Recovered, Recovery};

use super::problem::{Body, Refusal};
use super::shared::Shared;

pub(super) async fn recover(
    State(shared): State<Arc<Shared>>,
    Body(Recovery { adopt }): Body<Recovery>,
) -> Result<Json<Recovered>, Refusal> {
    let command = shared.parts.consensus.command(Change::Recover { adopt });
    if let Answer::Epoch(epoch) = shared.parts.consensus.propose(command).await? {
        return Ok(Json(Recovered { epoch }));
    }
    let message = match shared.knowledge().blocked.as_deref() {
        Some(origin) => format!(
            "the deploy branch belongs to the group {}: name that one, if it is gone for good",
            origin.group
        ),
        None => "the deploy branch belongs to nobody else: there is no group to adopt".into(),
    };
    Err(Refusal::new(StatusCode::CONFLICT, "OtherGroup", message))
}
