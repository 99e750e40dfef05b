//! What the agent may do in its cluster, and what an object would become: asked without changing anything.

use std::fmt;

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::{Api, PostParams};
use qonnect_agent_core::release::Desired;
use qonnect_agent_core::state::Problem;
use serde_json::Value;

use super::client::{Cluster, within};
use super::problem::problem;

/// Verbs on a resource.
pub(crate) struct Right {
    group: String,
    resource: String,
    namespace: Option<String>,
    pub(crate) verbs: Vec<String>,
}

impl Right {
    pub(crate) fn new(group: &str, resource: &str, namespace: Option<&str>, verbs: &[&str]) -> Self {
        Self {
            group: group.into(),
            resource: resource.into(),
            namespace: namespace.map(Into::into),
            verbs: verbs.iter().map(ToString::to_string).collect(),
        }
    }
}

/// `deployments.apps in shop`.
impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dot = if self.group.is_empty() { "" } else { "." };
        write!(f, "{}{dot}{}", self.resource, self.group)?;
        self.namespace.iter().try_for_each(|namespace| write!(f, " in {namespace}"))
    }
}

/// What would become of an object.
pub(crate) enum Trial {
    New,
    Changed { before: Value, after: Value },
    Refused(Problem),
}

impl Cluster {
    /// Which of the verbs are refused.
    pub(crate) async fn refused(&self, right: &Right) -> Result<Vec<String>, String> {
        let reviews: Api<SelfSubjectAccessReview> = Api::all(self.client.clone());
        let mut refused = Vec::new();
        for verb in &right.verbs {
            let review = SelfSubjectAccessReview {
                spec: SelfSubjectAccessReviewSpec {
                    resource_attributes: Some(ResourceAttributes {
                        group: Some(right.group.clone()),
                        resource: Some(right.resource.clone()),
                        namespace: right.namespace.clone(),
                        verb: Some(verb.clone()),
                        ..ResourceAttributes::default()
                    }),
                    ..SelfSubjectAccessReviewSpec::default()
                },
                ..SelfSubjectAccessReview::default()
            };
            let answer = reviews.create(&PostParams::default(), &review).await;
            let answer = answer.map_err(|error| problem(&error).message)?;
            if !answer.status.is_some_and(|status| status.allowed) {
                refused.push(verb.clone());
            }
        }
        Ok(refused)
    }

    /// What it takes to run objects of a kind; `None` where the cluster does not serve it.
    pub(crate) async fn right_to_run(&self, api_version: &str, kind: &str) -> Result<Option<Right>, String> {
        let found = self.kinds.find(&self.client, api_version, kind).await;
        let served = found.map_err(|error| problem(&error).message)?;
        Ok(served.map(|served| {
            let verbs = ["get", "list", "watch", "create", "patch", "delete"];
            Right::new(&served.resource.group, &served.resource.plural, None, &verbs)
        }))
    }

    /// Applies without effect.
    pub(crate) async fn dry_run(&self, desired: &Desired) -> Trial {
        within(self.trial(desired)).await.unwrap_or_else(Trial::Refused)
    }

    async fn trial(&self, desired: &Desired) -> Result<Trial, Problem> {
        let served = self.served(&desired.api_version, &desired.id).await?;
        let Some(before) = self.live(&served, &desired.id).await? else { return Ok(Trial::New) };
        let after = self.would_be(&served, desired).await?;
        Ok(Trial::Changed { before, after })
    }
}
