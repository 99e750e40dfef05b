//! A person says that the clusters which fell silent together are gone indeed.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use qonnect_core::knowledge::{Answer, Change};

use super::problem::Refusal;
use super::shared::Shared;

pub(super) async fn release(State(shared): State<Arc<Shared>>) -> Result<StatusCode, Refusal> {
    let command = shared.parts.consensus.command(Change::ReleaseBrake);
    match shared.parts.consensus.propose(command).await? {
        Answer::Done => Ok(StatusCode::NO_CONTENT),
        _ => Err(Refusal::not_found("the brake is not on: nothing is to be released")),
    }
}
