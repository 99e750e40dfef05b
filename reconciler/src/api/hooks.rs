//! Words from outside that the spec branch has moved: they make a lead look, and decide nothing.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::problem::Refusal;
use super::shared::Shared;
use crate::consensus::Note;

/// Anybody who may say so.
pub(super) async fn git(State(shared): State<Arc<Shared>>) -> Result<StatusCode, Refusal> {
    shared.look().await?;
    Ok(StatusCode::ACCEPTED)
}

/// A delivery of GitHub, which its signature makes trustworthy.
pub(super) async fn github(State(shared): State<Arc<Shared>>, request: Request) -> Result<Response, Refusal> {
    let deliveries = shared.deliveries.as_ref().ok_or_else(|| {
        Refusal::not_found(
            "set `repository.webhookSecretFile` in the configuration of the leads to take deliveries",
        )
    })?;
    let headers = request.headers().clone();
    let body = deliveries.body(request).await?;
    if !deliveries.is_signed(&headers, &body) {
        let why = "X-Hub-Signature-256 does not fit: give the webhook the secret of the leads";
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, "Unauthorized", why));
    }
    let answer = match deliveries.irrelevant(&headers, &body)? {
        Some(why) => {
            tracing::debug!(why, "a delivery of GitHub is ignored");
            (StatusCode::OK, format!("ignored: {why}\n"))
        }
        None => {
            shared.look().await?;
            deliveries.remember(&headers);
            (StatusCode::ACCEPTED, "the spec branch is fetched\n".into())
        }
    };
    Ok(answer.into_response())
}

impl Shared {
    /// Every lead reads the spec branch; the leader has to know at once. What comes during a fetch is one more fetch.
    async fn look(&self) -> Result<(), Refusal> {
        self.parts.fetch.notify_one();
        let consensus = &self.parts.consensus;
        if consensus.leadership().borrow().is_none() {
            consensus.note(Note::SpecMoved).await?;
        }
        Ok(())
    }
}
