//! The routes, each with its description: nothing is served that `/openapi.json` does not name.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Query, RawPathParams, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post, put};
use axum::{Json, Router};
use qonnect_schema::api::{
    ApplicationView, ClusterView, Decision, Event, Grant, Heartbeat, LeadAddress, LeadView, List, Neighbours,
    NodeView, PlacementView, Recovered, Recovery, Registration, ReleaseFolder, Report, RevisionRecord,
    StateHash,
};
use qonnect_schema::documents::snapshot::Brake;
use qonnect_schema::{Placement, Snapshot};
use schemars::JsonSchema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde::Serialize;
use serde_json::{Value, json};
use tower_http::catch_panic::CatchPanicLayer;

use super::access::Who;
use super::explain::explain;
use super::problem::Refusal;
use super::readers::{self, Mode, View};
use super::recovery;
use super::shared::{REQUESTS_MAX, Shared};
use super::tls::Certified;
use super::{agents, brake, hooks, leads, metrics, views};

/// A report of 5,000 nodes has some 3 MiB.
const BODY_BYTES_MAX: usize = 8 << 20;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    let mut routes = Routes::new(shared.clone());
    agent_routes(&mut routes);
    reader_routes(&mut routes);
    lead_routes(&mut routes);
    group_routes(&mut routes);
    let Routes { router, document, .. } = routes;
    let document = Arc::new(document);
    router
        .route("/openapi.json", get(move || async move { Json(Value::clone(&document)) }))
        .fallback(async || Refusal::not_found("nothing is served here; GET /openapi.json lists what is"))
        .method_not_allowed_fallback(async || {
            let message = "this path does not take that method; GET /openapi.json lists what is served";
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(CatchPanicLayer::custom(|_| {
            tracing::error!("a request made the API panic");
            let message = "a fault of the lead; its log says more";
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "Fault", message).into_response()
        }))
        .layer(from_fn_with_state(shared.clone(), bound))
        .with_state(shared)
}

fn agent_routes(routes: &mut Routes) {
    let agent =
        |method, path, summary| Operation { who: Who::Agent, ..Operation::new(method, path, summary) };
    let registration = routes.schema::<Registration>();
    let heartbeat = routes.schema::<Heartbeat>();
    let report = routes.schema::<Report>();
    let grant = routes.schema::<Grant>();
    let path = "/v1alpha1/clusters/{name}/registration";
    let operation = Operation {
        body: Some(registration),
        answer: Some(grant.clone()),
        ..agent("put", path, "An agent starts.")
    };
    routes.add(operation, put(agents::register));
    let path = "/v1alpha1/clusters/{name}/heartbeat";
    let operation = Operation {
        body: Some(heartbeat),
        answer: Some(grant.clone()),
        query: &[(
            "wait",
            "string",
            "Wait this long, such as 25s, for a release that differs; at most one heartbeat.",
        )],
        ..agent("post", path, "A sign of life.")
    };
    routes.add(operation, post(agents::heartbeat));
    let folder = routes.schema::<ReleaseFolder>();
    let path = "/v1alpha1/clusters/{name}/release";
    let summary = "What the deploy branch holds for a cluster, at the commit that grants name.";
    routes.add(Operation { answer: Some(folder), ..agent("get", path, summary) }, get(agents::release));
    let neighbours = routes.schema::<Neighbours>();
    let path = "/v1alpha1/clusters/{name}/neighbours";
    let summary = "To which other clusters its agent measures the round trip.";
    let operation = Operation { answer: Some(neighbours), ..agent("get", path, summary) };
    routes.add(operation, get(agents::neighbours));
    let path = "/v1alpha1/clusters/{name}/report";
    let operation = Operation {
        body: Some(report),
        answer: Some(grant),
        ..agent("put", path, "The state of a cluster.")
    };
    routes.add(operation, put(agents::report));
}

