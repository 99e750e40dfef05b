//! GitHub: looks how things are there, and does what is missing.
//!
//! *Guarantees:* every round begins by looking, so a request whose outcome is unknown is looked up, and a new leader
//! goes on with the pull request of the one before.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use qonnect_core::forge::{PullRequest, Wanted};

use self::answers::Repository;
use self::door::Door;
pub(super) use self::door::Error;
pub(super) use self::lend::lend;
use super::config::Github as Config;

mod answers;
mod checks;
mod door;
mod lend;
mod limits;
mod pulls;
mod statuses;

/// Of a repository that was renamed and renamed again.
const HOPS_MAX: usize = 3;

pub(super) struct Github {
    door: Door,
    seen: Seen,
}

/// What is known of GitHub since this leadership began.
#[derive(Debug, Default)]
struct Seen {
    repository: Option<Repository>,
    /// The pull request that was brought up to date last, with what it says, and when that was.
    request: Option<(u64, PullRequest, Instant)>,
    /// Its labels, reviewers and merge were seen to.
    furnished: Option<u64>,
    request_url: Option<String>,
    /// By commit and context.
    statuses: BTreeMap<(String, String), (String, String)>,
    looked_up: BTreeSet<String>,
    /// By commit; absent ones were not looked up yet.
    checks: BTreeMap<String, Option<checks::Known>>,
    /// The app may not write them.
    no_checks: bool,
}

/// What a round has found that others have to know.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The commit whose pull request people have closed.
    pub(super) closed: Option<String>,
    /// What GitHub does not take, and what goes on without it.
    pub(super) refused: Vec<Error>,
    /// The repository has this name by now.
    pub(super) renamed: Option<String>,
    /// There is more to do after so long.
    pub(super) again: Option<Duration>,
}

impl Github {
    pub(super) fn new(config: Config) -> Self {
        Self { door: Door::new(config), seen: Seen::default() }
    }

    /// Another leadership may have done something meanwhile.
    pub(super) fn forget(&mut self) {
        self.seen = Seen::default();
    }

    /// Looks, and does what is missing.
    pub(super) async fn round(&mut self, wanted: &Wanted) -> Result<Found, Error> {
        let mut found = Found::default();
        match self.try_round(wanted, &mut found).await {
            Err(Error::Moved(_)) => {
                // It is looked up where it is by now, and the round begins again.
                self.seen.repository = None;
                self.try_round(wanted, &mut found).await?;
            }
            result => result?,
        }
        Ok(found)
    }

    async fn try_round(&mut self, wanted: &Wanted, found: &mut Found) -> Result<(), Error> {
        let repository = self.repository().await?;
        if !repository.full_name.eq_ignore_ascii_case(self.door.repository()) {
            found.renamed = Some(repository.full_name.clone());
        }
        let at = format!("/repos/{}", repository.full_name);
        let asked = self.request(&at, wanted, found).await;
        // A pull request that GitHub does not take keeps nobody from knowing how things are.
        let told = self.tell(&at, &repository, wanted, found).await;
        asked.and(told)
    }

    /// What became of the commits.
    async fn tell(
        &mut self,
        at: &str,
        repository: &Repository,
        wanted: &Wanted,
        found: &mut Found,
    ) -> Result<(), Error> {
        for status in &wanted.statuses {
            self.status(at, repository, status).await?;
        }
        self.check_all(at, repository, wanted, found).await?;
        // What nobody wants any more is not kept.
        let commits: BTreeSet<&String> = wanted.statuses.iter().map(|status| &status.commit).collect();
        self.seen.looked_up.retain(|commit| commits.contains(commit));
        self.seen.statuses.retain(|(commit, _), _| commits.contains(commit));
        self.seen.checks.retain(|commit, _| commits.contains(commit));
        Ok(())
    }

    async fn repository(&mut self) -> Result<Repository, Error> {
        if let Some(known) = &self.seen.repository {
            return Ok(known.clone());
        }
        let mut path = format!("/repos/{}", self.door.repository());
        for _ in 0..HOPS_MAX {
            match self.door.get::<Repository>(&path).await {
                Ok(repository) => return Ok(self.seen.repository.insert(repository).clone()),
                Err(Error::Moved(to)) => {
                    path = self.door.path_of(&to).ok_or(Error::Moved(to))?;
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::Moved(path))
    }
}
