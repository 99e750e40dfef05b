//! Metrics as a collector reads them: checked by `promtool`, Prometheus' own judge of names, types and texts.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// Panics with all that is wrong, and if a line is missing.
pub fn check(text: &str, lines: &[&str]) {
    assert!(text.ends_with("# EOF\n"), "{text}");
    for line in lines {
        assert!(text.lines().any(|found| found == *line), "no `{line}` in\n{text}");
    }
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = promtool.spawn().expect("promtool is installed; `make setup` does so");
    let older = older(text);
    promtool.stdin.take().expect("it is piped").write_all(older.as_bytes()).expect("promtool reads on");
    let output = promtool.wait_with_output().expect("promtool ends");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}\n{text}", String::from_utf8_lossy(&said));
}

/// promtool knows the format before OpenMetrics alone, in which a counter is described by its whole name.
fn older(text: &str) -> String {
    let counters: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    let line = |line: &str| {
        let described = line.strip_prefix("# ").and_then(|rest| rest.split(' ').nth(1));
        match described.filter(|name| counters.contains(name)) {
            Some(name) => line.replacen(name, &format!("{name}_total"), 1) + "\n",
            None => format!("{line}\n"),
        }
    };
    text.lines().filter(|text| *text != "# EOF").map(line).collect()
}
