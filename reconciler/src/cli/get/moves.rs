//! Components on their way: the lines of `qonnect get moves`.

use jiff::Timestamp;
use qonnect_schema::api::PlacementView;
use qonnect_schema::documents::placement::MovePhase;
use serde::{Deserialize, Serialize};

use super::rows::Rows;
use crate::api::client::Listed;
use crate::cli::output::{age, or_dash};

/// A placement that may move.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct MoveRow(PlacementView);

impl Listed for MoveRow {
    const PATH: &'static str = PlacementView::PATH;
}

impl Rows for MoveRow {
    const SINGULAR: &'static str = "move";
    const PLURAL: &'static str = "moves";
    const COLUMNS: &'static [&'static str] =
        &["APPLICATION", "COMPONENT", "FROM", "TO", "PHASE", "NEW COPY", "GIVEN UP IN"];
    const WIDE: &'static [&'static str] = &["CAUSE", "FOR"];

    fn is_shown(&self) -> bool {
        self.0.moving.is_some()
    }

    fn fits(&self, name: &str) -> bool {
        self.0.fits(name)
    }

    fn row(&self, now: Timestamp) -> Vec<String> {
        let PlacementView { application, component, cluster, moving, status, .. } = &self.0;
        let phase = moving.as_ref().map(|moving| match moving.phase {
            MovePhase::Leaving => "leaving: the old copy goes first",
            MovePhase::Placing => "placing: the new copy comes up",
            MovePhase::Repointing => "repointing: callers change over",
        });
        vec![
            application.clone(),
            component.clone(),
            or_dash(moving.as_ref().map(|moving| &moving.from)),
            or_dash(cluster.as_ref()),
            or_dash(phase),
            status.as_ref().map_or_else(|| "Pending".into(), |status| format!("{:?}", status.health)),
            or_dash(moving.as_ref().map(|moving| age(moving.deadline, now))),
        ]
    }

    fn wide(&self, now: Timestamp) -> Vec<String> {
        let arrived = self.0.arrived.as_ref();
        vec![
            or_dash(arrived.map(|arrived| format!("{:?}", arrived.cause))),
            or_dash(arrived.map(|arrived| age(now, arrived.at))),
        ]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::get::rows;

    #[test]
    fn only_what_moves_is_shown_with_its_phase() {
        let rows: Vec<MoveRow> = serde_json::from_value(json!([
            {"application": "shop", "component": "web", "cluster": "fog", "revision": "1"},
            {"application": "shop", "component": "db", "cluster": "fog", "revision": "1",
             "moving": {"from": "edge", "phase": "placing", "deadline": "2026-01-01T00:10:00Z"},
             "arrived": {"at": "2026-01-01T00:00:00Z", "cause": "improved"}},
        ]))
        .unwrap();
        let shown: Vec<_> = rows.into_iter().filter(Rows::is_shown).collect();
        let text = rows::table(&shown, true, "2026-01-01T00:01:00Z".parse().unwrap(), None);
        assert_eq!(
            text,
            "APPLICATION  COMPONENT  FROM  TO   PHASE                           NEW COPY  GIVEN UP IN  CAUSE     FOR\n\
             shop         db         edge  fog  placing: the new copy comes up  Pending   9m           Improved  60s\n"
        );
    }
}
