//! What the agent may do in its cluster, and what an object would become: asked without changing anything.

use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::core::{Request, Resource};
use qonnect_agent_core::release::Desired;
use qonnect_agent_core::state::Problem;
use serde_json::Value;

use super::client::{Cluster, as_user, within};
use super::problem::problem;

/// Verbs on a resource.
pub(crate) struct Right {
    group: String,
    resource: String,
    namespace: Option<String>,
    /// Whose it is, where not the agent's.
    user: Option<Arc<str>>,
    /// Of the one object that it is for; absent: of all.
    name: Option<String>,
    pub(crate) verbs: Vec<String>,
}

impl Right {
    pub(crate) fn new(group: &str, resource: &str, namespace: Option<&str>, verbs: &[&str]) -> Self {
        Self {
            group: group.into(),
            resource: resource.into(),
            namespace: namespace.map(Into::into),
            user: None,
            name: None,
            verbs: verbs.iter().map(ToString::to_string).collect(),
        }
    }

    /// To act as a service account, `system:serviceaccount:NAMESPACE:NAME`.
    pub(crate) fn to_impersonate(user: &str) -> Self {
        let mut parts = user.split(':').skip(2);
        let namespace = parts.next();
        let right = Self::new("", "serviceaccounts", namespace, &["impersonate"]);
        Self { name: parts.next().map(Into::into), ..right }
    }
}

/// `deployments.apps in shop`.
impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dot = if self.group.is_empty() { "" } else { "." };
        write!(f, "{}{dot}{}", self.resource, self.group)?;
        self.name.iter().try_for_each(|name| write!(f, " {name}"))?;
        self.namespace.iter().try_for_each(|namespace| write!(f, " in {namespace}"))?;
        self.user.iter().try_for_each(|user| write!(f, " of {user}"))
    }
}

/// Objects of a kind that somebody runs in a namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Run {
    pub(crate) api_version: Arc<str>,
    pub(crate) kind: String,
    /// Who writes them, where it is not the agent itself; then also where.
    pub(crate) user: Option<Arc<str>>,
    pub(crate) namespace: String,
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
        let mut refused = Vec::new();
        for verb in &right.verbs {
            let answer = self.review(right, verb).await.map_err(|error| problem(&error).message)?;
            if !answer.status.is_some_and(|status| status.allowed) {
                refused.push(verb.clone());
            }
        }
        Ok(refused)
    }

    async fn review(&self, right: &Right, verb: &str) -> Result<SelfSubjectAccessReview, kube::Error> {
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    group: Some(right.group.clone()),
                    resource: Some(right.resource.clone()),
                    namespace: right.namespace.clone(),
                    name: right.name.clone(),
                    verb: Some(verb.into()),
                    ..ResourceAttributes::default()
                }),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let body = serde_json::to_vec(&review).expect("a review is always JSON");
        let request = Request::new(SelfSubjectAccessReview::url_path(&(), None))
            .create(&PostParams::default(), body)
            .map_err(kube::Error::BuildRequest)?;
        self.client.request(as_user(request, right.user.as_ref())?).await
    }

    /// What it takes to run such objects; nothing where the cluster does not serve them.
    pub(crate) async fn rights_to_run(&self, run: &Run) -> Result<Vec<Right>, String> {
        let found = self.kinds.find(&self.client, &run.api_version, &run.kind).await;
        let Some(served) = found.map_err(|error| problem(&error).message)? else { return Ok(Vec::new()) };
        let right = |namespace, verbs: &[&str]| {
            Right::new(&served.resource.group, &served.resource.plural, namespace, verbs)
        };
        let (look, write) = (["get", "list", "watch"], ["get", "create", "patch", "delete"]);
        Ok(match &run.user {
            None => vec![right(None, &["get", "list", "watch", "create", "patch", "delete"])],
            Some(user) => {
                let namespace = served.namespaced.then_some(run.namespace.as_str());
                vec![right(None, &look), Right { user: Some(user.clone()), ..right(namespace, &write) }]
            }
        })
    }

    /// Applies without effect.
    pub(crate) async fn dry_run(&self, desired: &Desired, user: &Option<Arc<str>>) -> Trial {
        within(self.trial(desired, user)).await.unwrap_or_else(Trial::Refused)
    }

    async fn trial(&self, desired: &Desired, user: &Option<Arc<str>>) -> Result<Trial, Problem> {
        let served = self.served(&desired.api_version, &desired.id).await?.by(user);
        let Some(before) = self.live(&served, &desired.id).await? else { return Ok(Trial::New) };
        let after = self.would_be(&served, desired).await?;
        Ok(Trial::Changed { before, after })
    }
}
