//! Approval by pull request, on what GitHub publishes of itself: one for each batch, whatever happens on the way.

use std::time::{Duration, Instant};

use qonnect_tests::folder::fresh;
use qonnect_tests::github::{Fault, GitHub, TOKEN, private_key};
use qonnect_tests::leads::{Leads, PATIENCE};
use qonnect_tests::wait::wait_for;
use serde_json::{Value, json};

use super::{Office, PROPOSAL, REVIEW, word_in};
use crate::leaders::revise;

/// The word of the first revision.
const FIRST: &str = "18446744073709551615";

/// Leads that ask by pull request, and the site where people answer.
struct Site {
    office: Office,
    github: GitHub,
    token: std::path::PathBuf,
}

impl Site {
    async fn open(name: &str, count: usize) -> Self {
        Self::with(name, count, |_, _| {}).await
    }

    /// `prepare` changes what the leads are told, or what GitHub does at first.
    async fn with(name: &str, count: usize, prepare: impl FnOnce(&mut Leads, &GitHub)) -> Self {
        let mut leads = Leads::new(name, count);
        let github = GitHub::start(&leads.repository_folder(), leads.host.url());
        let token = fresh("token").join("token");
        std::fs::write(&token, format!("{TOKEN}\n")).unwrap();
        leads.config["forge"] =
            json!({"github": {"repository": "octo/fleet", "api": github.api(), "tokenFile": token}});
        prepare(&mut leads, &github);
        Self { office: Office::of(leads).await, github, token }
    }

    /// The open pull request, once it stands for the proposal of this word.
    async fn asked(&self, word: &str, but: &str) -> Value {
        let tip = self.office.proposed(word, but).await;
        wait_for(&format!("a pull request for {word}"), PATIENCE, async || {
            let pulls = self.github.pulls();
            let open: Vec<_> = pulls.iter().filter(|pull| pull["state"] == "open").collect();
            match open[..] {
                [pull] if pull["head"]["sha"] == *tip && says(pull, word) => Ok(pull.clone()),
                _ => Err(format!("{open:#?}\n{}", self.office.leads.tails())),
            }
        })
        .await
    }

    /// The states of the statuses of a commit, by what they are called.
    async fn shows(&self, commit: &str, wanted: &[(&str, &str)]) {
        wait_for(&format!("{wanted:?} on {commit}"), PATIENCE, async || {
            let statuses = self.github.statuses(commit);
            let has = |(context, state): &(&str, &str)| {
                statuses.iter().any(|status| status["context"] == *context && status["state"] == *state)
            };
            match wanted.iter().all(has) {
                true => Ok(()),
                false => Err(format!("{statuses:#?}\n{}", self.office.leads.tails())),
            }
        })
        .await;
    }

    fn end(self) {
        self.office.leads.verify_history();
        self.github.is_content();
        for name in self.office.leads.names() {
            assert!(!self.office.leads.log(&name).contains(TOKEN), "{name} has written its token down");
        }
    }
}

/// The leads sign in as an app.
fn be_an_app(leads: &mut Leads) {
    let github = leads.config["forge"]["github"].as_object_mut().unwrap();
    github.remove("tokenFile");
    github.insert("app".into(), json!({"id": 1, "keyFile": private_key(&fresh("app"))}));
}

/// Whether its objects come to say so.
fn says(pull: &Value, word: &str) -> bool {
    let body = pull["body"].as_str().unwrap_or_default();
    body.lines().filter_map(|line| line.strip_prefix('+')).any(|line| word_in(line) == word)
}

