//! What the demo shows: titles, ticks, spinners and the table of placements.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use owo_colors::OwoColorize as _;
use qonnect_schema::api::PlacementView;
use qonnect_schema::diagnostic::{self, Diagnostic};
use qonnect_schema::tree::Tree;

use super::timeline::Measured;

pub(super) fn title(text: &str) {
    anstream::println!("\n{}", text.bold());
}

pub(super) fn done(what: &str, detail: &str) {
    anstream::println!("  {} {what:<20} {}", "✓".green(), detail.dimmed());
}

pub(super) fn hint(command: &str, meaning: &str) {
    anstream::println!("  {} {}", command.cyan(), format!("# {meaning}").dimmed());
}

pub(super) fn line(text: &str) {
    anstream::println!("  {text}");
}

/// Findings as `qonnect validate` draws them.
pub(super) fn findings(findings: &[Diagnostic], source: &Tree) {
    for line in diagnostic::text(findings, source, true).lines() {
        anstream::println!("  {line}");
    }
}

/// A spinner on a terminal, nothing elsewhere.
pub(super) fn waiting(what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("  {spinner} {msg} {elapsed:.dim}")
        .expect("the template is well-formed");
    let bar = ProgressBar::new_spinner().with_style(style).with_message(format!("waiting for {what}"));
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

pub(super) fn measured(measured: &[Measured]) {
    let parts: Vec<_> = measured.iter().map(|part| format!("{} {}", part.name, took(part.ms))).collect();
    anstream::println!("  {} {}", "✓".green(), parts.join(" · "));
}

fn took(ms: f64) -> String {
    if ms < 1000.0 { format!("{ms:.0} ms") } else { format!("{:.2} s", ms / 1000.0) }
}

/// Where each component runs and why, in one line each.
pub(super) fn placements(items: &[PlacementView]) {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["  COMPONENT", "CLUSTER", "READY", "WHY"]);
    for item in items {
        let ready = item.status.as_ref().map_or_else(String::new, |status| format!("{:?}", status.health));
        let cluster = item.cluster.as_deref().unwrap_or("none");
        table.add_row([&format!("  {}", item.component), cluster, &ready, &why(item)]);
    }
    anstream::println!("{table}");
}

fn why(item: &PlacementView) -> String {
    let refused = item.others.iter().filter(|other| other.refused.is_some()).count();
    let next =
        item.others.iter().find_map(|other| other.score.as_ref().map(|score| (&other.cluster, score.total)));
    let mut parts = Vec::new();
    if let Some(score) = &item.score {
        parts.push(format!("scores {:.4}", micro(score.total)));
        if let Some((cluster, total)) = next {
            parts.push(format!("next {cluster} +{:.4}", micro(total - score.total)));
        }
    }
    if refused > 0 {
        parts.push(format!("{refused} refused"));
    }
    parts.join(", ")
}

fn micro(value: i64) -> f64 {
    value as f64 / 1e6
}
