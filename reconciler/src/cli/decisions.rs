//! Decisions in words and tables, for `plan`, `explain` and the demo.

use std::fmt::Write as _;

use qonnect_core::placement::{Change, Line, Loss, Quality, Report, micro, reason};
use qonnect_schema::Placement;
use qonnect_schema::documents::application::Strategy;
use qonnect_schema::documents::placement::{Binding, Candidate, ComponentPlacement, Score, Term};

use super::output::table;

/// Why each component of an application is where it is, and why it is not elsewhere. Tables keep to a width.
pub(crate) fn explain(placement: &Placement, width: Option<u16>) -> String {
    let explain = |(name, component)| {
        let title = format!("{}/{name}", placement.name());
        explain_component(&title, component, placement.spec.strategy, width)
    };
    placement.spec.components.iter().map(explain).collect::<Vec<_>>().join("\n")
}

fn explain_component(
    title: &str,
    placement: &ComponentPlacement,
    strategy: Strategy,
    width: Option<u16>,
) -> String {
    let place = match (&placement.cluster, &placement.moving) {
        (Some(cluster), None) => cluster.clone(),
        (Some(cluster), Some(moving)) => format!("{cluster}, on its way from {}", moving.from),
        (None, _) => "nowhere".into(),
    };
    let mut text = format!("{title} → {place}\n{}\n", reason(placement, strategy, None));
    if let Some(score) = &placement.score {
        let _ = write!(text, "\n{}", terms(score, strategy, width));
    }
    if !placement.others.is_empty() {
        let own = placement.score.as_ref();
        let rows: Vec<_> =
            placement.others.iter().map(|other| candidate(other, own, strategy).to_vec()).collect();
        let _ = write!(text, "\n{}", table(&["CLUSTER", "SCORE", "LOST BY", "WHY"], &rows, width));
    }
    if !placement.binding.is_empty() {
        let row = |binding: &Binding| {
            let filter = format!("{:?}", binding.filter).to_lowercase();
            vec![filter, binding.cluster.clone(), micro(binding.gain), short(binding.cost_per_hour)]
        };
        let rows: Vec<_> = placement.binding.iter().map(row).collect();
        let _ = write!(text, "\n{}", table(&["BINDING", "KEEPS FROM", "COSTS", "CURRENCY/H"], &rows, width));
    }
    text
}

/// What the chosen cluster scores, term by term.
fn terms(score: &Score, strategy: Strategy, width: Option<u16>) -> String {
    let total = match strategy {
        Strategy::Optimal => "SCORE (LESS IS BETTER)",
        Strategy::Borda => "POINTS (MORE IS BETTER)",
    };
    let row = |term: &Term| {
        let from = format!("{} {}", short(term.raw), term.unit);
        vec![term.name.to_string(), micro(term.value), from, term.source.to_string()]
    };
    let mut rows: Vec<_> = score.terms.iter().map(row).collect();
    let header = [total, &micro(score.total), "FROM", "SAID BY"];
    let said = score.terms.iter().any(|term| !term.source.is_empty());
    let columns = if said { header.len() } else { header.len() - 1 };
    rows.iter_mut().for_each(|row| row.truncate(columns));
    table(&header[..columns], &rows, width)
}

fn candidate(other: &Candidate, own: Option<&Score>, strategy: Strategy) -> [String; 4] {
    let cluster = other.cluster.clone();
    if let Some(refused) = &other.refused {
        let filter = format!("{:?}", refused.filter).to_lowercase();
        return [cluster, "refused".into(), String::new(), format!("{filter}: {}", refused.message)];
    }
    let Some(score) = &other.score else { return [cluster, String::new(), String::new(), String::new()] };
    let value =
        |score: &Score, name: &str| score.terms.iter().find(|term| term.name == name).map_or(0, |t| t.value);
    let Some(own) = own else { return [cluster, micro(score.total), String::new(), String::new()] };
    let sign = match strategy {
        Strategy::Optimal => 1,
        Strategy::Borda => -1,
    };
    let parts =
        score.terms.iter().map(|term| (&*term.name, value(score, &term.name) - value(own, &term.name)));
    let why: Vec<_> =
        parts.filter(|(_, part)| *part != 0).map(|(name, part)| format!("{name} {}", signed(part))).collect();
    [cluster, micro(score.total), micro(sign * (score.total - own.total)), why.join(", ")]
}