fn number(pull: &Value) -> u64 {
    pull["number"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_by_the_button_is_the_approval_of_one_pull_request_for_each_batch() {
    let site = Site::with("button", 1, |leads, _| {
        let request = "{labels: [placement], reviewers: [ada, octocat], autoMerge: squash}";
        leads.checkout.edit("fleet.yaml", "spec:\n", &format!("spec:\n  approval: {{request: {request}}}\n"));
    })
    .await;
    let pull = site.asked(FIRST, "").await;
    let title = site.office.person.git(&["log", "-1", "--format=%s", &format!("origin/{PROPOSAL}")]);
    assert_eq!(pull["title"], title.trim());
    assert_eq!((&pull["head"]["ref"], &pull["base"]["ref"]), (&json!(PROPOSAL), &json!(REVIEW)));
    wait_for("its labels, reviewers and merge", PATIENCE, async || {
        let pull = &site.github.pulls()[0];
        let login = |user: &Value| user["login"].as_str().map(String::from);
        let reviewers: Vec<_> =
            pull["requested_reviewers"].as_array().unwrap().iter().filter_map(login).collect();
        let label = pull["labels"][0]["name"] == "placement";
        // Octocat is its author, who cannot be asked.
        match label && reviewers == ["ada"] && pull["auto_merge"]["merge_method"] == "squash" {
            true => Ok(()),
            false => Err(format!("{pull:#}\n{}", site.office.leads.tails())),
        }
    })
    .await;
    let body = pull["body"].as_str().unwrap();
    for part in [
        "| change | why |",
        "| cost |",
        "Objects that change, by cluster",
        "<details>",
        "merge `qonnect/review-next`",
    ] {
        assert!(body.contains(part), "{part} is missing in\n{body}");
    }
    assert_eq!(site.office.says(), None, "nothing is placed unasked");
    let first = site.office.person.git(&["ls-remote", "origin", "refs/heads/main"])[..40].to_owned();
    site.shows(
        &first,
        &[("qonnect/valid", "success"), ("qonnect/planned", "success"), ("qonnect/published", "pending")],
    )
    .await;
    site.github.merge(number(&pull), "merge");
    site.office.published(FIRST).await;
    site.shows(
        &first,
        &[("qonnect/published", "success"), ("qonnect/applied", "pending"), ("qonnect/ready", "pending")],
    )
    .await;
    site.office.gone().await;
    for (at, how) in ["squash", "rebase"].into_iter().enumerate() {
        let word = at.to_string();
        let revision = revise(&site.office.leads, at as u64);
        let pull = site.asked(&word, "").await;
        site.github.merge(number(&pull), how);
        site.office.published(&word).await;
        site.shows(&revision, &[("qonnect/published", "success")]).await;
        site.office.gone().await;
    }
    assert_eq!(site.github.pulls().len(), 3, "one for each batch");
    site.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_is_brought_up_to_date_and_one_that_is_closed_is_a_refusal() {
    let site = Site::open("closed", 1).await;
    let first = site.asked(FIRST, "").await;
    let revision = revise(&site.office.leads, 1);
    let second = site.asked("1", first["head"]["sha"].as_str().unwrap()).await;
    assert_eq!(number(&second), number(&first), "it is the same one");

    site.github.close(number(&second));
    let refused = second["head"]["sha"].as_str().unwrap().to_owned();
    site.office.hears("Rejected", &refused[..7]).await;
    site.shows(&revision, &[("qonnect/published", "failure")]).await;
    revise(&site.office.leads, 2);
    let third = site.asked("2", &refused).await;
    assert_ne!(number(&third), number(&second), "what was refused stays closed");
    site.shows(&revision, &[("qonnect/published", "failure")]).await;
    assert_eq!(site.office.says(), None);
    site.github.merge(number(&third), "squash");
    site.office.published("2").await;
    site.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_push_edit_or_merge_too_late_is_no_approval_and_keeps_its_pull_request() {
    let site = Site::open("foreign", 1).await;
    let pull = site.asked(FIRST, "").await;
    // Somebody pushes over the proposal.
    site.office.look();
    site.office.person.git(&["commit", "--quiet", "--allow-empty", "-m", "Something else"]);
    site.office.person.git(&["push", "--quiet", "--force", "origin", &format!("HEAD:refs/heads/{PROPOSAL}")]);
    let foreign = site.office.person.git(&["rev-parse", "HEAD"]).trim().to_owned();
    site.office.hears("ApprovalRefused", &foreign[..7]).await;
    let again = site.asked(FIRST, &foreign).await;
    assert_eq!(number(&again), number(&pull));

    // Somebody merges while the leads plan something newer: only what was merged counts.
    site.office.look();
    let proposal = format!("origin/{PROPOSAL}");
    site.office.person.git(&["merge", "--quiet", "--no-ff", "-m", "Approve", &proposal]);
    let merged = site.office.person.git(&["rev-parse", &proposal]);
    revise(&site.office.leads, 1);
    site.office.answer(REVIEW);
    // What is asked is asked anew once the merge is judged.
    wait_for("the merge to be judged", PATIENCE, async || match site.office.says().as_deref() {
        Some(FIRST) => Ok(()),
        _ => site.office.told("ApprovalRefused", &merged[..7]).await.map(drop),
    })
    .await;
    let newer = site.asked("1", "").await;
    let said = site.office.says();
    assert!(said.is_none() || said.as_deref() == Some(FIRST), "nobody has merged {said:?}");

    // And when it was replaced already. What is merged may be younger than the one that was seen: the merge before may
    // have been judged in between.
    site.office.look();
    let stale = site.office.person.git(&["rev-parse", &proposal]).trim().to_owned();
    site.office.person.git(&["merge", "--quiet", "--no-ff", "-m", "Approve", &proposal]);
    revise(&site.office.leads, 2);
    let newest = site.asked("2", &stale).await;
    assert_eq!(number(&newest), number(&newer));
    site.office.answer(REVIEW);
    site.office.hears("ApprovalRefused", &format!("merges {}", &stale[..7])).await;
    let newest = site.asked("2", newest["head"]["sha"].as_str().unwrap()).await;
    site.github.merge(number(&newest), "rebase");
    site.office.published("2").await;
    site.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_leader_goes_on_with_the_pull_request_and_lost_answers_open_no_second_one() {
    let mut site = Site::with("heirs-of-a-request", 3, |_, github| {
        // It was opened, and nobody heard of it.
        github.fault("POST", "/pulls", Fault::LosesTheAnswer);
        github.fault("POST", "/statuses/", Fault::LosesTheAnswer);
    })
    .await;
    let pull = site.asked(FIRST, "").await;
    let killed = site.office.leads.leader().await;
    site.office.leads.kill(&killed);
    site.office.leads.leader().await;
    revise(&site.office.leads, 1);
    let next = site.asked("1", pull["head"]["sha"].as_str().unwrap()).await;
    assert_eq!(number(&next), number(&pull));
    site.github.merge(number(&next), "squash");
    site.office.published("1").await;
    assert_eq!(site.github.pulls().len(), 1);
    let opened =
        site.github.calls().into_iter().filter(|call| call.method == "POST" && call.path.ends_with("/pulls"));
    assert_eq!(opened.count(), 1, "it was looked up, not tried again");
    site.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_and_faults_of_github_are_waited_for_and_hold_nothing_else_up() {
    let after = |secs: u64| vec![("retry-after", secs.to_string())];
    let site = Site::with("limits", 1, |_, github| {
        github.fault("POST", "/pulls", Fault::Answer(403, after(3)));
        github.fault("POST", "/pulls", Fault::Answer(429, after(2)));
        github.fault("POST", "/pulls", Fault::Answer(500, vec![]));
        github.fault("POST", "/pulls", Fault::Answer(503, vec![]));
    })
    .await;
    let pull = site.asked(FIRST, "").await;
    let calls = site.github.calls();
    for (status, least) in [(403, 3), (429, 2)] {
        let refused = calls.iter().position(|call| call.status == status).expect("it was refused");
        let pause = calls[refused + 1].at - calls[refused].at;
        assert!(pause >= Duration::from_secs(least), "{pause:?} after {status}");
    }
    let statuses = calls.iter().filter(|call| matches!(call.status, 500 | 503)).count();
    assert_eq!(statuses, 2);

    // While GitHub is not to be spoken to, a merge in Git counts.
    for _ in 0..3 {
        site.github.fault("GET", "/pulls", Fault::Answer(429, after(30)));
    }
    let began = Instant::now();
    wait_for("the limit to be met", PATIENCE, async || {
        let met = site.github.calls().iter().any(|call| call.method == "GET" && call.status == 429);
        if met { Ok(()) } else { Err("it was not asked".to_owned()) }
    })
    .await;
    site.github.merge(number(&pull), "merge");
    site.office.published(FIRST).await;
    assert!(began.elapsed() < Duration::from_secs(30), "nothing waits for the forge");
    site.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_has_expired_is_named_by_its_file_and_renewed_without_a_restart() {
    let site = Site::open("expired", 1).await;
    let pull = site.asked(FIRST, "").await;
    site.github.accept_only("github_pat_renewed");
    revise(&site.office.leads, 1);
    let file = site.token.display().to_string();
    site.office.hears("ForgeUnauthorized", &file).await;
    std::fs::write(&site.token, "github_pat_renewed").unwrap();
    let next = site.asked("1", "").await;
    assert_eq!(number(&next), number(&pull));
    site.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_was_renamed_is_followed_and_an_app_signs_in() {
    let site = Site::with("renamed", 1, |leads, github| {
        github.rename("octo/ships");
        be_an_app(leads);
    })
    .await;
    let pull = site.asked(FIRST, "").await;
    site.office.hears("RepositoryRenamed", "octo/ships").await;
    // And again, while it is open.
    site.github.rename("octo/fleets");
    revise(&site.office.leads, 1);
    let next = site.asked("1", pull["head"]["sha"].as_str().unwrap()).await;
    assert_eq!(number(&next), number(&pull));
    site.github.merge(number(&next), "merge");
    site.office.published("1").await;
    site.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_opens_git_and_shows_every_finding_at_its_line() {
    let mut site = Site::with("app", 1, |leads, github| {
        be_an_app(leads);
        leads.config["repository"]["url"] = json!(github.repository());
        github.tokens_last(Duration::from_secs(34));
    })
    .await;
    let pull = site.asked(FIRST, "").await;
    let first = site.office.person.git(&["ls-remote", "origin", "refs/heads/main"])[..40].to_owned();
    let checked = |commit: String, conclusion: &'static str, says: &'static str| {
        let github = &site.github;
        async move {
            wait_for(&format!("a check run of {commit}: {conclusion}, {says}"), PATIENCE, async || {
                let runs = github.check_runs(&commit);
                let title = |run: &Value| run["output"]["title"].as_str().unwrap_or_default().to_owned();
                match &runs[..] {
                    [run]
                        if (run["status"] == conclusion || run["conclusion"] == conclusion)
                            && title(run).starts_with(says) =>
                    {
                        Ok(run.clone())
                    }
                    _ => Err(format!("{runs:#?}")),
                }
            })
            .await
        }
    };
    let asks = checked(first.clone(), "in_progress", "published: waits for").await;
    assert_eq!(asks["details_url"], pull["html_url"]);
    let summary = asks["output"]["summary"].as_str().unwrap();
    assert!(summary.contains("| valid | done | free of faults |"), "{summary}");

    // The tokens of the beginning end, and a push goes through nevertheless.
    wait_for("another token", PATIENCE, async || {
        let used = site.github.tokens_in_git();
        if used.len() > 1 { Ok(()) } else { Err(format!("{used:?}")) }
    })
    .await;
    site.github.merge(number(&pull), "merge");
    site.office.published(FIRST).await;

    let file = "apps/word/application.yaml";
    site.office.leads.checkout.edit(file, "manifests: [main.yaml]", "manifests: [main.yaml], colour: red");
    let bad = site.office.leads.checkout.push("A slip");
    let refused = checked(bad, "failure", "valid: ").await;
    let [annotation] = &refused["annotations"].as_array().unwrap()[..] else { panic!("{refused:#}") };
    let text = site.office.leads.checkout.read(file);
    let line = 1 + text.lines().position(|line| line.contains("colour")).unwrap();
    assert_eq!(
        (&annotation["path"], &annotation["start_line"], &annotation["annotation_level"]),
        (&json!(file), &json!(line), &json!("failure"))
    );
    assert!(annotation["message"].as_str().unwrap().contains("colour"), "{annotation:#}");
    checked(first.clone(), "cancelled", "replaced by").await;

    // Another leadership finds them, and makes no second one.
    let name = site.office.leads.leader().await;
    site.office.leads.kill(&name);
    site.office.leads.start(&name);
    site.office.leads.checkout.edit(file, ", colour: red", "");
    let good = site.office.leads.checkout.push("And its mend");
    checked(good, "in_progress", "").await;
    assert_eq!(site.github.check_runs(&first).len(), 1);
    site.end();
}
