//! Deliveries of GitHub's webhooks: each is held against a secret, and counts once.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::hmac;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use qonnect_schema::documents::fleet::Branches;
use tokio::sync::{Semaphore, watch};

use self::payload::Payload;
use super::Error;
use super::problem::Refusal;
use crate::forge::full_name;
use crate::tls::reload;

mod payload;

/// What GitHub sends at most.
const BODY_BYTES_MAX: usize = 25 << 20;
/// Nobody has shown a signature before the body was read; so many bodies are in memory at once.
const BODIES_AT_ONCE_MAX: usize = 4;
/// GitHub itself gives up after ten seconds.
const TIME_MAX: Duration = Duration::from_secs(10);
/// Two for each delivery; an older one that comes again makes a lead look once in vain.
const MARKS_MAX: usize = 8_192;
/// Shorter secrets can be guessed.
const SECRET_BYTES_MIN: usize = 16;

/// What GitHub's deliveries are held against.
#[derive(Debug, Clone)]
pub struct Github {
    /// The file with the secret that the webhook was made with.
    pub secret: PathBuf,
    /// The URL of the repository that is watched.
    pub repository: String,
    pub branch: String,
}

/// GitHub's deliveries: each is held against the secret, and counts once.
pub(super) struct Deliveries {
    secret: watch::Receiver<Arc<hmac::Key>>,
    repository: String,
    branch: String,
    bodies: Semaphore,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    known: BTreeSet<String>,
    order: VecDeque<String>,
}

impl Seen {
    fn insert(&mut self, mark: &str) {
        if self.known.insert(mark.to_owned()) {
            self.order.push_back(mark.to_owned());
        }
        if self.order.len() > MARKS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

/// What a signed delivery says.
pub(super) enum News {
    Moved(Branch),
    /// Why it makes nobody look.
    Nothing(String),
}

/// Where something has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Branch {
    Spec,
    /// One of the two, or the pull request between them.
    Review,
}

impl fmt::Display for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spec => "the spec branch",
            Self::Review => "what people did with the proposal",
        })
    }
}

impl Deliveries {
    /// The file is followed from here on.
    pub(super) fn new(github: &Github) -> Result<Self, Error> {
        let path = github.secret.clone();
        let read = move || {
            let bytes = std::fs::read(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
            let secret = bytes.trim_ascii();
            match secret.len() < SECRET_BYTES_MIN {
                true => Err(Error::WebhookSecret(path.clone())),
                false => Ok(hmac::Key::new(hmac::HMAC_SHA256, secret)),
            }
        };
        Ok(Self {
            secret: reload::follow(vec![github.secret.clone()], read)?,
            repository: full_name(&github.repository).unwrap_or_default(),
            branch: github.branch.clone(),
            bodies: Semaphore::new(BODIES_AT_ONCE_MAX),
            seen: Mutex::default(),
        })
    }

    pub(super) async fn body(&self, request: Request) -> Result<Vec<u8>, Refusal> {
        let read = async {
            let _permit = self.bodies.acquire().await;
            to_bytes(request.into_body(), BODY_BYTES_MAX).await
        };
        let read = tokio::time::timeout(TIME_MAX, read).await;
        let slow = |_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "TooSlow", "the delivery took too long");
        let large = |error: axum::Error| {
            Refusal::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "TooLarge",
                format!("the delivery cannot be read: {error}"),
            )
        };
        Ok(read.map_err(slow)?.map_err(large)?.to_vec())
    }

    /// In constant time, whatever is wrong with it.
    pub(super) fn is_signed(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        let signature = headers.get("x-hub-signature-256").and_then(|value| value.to_str().ok());
        let Some(signature) = signature.and_then(|value| hex::decode(value.strip_prefix("sha256=")?).ok())
        else {
            return false;
        };
        hmac::verify(&self.secret.borrow(), body, &signature).is_ok()
    }

    /// Where a signed delivery makes leads look; these are the branches beside the one that is watched.
    pub(super) fn news(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        branches: &Branches,
    ) -> Result<News, Refusal> {
        let bad = |what: &str| Refusal::new(StatusCode::BAD_REQUEST, "BadDelivery", what);
        let header = |name: &str| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value.ok_or_else(|| bad(&format!("the header {name} is missing; GitHub sends it")))
        };
        let (delivery, event) = (header("x-github-delivery")?, header("x-github-event")?);
        if !payload::counts(event) {
            return Ok(News::Nothing(format!("`{event}` moves no branch")));
        }
        let form = header("content-type")?.starts_with("application/x-www-form-urlencoded");
        if form {
            return Err(bad("set the content type of the webhook to application/json"));
        }
        let payload: Payload = serde_json::from_slice(body).map_err(|error| bad(&error.to_string()))?;
        let repository = payload.repository();
        if !repository.eq_ignore_ascii_case(&self.repository) {
            return Ok(News::Nothing(format!("{repository} is not the repository of this lead")));
        }
        let Some(moved) = payload.branch() else { return Ok(News::Nothing("it is about no branch".into())) };
        let branch = if moved == self.branch {
            Branch::Spec
        } else if moved == branches.review || moved == branches.proposal() {
            Branch::Review
        } else {
            return Ok(News::Nothing(format!("{moved} is neither the spec branch nor one of review")));
        };
        if marks(headers).any(|mark| self.seen().known.contains(mark)) {
            return Ok(News::Nothing(format!("delivery {delivery} was here before")));
        }
        Ok(News::Moved(branch))
    }

    /// It was acted upon; before that it may come again.
    pub(super) fn remember(&self, headers: &HeaderMap) {
        marks(headers).for_each(|mark| self.seen().insert(mark));
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number of a delivery is not signed, its content is: either one gives a repetition away.
fn marks(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let value = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    ["x-github-delivery", "x-hub-signature-256"].into_iter().filter_map(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_known_until_many_others_came() {
        let mut seen = Seen::default();
        seen.insert("a");
        seen.insert("a");
        (1..MARKS_MAX).for_each(|number| seen.insert(&number.to_string()));
        assert!(seen.known.contains("a"));
        seen.insert("one more");
        assert!(!seen.known.contains("a"), "its memory has an end");
        assert_eq!((seen.known.len(), seen.order.len()), (MARKS_MAX, MARKS_MAX));
    }
}
