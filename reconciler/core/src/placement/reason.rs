//! One sentence for people: why a component runs where it does.

use std::collections::BTreeMap;

use qonnect_schema::documents::application::Strategy;
use qonnect_schema::documents::placement::{Candidate, ComponentPlacement, Refusal, Score};

/// Why it is where it is; with `from`, why it leaves that cluster.
pub fn reason(placement: &ComponentPlacement, strategy: Strategy, from: Option<&str>) -> String {
    let Some(cluster) = placement.cluster.as_deref() else { return nowhere(&placement.others) };
    let candidate = |name: &str| placement.others.iter().find(|other| other.cluster == name);
    if let Some(refused) = candidate(cluster).and_then(|own| own.refused.as_ref()) {
        return format!("stays, as no other cluster takes it: {cluster} {}", about(refused));
    }
    let own = placement.score.as_ref();
    if let Some(from) = from.filter(|from| *from != cluster) {
        return match candidate(from).map(|left| (&left.refused, &left.score)) {
            Some((Some(refused), _)) => format!("{from} {}", about(refused)),
            Some((None, Some(score))) => own.map_or_else(String::new, |own| lost(from, score, own, strategy)),
            _ => format!("{from} is not in the fleet"),
        };
    }
    let next =
        placement.others.iter().find_map(|other| Some((other.cluster.as_str(), other.score.as_ref()?)));
    match (next, own) {
        (Some((next, score)), Some(own)) => format!("next best: {}", lost(next, score, own, strategy)),
        _ if placement.others.is_empty() => "the only cluster".into(),
        _ => format!("all others are refused ({})", filters(&placement.others)),
    }
}

/// A refusal as what is said of the cluster, or of the component there.
fn about(refused: &Refusal) -> String {
    let message = &refused.message;
    match message.starts_with("is ") || message.starts_with("has ") {
        true => message.clone(),
        false => format!("is refused: {message}"),
    }
}

/// By how much another cluster lost, and to which term it owes most of that.
fn lost(cluster: &str, theirs: &Score, ours: &Score, strategy: Strategy) -> String {
    let difference = difference(theirs, ours, strategy);
    if difference == 0 {
        return format!("{cluster} scores the same");
    }
    let unit = match strategy {
        Strategy::Optimal => "",
        Strategy::Borda => " points",
    };
    let more = match strategy {
        Strategy::Optimal => "would add",
        Strategy::Borda => "has fewer:",
    };
    let lost = format!("{cluster} {more} {}{unit}", micro(difference));
    match main_term(theirs, ours, strategy) {
        Some((name, part)) if part < difference => format!("{lost}, {} of it {name}", micro(part)),
        Some((name, part)) if part == difference => format!("{lost}, all of it {name}"),
        Some((name, _)) => format!("{lost}, because of {name}"),
        None => lost,
    }
}

/// How much worse, in millionths: Borda counts points, of which more is better.
fn difference(theirs: &Score, ours: &Score, strategy: Strategy) -> i64 {
    match strategy {
        Strategy::Optimal => theirs.total - ours.total,
        Strategy::Borda => ours.total - theirs.total,
    }
}

fn main_term<'a>(theirs: &'a Score, ours: &Score, strategy: Strategy) -> Option<(&'a str, i64)> {
    let value = |score: &Score, name: &str| {
        score.terms.iter().find(|term| term.name == name).map_or(0, |term| term.value)
    };
    let part = |name: &str| match strategy {
        Strategy::Optimal => value(theirs, name) - value(ours, name),
        Strategy::Borda => value(ours, name) - value(theirs, name),
    };
    let parts = theirs.terms.iter().map(|term| (part(&term.name), &*term.name));
    // `max_by_key` keeps the last of equals; the first is the more telling term.
    parts.rev().max_by_key(|(part, _)| *part).filter(|(part, _)| *part > 0).map(|(part, name)| (name, part))
}

