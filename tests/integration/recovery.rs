//! A Knowledge Base that is gone: the branch waits for a person, and the decisions go on where they stood.

use std::process::{Command, Output};
use std::time::Duration;

use qonnect_tests::programs;
use qonnect_tests::wait::wait_for;
use qonnect_tests::world::{DEPLOY, World};

const PATIENCE: Duration = Duration::from_secs(60);

fn qonnect(world: &World, words: &[&str]) -> Output {
    let mut program = Command::new(programs::qonnect());
    program.args(words).args(["--lead", &world.url()]).env("NO_COLOR", "1");
    program.output().unwrap()
}

fn said(output: &Output) -> String {
    let text = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    format!("{}\n{}", output.status, text.concat())
}

/// Waits until the branch and the Knowledge Base tell the same story of so many decisions.
async fn agree(world: &World, epoch: &str) {
    wait_for("a branch that agrees", PATIENCE, async || {
        let log = qonnect(world, &["log", "--repository", world.repository()]);
        let text = said(&log);
        (log.status.success() && text.contains(epoch) && text.contains("agree")).then_some(()).ok_or(text)
    })
    .await;
}

#[tokio::test]
async fn a_lead_that_lost_its_disk_waits_for_a_person_and_goes_on_in_a_new_era() {
    let mut world = World::new("recovery");
    world.checkout.copy("example-repo");
    world.checkout.push("the fleet");
    world.start_lead().await;
    let before = wait_for("placements", PATIENCE, async || {
        let placed = world.placements().await?;
        let files = world.checkout.files(DEPLOY);
        let written =
            files.into_iter().filter(|(path, _)| path.starts_with("placements/")).collect::<Vec<_>>();
        (!placed.is_empty() && !written.is_empty()).then_some(written).ok_or_else(|| world.tails())
    })
    .await;
    agree(&world, "0.").await;

    world.kill_lead();
    world.lose_disk();
    let tip = world.tip(DEPLOY);
    world.launch_lead();
    let group = wait_for("the event that names the group", PATIENCE, async || {
        let events = world.events().await?;
        let told =
            events.iter().find(|event| event.reason == "BranchOfOthers").ok_or_else(|| world.tails())?;
        let words = told.message.split(|c: char| !c.is_ascii_hexdigit());
        words.filter(|word| word.len() == 16).map(String::from).next().ok_or(told.message.clone())
    })
    .await;
    assert_eq!(world.tip(DEPLOY), tip, "nothing is published onto the branch of another group");

    let other = qonnect(&world, &["raft", "recover", "--adopt", "0000000000000000"]);
    assert!(!other.status.success(), "{}", said(&other));
    assert!(said(&other).contains(&group), "{}", said(&other));
    assert_eq!(world.tip(DEPLOY), tip, "a slip of a person adopts nothing");

    let adopted = qonnect(&world, &["raft", "recover", "--adopt", &group]);
    assert!(said(&adopted).contains("era 1 begins"), "{}", said(&adopted));
    world.ready_lead().await;
    agree(&world, "1.").await;
    assert_ne!(world.tip(DEPLOY), tip, "the new era closes the branch to the old one");
    let after = world.checkout.files(DEPLOY).into_iter().filter(|(path, _)| path.starts_with("placements/"));
    assert_eq!(after.collect::<Vec<_>>(), before, "what runs stays where it is");
}
