//! Who may come in: a person's token, and those that apps are given for a while.

use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use serde_json::json;

use super::{Answer, TOKEN};

#[derive(Debug)]
pub(super) struct Tokens {
    of_people: String,
    last: Duration,
    of_apps: Vec<(String, Instant)>,
    in_git: Vec<String>,
}

impl Default for Tokens {
    fn default() -> Self {
        let (of_people, last) = (TOKEN.into(), Duration::from_secs(3600));
        Self { of_people, last, of_apps: Vec::new(), in_git: Vec::new() }
    }
}

impl Tokens {
    pub(super) fn accept_only(&mut self, token: &str) {
        self.of_people = token.into();
    }

    pub(super) fn last(&mut self, time: Duration) {
        self.last = time;
    }

    pub(super) fn in_git(&self) -> Vec<String> {
        self.in_git.clone()
    }

    pub(super) fn accepts(&self, token: &str) -> bool {
        token == self.of_people
    }

    pub(super) fn is_of_an_app(&self, token: &str) -> bool {
        self.of_apps.iter().any(|(known, until)| known == token && *until > Instant::now())
    }

    /// For fetches and pushes: whether it is one of an app that was given.
    pub(super) fn opens_git(&mut self, given: impl Fn(&str) -> bool) -> bool {
        let now = Instant::now();
        let known = self.of_apps.iter().find(|(token, until)| *until > now && given(token));
        let Some((token, _)) = known else { return false };
        if !self.in_git.contains(token) {
            self.in_git.push(token.clone());
        }
        true
    }

    pub(super) fn give(&mut self) -> Answer {
        let token = format!("ghs_{}_of_the_tests", self.of_apps.len());
        self.of_apps.push((token.clone(), Instant::now() + self.last));
        let expires = Timestamp::try_from(SystemTime::now() + self.last).expect("it is soon");
        let permissions = json!({"pull_requests": "write", "statuses": "write", "checks": "write"});
        Answer::new(201, json!({"token": token, "expires_at": expires, "permissions": permissions}))
    }
}