fn reader_routes(routes: &mut Routes) {
    routes.list::<ClusterView>("/v1alpha1/clusters", "Clusters and how they are.", views::clusters);
    routes.list::<NodeView>("/v1alpha1/nodes", "Nodes and what is left of them.", views::nodes);
    routes.list::<ApplicationView>(
        "/v1alpha1/applications",
        "Applications and how they are.",
        views::applications,
    );
    routes.list::<PlacementView>(
        "/v1alpha1/placements",
        "Where each component runs, and why.",
        views::placements,
    );
    routes.list::<RevisionRecord>(
        "/v1alpha1/revisions",
        "Commits of the spec branch, the newest last.",
        views::revisions,
    );
    routes.list::<Decision>(
        "/v1alpha1/decisions",
        "Commits of the deploy branch and what became of them, the newest last.",
        views::decisions,
    );
    routes.list::<StateHash>(
        "/v1alpha1/hashes",
        "Hashes of the state after the newest commands: equal on every lead at each index.",
        views::hashes,
    );
    routes.list::<Brake>(
        "/v1alpha1/brakes",
        "Why nothing moves; empty if nothing is the matter.",
        views::brakes,
    );
    routes.list::<Event>("/v1alpha1/events", "What happened, the newest last.", views::events);
    let snapshot = routes.schema::<Snapshot>();
    let operation = Operation::new("get", "/v1alpha1/snapshot", "The Knowledge Base as planning sees it.");
    routes.add(
        Operation { answer: Some(snapshot), query: &[CONSISTENCY], ..operation },
        get(readers::snapshot),
    );
    let placement = routes.schema::<Placement>();
    let operation = Operation::new(
        "get",
        "/v1alpha1/explain/{application}",
        "The decision for an application, scored now.",
    );
    routes.add(Operation { answer: Some(placement), query: &[CONSISTENCY], ..operation }, get(explain));
}

fn lead_routes(routes: &mut Routes) {
    let operation = Operation::new("post", "/hooks/git", "The spec branch has moved: fetch it at once.");
    routes.add(Operation { who: Who::Hooks, status: "202", ..operation }, post(hooks::git));
    let summary = "A delivery of a webhook of GitHub, signed with the secret of the leads.";
    let operation = Operation::new("post", "/hooks/github", summary);
    // What a delivery is signed with says who sends it.
    routes.add(Operation { who: Who::Everybody, ..operation }, post(hooks::github));
    let operation = Operation::new("get", "/metrics", "What the lead knows, as OpenMetrics text.");
    routes.add(operation, get(metrics::serve));
    let everybody = |path, summary| Operation { who: Who::Everybody, ..Operation::new("get", path, summary) };
    routes.add(everybody("/healthz", "The process serves."), get(readers::healthz));
    routes.add(everybody("/readyz", "The lead leads and has read the spec branch."), get(readers::readyz));
}

fn group_routes(routes: &mut Routes) {
    let list = routes.schema::<List<LeadView>>();
    let address = routes.schema::<LeadAddress>();
    let operation = Operation::new("get", "/v1alpha1/leads", "The group of leads, as this one sees it.");
    routes.add(Operation { answer: Some(list), ..operation }, get(leads::list));
    let admin = |method, path, summary| Operation {
        who: Who::Admins,
        status: "204",
        ..Operation::new(method, path, summary)
    };
    let path = "/v1alpha1/leads/{name}";
    let operation = admin("put", path, "Take a lead in; answered once it has caught up and votes.");
    routes.add(Operation { body: Some(address), ..operation }, put(leads::add));
    routes.add(admin("delete", path, "Take a lead out, also the leader."), delete(leads::remove));
    let path = "/v1alpha1/leads/{name}/leadership";
    routes.add(admin("post", path, "Let this lead lead."), post(leads::transfer));
    let path = "/v1alpha1/clusters/{name}/reconcile";
    routes.add(
        admin("post", path, "Its agent fetches, and tries at once what waits."),
        post(agents::reconcile),
    );
    let path = "/v1alpha1/brake";
    routes.add(admin("delete", path, "The clusters that hold the brake are gone."), delete(brake::release));
    let (body, answer) = (routes.schema::<Recovery>(), routes.schema::<Recovered>());
    let operation =
        admin("post", "/v1alpha1/recovery", "Hand the deploy branch to this group; a new era begins.");
    let operation = Operation { status: "200", body: Some(body), answer: Some(answer), ..operation };
    routes.add(operation, post(recovery::recover));
}

/// How new a list must be.
const CONSISTENCY: (&str, &str, &str) = (
    "consistency",
    "string",
    "`linearizable`: nothing is missing that any lead acknowledged before. Otherwise what this lead knows.",
);

struct Operation {
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    who: Who,
    status: &'static str,
    query: &'static [(&'static str, &'static str, &'static str)],
    body: Option<Value>,
    answer: Option<Value>,
}

impl Operation {
    fn new(method: &'static str, path: &'static str, summary: &'static str) -> Self {
        Self { method, path, summary, who: Who::Readers, status: "200", query: &[], body: None, answer: None }
    }

