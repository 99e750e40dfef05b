//! Reading and writing objects: server-side apply, and deletion by uid.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::HeaderValue;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{DynamicObject, Request, Resource, request};
use kube::{Client, Config};
use qonnect_agent_core::conflict;
use qonnect_agent_core::release::Desired;
use qonnect_agent_core::state::{Apply, FIELD_MANAGER, Problem};
use qonnect_schema::layout::label;
use qonnect_schema::manifest::ObjectId;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::kinds::{Kinds, Served};
use super::problem::{IMMUTABLE, NOT_FOUND, conflicts, lasting, problem, transient};
use super::{Error, connection};

/// One call; a server that is slower than this is as good as away.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// A watch that has not even ended ([`super::watch`]) hangs on a connection that is dead.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(90);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the server may take to serve a kind after its definition was applied.
const ESTABLISH_TIMEOUT: Duration = Duration::from_secs(15);

pub(crate) struct Cluster {
    pub(super) client: Client,
    pub(super) kinds: Kinds,
    /// The agent's own namespace was seen, or its creation was tried.
    pub(super) home: OnceCell<()>,
}

/// What became of an apply.
pub(crate) enum Outcome {
    /// The object as the server holds it now.
    Applied(Value),
    /// The same, but deleted and made anew for a field that cannot change.
    Recreated(Value),
    /// A namespace that somebody else made.
    OfOthers,
}

