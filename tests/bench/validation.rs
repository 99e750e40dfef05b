//! How fast a repository is checked.

use jiff::Timestamp;
use qonnect_schema::validate;

use crate::figures::{Figures, median};
use crate::fleet;

pub(crate) fn measure(figures: &mut Figures) {
    if !figures.wants(&["validate_files_per_s"]) {
        return;
    }
    let tree = fleet::tree(&fleet::grown(100, 200));
    let check = || validate::repository(&tree, "", Timestamp::UNIX_EPOCH);
    let checked = check();
    assert!(checked.faulty.is_empty() && !checked.refused, "{:#?}", checked.findings);
    let time = median(|| drop(check()));
    figures.add("validate_files_per_s", tree.len() as f64 / time.as_secs_f64(), "1/s");
}