    fn describe(&self) -> Value {
        let content = |schema: &Value| json!({"application/json": {"schema": schema}});
        let names = self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let parameter = |name: &str, place, required, kind, description: &str| json!({"name": name, "in": place, "required": required, "description": description, "schema": {"type": kind}});
        let mut parameters: Vec<_> =
            names.map(|name| parameter(name, "path", true, "string", "Its name.")).collect();
        parameters
            .extend(self.query.iter().map(|(name, kind, text)| parameter(name, "query", false, kind, text)));
        let mut described = json!({
            "summary": self.summary,
            "parameters": parameters,
            "responses": {
                self.status: {"description": "Done."},
                "default": {"description": "An error.", "content": content(&json!({"$ref": "#/components/schemas/Problem"}))},
            },
            "security": match self.who {
                Who::Everybody => json!([{}]),
                Who::Agent | Who::Readers | Who::Hooks | Who::Admins => json!([{"token": []}]),
            },
        });
        if let Some(schema) = &self.body {
            described["requestBody"] = json!({"required": true, "content": content(schema)});
        }
        described["responses"][self.status]["content"] = match &self.answer {
            Some(schema) => content(schema),
            None if matches!(self.status, "202" | "204") => json!({}),
            None => json!({"text/plain": {"schema": {"type": "string"}}}),
        };
        described
    }
}

/// Routes and their description grow together.
struct Routes {
    shared: Arc<Shared>,
    router: Router<Arc<Shared>>,
    schemas: SchemaGenerator,
    document: Value,
}

impl Routes {
    fn new(shared: Arc<Shared>) -> Self {
        let mut settings = SchemaSettings::draft2020_12();
        settings.definitions_path = "/components/schemas".into();
        let mut schemas = settings.into_generator();
        schemas.subschema_for::<qonnect_schema::api::Problem>();
        let document = json!({
            "openapi": "3.1.0",
            "info": {"title": "QONNECT lead", "version": env!("CARGO_PKG_VERSION")},
            "paths": {},
            "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        });
        Self { shared, router: Router::new(), schemas, document }
    }

    fn schema<T: JsonSchema>(&mut self) -> Value {
        self.schemas.subschema_for::<T>().to_value()
    }

    fn add(&mut self, operation: Operation, route: MethodRouter<Arc<Shared>>) {
        self.document["paths"][operation.path][operation.method] = operation.describe();
        let definitions: BTreeMap<_, _> = self.schemas.definitions().iter().collect();
        self.document["components"]["schemas"] = json!(definitions);
        let guarded = route.layer(from_fn_with_state((self.shared.clone(), operation.who), guard));
        self.router = std::mem::take(&mut self.router).route(operation.path, guarded);
    }

    fn list<T: JsonSchema + Serialize + PartialEq + Send + 'static>(
        &mut self,
        path: &'static str,
        summary: &'static str,
        view: View<T>,
    ) {
        let answer = Some(self.schema::<List<T>>());
        let query = &[("watch", "boolean", "Go on: one list a line, again after each change."), CONSISTENCY];
        let operation = Operation { answer, query, ..Operation::new("get", path, summary) };
        let route = move |State(shared): State<Arc<Shared>>, mode: Result<Query<Mode>, QueryRejection>| {
            readers::list(shared, mode, view)
        };
        self.add(operation, get(route));
    }
}

/// Lets in whom the route is for.
async fn guard(
    State((shared, who)): State<(Arc<Shared>, Who)>,
    params: RawPathParams,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    if let Some(access) = &shared.access
        && who != Who::Everybody
    {
        let certified = request.extensions().get::<Certified>().and_then(|certified| certified.0.clone());
        let identity = access.identify(certified, request.headers()).ok_or_else(|| {
            let message = "show a certificate that names you, or send `Authorization: Bearer TOKEN` with a token of \
                           the lead's token file";
            Refusal::new(StatusCode::UNAUTHORIZED, "Unauthorized", message)
        })?;
        let cluster = params.iter().find(|(name, _)| *name == "name").map(|(_, value)| value);
        if !who.allows(&identity, cluster) {
            let message =
                "this identity may not do that; an agent writes only its own cluster, and reads nothing";
            return Err(Refusal::new(StatusCode::FORBIDDEN, "Forbidden", message));
        }
    }
    Ok(next.run(request).await)
}

/// Keeps the number of requests under way within [`REQUESTS_MAX`].
async fn bound(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Result<Response, Refusal> {
    let Ok(_permit) = shared.requests.try_acquire() else {
        tracing::warn!(limit = REQUESTS_MAX, "too many requests at once");
        return Err(Refusal::busy("too many requests at once; try again in a second"));
    };
    Ok(next.run(request).await)
}
