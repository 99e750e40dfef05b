//! What became of a commit, as statuses beside it.

use qonnect_core::forge::{Link, State, Status};
use serde_json::{Value, json};

use super::Github;
use super::answers::{Combined, Posted, Repository};
use super::door::{Error, Method};

/// A status takes no more.
const DESCRIPTION_CHARS_MAX: usize = 140;

impl Github {
    /// Posts a status that is another one than GitHub has. What has succeeded stays so: it is about this commit, and
    /// what comes later is the business of other commits.
    pub(super) async fn status(
        &mut self,
        at: &str,
        repository: &Repository,
        status: &Status,
    ) -> Result<(), Error> {
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
        let link = self.link(repository, link);
        let body = json!({"state": state, "context": key.1, "description": description, "target_url": link});
        self.door.call::<Value>(Method::Post, &format!("{at}/statuses/{commit}"), Some(body)).await?;
        self.seen.statuses.insert(key, (state.into(), description));
        Ok(())
    }

    pub(super) fn link(&self, repository: &Repository, link: &Link) -> String {
        match (link, &self.seen.request_url) {
            (Link::Request, Some(url)) => url.clone(),
            (Link::Request, None) => format!("{}/pulls", repository.html_url),
            (Link::Commit(commit), _) => format!("{}/commit/{commit}", repository.html_url),
        }
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
