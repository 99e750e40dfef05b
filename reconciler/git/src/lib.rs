//! Fetch, read and publish: the only home of libgit2, for leads and agents alike.
//!
//! libgit2 keeps the objects; the smart protocol is spoken here, because three things matter that its own
//! transports do not give: every operation ends at its deadline or when
//! nobody wants it any more, a push is an exact compare-and-swap whose
//! outcome is known or honestly unknown, and a tip that is known already costs one exchange, not three.

mod mirror;
pub use mirror::{Depth, Mirror};

mod remote;
pub use remote::{Credentials, Lent, Remote};

mod fetch;

mod publish;
pub use publish::Push;

mod local;

pub mod checkout;

mod commit;
pub use commit::{Commit, CommitDraft, OURS};

pub mod signature;

mod tree;
pub use tree::Limits;

mod link;

mod packet;

mod deadline;

mod store;

mod error;
pub use error::Error;
