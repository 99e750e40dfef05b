//! The group of leads: who belongs to it, and how an administrator changes that.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use qonnect_schema::api::{LeadAddress, LeadView, List};

use super::problem::{Body, Refusal};
use super::shared::Shared;
use crate::consensus::Peer;

pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Json<List<LeadView>> {
    Json(List { index: shared.knowledge().index, items: shared.parts.consensus.leads() })
}

/// Answers once the new lead votes.
pub(super) async fn add(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    Body(LeadAddress { node, peer, api }): Body<LeadAddress>,
) -> Result<StatusCode, Refusal> {
    let taken = |known: &LeadView| (known.name == name) != (known.node == node);
    if let Some(known) = shared.parts.consensus.leads().into_iter().find(taken) {
        return Err(Refusal::new(
            StatusCode::CONFLICT,
            "Taken",
            format!(
                "`{}` is node {}: give the new lead a name and a number of its own",
                known.name, known.node
            ),
        ));
    }
    shared.parts.consensus.add(&Peer { name, node, peer, api }).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn remove(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<StatusCode, Refusal> {
    let node = shared.node_of(&name)?;
    shared.parts.consensus.remove(node).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Answers once that lead leads.
pub(super) async fn transfer(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<StatusCode, Refusal> {
    let node = shared.node_of(&name)?;
    shared.parts.consensus.transfer(Some(node)).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Shared {
    fn node_of(&self, name: &str) -> Result<u64, Refusal> {
        let leads = self.parts.consensus.leads();
        let lead = leads.iter().find(|lead| lead.name == name);
        lead.map(|lead| lead.node).ok_or_else(|| {
            let names: Vec<_> = leads.iter().map(|lead| lead.name.as_str()).collect();
            Refusal::not_found(format!("no lead `{name}` belongs to the group; it has {}", names.join(", ")))
        })
    }
}
