//! Hands the folders of releases on to agents, so that git is asked once by a lead and not once by each agent.

use std::sync::mpsc;
use std::time::Duration;

use qonnect_git::{Depth, Limits, Mirror};
use qonnect_schema::api::ReleaseFolder;
use qonnect_schema::layout;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::Span;

use super::deploy::{Task, Work};

/// Agents do not wait longer, and ask git themselves.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Wanted {
    branch: String,
    cluster: String,
    commit: String,
    answer: oneshot::Sender<Option<ReleaseFolder>>,
}

/// Asks the thread whose clone of the deploy branch holds what this lead has published.
#[derive(Clone)]
pub struct Relay(pub(super) mpsc::Sender<Task>);

/// Asks nobody, and so hands nothing on.
impl Default for Relay {
    fn default() -> Self {
        Self(mpsc::channel().0)
    }
}

impl Relay {
    /// The folder of a cluster at a published commit; `None` while git would have to be waited for.
    pub async fn folder(&self, branch: &str, cluster: &str, commit: &str) -> Option<ReleaseFolder> {
        let (answer, folder) = oneshot::channel();
        let wanted = Wanted { branch: branch.into(), cluster: cluster.into(), commit: commit.into(), answer };
        let end = CancellationToken::new();
        // Also when the agent hangs up.
        let _end = end.clone().drop_guard();
        self.0.send(Task { work: Work::HandOn(wanted), end, span: Span::none() }).ok()?;
        tokio::time::timeout(PATIENCE, folder).await.ok()?.ok()?
    }
}

pub(super) fn hand_on(mirror: &mut Mirror, wanted: Wanted) {
    let folder = read(mirror, &wanted).unwrap_or_else(|error| {
        tracing::debug!(cluster = wanted.cluster, commit = wanted.commit, %error, "a release is not handed on");
        None
    });
    drop(wanted.answer.send(folder));
}

fn read(mirror: &mut Mirror, wanted: &Wanted) -> Result<Option<ReleaseFolder>, qonnect_git::Error> {
    let Wanted { branch, cluster, commit, .. } = wanted;
    let folder = layout::cluster_folder(cluster);
    let tree = match mirror.tree(commit, &folder, &Limits::default()) {
        // A follower has not published it.
        Err(qonnect_git::Error::NoCommit { .. }) => {
            mirror.fetch_commit(branch, commit, Depth::Full, PATIENCE)?;
            mirror.tree(commit, &folder, &Limits::default())?
        }
        tree => tree?,
    };
    Ok(ReleaseFolder::new(commit, &tree))
}
