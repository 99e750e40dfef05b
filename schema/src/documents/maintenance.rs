//! When clusters are worked on: drained before, filled again after.

use std::ops::Range;

use cronexpr::{Crontab, MakeTimestamp, parse_crontab};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::application::ClusterSelector;
use crate::units::Span;

/// Times at which clusters count as drained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Maintenance {
    /// The clusters that are worked on.
    pub cluster_selector: ClusterSelector,
    /// When it begins, as a crontab says it: `0 2 * * 6` is Saturday at two.
    pub schedule: String,
    /// Of the IANA database, such as `Europe/Berlin`; UTC, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    pub duration: Span,
    /// How long before it begins everything starts to move away.
    #[serde(default = "drain_before")]
    pub drain_before: Span,
}

fn drain_before() -> Span {
    Span::from_secs(30 * 60)
}

impl Maintenance {
    /// The moments at which it begins.
    ///
    /// # Errors
    ///
    /// Neither `schedule` nor `timeZone` may be what nobody understands.
    pub fn calendar(&self) -> Result<Crontab, cronexpr::Error> {
        let zone = self.time_zone.as_deref().unwrap_or("UTC");
        parse_crontab(&format!("{} {zone}", self.schedule))
    }

    /// The time of draining and work that goes on at a moment, or else comes next; `None` where none comes within
    /// four years.
    pub fn window(&self, now: Timestamp) -> Option<Range<Timestamp>> {
        let [duration, before] = [self.duration, self.drain_before]
            .map(|span| SignedDuration::try_from(span.as_duration()).unwrap_or(SignedDuration::MAX));
        let after = now.checked_sub(duration).ok()?;
        let start = self.calendar().ok()?.find_next(MakeTimestamp(after)).ok()?.timestamp();
        Some(start.checked_sub(before).ok()?..start.checked_add(duration).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> Timestamp {
        time.parse().expect("the case gives a time")
    }

    fn saturdays(time_zone: Option<&str>) -> Maintenance {
        Maintenance {
            cluster_selector: ClusterSelector::default(),
            schedule: "0 2 * * 6".into(),
            time_zone: time_zone.map(Into::into),
            duration: Span::from_secs(4 * 3600),
            drain_before: drain_before(),
        }
    }

    #[test]
    fn a_window_begins_with_the_draining_and_ends_with_the_work() {
        let window = at("2026-11-21T01:30:00Z")..at("2026-11-21T06:00:00Z");
        for now in ["2026-11-14T06:00:00Z", "2026-11-21T01:30:00Z", "2026-11-21T05:59:59Z"] {
            assert_eq!(saturdays(None).window(at(now)), Some(window.clone()), "{now}");
        }
        let next = saturdays(None).window(window.end).unwrap();
        assert_eq!(next.start, at("2026-11-28T01:30:00Z"));
    }

    #[test]
    fn summer_and_winter_have_the_hours_of_their_place() {
        let starts = ["2026-07-01T00:00:00Z", "2026-12-01T00:00:00Z"]
            .map(|now| saturdays(Some("Europe/Berlin")).window(at(now)).unwrap().start);
        assert_eq!(starts, [at("2026-07-03T23:30:00Z"), at("2026-12-05T00:30:00Z")]);
    }

    #[test]
    fn what_never_comes_has_no_window() {
        let never = Maintenance { schedule: "0 0 30 2 *".into(), ..saturdays(None) };
        assert_eq!(never.window(at("2026-11-21T00:00:00Z")), None);
        assert!(Maintenance { schedule: "every day".into(), ..saturdays(None) }.calendar().is_err());
        assert!(saturdays(Some("Europe/Atlantis")).calendar().is_err());
    }
}
