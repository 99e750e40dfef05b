//! The way to GitHub's API: signed in, one call at a time, each with its deadline, and what its refusals mean.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use axum::body::{Body, to_bytes};
use octocrab::Octocrab;
use octocrab::models::{AppId, InstallationId};
use octocrab::secrecy::ExposeSecret as _;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::super::config::Github;
use super::limits::{Limits, Said};

/// GitHub itself ends a request after ten seconds.
const DEADLINE: Duration = Duration::from_secs(15);

/// Between two tries of a credential that was not accepted; another one is tried at once.
const REFUSED_PAUSE: Duration = Duration::from_secs(60);

/// Some dozens of pull requests with the longest body that GitHub takes.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// Words of an answer that are shown.
const SHOWN_CHARS_MAX: usize = 300;

#[derive(Debug, thiserror::Error)]
pub(in crate::forge) enum Error {
    #[error("cannot read {path}: {source}")]
    Credential { path: String, source: std::io::Error },
    #[error("{0} holds no credential that could be sent")]
    BadCredential(String),
    #[error("GitHub does not accept what {0} holds: renew it")]
    Unauthorized(String),
    #[error("GitHub forbids {what}: {why}; review.md names the rights that are needed")]
    Forbidden { what: String, why: String },
    #[error("GitHub wants to be left alone for {} seconds", .0.as_secs())]
    Limited(Duration),
    #[error("the repository has moved")]
    Moved(String),
    #[error("GitHub does not take {what} ({status}): {why}")]
    Refused { what: String, status: u16, why: String },
    /// Whether it arrived is not known.
    #[error("GitHub cannot be asked for {what}: {why}")]
    Unavailable { what: String, why: String },
}

impl Error {
    /// For people: the seconds that are left are no news.
    pub(in crate::forge) fn told(&self) -> String {
        match self {
            Self::Limited(_) => "GitHub wants to be left alone for a while".into(),
            error => error.to_string(),
        }
    }
}

pub(super) struct Door {
    github: Github,
    /// With the bytes of the credential that it was opened with.
    open: Option<(Vec<u8>, Octocrab)>,
    /// What GitHub did not accept, and when: whoever tries the same again and again is locked out.
    refused: Option<(Vec<u8>, Instant)>,
    limits: Limits,
    began: Instant,
    /// In a row, of those that did not say how long they last.
    refusals: u32,
    /// GitHub is left alone until then.
    until: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Post,
    Patch,
}

impl Door {
    pub(super) fn new(github: Github) -> Self {
        Self {
            github,
            open: None,
            refused: None,
            limits: Limits::default(),
            began: Instant::now(),
            refusals: 0,
            until: None,
        }
    }

    /// As it was configured.
    pub(super) fn repository(&self) -> &str {
        self.github.repository.as_deref().unwrap_or_default()
    }

    /// The id of the app that signs in; `None` if a token does.
    pub(super) fn app(&self) -> Option<u64> {
        self.github.app.as_ref().map(|app| app.id)
    }

    pub(super) async fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, Error> {
        self.call(Method::Get, path, None).await
    }

