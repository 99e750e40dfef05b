//! GET and LIST.

use std::sync::Arc;

use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::response::Response;
use serde_json::json;

use super::route::Target;
use super::view::View;
use super::{Call, bytes_response, json_response};
use crate::sim::objects::{Part, scale_of};
use crate::sim::status::Status;
use crate::sim::store::Object;

pub(super) fn get(call: &Call, target: &Target) -> Result<Response, Status> {
    let state = call.cluster.state();
    let found = state.get(&target.kind.qualified(), &target.namespace, &target.name).cloned();
    let object = found.ok_or_else(|| Status::not_found(&target.kind, &target.name))?;
    Ok(show(call, target, StatusCode::OK, &object))
}

/// One object as an answer.
pub(super) fn show(call: &Call, target: &Target, code: StatusCode, object: &Object) -> Response {
    if target.part == Part::Scale {
        return json_response(code, &scale_of(&object.value));
    }
    bytes_response(code, View::new(call.header(header::ACCEPT), &target.kind, &target.version).object(object))
}

/// Objects that a request selects, at one revision.
pub(super) struct Page {
    pub(super) objects: Vec<Arc<Object>>,
    pub(super) revision: u64,
    next: Option<String>,
    remaining: Option<usize>,
}

pub(super) fn page(call: &Call, target: &Target) -> Result<Page, Status> {
    let selector = call.options.selector()?;
    let limit = call.options.number("limit")?.filter(|limit| *limit > 0).map(|limit| limit as usize);
    let after = read_token(call.options.text("continue"))?;
    let state = call.cluster.state();
    let revision = state.store.revision();
    if let Some(asked) = call.options.number("resourceVersion")?.filter(|asked| *asked > revision) {
        return Err(Status::version_in_the_future(asked, revision));
    }
    let id = target.kind.qualified();
    let mut found = state.store.range(&id, &target.namespace, (&after.0, &after.1));
    let mut page = Page { objects: Vec::new(), revision, next: None, remaining: None };
    for (name, object) in found.by_ref().filter(|(_, object)| selector.takes(&object.value)) {
        page.objects.push(object.clone());
        if limit == Some(page.objects.len()) {
            page.next = Some(write_token(name));
            break;
        }
    }
    let rest = found.count();
    if rest == 0 {
        page.next = None;
    } else if page.next.is_some() && selector.is_everything() {
        page.remaining = Some(rest);
    }
    Ok(page)
}

/// Where the next page begins: opaque to clients.
fn write_token((namespace, name): &(String, String)) -> String {
    hex::encode(format!("{namespace}/{name}"))
}

fn read_token(token: &str) -> Result<(String, String), Status> {
    let wrong = || Status::bad_request("continue key is not valid");
    let text = String::from_utf8(hex::decode(token).map_err(|_| wrong())?).map_err(|_| wrong())?;
    match text.split_once('/') {
        _ if token.is_empty() => Ok(Default::default()),
        Some((namespace, name)) => Ok((namespace.into(), name.into())),
        None => Err(wrong()),
    }
}

pub(super) fn list(call: &Call, target: &Target) -> Result<Response, Status> {
    Ok(show_list(call, target, &page(call, target)?))
}

pub(super) fn show_list(call: &Call, target: &Target, page: &Page) -> Response {
    let view = View::new(call.header(header::ACCEPT), &target.kind, &target.version);
    let mut metadata = json!({"resourceVersion": page.revision.to_string()});
    if let Some(next) = &page.next {
        metadata["continue"] = next.as_str().into();
    }
    if let Some(remaining) = page.remaining {
        metadata["remainingItemCount"] = remaining.into();
    }
    let (kind, version) = view.list(&target.kind, &target.version);
    let items: Vec<Bytes> = page.objects.iter().map(|object| view.item(&target.kind, object)).collect();
    let mut body =
        format!(r#"{{"kind":"{kind}","apiVersion":"{version}","metadata":{metadata},"items":["#).into_bytes();
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        body.extend_from_slice(item);
    }
    body.extend_from_slice(b"]}");
    bytes_response(StatusCode::OK, body.into())
}
