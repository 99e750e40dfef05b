//! GitHub's limits: how much may be created, and how long to wait when it says that it was too much.

use std::collections::VecDeque;
use std::time::Duration;

/// Requests that create content, by GitHub's documentation of its secondary limits.
const CREATED_A_MINUTE_MAX: usize = 80;
const CREATED_AN_HOUR_MAX: usize = 500;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// After a secondary limit that does not say how long it lasts: at least so long, by the same documentation.
const SECONDARY_PAUSE: Duration = MINUTE;

/// What was created in the last hour, as time since some moment that stays the same.
#[derive(Debug, Default)]
pub(super) struct Limits(VecDeque<Duration>);

impl Limits {
    /// How long until one more may be created.
    pub(super) fn wait(&self, now: Duration) -> Duration {
        let free = |most: usize, span: Duration| {
            let oldest = self.0.len().checked_sub(most).and_then(|at| self.0.get(at));
            oldest.map_or(Duration::ZERO, |oldest| (*oldest + span).saturating_sub(now))
        };
        free(CREATED_A_MINUTE_MAX, MINUTE).max(free(CREATED_AN_HOUR_MAX, HOUR))
    }

    pub(super) fn created(&mut self, now: Duration) {
        self.0.push_back(now);
        while self.0.len() > CREATED_AN_HOUR_MAX {
            self.0.pop_front();
        }
    }
}

/// What an answer says about limits.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Said {
    pub(super) status: u16,
    /// In seconds.
    pub(super) retry_after: Option<u64>,
    pub(super) remaining: Option<u64>,
    /// In seconds since 1970.
    pub(super) reset: Option<u64>,
    /// Its text speaks of a limit.
    pub(super) names_limit: bool,
}

impl Said {
    /// How long to leave it alone, after so many refusals in a row; `None` if it is not about limits.
    pub(super) fn pause(&self, now_secs: u64, refusals: u32) -> Option<Duration> {
        let refused = matches!(self.status, 403 | 429);
        if let Some(secs) = self.retry_after.filter(|_| refused) {
            return Some(Duration::from_secs(secs).clamp(Duration::from_secs(1), HOUR));
        }
        if self.remaining == Some(0) && (refused || self.reset.is_some_and(|reset| reset > now_secs)) {
            let left = self.reset.unwrap_or_default().saturating_sub(now_secs);
            return Some(Duration::from_secs(left).clamp(Duration::from_secs(1), HOUR));
        }
        let secondary = self.status == 429 || (refused && self.names_limit);
        secondary.then(|| SECONDARY_PAUSE.saturating_mul(1 << refusals.min(6)).min(HOUR))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_created_than_github_allows() {
        let (mut limits, mut now, mut created) = (Limits::default(), Duration::ZERO, Vec::new());
        while created.len() < 1_200 {
            let wait = limits.wait(now);
            assert!(wait <= HOUR);
            now += wait;
            limits.created(now);
            created.push(now);
            now += Duration::from_millis(100);
        }
        for (at, moment) in created.iter().enumerate() {
            let within =
                |span: Duration| created[at..].iter().take_while(|one| **one < *moment + span).count();
            assert!(within(MINUTE) <= CREATED_A_MINUTE_MAX && within(HOUR) <= CREATED_AN_HOUR_MAX);
        }
        // All that is allowed is used: three hours less what the last one has left.
        assert!(now < 3 * HOUR, "{now:?}");
    }

    #[test]
    fn github_says_how_long_it_wants_to_be_left_alone() {
        let pause = |said: Said, refusals| said.pause(1_000, refusals).map(|pause| pause.as_secs());
        let said = |status| Said { status, ..Said::default() };
        assert_eq!(pause(Said { retry_after: Some(7), ..said(403) }, 0), Some(7));
        assert_eq!(pause(Said { retry_after: Some(7), ..said(429) }, 5), Some(7));
        assert_eq!(pause(Said { remaining: Some(0), reset: Some(1_030), ..said(403) }, 0), Some(30));
        assert_eq!(pause(Said { remaining: Some(0), reset: Some(1_030), ..said(200) }, 0), Some(30));
        assert_eq!(pause(Said { names_limit: true, ..said(403) }, 0), Some(60));
        assert_eq!(pause(said(429), 2), Some(240));
        assert_eq!(pause(said(429), 99), Some(3600));
        assert_eq!(pause(Said { retry_after: Some(1 << 40), ..said(429) }, 0), Some(3600));
        assert_eq!(pause(said(403), 0), None, "a right is missing");
        assert_eq!(pause(Said { remaining: Some(10), reset: Some(1_030), ..said(200) }, 0), None);
    }
}