fn nowhere(others: &[Candidate]) -> String {
    match others {
        [] => "no cluster takes it: the fleet has none".into(),
        [one] => format!(
            "no cluster takes it: {} {}",
            one.cluster,
            one.refused.as_ref().map_or_else(String::new, about)
        ),
        more => format!("no cluster takes it ({})", filters(more)),
    }
}

/// `3 tier, 2 capacity`, in the order in which filters are asked.
fn filters(others: &[Candidate]) -> String {
    let mut counts: BTreeMap<_, usize> = BTreeMap::new();
    for refused in others.iter().filter_map(|other| other.refused.as_ref()) {
        *counts.entry(refused.filter).or_default() += 1;
    }
    let each: Vec<_> = counts.iter().map(|(filter, count)| format!("{count} {}", word(filter))).collect();
    each.join(", ")
}

fn word(filter: &qonnect_schema::documents::placement::Filter) -> String {
    format!("{filter:?}").to_lowercase()
}

/// Millionths as a number with at most three decimals.
pub fn micro(millionths: i64) -> String {
    let text = format!("{:.3}", millionths as f64 / 1e6);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use qonnect_schema::documents::placement::{Filter, Term};

    fn score(terms: &[(&str, i64)]) -> Score {
        let term = |(name, value): &(&str, i64)| Term {
            name: name.to_string().into(),
            raw: 0.0,
            unit: "".into(),
            value: *value,
            source: "".into(),
        };
        Score { total: terms.iter().map(|(_, value)| value).sum(), terms: terms.iter().map(term).collect() }
    }

    fn placed(others: Vec<Candidate>) -> ComponentPlacement {
        ComponentPlacement {
            cluster: Some("a".into()),
            score: Some(score(&[("energy", 100_000), ("cost", 200_000)])),
            others,
            ..Default::default()
        }
    }

    fn scored(terms: &[(&str, i64)]) -> Candidate {
        Candidate { cluster: "b".into(), score: Some(score(terms)), refused: None }
    }

    fn refused(cluster: &str, filter: Filter, message: &str) -> Candidate {
        let refused = Some(Refusal { filter, message: message.into() });
        Candidate { cluster: cluster.into(), score: None, refused }
    }

    #[test]
    fn the_next_best_lost_by_its_worst_term() {
        let placement = placed(vec![scored(&[("energy", 150_000), ("cost", 600_000)])]);
        let why = reason(&placement, Strategy::Optimal, None);
        assert_eq!(why, "next best: b would add 0.45, 0.4 of it cost");
        assert_eq!(reason(&placement, Strategy::Optimal, Some("b")), "b would add 0.45, 0.4 of it cost");
    }

    #[test]
    fn points_are_better_when_more() {
        let placement = placed(vec![scored(&[("energy", 50_000), ("cost", 150_000)])]);
        assert_eq!(
            reason(&placement, Strategy::Borda, None),
            "next best: b has fewer: 0.1 points, 0.05 of it energy"
        );
    }

    #[test]
    fn what_is_left_or_kept_says_what_refused_it() {
        let drained = refused("b", Filter::Cordon, "is drained: everything moves away");
        assert_eq!(
            reason(&placed(vec![drained]), Strategy::Optimal, Some("b")),
            "b is drained: everything moves away"
        );
        let own = refused("a", Filter::Tier, "wants tier fog, is edge");
        assert_eq!(
            reason(&placed(vec![own]), Strategy::Optimal, Some("a")),
            "stays, as no other cluster takes it: a is refused: wants tier fog, is edge"
        );
        assert_eq!(reason(&placed(vec![]), Strategy::Optimal, Some("gone")), "gone is not in the fleet");
    }

    #[test]
    fn what_no_cluster_takes_counts_the_filters() {
        let others = vec![
            refused("a", Filter::Capacity, "is full"),
            refused("b", Filter::Tier, ""),
            refused("c", Filter::Tier, ""),
        ];
        let placement = ComponentPlacement { others, ..Default::default() };
        assert_eq!(reason(&placement, Strategy::Optimal, None), "no cluster takes it (2 tier, 1 capacity)");
    }
}
