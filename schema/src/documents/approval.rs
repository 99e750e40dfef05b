//! `approval` in `fleet.yaml`: which decisions wait until people have merged them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// By kind of decision. With `approval: {}`, all but failovers wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Approval {
    /// A component is placed where it did not run before, and ran nowhere else.
    pub placement: Consent,
    /// A component moves to another cluster. One approval covers the whole move, its way back included.
    pub migration: Consent,
    /// Other objects are rendered for what stays where it is.
    pub update: Consent,
    /// A component or an application is removed.
    pub removal: Consent,
    /// A component leaves a cluster that is lost.
    pub failover: Consent,
    /// What the pull request has, where the leads are given a forge to open one.
    pub request: Request,
}

/// A pull request, beside what it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Request {
    #[schemars(length(max = 20), inner(length(min = 1, max = 50)))]
    pub labels: Vec<String>,
    /// Users who are asked to review it.
    #[schemars(length(max = 15), inner(length(min = 1, max = 39)))]
    pub reviewers: Vec<String>,
    /// Teams of the organisation that are asked, by their short names.
    #[schemars(length(max = 15), inner(length(min = 1, max = 100)))]
    pub teams: Vec<String>,
    /// Merged by the forge as soon as its rules for the review branch are met; absent: by a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_merge: Option<Merge>,
}

/// How the forge merges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Merge {
    Merge,
    Squash,
    Rebase,
}

impl Default for Request {
    fn default() -> Self {
        Self { labels: vec!["qonnect".into()], reviewers: vec![], teams: vec![], auto_merge: None }
    }
}

impl Default for Approval {
    fn default() -> Self {
        let asked = Consent::PullRequest;
        let (failover, request) = (Consent::Auto, Request::default());
        Self { placement: asked, migration: asked, update: asked, removal: asked, failover, request }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Consent {
    /// Published as soon as it is decided.
    Auto,
    /// Published once people have merged it into the review branch.
    PullRequest,
}

/// The kinds of decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    Placement,
    Migration,
    Update,
    Removal,
    Failover,
}

impl Approval {
    pub fn asks(&self, class: Class) -> bool {
        let consent = match class {
            Class::Placement => self.placement,
            Class::Migration => self.migration,
            Class::Update => self.update,
            Class::Removal => self.removal,
            Class::Failover => self.failover,
        };
        consent == Consent::PullRequest
    }
}

impl Class {
    pub const ALL: [Self; 5] =
        [Self::Placement, Self::Migration, Self::Update, Self::Removal, Self::Failover];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_failovers_wait_unless_something_else_is_said() {
        let read = |text: &str| crate::yaml::from_str::<Approval>(text).unwrap();
        let waiting = |approval: Approval| {
            Class::ALL.into_iter().filter(|class| approval.asks(*class)).collect::<Vec<_>>()
        };
        use Class::{Failover, Migration, Placement, Removal, Update};
        assert_eq!(waiting(read("{}")), [Placement, Migration, Update, Removal]);
        assert_eq!(
            waiting(read("{failover: pullRequest, update: auto, migration: auto}")),
            [Placement, Removal, Failover]
        );
    }
}
