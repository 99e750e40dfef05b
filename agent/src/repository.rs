//! Releases of the deploy branch: one thread that fetches, verifies and keeps, for git blocks.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use qonnect_agent_core::release::{Desired, Refusal, Verified, verify};
use qonnect_git::signature::{Distrust, Signer, Signers};
use qonnect_git::{Depth, Limits, Mirror, Remote};
use qonnect_schema::api::ReleaseFolder;
use qonnect_schema::documents::release::Mark;
use qonnect_schema::layout;
use qonnect_schema::tree::Tree;
use tokio::sync::{Mutex, mpsc, oneshot};
use tracing::warn;

use crate::disk::{self, Disk};

pub(crate) const FETCH_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a report waits for a disk that hangs.
const DISK_TIMEOUT: Duration = Duration::from_secs(5);
/// A cluster's folder: what the lead renders for it, far below what would hurt a small machine.
pub(crate) const LIMITS: Limits =
    Limits { files: 20_000, file_bytes: 2 << 20, total_bytes: 64 << 20, depth: 4 };

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Git(#[from] qonnect_git::Error),
    #[error("the repository has no branch {branch}; the leads make it when they first publish")]
    NoBranch { branch: String },
    #[error("commit {commit} of the deploy branch: {refusal}")]
    Refused { commit: String, refusal: Refusal },
    #[error("commit {commit} of the deploy branch is not trusted: {distrust}")]
    Distrusted { commit: String, distrust: Distrust },
    #[error("{}", disk::text(.0))]
    Disk(#[from] disk::Error),
    #[error("the thread that fetches has ended")]
    Ended,
}

impl Error {
    /// It was read, and may not be carried out.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Distrusted { .. })
    }

    /// The leads have published nothing for this cluster; that is no fault before the first release.
    pub(crate) fn means_nothing_published(&self) -> bool {
        matches!(self, Self::NoBranch { .. } | Self::Refused { refusal: Refusal::Missing, .. })
    }
}

/// A release that was fetched and is in order; nothing older will be accepted any more.
pub(crate) struct Fetched {
    pub commit: String,
    pub release: Verified,
}

/// What to fetch from, and for whom.
pub(crate) struct Source {
    pub remote: Remote,
    pub branch: String,
    /// Absent: whoever may push is trusted.
    pub signers: Option<Signers>,
    pub cluster: String,
}

/// Who signed a commit, if only commits of some people count.
pub(crate) fn signer(
    mirror: &Mirror,
    signers: Option<&Signers>,
    commit: &str,
) -> Result<Option<Signer>, Error> {
    let Some(signers) = signers else { return Ok(None) };
    match mirror.signer(commit, &signers.read()?)? {
        Ok(signer) => Ok(Some(signer)),
        Err(distrust) => Err(Error::Distrusted { commit: commit.into(), distrust }),
    }
}

struct Request {
    wanted: Wanted,
    held: Mark,
    answer: oneshot::Sender<Result<Fetched, Error>>,
}

enum Wanted {
    /// The commit that a lead named; absent for whatever the tip is.
    Fetched(Option<String>),
    /// A lead has read it already.
    HandedOn(ReleaseFolder),
}

/// Ends its thread when it is dropped.
#[derive(Clone)]
pub(crate) struct Repository {
    requests: mpsc::Sender<Request>,
    kept: Kept,
}

/// The release that lies on the disk; locked while the next one is written there.
type Kept = Arc<Mutex<Option<Mark>>>;

impl Repository {
    pub(crate) fn start(source: Source, disk: Disk) -> io::Result<Self> {
        let (requests, mut inbox) = mpsc::channel::<Request>(1);
        let kept = Kept::default();
        let mut reader = Reader { source, disk, mirror: None, kept: kept.clone(), before: Vec::new() };
        let work = move || {
            while let Some(request) = inbox.blocking_recv() {
                let (result, copy) = match reader.read(request.wanted, &request.held) {
                    Ok((fetched, copy)) => (Ok(fetched), copy),
                    Err(error) => (Err(error), None),
                };
                let mut kept = reader.kept.blocking_lock();
                // Whoever asked may have given up.
                drop(request.answer.send(result));
                // While the cluster is at work.
                if let Some((mark, copy)) = copy
                    && keep(&reader.disk, &copy)
                {
                    *kept = Some(mark);
                }
            }
        };
        std::thread::Builder::new().name("git".into()).spawn(work)?;
        Ok(Self { requests, kept })
    }