    /// Calls below the base of the API.
    pub(super) async fn call<T: DeserializeOwned>(
        &mut self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<T, Error> {
        self.wait(method)?;
        let door = self.opened().await?;
        let what = format!("{method:?} {}", path.split('?').next().unwrap_or_default());
        let answer = answer(&door, method, path, body.as_ref(), &what).await?;
        self.understand(answer, &what)
    }

    /// What REST cannot do.
    pub(super) async fn graphql(&mut self, query: &str, variables: Value) -> Result<(), Error> {
        self.wait(Method::Post)?;
        let mut door = self.opened().await?;
        let what = "a query".to_owned();
        // Of GitHub Enterprise it lies beside the versions of the REST API.
        if let Some(beside) = self.github.api.as_str().trim_end_matches('/').strip_suffix("/v3") {
            let bad = |_| Error::BadCredential(credential(&self.github).display().to_string());
            let token = match (&self.github.app, &self.open) {
                (None, Some((token, _))) => String::from_utf8_lossy(token).trim().to_owned().into(),
                _ => door.installation_token().await.map_err(bad)?,
            };
            let builder = Octocrab::builder().base_uri(beside).map_err(bad)?;
            door = builder.personal_token(token).build().map_err(bad)?;
        }
        let body = json!({"query": query, "variables": variables});
        let answer = answer(&door, Method::Post, "/graphql", Some(&body), &what).await?;
        let answer: Value = self.understand(answer, &what)?;
        match answer.pointer("/errors/0/message").and_then(Value::as_str) {
            Some(why) => Err(Error::Refused { what, status: 200, why: shown(why) }),
            None => Ok(()),
        }
    }

    /// A token of the app, good for half a minute at least; no request as long as the one before lasts.
    pub(super) async fn token(&mut self) -> Result<String, Error> {
        self.wait(Method::Get)?;
        let door = self.opened().await?;
        let what = "a token of the app";
        let token = tokio::time::timeout(DEADLINE, door.installation_token()).await;
        match token.map_err(|_| unanswered(what))? {
            Ok(token) => Ok(token.expose_secret().to_owned()),
            Err(error) => {
                let refused = refusal(error, what)?;
                self.understand::<Value>(refused, what)?;
                Err(Error::Unavailable { what: what.to_owned(), why: "it gave none".into() })
            }
        }
    }

    fn wait(&mut self, method: Method) -> Result<(), Error> {
        if let Some(left) = self.until.and_then(|until| until.checked_duration_since(Instant::now())) {
            return Err(Error::Limited(left));
        }
        if method != Method::Get {
            let now = self.began.elapsed();
            match self.limits.wait(now) {
                Duration::ZERO => self.limits.created(now),
                wait => return Err(Error::Limited(wait)),
            }
        }
        Ok(())
    }

    /// Opens it with what the file holds now: a renewed token needs no restart.
    async fn opened(&mut self) -> Result<Octocrab, Error> {
        let file = credential(&self.github).to_owned();
        let name = file.display().to_string();
        let read = tokio::fs::read(&file).await;
        let bytes = read.map_err(|source| Error::Credential { path: name.clone(), source })?;
        if let Some((known, door)) = &self.open
            && *known == bytes
        {
            return Ok(door.clone());
        }
        if let Some((refused, at)) = &self.refused
            && *refused == bytes
            && at.elapsed() < REFUSED_PAUSE
        {
            return Err(Error::Unauthorized(name));
        }
        match self.sign_in(&bytes, &name).await {
            Ok(door) => Ok(self.open.insert((bytes, door)).1.clone()),
            Err(error) => {
                if matches!(error, Error::Unauthorized(_)) {
                    self.refused = Some((bytes, Instant::now()));
                }
                Err(error)
            }
        }
    }

    async fn sign_in(&mut self, bytes: &[u8], name: &str) -> Result<Octocrab, Error> {
        let bad = || Error::BadCredential(name.to_owned());
        let mut base = self.github.api.to_string();
        base.truncate(base.trim_end_matches('/').len());
        let builder = || Octocrab::builder().base_uri(base.as_str()).map_err(|_| bad());
        let Some(app) = &self.github.app else {
            let token = std::str::from_utf8(bytes).map_err(|_| bad())?.trim().to_owned();
            if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(bad());
            }
            return builder()?.personal_token(token).build().map_err(|_| bad());
        };
        let builder = builder()?.app_from_rsa_pem(AppId(app.id), bytes).map_err(|_| bad())?;
        let signed = builder.build().map_err(|_| bad())?;
        let what = "the installation of the app";
        let path = format!("/repos/{}/installation", self.repository());
        let mut found = answer(&signed, Method::Get, &path, None, what).await?;
        // Of a repository that was renamed.
        if let Some(path) = found.location.as_deref().and_then(|to| self.path_of(to)) {
            found = answer(&signed, Method::Get, &path, None, what).await?;
        }
        let installation: Value = self.understand(found, what)?;
        let id = installation["id"].as_u64().ok_or_else(bad)?;
        signed.installation(InstallationId(id)).map_err(|_| bad())
    }

