//! GitHub: looks how things are there, and does what is missing.
//!
//! *Guarantees:* every round begins by looking, so a request whose outcome is unknown is looked up, and a new leader
//! goes on with the pull request of the one before.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use qonnect_core::forge::{Link, PullRequest, State, Status, Wanted, Wish};
use qonnect_schema::documents::approval::Merge;
use qonnect_schema::documents::fleet::Branches;
use serde_json::{Value, json};

use super::answers::{Combined, Posted, Pull, Repository, Review};
use super::config::Github as Config;
use super::door::{Door, Error, Method};

/// The numbers in a body change with every signal; nobody reads faster.
const UPDATE_PAUSE: Duration = Duration::from_secs(60);

/// Pull requests of the same two branches that are looked at: the newest counts, or an older one that was reopened.
const LISTED_MAX: usize = 10;

/// A status takes no more.
const DESCRIPTION_CHARS_MAX: usize = 140;

/// A title takes no more.
const TITLE_CHARS_MAX: usize = 250;

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
        self.request(&at, wanted, found).await?;
        for status in &wanted.statuses {
            self.status(&at, &repository, status).await?;
        }
        // What nobody wants any more is not kept.
        let commits: BTreeSet<&String> = wanted.statuses.iter().map(|status| &status.commit).collect();
        self.seen.looked_up.retain(|commit| commits.contains(commit));
        self.seen.statuses.retain(|(commit, _), _| commits.contains(commit));
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

    async fn request(&mut self, at: &str, wanted: &Wanted, found: &mut Found) -> Result<(), Error> {
        if wanted.request == Wish::AsIs {
            return Ok(());
        }
        let pulls = self.pulls(at, &wanted.branches).await?;
        let open = pulls.iter().find(|pull| pull.state == "open");
        match (&wanted.request, open) {
            (Wish::Open(request), Some(open)) => self.update(at, request, open, found).await,
            (Wish::Open(request), None) => {
                let closed = pulls.iter().find(|pull| pull.head.sha == request.commit);
                match closed {
                    Some(Pull { merged_at: None, .. }) => found.closed = Some(request.commit.clone()),
                    // Git tells of merges.
                    Some(_) => {}
                    None => self.create(at, request, &wanted.branches, found).await?,
                }
                Ok(())
            }
            (Wish::Closed, Some(open)) => {
                let path = format!("{at}/pulls/{}", open.number);
                let closed: Value =
                    self.door.call(Method::Patch, &path, Some(json!({"state": "closed"}))).await?;
                tracing::info!(number = open.number, state = %closed["state"], "a pull request was closed");
                self.seen.request = None;
                Ok(())
            }
            (Wish::Closed | Wish::AsIs, _) => Ok(()),
        }
    }

    /// The newest first.
    async fn pulls(&mut self, at: &str, branches: &Branches) -> Result<Vec<Pull>, Error> {
        let owner = at.split('/').nth(2).unwrap_or_default();
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("state", "all"), ("sort", "created"), ("direction", "desc")])
            .append_pair("base", &branches.review)
            .append_pair("head", &format!("{owner}:{}", branches.proposal()))
            .append_pair("per_page", &LISTED_MAX.to_string())
            .finish();
        self.door.get(&format!("{at}/pulls?{query}")).await
    }

    async fn create(
        &mut self,
        at: &str,
        request: &PullRequest,
        branches: &Branches,
        found: &mut Found,
    ) -> Result<(), Error> {
        let body = json!({
            "title": title(request), "body": request.body,
            "head": branches.proposal(), "base": branches.review,
        });
        let pull: Pull = self.door.call(Method::Post, &format!("{at}/pulls"), Some(body)).await?;
        tracing::info!(number = pull.number, url = pull.html_url, "a pull request was opened");
        self.seen.request = Some((pull.number, request.clone(), Instant::now()));
        self.furnish(at, request, &pull, found).await
    }

    /// A title or body that a person has written over stays until what is asked is something else.
    async fn update(
        &mut self,
        at: &str,
        request: &PullRequest,
        open: &Pull,
        found: &mut Found,
    ) -> Result<(), Error> {
        self.furnish(at, request, open, found).await?;
        let said = self.seen.request.as_ref().filter(|(number, ..)| *number == open.number);
        let says_so = match said {
            Some((_, said, at)) if said.commit == request.commit && *said != *request => {
                if let Some(left) = UPDATE_PAUSE.checked_sub(at.elapsed()) {
                    found.again = Some(left);
                    return Ok(());
                }
                false
            }
            Some((_, said, _)) => said == request,
            None => {
                let body = open.body.as_deref().unwrap_or_default();
                open.title == title(request) && body.trim() == request.body.trim()
            }
        };
        if !says_so {
            let path = format!("{at}/pulls/{}", open.number);
            let body = json!({"title": title(request), "body": request.body});
            let pull: Pull = self.door.call(Method::Patch, &path, Some(body)).await?;
            tracing::info!(number = pull.number, "a pull request was brought up to date");
        }
        if !says_so || said.is_none() {
            self.seen.request = Some((open.number, request.clone(), Instant::now()));
        }
        Ok(())
    }

    /// Labels, reviewers and the merge by GitHub: once for each pull request. What is refused holds nothing up.
    async fn furnish(
        &mut self,
        at: &str,
        request: &PullRequest,
        pull: &Pull,
        found: &mut Found,
    ) -> Result<(), Error> {
        self.seen.request_url = Some(pull.html_url.clone());
        if self.seen.furnished == Some(pull.number) {
            return Ok(());
        }
        for result in [
            self.label(at, request, pull).await,
            self.ask_for_review(at, request, pull).await,
            self.merge_by_itself(request, pull).await,
        ] {
            match result {
                Ok(()) => {}
                Err(error @ (Error::Refused { .. } | Error::Forbidden { .. })) => found.refused.push(error),
                Err(error) => return Err(error),
            }
        }
        self.seen.furnished = Some(pull.number);
        Ok(())
    }

    async fn label(&mut self, at: &str, request: &PullRequest, pull: &Pull) -> Result<(), Error> {
        let has = |label: &&String| pull.labels.iter().any(|has| has.name.eq_ignore_ascii_case(label));
        let missing: Vec<_> = request.settings.labels.iter().filter(|label| !has(label)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let path = format!("{at}/issues/{}/labels", pull.number);
        self.door.call::<Value>(Method::Post, &path, Some(json!({"labels": missing}))).await.map(drop)
    }

    /// Those who are not asked yet and have said nothing yet. Its author cannot be asked.
    async fn ask_for_review(&mut self, at: &str, request: &PullRequest, pull: &Pull) -> Result<(), Error> {
        let settings = &request.settings;
        if settings.reviewers.is_empty() && settings.teams.is_empty() {
            return Ok(());
        }
        let reviews: Vec<Review> =
            self.door.get(&format!("{at}/pulls/{}/reviews?per_page=100", pull.number)).await?;
        let asked = pull.requested_reviewers.iter().flatten().chain(&pull.user);
        let known: BTreeSet<String> = asked
            .chain(reviews.iter().filter_map(|review| review.user.as_ref()))
            .map(|user| user.login.to_lowercase())
            .collect();
        let teams: BTreeSet<&str> = pull.requested_teams.iter().flatten().map(|team| &*team.slug).collect();
        let reviewers: Vec<_> =
            settings.reviewers.iter().filter(|user| !known.contains(&user.to_lowercase())).collect();
        // Who was asked as a team has answered as a person.
        let teams: Vec<_> = settings
            .teams
            .iter()
            .filter(|team| !teams.contains(team.as_str()) && reviews.is_empty())
            .collect();
        if reviewers.is_empty() && teams.is_empty() {
            return Ok(());
        }
        let path = format!("{at}/pulls/{}/requested_reviewers", pull.number);
        let body = json!({"reviewers": reviewers, "team_reviewers": teams});
        self.door.call::<Value>(Method::Post, &path, Some(body)).await.map(drop)
    }

    async fn merge_by_itself(&mut self, request: &PullRequest, pull: &Pull) -> Result<(), Error> {
        let Some(merge) = request.settings.auto_merge.filter(|_| pull.auto_merge.is_none()) else {
            return Ok(());
        };
        let method = match merge {
            Merge::Merge => "MERGE",
            Merge::Squash => "SQUASH",
            Merge::Rebase => "REBASE",
        };
        let query = "mutation($pull: ID!, $method: PullRequestMergeMethod!) { \
            enablePullRequestAutoMerge(input: {pullRequestId: $pull, mergeMethod: $method}) { clientMutationId } }";
        self.door.graphql(query, json!({"pull": pull.node_id, "method": method})).await
    }

    /// Posts a status that is another one than GitHub has. What has succeeded stays so: it is about this commit, and
    /// what comes later is the business of other commits.
    async fn status(&mut self, at: &str, repository: &Repository, status: &Status) -> Result<(), Error> {
        let Status { commit, context, state, description, link } = status;
        if self.seen.looked_up.insert(commit.clone())
            && let Err(error) = self.look_up(at, commit).await
        {
            self.seen.looked_up.remove(commit);
            return Err(error);
        }
        let key = (commit.clone(), context.to_string());
        let known = self.seen.statuses.get(&key);
        let state = match state {
            State::Pending => "pending",
            State::Success => "success",
            State::Failure => "failure",
            // Only what would be pending for ever.
            State::Replaced if known.is_some_and(|(known, _)| known == "pending") => "error",
            State::Replaced => return Ok(()),
        };
        let description: String = description.chars().take(DESCRIPTION_CHARS_MAX).collect();
        let done =
            |(known, said): &(String, String)| known == "success" || (known == state && *said == description);
        if known.is_some_and(done) {
            return Ok(());
        }
        let link = match (link, &self.seen.request_url) {
            (Link::Request, Some(url)) => url.clone(),
            (Link::Request, None) => format!("{}/pulls", repository.html_url),
            (Link::Commit(commit), _) => format!("{}/commit/{commit}", repository.html_url),
        };
        let body = json!({"state": state, "context": key.1, "description": description, "target_url": link});
        self.door.call::<Value>(Method::Post, &format!("{at}/statuses/{commit}"), Some(body)).await?;
        self.seen.statuses.insert(key, (state.into(), description));
        Ok(())
    }

    async fn look_up(&mut self, at: &str, commit: &str) -> Result<(), Error> {
        let combined: Combined = self.door.get(&format!("{at}/commits/{commit}/status?per_page=100")).await?;
        for Posted { context, state, description } in combined.statuses {
            let key = (commit.to_owned(), context);
            self.seen.statuses.insert(key, (state, description.unwrap_or_default()));
        }
        Ok(())
    }
}

fn title(request: &PullRequest) -> String {
    request.title.chars().take(TITLE_CHARS_MAX).collect()
}
