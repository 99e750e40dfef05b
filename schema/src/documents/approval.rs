//! `approval` in `fleet.yaml`: which decisions wait until people have merged them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// By kind of decision. With `approval: {}`, all but failovers wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
}

impl Default for Approval {
    fn default() -> Self {
        let asked = Consent::PullRequest;
        Self { placement: asked, migration: asked, update: asked, removal: asked, failover: Consent::Auto }
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
