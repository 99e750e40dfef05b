//! How results look in a terminal: tables as `kubectl` prints them, ages, amounts.

use std::io::{self, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width};
use jiff::Timestamp;
use qonnect_schema::units::Bytes;
use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    Table,
    /// A table with more columns
    Wide,
    Json,
    Yaml,
}

/// Columns without borders; cells wrap where a terminal is too narrow. Ends with a line feed.
pub(super) fn table(header: &[&str], rows: &[Vec<String>], width: Option<u16>) -> String {
    lines(header, rows, width, &[])
}

/// Further rows of a table that was printed before, below its columns.
pub(super) fn rows_below(
    above: &[Vec<String>],
    header: &[&str],
    rows: &[Vec<String>],
    width: Option<u16>,
) -> String {
    let mut table = Table::new();
    table.set_header(header).add_rows(above);
    let mut columns = table.column_max_content_widths();
    // The last column ends where its text does.
    columns.pop();
    let all = lines(header, rows, width, &columns);
    all.split_once('\n').map_or_else(String::new, |(_, below)| below.to_owned())
}

fn lines(header: &[&str], rows: &[Vec<String>], width: Option<u16>, columns: &[u16]) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(match width {
        Some(_) => ContentArrangement::Dynamic,
        None => ContentArrangement::Disabled,
    });
    if let Some(width) = width {
        table.set_width(width);
    }
    table.set_header(header);
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for (column, width) in table.column_iter_mut().zip(columns) {
        column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width + 2)));
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// The width of the terminal that results go to; absent for files and pipes.
pub(super) fn terminal_width() -> Option<u16> {
    Table::new().width()
}

/// A document as JSON or YAML, ending with a line feed.
pub(super) fn document(format: Format, document: &impl Serialize) -> anyhow::Result<String> {
    match format {
        Format::Yaml => Ok(qonnect_schema::yaml::to_string(document)?),
        Format::Json | Format::Table | Format::Wide => Ok(serde_json::to_string_pretty(document)? + "\n"),
    }
}

/// Prints; a reader that has gone away, such as `head`, is no error but an end.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    print_coloured(text, anstream::ColorChoice::Auto)
}

/// The same where colours may be forced or forbidden.
pub(super) fn print_coloured(text: &str, colours: anstream::ColorChoice) -> anyhow::Result<()> {
    let mut out = anstream::AutoStream::new(io::stdout().lock(), colours);
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        printed => Ok(printed?),
    }
}

/// `47s`, `5m`, `3h20m`, `2d`: two units while they tell something.
pub(super) fn age(now: Timestamp, then: Timestamp) -> String {
    let secs = now.as_second().saturating_sub(then.as_second()).max(0);
    let two = |big: i64, big_unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{big}{big_unit}"),
        small => format!("{big}{big_unit}{small}{small_unit}"),
    };
    let (minutes, hours, days) = (secs / 60, secs / 3600, secs / 86_400);
    match secs {
        secs if secs < 120 => format!("{secs}s"),
        secs if secs < 600 => two(minutes, "m", secs % 60, "s"),
        secs if secs < 10_800 => format!("{minutes}m"),
        secs if secs < 28_800 => two(hours, "h", minutes % 60, "m"),
        secs if secs < 172_800 => format!("{hours}h"),
        secs if secs < 691_200 => two(days, "d", hours % 24, "h"),
        _ => format!("{days}d"),
    }
}

/// Since a moment; `-` if it never came.
pub(super) fn age_or_dash(now: Timestamp, then: Timestamp) -> String {
    if then == Timestamp::UNIX_EPOCH { "-".into() } else { age(now, then) }
}

/// The first seven digits.
pub(super) fn commit(commit: &str) -> String {
    commit.get(..7).unwrap_or(commit).into()
}

/// `6.7Gi`: for reading, not for counting.
pub(super) fn bytes(amount: Bytes) -> String {
    let units = [(1u64 << 40, "Ti"), (1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki")];
    match units.iter().find(|(size, _)| amount.0 >= *size) {
        Some((size, unit)) => {
            let tenths = u128::from(amount.0) * 10 / u128::from(*size);
            match tenths % 10 {
                0 => format!("{}{unit}", tenths / 10),
                rest => format!("{}.{rest}{unit}", tenths / 10),
            }
        }
        None => amount.0.to_string(),
    }
}

/// The text, or `-` where there is none.
pub(super) fn or_dash(text: Option<impl ToString>) -> String {
    text.map(|text| text.to_string()).filter(|text| !text.is_empty()).unwrap_or_else(|| "-".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_no_borders_and_no_trailing_blanks() {
        let rows = [vec!["fog-cost".into(), "Ready".into()], vec!["edge".into(), "Lost".into()]];
        let text = table(&["NAME", "STATUS"], &rows, None);
        assert_eq!(text, "NAME      STATUS\nfog-cost  Ready\nedge      Lost\n");
    }

    #[test]
    fn rows_that_come_later_stand_below_their_columns() {
        let above = [vec!["fog-cost".into(), "Ready".into()]];
        let later = [vec!["edge".into(), "Lost".into()]];
        assert_eq!(rows_below(&above, &["NAME", "STATUS"], &later, None), "edge      Lost\n");
    }

    #[test]
    fn a_narrow_terminal_wraps_the_long_cell() {
        let rows = [vec!["fog".into(), "a message that does not fit into the line".into()]];
        let text = table(&["NAME", "MESSAGE"], &rows, Some(30));
        assert!(text.lines().all(|line| line.chars().count() <= 30), "{text}");
        assert!(text.lines().count() > 2, "{text}");
    }

    #[test]
    fn ages_read_as_in_kubectl() {
        let now = Timestamp::from_second(100_000_000).unwrap();
        let of = |secs: i64| age(now, Timestamp::from_second(100_000_000 - secs).unwrap());
        let ages = [0, 47, 119, 120, 192, 1_800, 12_000, 40_000, 180_000, 800_000].map(of);
        assert_eq!(ages, ["0s", "47s", "119s", "2m", "3m12s", "30m", "3h20m", "11h", "2d2h", "9d"]);
        assert_eq!(of(-5), "0s", "the clock of a lead may be ahead");
    }

    #[test]
    fn amounts_and_commits_are_short() {
        assert_eq!([0, 512, 7_160_844_288, 2 << 30].map(|b| bytes(Bytes(b))), ["0", "512", "6.6Gi", "2Gi"]);
        assert_eq!(commit("0123456789abcdef"), "0123456");
        assert_eq!(commit("é"), "é");
    }
}
