//! How fast a repository is checked.

use std::process::Command;

use jiff::Timestamp;
use qonnect_schema::tree::Entry;
use qonnect_schema::validate::{self, Checker};
use qonnect_tests::{folder, programs};

use crate::figures::{Figures, median, ms};
use crate::{fleet, pushes};

/// With five files each, and the fleet beside them: ten thousand files.
const APPLICATIONS: usize = 1_999;

pub(crate) fn measure(figures: &mut Figures) {
    if figures.wants(&["validate_files_per_s"]) {
        let tree = fleet::tree(&fleet::grown(100, 200));
        let check = || validate::repository(&tree, "", Timestamp::UNIX_EPOCH);
        let checked = check();
        assert!(checked.faulty.is_empty() && !checked.refused, "{:#?}", checked.findings);
        let time = median(|| drop(check()));
        figures.add("validate_files_per_s", tree.len() as f64 / time.as_secs_f64(), "1/s");
    }
    if figures.wants(&["validate_10000_files_ms"]) {
        figures.add("validate_10000_files_ms", ms(median(whole_command())), "ms");
    }
    if figures.wants(&["validate_one_changed_of_10000_ms"]) {
        one_changed(figures);
    }
}

/// The command as CI runs it, its start and the reading of all files included.
fn whole_command() -> impl Fn() {
    let folder = folder::fresh("bench-validate");
    for (path, text) in many() {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("it can be made");
        std::fs::write(path, text).expect("it can be written");
    }
    move || {
        let output = Command::new(programs::qonnect()).arg("validate").arg(&folder).output();
        let output = output.expect("the command starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

/// What a lead does at each push, beside reading everything.
fn one_changed(figures: &mut Figures) {
    let mut tree = fleet::tree(&many());
    let mut checker = Checker::default();
    let all = median(|| drop(Checker::default().check(&tree, "", Timestamp::UNIX_EPOCH)));
    checker.check(&tree, "", Timestamp::UNIX_EPOCH);
    let mut version = 0;
    let one = median(|| {
        version += 1;
        let text = pushes::deployment("c1", version);
        tree.insert("apps/app-7/c1.yaml".into(), Entry::file(text));
        let checked = checker.check(&tree, &version.to_string(), Timestamp::UNIX_EPOCH);
        assert!(checked.faulty.is_empty() && !checked.refused, "{:#?}", checked.findings);
    });
    figures.add_compared("validate_one_changed_of_10000_ms", ms(one), "ms", ms(all));
}

fn many() -> fleet::Files {
    let mut files = fleet::grown(4, 0);
    for number in 0..APPLICATIONS {
        let mut components = String::new();
        for component in 1..=4 {
            let (name, text) = (format!("c{component}"), pushes::deployment(&format!("c{component}"), 0));
            components.push_str(&format!("    - {{name: {name}, manifests: [{name}.yaml]}}\n"));
            files.insert(format!("apps/app-{number}/{name}.yaml"), text);
        }
        let text = pushes::application(&format!("app-{number}"), &components);
        files.insert(format!("apps/app-{number}/application.yaml"), text);
    }
    files
}
