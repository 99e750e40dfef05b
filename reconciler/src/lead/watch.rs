//! When to look at the spec branch: at once when told, when a local repository changes, or after a while.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use super::spec::Work;
use crate::consensus::Consensus;

/// The first try after one that failed comes after this long, each further one after twice as long.
const RETRY_MIN: Duration = Duration::from_secs(1);

/// Fetches until the spec thread has ended. `fetch` wakes it; a wake during a fetch is not lost. A leadership that
/// begins does not wait for what hangs: it has the branch read anew.
pub(super) async fn run(
    work: std::sync::mpsc::Sender<Work>,
    consensus: Consensus,
    fetch: Arc<Notify>,
    poll: Duration,
) {
    let (mut failures, mut leadership) = (0, consensus.leadership());
    loop {
        let (done, mut told) = oneshot::channel();
        let end = CancellationToken::new();
        leadership.mark_unchanged();
        let good = consensus.knowledge().good.as_ref().map(|good| good.commit.clone());
        if work.send(Work::Fetch { good, done, end: end.clone() }).is_err() {
            return;
        }
        let reached = tokio::select! {
            reached = &mut told => reached,
            Ok(()) = leadership.changed() => {
                end.cancel();
                told.await
            }
        };
        let Ok(reached) = reached else { return };
        if end.is_cancelled() {
            continue;
        }
        failures = if reached { 0 } else { failures + 1 };
        let pause = match failures {
            0 => poll,
            failures => RETRY_MIN.saturating_mul(1 << (failures - 1).min(16)).min(poll),
        };
        tokio::select! {
            () = fetch.notified() => {}
            () = tokio::time::sleep(spread(pause)) => {}
        }
    }
}

/// Between 80 and 120 percent: leads and fleets that started together do not ask together for ever.
pub(super) fn spread(pause: Duration) -> Duration {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    pause.mul_f64(0.8 + 0.4 * f64::from(since.subsec_nanos() % 1_000) / 1_000.0)
}

/// Watches the branches of a repository on this disk; `None` for any other.
///
/// Without a watch, which systems limit, polling goes on.
pub(super) fn local(url: &str, fetch: Arc<Notify>) -> Option<RecommendedWatcher> {
    let folder = git_folder(Path::new(url.strip_prefix("file://").unwrap_or(url)))?;
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            fetch.notify_one();
        }
    })
    .ok()?;
    // Branches are files below `refs`, or lines of `packed-refs` beside it.
    let watched = watcher
        .watch(&folder.join("refs"), RecursiveMode::Recursive)
        .and_then(|()| watcher.watch(&folder, RecursiveMode::NonRecursive));
    if let Err(error) = watched {
        tracing::warn!(folder = %folder.display(), %error, "the repository cannot be watched; it is polled");
        return None;
    }
    Some(watcher)
}

fn git_folder(path: &Path) -> Option<PathBuf> {
    [path.join(".git"), path.to_owned()].into_iter().find(|folder| folder.join("refs").is_dir())
}
