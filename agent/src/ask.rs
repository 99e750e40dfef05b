//! What a person asks of an agent's configuration without running it: does it work, and what would change.

mod check;
mod diff;

pub use check::check;
pub use diff::diff;

use std::path::PathBuf;

use qonnect_agent_core::release::{Refusal, Verified, verify};
use qonnect_git::signature::Signer;
use qonnect_git::{Depth, Mirror};
use qonnect_schema::documents::release::Mark;
use qonnect_schema::layout;

use crate::config::Config;
use crate::repository::{Error, FETCH_TIMEOUT, LIMITS, signer};

/// The newest release, fetched beside what the running agent works on, whose mark and copy stay as they are.
enum Newest {
    /// With who signed its commit, if that counts.
    Release(Box<Verified>, Option<Signer>),
    /// The branch or this cluster's folder does not exist yet.
    Nothing,
}

async fn newest(config: &Config) -> Result<Newest, Error> {
    let folder = Beside(config.data.join(format!("asked-{}.git", std::process::id())));
    let (remote, cluster) = (config.remote(), config.cluster.clone());
    let (branch, signers) = (config.repository.branch.clone(), config.repository.signers.clone());
    let fetch = move || {
        let mut mirror = Mirror::open(&folder.0, remote)?;
        let Some(commit) = mirror.fetch(&branch, Depth::Shallow, FETCH_TIMEOUT)? else {
            return Ok(Newest::Nothing);
        };
        let signer = signer(&mirror, signers.as_ref(), &commit)?;
        let tree = mirror.tree(&commit, &layout::cluster_folder(&cluster), &LIMITS)?;
        match verify(&tree, &cluster, &Mark::default(), &[]) {
            Ok(release) => Ok(Newest::Release(Box::new(release), signer)),
            Err(Refusal::Missing) => Ok(Newest::Nothing),
            Err(refusal) => Err(Error::Refused { commit, refusal }),
        }
    };
    tokio::task::spawn_blocking(fetch).await.map_err(|_| Error::Ended)?
}

/// A clone that goes when the question is answered.
struct Beside(PathBuf);

impl Drop for Beside {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}
