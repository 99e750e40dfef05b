//! One change that a commit makes, and which kind of decision it is.

use qonnect_schema::documents::approval::Class;
use qonnect_schema::documents::placement::Cause;

use crate::rollout::Step;

/// One change of one component, or the end of an application.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub application: String,
    /// Empty for the whole application.
    pub component: String,
    pub what: What,
    /// Why it was sent to its cluster.
    pub cause: Option<Cause>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum What {
    Step(Step),
    Removed,
}

impl Change {
    /// The cluster that is given up.
    pub(super) fn lost(&self) -> Option<String> {
        match &self.what {
            What::Step(Step::FailedOver { from, .. }) => Some(from.clone()),
            _ => None,
        }
    }

    pub fn class(&self) -> Option<Class> {
        match &self.what {
            What::Step(step) => class(step),
            What::Removed => Some(Class::Removal),
        }
    }
}

/// `None` for what only notes how things are, and for what the approval of a move covers: each of its later
/// phases, and its way back.
pub(super) fn class(step: &Step) -> Option<Class> {
    match step {
        Step::Placed { .. } => Some(Class::Placement),
        Step::Started { .. } => Some(Class::Migration),
        Step::FailedOver { .. } => Some(Class::Failover),
        Step::Stayed
        | Step::Unplaced
        | Step::Repointed { .. }
        | Step::Left { .. }
        | Step::Finished { .. }
        | Step::RolledBack { .. }
        | Step::Stranded { .. }
        | Step::Returned { .. } => None,
    }
}
