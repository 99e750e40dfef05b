//! Which changes wait for people.

use std::collections::BTreeSet;

use qonnect_schema::documents::approval::{Approval, Class};
use qonnect_schema::revision::Revision;

use crate::decision::Draft;

/// The kinds of decisions that wait.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy(BTreeSet<Class>);

impl Policy {
    /// What either of them asks for: a commit switches approval on for itself, and off only once it is approved.
    pub fn of(newest: &Revision, approved: Option<&Revision>) -> Self {
        let asking: Vec<&Approval> = [Some(newest), approved]
            .into_iter()
            .flatten()
            .filter_map(|known| known.fleet.approval.as_ref())
            .collect();
        let waits = |class: &Class| asking.iter().any(|approval| approval.asks(*class));
        Self(Class::ALL.into_iter().filter(waits).collect())
    }

    pub fn everything() -> Self {
        Self(Class::ALL.into())
    }

    /// What is left out of a commit that nobody was asked about.
    pub fn withheld(&self) -> &BTreeSet<Class> {
        &self.0
    }

    /// Whether people have to be asked about a draft that was made from `newest`, while `approved` is what counts.
    pub fn asks(&self, draft: &Draft, newest: &Revision, approved: Option<&Revision>) -> bool {
        let waits = |class: Class| self.0.contains(&class);
        let same = approved.is_some_and(|approved| approved == newest);
        // Of the same revision other objects are rendered only to restore what somebody else has changed.
        let updates = waits(Class::Update) && !same && (draft.renders || updates(draft, newest, approved));
        updates || draft.changes.iter().filter_map(|change| change.class()).any(waits)
    }
}

/// Whether a component comes to another cluster with other manifests than those that were approved.
fn updates(draft: &Draft, newest: &Revision, approved: Option<&Revision>) -> bool {
    let manifests = |revision: Option<&Revision>, application: &str, component: &str| {
        let source = revision?.applications.get(application)?;
        source
            .manifests
            .get(component)
            .map(|manifests| manifests.iter().map(|manifest| manifest.object.clone()).collect::<Vec<_>>())
    };
    draft.changes.iter().any(|change| {
        let (application, component) = (change.application.as_str(), change.component.as_str());
        let before = manifests(approved, application, component);
        let now = manifests(Some(newest), application, component);
        before.is_some() && now.is_some() && before != now
    })
}
