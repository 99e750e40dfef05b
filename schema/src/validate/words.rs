//! How findings speak of values and names.

use serde_json::Value;

/// A value in one line, in backticks, not too long.
pub(super) fn excerpt(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Object(_) => return "this map".into(),
        Value::Array(_) => return "this list".into(),
        other => other.to_string(),
    };
    quoted(&text)
}

/// A text from a user in backticks, without control characters, not too long.
pub(super) fn quoted(text: &str) -> String {
    const LENGTH_MAX: usize = 64;
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LENGTH_MAX).collect();
    let more = if text.chars().count() > LENGTH_MAX { "…" } else { "" };
    format!("`{clean}{more}`")
}

/// `a`, `b`, `c`: the first dozen.
pub(super) fn list(names: &[&str]) -> String {
    const NAMES_MAX: usize = 12;
    let shown: Vec<String> = names.iter().take(NAMES_MAX).map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(NAMES_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

/// Asks for the candidate that is meant.
pub(super) fn did_you_mean<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(text, candidates).map(|candidate| format!("did you mean `{candidate}`?"))
}

/// The candidate that is meant, if one is near enough to be a slip of the hand.
pub(super) fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let text: Vec<char> = text.chars().take(64).flat_map(char::to_lowercase).collect();
    let distance_max = (text.len() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(&text, &candidate.to_lowercase().chars().collect::<Vec<_>>()), candidate))
        .filter(|(distance, _)| *distance <= distance_max)
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many letters must be added, dropped, replaced or swapped with their neighbour.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + change);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before_last[j - 2] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_hand_is_understood_and_nothing_else() {
        let fields = ["objectives", "namespace", "components", "strategy"];
        for slip in ["objectivs", "Objectives", "objetcives", "objective"] {
            assert_eq!(did_you_mean(slip, fields).as_deref(), Some("did you mean `objectives`?"), "{slip}");
        }
        assert_eq!(did_you_mean("replicas", fields), None);
        assert_eq!(did_you_mean("", fields), None);
    }

    #[test]
    fn what_users_wrote_is_shown_on_one_line() {
        assert_eq!(quoted("a\n\u{1b}[31m"), "`a  [31m`");
        assert_eq!(quoted(&"x".repeat(100)).chars().count(), 67);
    }
}
