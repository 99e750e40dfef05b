//! The places where people meet us, one after the other: a pull request of specs, CI, a pull request of placements.

use qonnect_tests::wait::wait_for;
use qonnect_tests::workflow::{Forge, Runner, TOKEN};
use qonnect_tests::world::World;
use serde_json::Value;

use crate::fleet::{PATIENCE, add_bookinfo, fleet, on_energy};

const APPLICATION: &str = "apps/bookinfo/application.yaml";

#[tokio::test(flavor = "multi_thread")]
async fn a_slip_fails_in_ci_its_mend_is_merged_and_the_merge_of_its_placement_makes_it_ready() {
    let fleet = fleet().await;
    let mut world = World::new("story");
    let github = world.on_github();
    let world = fleet.start_world(world).await;
    let checkout = &world.checkout;
    checkout.edit("fleet.yaml", "spec:\n", "spec:\n  approval: {}\n");
    world.push("Ask people").await;

    // A pull request of specs: CI finds the slip.
    checkout.git(&["switch", "--quiet", "--create", "bookinfo"]);
    add_bookinfo(&world);
    checkout.edit(APPLICATION, "objectives:", "objctives:");
    let line = 1 + checkout.read(APPLICATION).lines().position(|line| line.contains("objctives")).unwrap();
    commit(&world, "Add bookinfo");
    let comments = Forge::start().await;
    let runner = Runner::on_pull_request(checkout.folder(), &comments.url, TOKEN);
    let job = runner.run(&[]);
    assert_eq!(job.failed.as_deref(), Some("Validate"), "{}", job.log);
    assert!(job.log.contains(&format!("::error file={APPLICATION},line={line},")), "{}", job.log);

    // Its mend passes, and one comment says what it would do.
    checkout.edit(APPLICATION, "objctives:", "objectives:");
    commit(&world, "Mend a slip");
    let job = runner.run(&[]);
    assert_eq!(job.failed, None, "{}", job.log);
    let [comment] = &comments.ours()[..] else { panic!("{:?}", comments.ours()) };
    assert!(comment.contains("bookinfo/productpage"), "{comment}");
    checkout.git(&["switch", "--quiet", "main"]);
    checkout.git(&["merge", "--quiet", "--no-ff", "-m", "Merge bookinfo", "bookinfo"]);
    let merged = checkout.push("Go");

    // A pull request of placements: nothing runs before it is merged.
    let pull = wait_for("a pull request of placements", PATIENCE, async || {
        let pulls = github.pulls();
        let open = pulls.iter().find(|pull| pull["state"] == "open");
        open.cloned().ok_or_else(|| world.tails())
    })
    .await;
    let body = pull["body"].as_str().unwrap();
    assert!(body.contains("place bookinfo") && body.contains("| cost |"), "{body}");
    fleet.runs(&world, &[]).await;
    github.merge(pull["number"].as_u64().unwrap(), "squash");
    fleet.runs(&world, &on_energy()).await;

    wait_for("statuses that end at Ready", PATIENCE, async || {
        let statuses = github.statuses(&merged);
        let steps =
            ["valid", "planned", "published", "applied", "ready"].map(|step| format!("qonnect/{step}"));
        let done = |step: &String| {
            let said = |status: &Value| status["context"] == **step && status["state"] == "success";
            statuses.iter().any(|status| said(status) && status["target_url"].is_string())
        };
        if steps.iter().all(done) { Ok(()) } else { Err(format!("{statuses:#?}\n{}", world.tails())) }
    })
    .await;
    github.is_content();
}

fn commit(world: &World, message: &str) {
    world.checkout.git(&["add", "--all"]);
    world.checkout.git(&["commit", "--quiet", "--message", message]);
}