    /// This release was found on the disk.
    pub(crate) async fn found(&self, release: Mark) {
        *self.kept.lock().await = Some(release);
    }

    /// Waits until the release that was fetched last lies on the disk, if the disk takes it in time.
    pub(crate) async fn kept(&self) {
        tokio::time::timeout(DISK_TIMEOUT, self.kept.lock()).await.ok();
    }

    /// Fetches the release that replaces `held`.
    pub(crate) async fn fetch(&self, commit: Option<String>, held: Mark) -> Result<Fetched, Error> {
        self.ask(Wanted::Fetched(commit), held).await
    }

    /// Takes over what a lead hands on, if it is in order.
    pub(crate) async fn take(&self, folder: ReleaseFolder, held: Mark) -> Result<Fetched, Error> {
        self.ask(Wanted::HandedOn(folder), held).await
    }

    async fn ask(&self, wanted: Wanted, held: Mark) -> Result<Fetched, Error> {
        let (answer, result) = oneshot::channel();
        self.requests.send(Request { wanted, held, answer }).await.map_err(|_| Error::Ended)?;
        result.await.map_err(|_| Error::Ended)?
    }
}

struct Reader {
    source: Source,
    disk: Disk,
    mirror: Option<Mirror>,
    kept: Kept,
    /// The objects of the release that was fetched last; their bodies are shared with the rest of the agent.
    before: Vec<Desired>,
}

impl Reader {
    /// The release, and its mark and a copy where that is not on the disk yet.
    fn read(
        &mut self,
        wanted: Wanted,
        held: &Mark,
    ) -> Result<(Fetched, Option<(Mark, ReleaseFolder)>), Error> {
        let (commit, tree) = match wanted {
            Wanted::Fetched(commit) => self.fetch(commit.as_deref())?,
            Wanted::HandedOn(folder) => (folder.commit.clone(), folder.tree()),
        };
        let release = match verify(&tree, &self.source.cluster, held, &self.before) {
            Ok(release) => release,
            Err(refusal) => return Err(Error::Refused { commit, refusal }),
        };
        self.before.clone_from(&release.objects);
        let mark = release.mark();
        if mark != *held {
            self.disk.save_mark(&mark)?;
        }
        let is_kept = self.kept.blocking_lock().as_ref() == Some(&mark);
        let folder = if is_kept { None } else { ReleaseFolder::new(&commit, &tree) };
        Ok((Fetched { commit, release }, folder.map(|folder| (mark, folder))))
    }

    fn fetch(&mut self, commit: Option<&str>) -> Result<(String, Tree), Error> {
        let Source { remote, branch, signers, cluster } = &self.source;
        let mirror = match &mut self.mirror {
            Some(mirror) => mirror,
            none => none.insert(Mirror::open(&self.disk.clone_folder(), remote.clone())?),
        };
        let tip = match commit {
            Some(commit) => mirror.fetch_commit(branch, commit, Depth::Shallow, FETCH_TIMEOUT)?,
            None => mirror.fetch(branch, Depth::Shallow, FETCH_TIMEOUT)?,
        };
        let commit = tip.ok_or_else(|| Error::NoBranch { branch: branch.clone() })?;
        signer(mirror, signers.as_ref(), &commit)?;
        let tree = mirror.tree(&commit, &layout::cluster_folder(cluster), &LIMITS)?;
        Ok((commit, tree))
    }
}

fn keep(disk: &Disk, copy: &ReleaseFolder) -> bool {
    let saved = disk.save_copy(copy);
    if let Err(error) = &saved {
        let error = disk::text(error);
        warn!(error, "the release is not kept; without git a restart would not find it");
    }
    saved.is_ok()
}