impl Cluster {
    /// By a kubeconfig, else by the pod's service account.
    pub(crate) async fn connect(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Self, Error> {
        let mut config = match kubeconfig {
            Some(path) => {
                let file = Kubeconfig::read_from(path)
                    .map_err(|error| Error::Kubeconfig(format!("{}: {error}", path.display())))?;
                let options = KubeConfigOptions { context: context.map(Into::into), ..Default::default() };
                Config::from_custom_kubeconfig(file, &options)
                    .await
                    .map_err(|error| Error::Kubeconfig(format!("{}: {error}", path.display())))?
            }
            None => Config::incluster().map_err(|error| {
                Error::Kubeconfig(format!("{error}; outside of a pod, set `kubeconfig` in the configuration"))
            })?,
        };
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        config.read_timeout = Some(SILENCE_MAX);
        Ok(Self { client: connection::client(config)?, kinds: Kinds::default(), home: OnceCell::new() })
    }

    pub(crate) async fn version(&self) -> Result<String, Error> {
        Ok(self.client.apiserver_version().await?.git_version)
    }

    /// Applies one object and answers with what the server made of it.
    pub(crate) async fn apply(&self, apply: &Apply) -> Result<Outcome, Problem> {
        within(async {
            let desired = &apply.desired;
            let served = self.served(&desired.api_version, &desired.id).await?.by(&apply.user);
            if desired.owner.is_namespace()
                && apply.repair.is_none()
                && self.is_of_others(&served, &desired.id).await?
            {
                return Ok(Outcome::OfOthers);
            }
            let (object, recreated) = match self.patch(&served, apply).await {
                Err(problem) if problem.reason == IMMUTABLE => {
                    (self.recreate(&served, apply, problem).await?, true)
                }
                // Its namespace is missing, or its definition is gone since somebody looked: then discovery knows.
                Err(problem) if problem.reason == NOT_FOUND => {
                    self.kinds.doubt(&desired.api_version);
                    self.served(&desired.api_version, &desired.id).await?;
                    return Err(problem);
                }
                answer => (answer?, false),
            };
            if desired.id.kind == "CustomResourceDefinition" || desired.id.kind == "APIService" {
                self.kinds.forget();
            }
            Ok(if recreated { Outcome::Recreated(object) } else { Outcome::Applied(object) })
        })
        .await
    }

    pub(super) async fn patch(&self, served: &Served, apply: &Apply) -> Result<Value, Problem> {
        let Apply { desired, repair, previous, stops, .. } = apply;
        let force = *stops || repair.is_some() || conflict::is_forced(&desired.object());
        match self.server_side_apply(served, &desired.id, &desired.body, force).await {
            Err(kube::Error::Api(status)) if status.code == 409 && !force => {
                let conflicts = conflicts(&status);
                let previous = previous.as_ref().and_then(|body| serde_json::from_slice(body).ok());
                let ours = previous.is_some_and(|previous| conflict::were_ours(&conflicts, &previous));
                match ours {
                    true => self.server_side_apply(served, &desired.id, &desired.body, true).await,
                    false => Err(kube::Error::Api(status)),
                }
            }
            answer => answer,
        }
        .map_err(|error| problem(&error))
    }

    /// What the server would make of an object.
    pub(super) async fn would_be(&self, served: &Served, desired: &Desired) -> Result<Value, Problem> {
        let force = conflict::is_forced(&desired.object());
        let params = PatchParams { dry_run: true, ..params(force) };
        let answer = self.send(served, &desired.id, &desired.body, &params).await;
        answer.map_err(|error| problem(&error))
    }

    /// The body goes out byte for byte as it was rendered: JSON is YAML.
    pub(super) async fn server_side_apply(
        &self,
        served: &Served,
        id: &ObjectId,
        body: &[u8],
        force: bool,
    ) -> Result<Value, kube::Error> {
        self.send(served, id, body, &params(force)).await
    }

    async fn send(
        &self,
        served: &Served,
        id: &ObjectId,
        body: &[u8],
        params: &PatchParams,
    ) -> Result<Value, kube::Error> {
        let namespace = served.namespaced.then_some(id.namespace.as_str());
        let path = DynamicObject::url_path(&served.resource, namespace);
        let mut request = Request::new(path)
            .patch(&id.name, params, &Patch::Apply(Value::Null))
            .map_err(kube::Error::BuildRequest)?;
        *request.body_mut() = body.to_vec();
        self.client.request(as_user(request, served.user.as_ref())?).await
    }

    pub(super) async fn served(&self, api_version: &str, id: &ObjectId) -> Result<Served, Problem> {
        let found =
            self.kinds.find(&self.client, api_version, &id.kind).await.map_err(|error| problem(&error))?;
        let served = found.ok_or_else(|| {
            lasting(
                "NotServed",
                format!("this cluster serves no {} of {api_version}; install what defines it", id.kind),
            )
        })?;
        match (served.namespaced, id.namespace.is_empty()) {
            (true, true) => Err(lasting("Invalid", format!("{} needs metadata.namespace", id.kind))),
            (false, false) => Err(lasting(
                "Invalid",
                format!("{} lives in no namespace; remove metadata.namespace", id.kind),
            )),
            _ => Ok(served),
        }
    }

    /// A namespace that exists without our label was made by somebody else.
    async fn is_of_others(&self, served: &Served, id: &ObjectId) -> Result<bool, Problem> {
        let live = self.live(served, id).await?;
        Ok(live.is_some_and(|live| live["metadata"]["labels"][label::MANAGED_BY] != label::QONNECT))
    }

    /// The live object, or `None`.
    pub(super) async fn live(&self, served: &Served, id: &ObjectId) -> Result<Option<Value>, Problem> {
        let path =
            DynamicObject::url_path(&served.resource, served.namespaced.then_some(id.namespace.as_str()));
        let request =
            Request::new(path).get(&id.name, &Default::default()).map_err(kube::Error::BuildRequest);
        let request = request.and_then(|request| as_user(request, served.user.as_ref()));
        match self.client.request(request.map_err(|error| problem(&error))?).await {
            Ok(object) => Ok(Some(object)),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(problem(&error)),
        }
    }

    /// True if it is gone at once.
    pub(super) async fn remove(
        &self,
        served: &Served,
        id: &ObjectId,
        params: &DeleteParams,
    ) -> Result<bool, kube::Error> {
        let path =
            DynamicObject::url_path(&served.resource, served.namespaced.then_some(id.namespace.as_str()));
        let request = Request::new(path).delete(&id.name, params).map_err(kube::Error::BuildRequest)?;
        let answer =
            self.client.request_status::<DynamicObject>(as_user(request, served.user.as_ref())?).await?;
        Ok(answer.is_right())
    }

    /// Waits until the server serves what a definition defines.
    pub(crate) async fn established(&self, id: &ObjectId) -> bool {
        let look = async {
            loop {
                let served = self.served("apiextensions.k8s.io/v1", id).await.ok();
                if let Some(served) = served
                    && let Ok(Some(object)) = self.live(&served, id).await
                    && qonnect_agent_core::health::assess(id, &object).health
                        == qonnect_schema::documents::snapshot::Health::Ready
                {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let established = tokio::time::timeout(ESTABLISH_TIMEOUT, look).await.is_ok();
        self.kinds.forget();
        established
    }

    pub(super) fn api(&self, served: &Served, namespace: &str) -> Api<DynamicObject> {
        match served.namespaced && !namespace.is_empty() {
            true => Api::namespaced_with(self.client.clone(), namespace, &served.resource),
            false => Api::all_with(self.client.clone(), &served.resource),
        }
    }
}

/// The API server takes it for the word of the service account, and refuses what that may not do.
///
/// # Errors
/// For a name that no header can hold: parts of it are read from Git, or from the inventory.
pub(super) fn as_user(
    mut request: hyper::Request<Vec<u8>>,
    user: Option<&Arc<str>>,
) -> Result<hyper::Request<Vec<u8>>, kube::Error> {
    if let Some(user) = user {
        let name = HeaderValue::from_str(user)
            .map_err(|error| kube::Error::BuildRequest(request::Error::BuildRequest(error.into())))?;
        request.headers_mut().insert("impersonate-user", name);
    }
    Ok(request)
}

fn params(force: bool) -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.into()), force, ..PatchParams::default() }
}

pub(super) async fn within<T>(call: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    let timeout = || {
        transient("Unreachable", format!("the API server did not answer within {} s", CALL_TIMEOUT.as_secs()))
    };
    tokio::time::timeout(CALL_TIMEOUT, call).await.unwrap_or_else(|_| Err(timeout()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_that_no_header_can_hold_is_an_error_of_its_object_alone() {
        let with = |user: &str| as_user(hyper::Request::new(Vec::new()), Some(&user.into()));
        let request = with("system:serviceaccount:shop:seller").unwrap();
        assert_eq!(request.headers()["impersonate-user"], "system:serviceaccount:shop:seller");
        let found = problem(&with("system:serviceaccount:shop\nx:seller").unwrap_err());
        assert_eq!((found.reason.as_str(), found.transient), ("Invalid", false), "{}", found.message);
    }
}
