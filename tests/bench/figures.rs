//! Figures as they are kept and shown: one JSON line each, and a table at the end.

use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use qonnect_tests::folder::repository;
use serde::Serialize;

#[derive(Debug, Serialize)]
struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    /// What it was compared with in the same run, and how often that fits into it.
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
}

pub(crate) struct Figures {
    only: String,
    file: File,
    all: Vec<Figure>,
}

impl Figures {
    pub(crate) fn new() -> Self {
        let only = std::env::var("ONLY").unwrap_or_default().replace('*', "");
        let folder = repository().join("target/bench");
        std::fs::create_dir_all(&folder).expect("the target folder can be written");
        let file = File::create(folder.join("figures.jsonl")).expect("the target folder can be written");
        Self { only, file, all: Vec::new() }
    }

    /// Whether anybody wants one of these figures.
    pub(crate) fn wants(&self, names: &[&str]) -> bool {
        names.iter().any(|name| name.contains(&self.only))
    }

    pub(crate) fn add(&mut self, name: &str, value: f64, unit: &'static str) {
        self.record(Figure { name: name.into(), value: rounded(value), unit, baseline: None, ratio: None });
    }

    /// Beside what another program took in the same run.
    pub(crate) fn add_compared(&mut self, name: &str, value: f64, unit: &'static str, baseline: f64) {
        let ratio = Some(rounded(value / baseline));
        let baseline = Some(rounded(baseline));
        self.record(Figure { name: name.into(), value: rounded(value), unit, baseline, ratio });
    }

    /// The median and the slowest of a hundred.
    pub(crate) fn add_percentiles(&mut self, name: &str, times: &mut [Duration]) {
        times.sort();
        for percent in [50, 99] {
            let rank = (times.len() * percent).div_ceil(100).saturating_sub(1);
            self.add(&format!("{name}_p{percent}_ms"), ms(times[rank]), "ms");
        }
    }

    fn record(&mut self, figure: Figure) {
        if !figure.name.contains(&self.only) {
            return;
        }
        let line = serde_json::to_string(&figure).expect("a figure is plain data");
        writeln!(self.file, "{line}").expect("the target folder can be written");
        println!("{:<32} {:>12} {}", figure.name, figure.value, figure.unit);
        self.all.push(figure);
    }

    pub(crate) fn print(&self) {
        println!("\n{:<32} {:>12} {:<8} {:>12} {:>8}", "figure", "value", "unit", "baseline", "ratio");
        let shown = |number: Option<f64>| number.map(|number| number.to_string()).unwrap_or_default();
        for Figure { name, value, unit, baseline, ratio } in &self.all {
            println!("{name:<32} {value:>12} {unit:<8} {:>12} {:>8}", shown(*baseline), shown(*ratio));
        }
    }
}

pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Three digits say all that a machine shared with others can tell.
fn rounded(value: f64) -> f64 {
    let digits = 2 - value.abs().max(1e-9).log10().floor() as i32;
    let scale = 10f64.powi(digits);
    if digits <= 0 { value.round() } else { (value * scale).round() / scale }
}

/// The median of runs for about a second, and of three at least.
pub(crate) fn median(mut run: impl FnMut()) -> Duration {
    const RUNS_MIN: usize = 3;
    const TIME: Duration = Duration::from_secs(1);
    let start = Instant::now();
    let mut times = Vec::new();
    while times.len() < RUNS_MIN || start.elapsed() < TIME {
        let run_start = Instant::now();
        run();
        times.push(run_start.elapsed());
    }
    times.sort();
    times[times.len() / 2]
}
