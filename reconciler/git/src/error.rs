//! What can go wrong, and the way out of it; never a secret or a URL with one.

use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("`{url}` cannot be used as a repository: {why}")]
    Url { url: String, why: String },

    #[error("the repository refused us: {detail}; give or renew the token or key named in the configuration")]
    Auth { detail: String },

    #[error(
        "there is no such repository, or we may not see it: {detail}; check the URL and the rights of the token"
    )]
    NotFound { detail: String },

    #[error("cannot reach the repository: {detail}; this is tried again")]
    Unreachable { detail: String },

    #[error("the connection to the repository broke: {detail}; this is tried again")]
    Broken { detail: String },

    #[error("the repository did not answer within {after:?}; this is tried again")]
    Deadline { after: Duration },

    #[error("the exchange was ended: nobody waits for it any more")]
    Ended,

    #[error("the repository answered what git does not: {detail}; does the URL lead to a git repository?")]
    Protocol { detail: String },

    #[error("the repository says: {detail}")]
    Remote { detail: String },

    #[error("`{name}` cannot be the name of a branch")]
    Branch { name: String },

    #[error("`{path}` cannot be written into a commit")]
    Path { path: String },

    #[error("commit {id} is not in the local clone; fetch its branch first")]
    NoCommit { id: String },

    #[error("cannot read the checkout around {path}: {why}", path = path.display())]
    Checkout { path: PathBuf, why: String },

    #[error(
        "the checkout has no commit `{revision}` with a history that meets its own; fetch it \
         (`git fetch origin {revision}`; in a workflow check out with `fetch-depth: 0`)"
    )]
    NoRevision { revision: String },

    #[error("commit {commit} does not descend from {base}, on which it should be published")]
    NotDescendant { commit: String, base: String },

    #[error("{what} is more than the limit of {limit}; make the repository smaller")]
    Limit { what: String, limit: u64 },

    #[error("{path} holds something that is not our clone; name an empty folder or remove it", path = path.display())]
    Occupied { path: PathBuf },

    #[error("cannot read {path}, which the configuration names: {source}", path = path.display())]
    File { path: PathBuf, source: std::io::Error },

    #[error("{path}, line {line}: {why}", path = path.display())]
    Signers { path: PathBuf, line: usize, why: String },

    #[error("cannot sign with {path}: {why}", path = path.display())]
    SigningKey { path: PathBuf, why: String },

    #[error("cannot start the program ssh; install the OpenSSH client, or use an https URL")]
    Program(#[source] std::io::Error),

    #[error("cannot use the local clone {path}; its disk may be full or read-only", path = path.display())]
    Disk { path: PathBuf, source: std::io::Error },

    #[error("the local clone is damaged: {0}; the next fetch makes it anew")]
    Clone(#[from] git2::Error),
}

impl Error {
    /// Whether trying again later can help without anybody's doing.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Broken { .. }
                | Self::Deadline { .. }
                | Self::Ended
                | Self::Clone(_)
        )
    }
}

/// Text of a server, short and without control characters, fit for a message.
pub(crate) fn plain(text: &[u8]) -> String {
    const CHARS_MAX: usize = 600;
    let text = String::from_utf8_lossy(text);
    let words: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(CHARS_MAX).collect();
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}
