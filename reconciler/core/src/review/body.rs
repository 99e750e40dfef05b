//! What people are asked: the text of a proposal, which is also its commit's message.

use std::collections::{BTreeMap, BTreeSet};

use qonnect_schema::documents::fleet::Branches;
use qonnect_schema::layout;

use crate::decision::{Change, Draft, What, words};
use crate::placement::{self, Report};
use crate::rollout::Step;

/// Rows of a table; a push may place thousands.
const ROWS_MAX: usize = 100;

/// Of the commit that proposes.
pub fn message(draft: &Draft, id: &str, report: &Report, branches: &Branches) -> String {
    let subject = draft.message.lines().next().unwrap_or_default();
    let Draft { epoch, revision, kb_index, .. } = draft;
    format!(
        "{subject}\n\n{}\nQonnect-Proposal: {id}\nQonnect-Revision: {revision}\nQonnect-KB-Index: {kb_index}\n\
         Qonnect-Epoch: {epoch}\n",
        body(draft, report, branches)
    )
}

/// Markdown: what changes and why, what it costs, where it reaches, and how to answer.
pub fn body(draft: &Draft, report: &Report, branches: &Branches) -> String {
    let mut body = String::from("| change | why |\n|---|---|\n");
    let rows: Vec<String> = draft.changes.iter().map(|change| row(draft, change)).collect();
    body.extend(rows.iter().take(ROWS_MAX).cloned());
    if let Some(more) = rows.len().checked_sub(ROWS_MAX).filter(|more| *more > 0) {
        body.push_str(&format!("| and {more} more | |\n"));
    }
    if draft.renders {
        body.push_str(&format!("| render {} anew | the revision says so |\n", rendered(draft)));
    }
    body.push_str(&totals(report));
    body.push_str(&reach(draft));
    body.push_str(&answers(branches));
    body
}

fn row(draft: &Draft, change: &Change) -> String {
    let (verb, item) = words(change);
    let name = &change.application;
    let colon = if item.is_empty() { "" } else { ": " };
    format!("| {verb} {name}{colon}{} | {} |\n", cell(&item), cell(&why(draft, change)))
}

/// With the runner-up and the term by which it lost, or what refused the others.
fn why(draft: &Draft, change: &Change) -> String {
    let from = match &change.what {
        What::Removed => return "it is no longer in the repository".into(),
        What::Step(Step::Started { from, .. } | Step::FailedOver { from, .. }) => Some(from.as_str()),
        What::Step(_) => None,
    };
    let decided = draft.placements.get(&change.application).and_then(Option::as_ref);
    let placed = decided.and_then(|placement| placement.spec.components.get(&change.component));
    match (placed, decided) {
        (Some(placed), Some(placement)) => placement::reason(placed, placement.spec.strategy, from),
        _ => String::new(),
    }
}

fn rendered(draft: &Draft) -> String {
    let decided: BTreeSet<&str> = draft.changes.iter().map(|change| change.component.as_str()).collect();
    let parts = draft.files.keys().map(|path| path.split('/').collect::<Vec<_>>());
    let anew: BTreeSet<String> = parts
        .filter_map(|parts| match parts[..] {
            [layout::CLUSTERS, cluster, application, component, _, ..] if !decided.contains(component) => {
                Some(format!("{application}/{component} on {cluster}"))
            }
            _ => None,
        })
        .collect();
    let more = anew.len().saturating_sub(ROWS_MAX);
    let named = anew.into_iter().take(ROWS_MAX).collect::<Vec<_>>().join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}

fn totals(report: &Report) -> String {
    let (before, after) = (&report.before, &report.after);
    let row = |name: &str, unit: &str, before: f64, after: f64| {
        format!("| {name} | {before:.3} {unit} | {after:.3} {unit} |\n")
    };
    ["\n| | now | as planned |\n|---|---|---|\n".into()]
        .into_iter()
        .chain([
            row("cost", "per hour", before.cost, after.cost),
            row("energy", "kWh per hour", before.energy, after.energy),
            row("carbon", "gCO2e per hour", before.carbon, after.carbon),
            row("latency of all dependencies", "ms", before.latency, after.latency),
        ])
        .chain(report.notes.iter().map(|note| format!("\n{note}\n")))
        .collect()
}

/// How much changes on each cluster.
fn reach(draft: &Draft) -> String {
    let mut files: BTreeMap<&str, usize> = BTreeMap::new();
    for path in draft.files.keys() {
        if let [layout::CLUSTERS, cluster, rest @ ..] = &path.split('/').collect::<Vec<_>>()[..]
            && *rest != [layout::RELEASE]
        {
            *files.entry(cluster).or_default() += 1;
        }
    }
    let more = files.len().saturating_sub(ROWS_MAX);
    let each = files.into_iter().take(ROWS_MAX).map(|(cluster, count)| format!("{cluster} {count}"));
    let mut list = each.collect::<Vec<_>>().join(", ");
    if more > 0 {
        list.push_str(&format!(" and {more} more"));
    }
    format!("\nObjects that change, by cluster: {list}.\n")
}

fn answers(branches: &Branches) -> String {
    format!(
        "\nTo approve this, merge `{proposal}` into `{review}` as it is, by a merge commit, squashed or rebased. To refuse \
         it, close its pull request or delete `{proposal}`. For anything else, change the spec branch: the proposal follows it. `qonnect explain \
         APPLICATION/COMPONENT` weighs every cluster, `qonnect plan --what-if` asks for other worlds.\n",
        review = branches.review,
        proposal = branches.proposal(),
    )
}

/// Fit for a cell of a table.
pub(crate) fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}