/// The changes of a plan with their reasons, and what it costs before and after.
pub(crate) fn changes(report: &Report, width: Option<u16>) -> String {
    let mut text = format!("{}\n", headline(report));
    let changed: Vec<_> = changed(report).map(|line| cells(line).to_vec()).collect();
    if !changed.is_empty() {
        let _ = write!(text, "\n{}", table(&["CHANGE", "COMPONENT", "FROM", "TO", "WHY"], &changed, width));
    }
    let totals = totals(report).map(|row| row.to_vec());
    let _ = write!(text, "\n{}", table(&["PER HOUR", "BEFORE", "AFTER", "CHANGE"], &totals, width));
    if let Some(quality) = &report.quality {
        let _ = writeln!(text, "\n{}", bound(quality));
    }
    if !report.losses.is_empty() {
        let _ = write!(text, "\n{}", losses(&report.losses, width));
    }
    for (nth, note) in report.notes.iter().enumerate() {
        let _ = writeln!(text, "{}note: {note}", if nth == 0 { "\n" } else { "" });
    }
    text
}

fn bound(quality: &Quality) -> String {
    let (value, bound) = (micro(quality.value), micro(quality.bound));
    format!(
        "objective {value}, no plan is below {bound}: at most {} % above the best",
        short(quality.gap_pct())
    )
}

fn changed(report: &Report) -> impl Iterator<Item = &Line> {
    report.components.iter().filter(|line| line.change != Change::Stay)
}

