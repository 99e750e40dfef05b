//! What is wrong is refused with its place, and the fleet does not notice.

use qonnect_schema::diagnostic::Severity;
use qonnect_tests::world::{DEPLOY, World};

use crate::faults::{FAULTS, Fault};
use crate::fleet::{fleet, on_energy};

#[tokio::test]
async fn whatever_is_wrong_is_named_precisely_and_changes_nothing() {
    let fleet = fleet().await;
    let world = fleet.world_with_bookinfo("refusals").await;
    let before = world.checkout.tip(DEPLOY);
    let good = world.checkout.git(&["rev-parse", "HEAD"]).trim().to_owned();

    let mut wrong = Vec::new();
    for fault in &FAULTS {
        if let Err(why) = push_and_judge(&world, fault, &good).await {
            wrong.push(format!("{}: {why}", fault.name));
        }
    }

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(world.checkout.tip(DEPLOY), before, "no fault reached the deploy branch");
    fleet.runs(&world, &on_energy()).await;
}

async fn push_and_judge(world: &World, fault: &Fault, good: &str) -> Result<(), String> {
    // The files of the good commit, on top of whatever was pushed last.
    world.checkout.git(&["read-tree", "--reset", "-u", good]);
    (fault.spoil)(&world.checkout);
    let record = world.push(fault.name).await;
    if record.verdict != fault.verdict {
        return Err(format!("{record:?}"));
    }
    let errors = record.findings.iter().filter(|finding| finding.severity == Severity::Error);
    let found: Vec<_> = errors
        .map(|finding| (finding.code.as_str(), finding.file.as_str(), finding.place.map(|place| place.line)))
        .collect();
    let line = fault.at.map(|text| line_of(&world.checkout.read(fault.file), text));
    match found.contains(&(fault.code, fault.file, line)) {
        true => Ok(()),
        false => Err(format!("expected {:?}, found {found:?}", (fault.code, fault.file, line))),
    }
}

fn line_of(text: &str, part: &str) -> u32 {
    let index = text.lines().position(|line| line.contains(part));
    index.unwrap_or_else(|| panic!("no line has `{part}`")) as u32 + 1
}
