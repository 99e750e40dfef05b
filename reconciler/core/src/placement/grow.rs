//! What a plan finds out about components on several clusters: that fewer do not hold what is packed, and that
//! what is on all of them may be on others now.

use std::collections::BTreeSet;

use qonnect_schema::revision::Revision;
use qonnect_schema::{SnapshotSpec, layout};

use super::parts;
use super::planner::Planner;
use super::search::Effort;
use super::touched::Touched;

impl Planner {
    /// Divides what is packed over one cluster more, as long as a part finds no place; gives the applications that
    /// are divided otherwise now.
    pub(super) fn unpack(
        &mut self,
        revision: &Revision,
        snapshot: &SnapshotSpec,
        items: &[usize],
        effort: Effort,
    ) -> BTreeSet<String> {
        let divided = items.iter().map(|item| self.problem.app(*item)).filter(|app| app.divided.is_some());
        let mut names: BTreeSet<String> = divided.map(|app| app.name.clone()).collect();
        let mut grown = BTreeSet::new();
        // It ends, since each round divides something further, and nothing beyond its most.
        while !names.is_empty() {
            names.retain(|name| self.divide_further(name, revision, snapshot));
            let mut dirty = BTreeSet::new();
            for name in &names {
                self.reload(name, revision, snapshot, &mut dirty);
            }
            self.solution.guard(&self.problem);
            self.widen(&mut dirty);
            self.solve(&dirty.into_iter().collect::<Vec<_>>(), effort);
            grown.extend(names.iter().cloned());
        }
        grown
    }

    fn divide_further(&mut self, name: &str, revision: &Revision, snapshot: &SnapshotSpec) -> bool {
        let source = &revision.applications[name];
        let items = self.problem.applications[self.problem.names[name]].items.clone();
        let mut further = false;
        for component in source.application.spec.components.iter().filter(|c| parts::packed(c).is_some()) {
            let is_part = |item: &usize| layout::whole(&self.problem.component(*item).name) == component.name;
            let parts: Vec<usize> = items.clone().filter(is_part).collect();
            if parts.iter().all(|item| self.solution.place(*item).is_some()) {
                continue;
            }
            let key = (name.to_owned(), component.name.clone());
            let before = self.problem.grown.insert(key.clone(), parts.len() + 1);
            if self.problem.open(name, source, component, snapshot).packed > parts.len() {
                further = true;
            } else {
                before.map(|before| self.problem.grown.insert(key, before));
            }
        }
        further
    }

    /// The applications with parts on all clusters for which that means others now.
    pub(super) fn divided_otherwise(
        &self,
        revision: &Revision,
        snapshot: &SnapshotSpec,
        touched: &Touched,
    ) -> BTreeSet<String> {
        if touched.clusters.is_empty() {
            return BTreeSet::new();
        }
        let otherwise = |name: &&String| {
            let app = &self.problem.applications[self.problem.names[*name]];
            let (Some(known), Some(source)) = (&app.divided, revision.applications.get(*name)) else {
                return false;
            };
            let open = |component: &_| self.problem.open(name, source, component, snapshot);
            parts::divide(source, open).application != known.application
        };
        self.problem.names.keys().filter(otherwise).cloned().collect()
    }
}
