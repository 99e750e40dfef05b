//! What a change of the repository would change in a fleet that runs as planned before it.

use qonnect_schema::SnapshotSpec;
use qonnect_schema::revision::Revision;

use super::what_if::settled;
use super::{Report, plan};

/// From what `base` asks for to what `head` asks for, in the same world: moves that the world asks for anyhow are
/// in neither.
pub fn difference(base: &Revision, head: &Revision, snapshot: &SnapshotSpec) -> Report {
    let before = settled(snapshot, &plan(base, snapshot));
    Report::between((base, &before), (head, &before), &plan(head, &before))
}
