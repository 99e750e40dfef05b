//! The one pull request that asks people: opened, kept up to date, closed.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use qonnect_core::forge::{PullRequest, Wanted, Wish};
use qonnect_schema::documents::approval::Merge;
use qonnect_schema::documents::fleet::Branches;
use serde_json::{Value, json};

use super::answers::{Pull, Review};
use super::door::{Error, Method};
use super::{Found, Github};

/// The numbers in a body change with every signal; nobody reads faster.
const UPDATE_PAUSE: Duration = Duration::from_secs(60);

/// Pull requests of the same two branches that are looked at: the newest counts, or an older one that was reopened.
const LISTED_MAX: usize = 10;

/// A title takes no more.
const TITLE_CHARS_MAX: usize = 250;

impl Github {
    pub(super) async fn request(
        &mut self,
        at: &str,
        wanted: &Wanted,
        found: &mut Found,
    ) -> Result<(), Error> {
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
}

fn title(request: &PullRequest) -> String {
    request.title.chars().take(TITLE_CHARS_MAX).collect()
}
