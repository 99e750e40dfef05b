//! The query of a request.

use std::collections::BTreeMap;

use url::form_urlencoded;

use crate::sim::selector::Selector;
use crate::sim::status::Status;

#[derive(Debug)]
pub(super) struct Options(BTreeMap<String, String>);

impl Options {
    pub(super) fn parse(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    pub(super) fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// A flag such as `watch=true`, `watch=1` or a bare `watch`.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !matches!(value.as_str(), "false" | "0"))
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Status> {
        match self.text(name) {
            "" => Ok(None),
            text => {
                let wrong =
                    |_| Status::bad_request(format!("invalid value for {name}: {text:?} is no number"));
                text.parse().map(Some).map_err(wrong)
            }
        }
    }

    pub(super) fn selector(&self) -> Result<Selector, Status> {
        Selector::parse(self.text("labelSelector"), self.text("fieldSelector"))
    }

    /// True for `dryRun=All`, the only stage of dry runs that there is.
    pub(super) fn dry_run(&self) -> Result<bool, Status> {
        match self.text("dryRun") {
            "" => Ok(false),
            "All" => Ok(true),
            other => Err(Status::bad_request(format!("invalid dryRun {other:?}: supported values: \"All\""))),
        }
    }
}
