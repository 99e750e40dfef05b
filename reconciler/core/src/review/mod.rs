//! Approval by people: what waits for them, what they are asked, and what their answer is.
//!
//! ```text
//! Draft ─ classes ∩ policy ─▶ id, tree ─▶ <review>-next ─ people merge ─▶ <review> ─ judge ─▶ approved: the same id
//!                                                                                     └─▶ refused, with the reason
//! ```
//!
//! *Guarantees:* what is approved is a set of changes. A merge is an approval only if it leaves exactly the proposed
//! files; it is carried out only if the plan that is made after it makes the same changes.

mod policy;
pub use policy::Policy;

mod substance;
pub use substance::substance;

mod pair;
pub(crate) use pair::short;
pub use pair::{Pair, Place, Standing, judge};

mod body;
pub(crate) use body::cell;
pub use body::{body, message};

mod request;
pub use request::{Bindings, request};
