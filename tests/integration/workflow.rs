//! The action and the hook that repositories use, run by their own steps on real checkouts.

use std::process::Command;

use qonnect_tests::folder::{self, repository};
use qonnect_tests::git::Checkout;
use qonnect_tests::process::run_command;
use qonnect_tests::programs;
use qonnect_tests::workflow::{Forge, Runner, TOKEN};

const APPLICATION: &str = "apps/bookinfo/application.yaml";

/// The example on `main`, and a branch of it that is checked out.
fn on_a_branch() -> Checkout {
    programs::qonnect();
    let checkout = Checkout::new("nowhere");
    checkout.copy("example-repo");
    commit(&checkout, "the fleet");
    checkout.git(&["switch", "--quiet", "--create", "change"]);
    checkout
}

fn commit(checkout: &Checkout, message: &str) {
    checkout.git(&["add", "--all"]);
    checkout.git(&["commit", "--quiet", "--message", message]);
}

#[test]
fn a_fault_is_annotated_on_its_line_and_fails_the_job() {
    let checkout = on_a_branch();
    assert_eq!(Runner::on_push(checkout.folder()).run(&[]).failed, None);

    checkout.edit(APPLICATION, "objectives:", "objctives:");
    let line = 1 + checkout.read(APPLICATION).lines().position(|line| line.contains("objctives")).unwrap();
    let job = Runner::on_push(checkout.folder()).run(&[]);
    assert_eq!(job.failed.as_deref(), Some("Validate"));
    assert!(job.log.contains(&format!("::error file={APPLICATION},line={line},")), "{}", job.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_has_one_comment_with_what_it_changes_now() {
    let (checkout, forge) = (on_a_branch(), Forge::start().await);
    let runner = Runner::on_pull_request(checkout.folder(), &forge.url, TOKEN);

    checkout.remove("apps/bookinfo");
    commit(&checkout, "Away with it");
    let job = runner.run(&[]);
    assert_eq!((job.failed.as_deref(), job.outputs.as_str()), (None, "changes=true\n"), "{}", job.log);
    let [comment] = &forge.ours()[..] else { panic!("{:?}", forge.ours()) };
    assert!(comment.contains("| remove | bookinfo/productpage |"), "{comment}");
    assert!(comment.ends_with(&job.summary), "the summary says the same");

    // `main` goes on meanwhile, which is no doing of this branch.
    checkout.git(&["switch", "--quiet", "main"]);
    checkout.remove("signals");
    commit(&checkout, "Somebody else's");
    checkout.git(&["switch", "--quiet", "change"]);
    checkout.git(&["revert", "--no-edit", "HEAD"]);
    let job = runner.run(&[]);
    assert_eq!((job.failed.as_deref(), job.outputs.as_str()), (None, "changes=false\n"), "{}", job.log);
    let [comment] = &forge.ours()[..] else { panic!("{:?}", forge.ours()) };
    assert!(!comment.contains("| remove |"), "{comment}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_may_not_be_commented_is_in_the_summary() {
    let (checkout, forge) = (on_a_branch(), Forge::start().await);
    checkout.remove("apps/bookinfo");
    commit(&checkout, "Away with it");
    let job = Runner::on_pull_request(checkout.folder(), &forge.url, "ghs_of_a_fork").run(&[]);
    assert_eq!(job.failed, None, "{}", job.log);
    assert!(job.log.contains("::warning title=qonnect::"), "{}", job.log);
    assert!(job.log.contains("Resource not accessible by integration"), "{}", job.log);
    assert!(!job.log.contains("ghs_of_a_fork"), "{}", job.log);
    assert!(job.summary.contains("| remove | bookinfo/productpage |"), "{}", job.summary);
    assert_eq!(forge.ours().len(), 0);
}

#[test]
fn a_snapshot_decides_what_moves() {
    let checkout = on_a_branch();
    let runner = Runner::on_pull_request(checkout.folder(), "http://127.0.0.1:1", TOKEN);
    checkout.write("now.yaml", "not a snapshot");
    let job = runner.run(&[("snapshot", "now.yaml"), ("comment", "false")]);
    assert_eq!(job.failed.as_deref(), Some("Plan"));
    assert!(job.log.contains("now.yaml is no Snapshot"), "{}", job.log);
}

#[test]
fn a_checkout_without_history_says_how_to_get_it() {
    let origin = on_a_branch();
    origin.write("NEWS.md", "More to read.\n");
    commit(&origin, "Say more");
    let folder = folder::fresh("shallow");
    let url = format!("file://{}", origin.folder().display());
    let mut clone = Command::new("git");
    clone.args(["clone", "--quiet", "--depth=1", "--branch=change", &url]).arg(&folder);
    run_command(clone);
    let job = Runner::on_pull_request(&folder, "http://127.0.0.1:1", TOKEN).run(&[]);
    assert_eq!(job.failed.as_deref(), Some("Plan"));
    assert!(job.log.contains("fetch-depth: 0"), "{}", job.log);
}

#[test]
fn the_hook_refuses_a_commit_with_a_fault() {
    let checkout = on_a_branch();
    let (hooks, cache) = (Checkout::new("nowhere"), folder::fresh("pre-commit"));
    let manifest = ".pre-commit-hooks.yaml";
    hooks.write(manifest, std::fs::read(repository().join(manifest)).unwrap());
    commit(&hooks, "Our hooks, without the rest of the repository");
    let run = || {
        let path = format!("{}:{}", folder::programs().display(), std::env::var("PATH").unwrap());
        let mut hook = Command::new(programs::python("pre-commit"));
        hook.current_dir(checkout.folder()).env("PATH", path).env("PRE_COMMIT_HOME", &cache);
        hook.arg("try-repo").arg(hooks.folder()).args(["qonnect-validate", "--all-files"]).output().unwrap()
    };
    let output = run();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("Passed"), "{said}");

    checkout.edit(APPLICATION, "objectives:", "objctives:");
    checkout.git(&["add", "--all"]);
    let output = run();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success() && said.contains("objctives"), "{said}");
}
