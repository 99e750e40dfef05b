//! Who owns which field: server-side apply, as Kubernetes' structured-merge-diff defines it.
//!
//! A [`Shape`] says how the lists and maps of a kind merge, a [`FieldSet`] is what one manager owns, `merge` holds
//! the walks over values, and `managers` what an apply or an update does to the owners.

mod managers;
mod merge;
mod set;
mod shape;
mod shapes;

pub(super) use managers::{Manager, apply, same_but_for_times, update};
pub(super) use shape::{ListMap, Shape};
pub(super) use shapes::{builtin, custom};