/// The same for a pull request.
pub(crate) fn markdown(report: &Report) -> String {
    let mut text = format!("### Placement: {}\n", headline(report));
    let mut rows = |header: &str, rows: &mut dyn Iterator<Item = Vec<String>>| {
        let columns = header.matches('|').count() - 1;
        let _ = write!(text, "\n{header}\n|{}\n", " --- |".repeat(columns));
        for row in rows {
            let cells: Vec<_> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
    };
    if changed(report).next().is_some() {
        let header = "| Change | Component | From | To | Why |";
        rows(header, &mut changed(report).map(|line| cells(line).to_vec()));
    }
    rows("| Per hour | Before | After | Change |", &mut totals(report).into_iter().map(|row| row.to_vec()));
    if let Some(quality) = &report.quality {
        let _ = writeln!(text, "\n{}", bound(quality));
    }
    if !report.losses.is_empty() {
        let _ = write!(text, "\n{}", losses_markdown(&report.losses));
    }
    for (nth, note) in report.notes.iter().enumerate() {
        let _ = writeln!(text, "{}- {note}", if nth == 0 { "\n" } else { "" });
    }
    text
}

/// What would be missing after each loss.
pub(crate) fn losses(losses: &[Loss], width: Option<u16>) -> String {
    let rows: Vec<_> = losses.iter().map(|loss| loss_cells(loss).to_vec()).collect();
    table(&["LOST", "COMPONENTS", "WITHOUT A PLACE"], &rows, width)
}

/// The same for a pull request.
pub(crate) fn losses_markdown(losses: &[Loss]) -> String {
    let mut text = String::from("| Lost | Components | Without a place |\n| --- | --- | --- |\n");
    for loss in losses {
        let _ = writeln!(text, "| {} |", loss_cells(loss).join(" | "));
    }
    text
}

fn loss_cells(loss: &Loss) -> [String; 3] {
    let missing = if loss.missing.is_empty() { "-".into() } else { loss.missing.join(", ") };
    [loss.lost.clone(), loss.components.to_string(), missing]
}

/// `2 move, 1 is placed, 4 stay`.
fn headline(report: &Report) -> String {
    let words = [
        (Change::Place, "is placed", "are placed"),
        (Change::Move, "moves", "move"),
        (Change::Remove, "is removed", "are removed"),
        (Change::Unplaced, "finds no cluster", "find no cluster"),
        (Change::Stay, "stays", "stay"),
    ];
    let parts: Vec<_> = words
        .iter()
        .map(|(change, one, many)| (report.count(*change), one, many))
        .filter(|(count, ..)| *count > 0)
        .map(|(count, one, many)| format!("{count} {}", if count == 1 { one } else { many }))
        .collect();
    match parts.is_empty() {
        true => "no components".into(),
        false => parts.join(", "),
    }
}

fn cells(line: &Line) -> [String; 5] {
    let change = match line.change {
        Change::Place => "place",
        Change::Move => "move",
        Change::Remove => "remove",
        Change::Unplaced => "no cluster",
        Change::Stay => "stay",
    };
    let cluster = |cluster: &Option<String>| cluster.clone().unwrap_or_else(|| "-".into());
    let component = format!("{}/{}", line.application, line.component);
    [change.into(), component, cluster(&line.from), cluster(&line.to), line.reason.clone()]
}

fn totals(report: &Report) -> [[String; 4]; 4] {
    let (before, after) = (&report.before, &report.after);
    let row = |name: &str, before: f64, after: f64| {
        let change = after - before;
        let sign = if change > 0.0 { "+" } else { "" };
        [name.into(), short(before), short(after), format!("{sign}{}", short(change))]
    };
    [
        row("cost (currency)", before.cost, after.cost),
        row("energy (kWh)", before.energy, after.energy),
        row("carbon (gCO2e)", before.carbon, after.carbon),
        row("round trips (ms)", before.latency, after.latency),
    ]
}

fn signed(millionths: i64) -> String {
    let sign = if millionths > 0 { "+" } else { "" };
    format!("{sign}{}", micro(millionths))
}

/// Four digits that mean something.
fn short(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let decimals = (3 - value.abs().log10().floor() as i32).clamp(0, 9) as usize;
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qonnect_core::placement::Totals;

    #[test]
    fn numbers_keep_four_digits() {
        for (value, text) in [
            (0.0, "0"),
            (16.3884, "16.39"),
            (0.0042, "0.0042"),
            (0.00024042, "0.0002404"),
            (12345.6, "12346"),
            (-0.5, "-0.5"),
        ] {
            assert_eq!(short(value), text);
        }
    }

    #[test]
    fn a_pull_request_shows_changes_and_totals() {
        let line = Line {
            application: "shop".into(),
            component: "web".into(),
            change: Change::Move,
            from: Some("a".into()),
            to: Some("b".into()),
            reason: "a would add 1 | 2".into(),
        };
        let report = Report {
            components: vec![line],
            before: Totals { placed: 1, cost: 2.0, energy: 0.5, carbon: 0.0, latency: 4.0 },
            after: Totals { placed: 1, cost: 1.0, energy: 0.75, carbon: 0.0, latency: 42.0 },
            quality: None,
            losses: vec![Loss { lost: "b".into(), components: 1, missing: vec!["shop/web".into()] }],
            notes: vec!["nobody says the PUE of a: 1.5 of the fleet's defaults counts".into()],
        };
        assert_eq!(
            markdown(&report),
            "\
### Placement: 1 moves

| Change | Component | From | To | Why |
| --- | --- | --- | --- | --- |
| move | shop/web | a | b | a would add 1 \\| 2 |

| Per hour | Before | After | Change |
| --- | --- | --- | --- |
| cost (currency) | 2 | 1 | -1 |
| energy (kWh) | 0.5 | 0.75 | +0.25 |
| carbon (gCO2e) | 0 | 0 | 0 |
| round trips (ms) | 4 | 42 | +38 |

| Lost | Components | Without a place |
| --- | --- | --- |
| b | 1 | shop/web |

- nobody says the PUE of a: 1.5 of the fleet's defaults counts
"
        );
    }
}