    fn understand<T: DeserializeOwned>(&mut self, answer: Answer, what: &str) -> Result<T, Error> {
        let Answer { said, location, text } = answer;
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let pause = said.pause(since.as_secs(), self.refusals);
        self.until = pause.map(|pause| Instant::now() + pause);
        let what = what.to_owned();
        let why = || {
            let body = serde_json::from_slice::<Value>(&text).unwrap_or_default();
            let errors = body["errors"].as_array().into_iter().flatten();
            let errors = errors.filter_map(|error| error["message"].as_str().or(error.as_str()));
            let said: Vec<_> = body["message"].as_str().into_iter().chain(errors).collect();
            shown(&said.join("; "))
        };
        match said.status {
            200..=299 => {
                self.refusals = 0;
                let parsed = serde_json::from_slice(&text);
                parsed.map_err(|error| Error::Unavailable { what, why: error.to_string() })
            }
            301 | 302 | 307 | 308 => Err(Error::Moved(location.unwrap_or_default())),
            401 => {
                self.refused = self.open.take().map(|(bytes, _)| (bytes, Instant::now()));
                Err(Error::Unauthorized(credential(&self.github).display().to_string()))
            }
            403 | 429 => match pause {
                Some(pause) => {
                    self.refusals += 1;
                    Err(Error::Limited(pause))
                }
                None => Err(Error::Forbidden { what, why: why() }),
            },
            404 => {
                let why = format!("it is not there for whoever holds {}", credential(&self.github).display());
                Err(Error::Forbidden { what, why })
            }
            status @ 400..=499 => Err(Error::Refused { what, status, why: why() }),
            status => Err(Error::Unavailable { what, why: format!("it answered {status}") }),
        }
    }

    /// The path of a URL below the base of this API; credentials go nowhere else.
    pub(super) fn path_of(&self, url: &str) -> Option<String> {
        let url = self.github.api.join(url).ok()?;
        let path = url.path().strip_prefix(self.github.api.path().trim_end_matches('/'))?;
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        (url.origin() == self.github.api.origin()).then(|| format!("{path}{query}"))
    }
}

fn credential(github: &Github) -> &Path {
    match (&github.app, &github.token_file) {
        (Some(app), _) => &app.key_file,
        (None, Some(token)) => token,
        (None, None) => Path::new(""),
    }
}

struct Answer {
    said: Said,
    location: Option<String>,
    text: Vec<u8>,
}

async fn answer(
    door: &Octocrab,
    method: Method,
    path: &str,
    body: Option<&Value>,
    what: &str,
) -> Result<Answer, Error> {
    let unavailable = |why: String| Error::Unavailable { what: what.to_owned(), why: shown(&why) };
    let exchange = async {
        let response = match method {
            Method::Get => door._get(path).await,
            Method::Post => door._post(path, body).await,
            Method::Patch => door._patch(path, body).await,
        };
        let (head, body) = match response {
            Ok(response) => response.into_parts(),
            // The token of an installation is asked for on the way.
            Err(error) => return refusal(error, what),
        };
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let number = |name: &str| header(name).and_then(|value| value.parse().ok());
        let location = header("location").map(String::from);
        let (retry_after, remaining) = (number("retry-after"), number("x-ratelimit-remaining"));
        let reset = number("x-ratelimit-reset");
        let text = to_bytes(Body::new(body), ANSWER_BYTES_MAX).await;
        let text = text.map_err(|error| unavailable(error.to_string()))?.to_vec();
        let names_limit = String::from_utf8_lossy(&text).to_lowercase().contains("rate limit");
        let said = Said { status: head.status.as_u16(), retry_after, remaining, reset, names_limit };
        Ok(Answer { said, location, text })
    };
    let exchange = tokio::time::timeout(DEADLINE, exchange).await;
    exchange.unwrap_or_else(|_| Err(unanswered(what)))
}

/// What GitHub itself said, if octocrab has heard anything.
fn refusal(error: octocrab::Error, what: &str) -> Result<Answer, Error> {
    match error {
        octocrab::Error::GitHub { source, .. } => {
            let said = Said { status: source.status_code.as_u16(), ..Said::default() };
            let text = json!({"message": source.message}).to_string().into_bytes();
            Ok(Answer { said, location: None, text })
        }
        error => Err(Error::Unavailable { what: what.to_owned(), why: shown(&cause(&error)) }),
    }
}

fn unanswered(what: &str) -> Error {
    let why = format!("no answer in {} seconds", DEADLINE.as_secs());
    Error::Unavailable { what: what.to_owned(), why }
}

/// The innermost: octocrab's own words hold a backtrace.
fn cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn shown(text: &str) -> String {
    text.chars().filter(|one| !one.is_control()).take(SHOWN_CHARS_MAX).collect()
}
