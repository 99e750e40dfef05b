//! The text of a pull request: what people are asked, what binds, and the objects that change, folded away.

use std::collections::BTreeMap;

use qonnect_schema::documents::fleet::Branches;
use qonnect_schema::documents::placement::Binding;
use similar::TextDiff;

use super::body::{body, cell};
use super::substance::is_rendered;
use crate::decision::{Deployed, Draft};
use crate::placement::Report;

/// GitHub takes 65,536 characters; what it adds to links and mentions stays below the rest.
const CHARS_MAX: usize = 60_000;

/// A larger object is named; the commit shows it.
const OBJECT_BYTES_MAX: usize = 64 << 10;

/// Paths that are named beside the differences that are shown.
const LEFT_OUT_MAX: usize = 20;

/// A filter that keeps a component from a better cluster, by `application/component`.
pub type Bindings = BTreeMap<String, Vec<Binding>>;

/// Markdown, never longer than a forge takes.
pub fn request(
    draft: &Draft,
    deployed: &Deployed,
    report: &Report,
    bindings: &Bindings,
    branches: &Branches,
) -> String {
    let mut text = body(draft, report, branches);
    text.push_str(&binding(bindings));
    if text.chars().count() > CHARS_MAX {
        text = text.chars().take(CHARS_MAX).collect();
        text.push_str("\n\nThe rest is left out; the message of the commit holds it.\n");
        return text;
    }
    let left = CHARS_MAX - text.chars().count();
    text.push_str(&differences(draft, deployed, left));
    text
}

fn binding(bindings: &Bindings) -> String {
    let rows = bindings.iter().flat_map(|(component, binding)| {
        binding.iter().map(move |Binding { filter, cluster, cost_per_hour, .. }| {
            let filter = format!("{filter:?}").to_lowercase();
            format!("| {} | {filter} | {} | {cost_per_hour:.4} |\n", cell(component), cell(cluster))
        })
    });
    let rows: String = rows.collect();
    match rows.is_empty() {
        true => rows,
        false => format!(
            "\n| component | constraint that binds | keeps it from | which would save per hour |\n|---|---|---|---|\n{rows}"
        ),
    }
}

/// As many objects as there is room for; the others are named.
fn differences(draft: &Draft, deployed: &Deployed, room: usize) -> String {
    let (mut shown, mut left_out) = (String::new(), Vec::new());
    // What frames them: two fences, the fold, and the names of what is left out.
    let mut room = room.saturating_sub(500 + LEFT_OUT_MAX * 300);
    for (path, after) in draft.files.iter().filter(|(path, _)| is_rendered(path)) {
        let before = deployed.file(path).unwrap_or_default();
        let difference = difference(path, before, after.as_deref().unwrap_or_default());
        match difference.map(|text| (text.chars().count(), text)).filter(|(length, _)| *length <= room) {
            Some((length, text)) => {
                room -= length;
                shown.push_str(&text);
            }
            None => left_out.push(path.as_str()),
        }
    }
    let mut text = String::new();
    if !shown.is_empty() {
        let fence = fence(&shown);
        text = format!(
            "\n<details><summary>The objects that change</summary>\n\n{fence}diff\n{shown}{fence}\n\n</details>\n"
        );
    }
    if !left_out.is_empty() {
        let named: Vec<_> = left_out.iter().take(LEFT_OUT_MAX).map(|path| format!("`{path}`")).collect();
        let more = match left_out.len().saturating_sub(LEFT_OUT_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        text.push_str(&format!(
            "\nToo long to be shown here, and in the commit: {}{more}.\n",
            named.join(", ")
        ));
    }
    text
}

fn difference(path: &str, before: &[u8], after: &[u8]) -> Option<String> {
    if before.len().max(after.len()) > OBJECT_BYTES_MAX {
        return None;
    }
    let (old, new) = (String::from_utf8_lossy(before), String::from_utf8_lossy(after));
    let name = |bytes: &[u8]| if bytes.is_empty() { "/dev/null" } else { path }.to_owned();
    let lines = TextDiff::from_lines(&*old, &*new);
    let mut text = lines.unified_diff().header(&name(before), &name(after)).to_string();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Some(text)
}

/// Longer than any run of backticks within.
fn fence(text: &str) -> String {
    let longest = text.split(|character| character != '`').map(str::len).max().unwrap_or_default();
    "`".repeat(longest.max(2) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_shown_as_what_changes_in_them_and_never_end_the_fold() {
        let text = difference("clusters/a/x.yaml", b"a: 1\nb: 2\n", b"a: 1\nb: ```\n").unwrap();
        assert!(text.contains("-b: 2\n+b: ```\n"), "{text}");
        assert_eq!(fence(&text), "````");
        assert_eq!(fence("no ticks"), "```");
        assert!(difference("x", b"", &vec![b'x'; OBJECT_BYTES_MAX + 1]).is_none());
        assert!(difference("x", b"gone\n", b"").unwrap().contains("+++ /dev/null"));
    }
}
