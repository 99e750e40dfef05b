//! Where things lie in the repository, and the digest of a cluster's folder.

use std::time::Duration;

use sha2::{Digest, Sha256};

/// On the spec branch.
pub const FLEET: &str = "fleet.yaml";
pub const CLUSTERS: &str = "clusters";
pub const SIGNALS: &str = "signals";
pub const APPLICATIONS: &str = "apps";
pub const APPLICATION: &str = "application.yaml";

/// On the deploy branch.
pub const PLACEMENTS: &str = "placements";
pub const RELEASE: &str = "release.yaml";
pub const NAMESPACE: &str = "namespace.yaml";

pub fn placement(application: &str) -> String {
    format!("{PLACEMENTS}/{application}.yaml")
}

pub fn cluster_folder(cluster: &str) -> String {
    format!("{CLUSTERS}/{cluster}")
}

pub fn release(cluster: &str) -> String {
    format!("{CLUSTERS}/{cluster}/{RELEASE}")
}

/// The name of a part of a component that is divided over several clusters. No component of a document has a `.` in its
/// name.
pub fn part(component: &str, which: impl std::fmt::Display) -> String {
    format!("{component}.{which}")
}

/// The component that a part is one of.
pub fn whole(part: &str) -> &str {
    part.split_once('.').map_or(part, |(whole, _)| whole)
}

/// The digest of a cluster's folder: paths are relative to it, `release.yaml` is left out.
///
/// SHA-256 over, for each file in the order of its path's bytes: the path's length as u64 big endian, the
/// path, the content's length as u64 big endian, the content. Written `sha256:` and hexadecimal.
pub fn digest<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut files: Vec<_> = files.into_iter().filter(|(path, _)| *path != RELEASE).collect();
    files.sort_unstable_by_key(|(path, _)| *path);
    let mut hash = Sha256::new();
    for (path, bytes) in files {
        hash.update((path.len() as u64).to_be_bytes());
        hash.update(path.as_bytes());
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    }
    format!("sha256:{}", hex::encode(hash.finalize()))
}

/// Labels on every rendered object.
pub mod label {
    pub const NAME: &str = "app.kubernetes.io/name";
    pub const PART_OF: &str = "app.kubernetes.io/part-of";
    pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
    pub const APPLICATION: &str = "qonnect.io/application";
    pub const COMPONENT: &str = "qonnect.io/component";
    /// The value of [`MANAGED_BY`].
    pub const QONNECT: &str = "qonnect";
}

/// How an object says that it must not run twice: its agent reports it as gone only when its pods are.
pub const RUNS_ONCE: (&str, &str) = ("qonnect.io/strategy", "recreate");

/// How an object says that it runs only while a lead vouches for it.
pub const LEASED: (&str, &str) = ("qonnect.io/on-lost", "afterLease");

/// How long what is [`LEASED`] may run after its agent has asked, if a lead says yes.
pub const LEASE: Duration = Duration::from_secs(30);

/// How an object says how long it may take to be Ready, such as `5m`; later it counts as Stalled.
pub const READY_WITHIN: &str = "qonnect.io/ready-within";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_knows_names_contents_and_borders_but_not_the_release() {
        let base = digest([("a", b"1".as_slice()), ("b", b"2")]);
        assert_eq!(base, digest([("b", b"2".as_slice()), (RELEASE, b"x"), ("a", b"1")]));
        assert_ne!(base, digest([("a", b"12".as_slice()), ("b", b"")]));
        assert_ne!(base, digest([("ab", b"1".as_slice()), ("", b"2")]));
    }
}
