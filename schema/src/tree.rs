//! A tree of files as git stores it, wherever it was read.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Files by path, `/` between names, without a leading `/`.
///
/// Whoever fills it enforces the limits on bytes and files, and keeps symlinks as such: nobody follows them.
pub type Tree = BTreeMap<String, Entry>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    File(Arc<[u8]>),
    /// A symlink or a submodule; the bytes are its target.
    Link(Arc<[u8]>),
    /// Larger than its reader accepts; the number is its size in bytes.
    TooLarge(u64),
}

impl Entry {
    pub fn file(bytes: impl AsRef<[u8]>) -> Self {
        Self::File(bytes.as_ref().into())
    }

    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::File(bytes) => Some(bytes),
            Self::Link(_) | Self::TooLarge(_) => None,
        }
    }
}
