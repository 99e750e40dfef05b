//! Words from outside that a branch has moved: they make a lead look, and decide nothing.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::deliveries::{Branch, News};
use super::problem::Refusal;
use super::shared::Shared;
use crate::consensus::Note;

/// Anybody who may say so.
pub(super) async fn git(State(shared): State<Arc<Shared>>) -> Result<StatusCode, Refusal> {
    shared.look(Branch::Spec).await?;
    shared.look(Branch::Review).await?;
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
    let review = shared.revision().map(|revision| revision.fleet.branches.clone()).unwrap_or_default();
    let answer = match deliveries.news(&headers, &body, &review)? {
        News::Nothing(why) => {
            tracing::debug!(why, "a delivery of GitHub is ignored");
            (StatusCode::OK, format!("ignored: {why}\n"))
        }
        News::Moved(branch) => {
            shared.look(branch).await?;
            deliveries.remember(&headers);
            (StatusCode::ACCEPTED, format!("{branch} is read\n"))
        }
    };
    Ok(answer.into_response())
}

impl Shared {
    /// Every lead reads the spec branch, the leader alone what people did with a proposal; it has to know at once.
    /// What comes during a fetch is one more fetch.
    async fn look(&self, branch: Branch) -> Result<(), Refusal> {
        let (told, note) = match branch {
            Branch::Spec => (&self.parts.fetch, Note::SpecMoved),
            Branch::Review => (&self.parts.review, Note::ReviewMoved),
        };
        told.notify_one();
        let consensus = &self.parts.consensus;
        if consensus.leadership().borrow().is_none() {
            consensus.note(note).await?;
        }
        Ok(())
    }
}
