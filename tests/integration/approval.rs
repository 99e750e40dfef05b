//! Approval by people on a plain Git host: what they merge is published, and nothing else.

use qonnect_schema::api::{Event, RevisionRecord};
use qonnect_tests::git::Checkout;
use qonnect_tests::leads::{Leads, PATIENCE};
use qonnect_tests::wait::wait_for;
use qonnect_tests::world::DEPLOY;

use crate::leaders::{add_application, revise};

mod forge;

const REVIEW: &str = "qonnect/review";
const PROPOSAL: &str = "qonnect/review-next";

/// Leads that ask, and the clone of a person who answers.
struct Office {
    leads: Leads,
    person: Checkout,
}

impl Office {
    /// The first placement is proposed.
    async fn open(name: &str, count: usize) -> Self {
        Self::of(Leads::new(name, count)).await
    }

    async fn of(mut leads: Leads) -> Self {
        if !leads.checkout.read("fleet.yaml").contains("approval:") {
            leads.checkout.edit("fleet.yaml", "spec:\n", "spec:\n  approval: {}\n");
        }
        add_application(&leads);
        leads.start_all().await;
        let person = Checkout::new(leads.host.url());
        Self { leads, person }
    }

    /// The word that agents read; absent before the first approval.
    fn says(&self) -> Option<String> {
        let files = self.leads.checkout.files(DEPLOY);
        let word = files.into_iter().find(|(path, _)| path.contains("/word/main/"));
        word.map(|(_, text)| word_in(&text))
    }

    /// The word that the proposal would bring, once it is another commit than `but`.
    async fn proposed(&self, word: &str, but: &str) -> String {
        wait_for(&format!("a proposal of {word}"), PATIENCE, async || {
            let tip = self.person.tip(PROPOSAL).filter(|tip| tip != but).ok_or_else(|| self.leads.tails())?;
            let files = self.person.files(PROPOSAL);
            let said = files.iter().find(|(path, _)| path.contains("/word/main/"));
            let said = said.map(|(_, text)| word_in(text));
            if said.as_deref() != Some(word) {
                return Err(format!("{said:?}\n{}", self.leads.tails()));
            }
            // What was read may be younger than the tip.
            if self.person.tip(PROPOSAL).as_ref() != Some(&tip) {
                return Err("it moves".into());
            }
            // It counts once the leads know that it stands there.
            self.told("Proposed", &tip[..7]).await.map(|_| tip)
        })
        .await
    }

    /// The events of this reason that say so.
    async fn told(&self, reason: &str, says: &str) -> Result<Vec<Event>, String> {
        let events = self.leads.client_of_all().list_linearizable::<Event>().await;
        let mut events = events.map_err(|error| error.to_string())?.items;
        events.retain(|event| event.reason == reason && event.message.contains(says));
        if events.is_empty() {
            Err(format!("no {reason} of {says}\n{}", self.leads.tails()))
        } else {
            Ok(events)
        }
    }

    async fn hears(&self, reason: &str, says: &str) {
        wait_for(&format!("the event {reason}"), PATIENCE, async || self.told(reason, says).await).await;
    }

    async fn published(&self, word: &str) {
        wait_for(&format!("{word} on the deploy branch"), PATIENCE, async || match self.says() {
            Some(said) if said == word => Ok(()),
            said => Err(format!("{said:?}\n{}", self.leads.tails())),
        })
        .await;
    }

    /// The commit of the spec branch that a branch says it is made from.
    fn hydrated(&self, branch: &str) -> Option<String> {
        let files = self.person.files(branch);
        let (_, text) = files.into_iter().find(|(path, _)| path == "hydrator.metadata")?;
        let metadata: serde_json::Value = serde_json::from_str(&text).unwrap();
        metadata["drySha"].as_str().map(String::from)
    }

    /// The person has both branches as they are on the server.
    fn look(&self) {
        for branch in [REVIEW, PROPOSAL] {
            let refs = format!("+refs/heads/{branch}:refs/remotes/origin/{branch}");
            self.person.git(&["fetch", "--quiet", "origin", &refs]);
        }
        self.person.git(&["checkout", "--quiet", "--force", "-B", "work", &format!("origin/{REVIEW}")]);
    }

    fn merge(&self, how: &str) {
        self.look();
        let proposal = format!("origin/{PROPOSAL}");
        match how {
            "merge" => drop(self.person.git(&["merge", "--quiet", "--no-ff", "-m", "Approve", &proposal])),
            "squash" => {
                self.person.git(&["merge", "--quiet", "--squash", &proposal]);
                self.person.git(&["commit", "--quiet", "-m", "Approve"]);
            }
            // The same change as another commit.
            "rebase" => drop(self.person.git(&["cherry-pick", &proposal])),
            _ => drop(self.person.git(&["merge", "--quiet", "--ff-only", &proposal])),
        }
        self.answer(REVIEW);
    }

    /// The person pushes what is checked out.
    fn answer(&self, branch: &str) {
        self.person.git(&["push", "--quiet", "origin", &format!("HEAD:refs/heads/{branch}")]);
    }

    async fn gone(&self) {
        wait_for("the proposal to be taken back", PATIENCE, async || match self.person.tip(PROPOSAL) {
            None => Ok(()),
            Some(tip) => Err(format!("it stands at {tip}\n{}", self.leads.tails())),
        })
        .await;
    }

    /// Who approved the newest commit of the deploy branch that somebody approved.
    fn approved_by(&self) -> String {
        self.leads.checkout.history(DEPLOY);
        let format = "--format=%(trailers:key=Qonnect-Approved-By,valueonly,separator=)";
        let log = self.leads.checkout.git(&["log", format, &format!("origin/{DEPLOY}")]);
        log.lines().find(|line| !line.is_empty()).unwrap_or_default().to_owned()
    }
}

fn word_in(text: &str) -> String {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("word: "));
    line.unwrap_or_default().trim_matches('"').to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_of_any_kind_is_the_approval_and_nothing_is_published_before() {
    let office = Office::open("approve", 1).await;
    office.proposed(&u64::MAX.to_string(), "").await;
    assert_eq!(office.says(), None, "nothing is placed unasked");
    office.merge("merge");
    office.published(&u64::MAX.to_string()).await;
    assert_eq!(office.approved_by(), "A person <person@example.org>");
    office.gone().await;
    let mut deployed = office.leads.checkout.git(&["rev-parse", "HEAD"]).trim().to_owned();
    for (number, how) in ["squash", "rebase", "fast-forward"].into_iter().enumerate() {
        let (word, before) = (number.to_string(), office.says());
        let revision = revise(&office.leads, number as u64);
        office.proposed(&word, "").await;
        assert_eq!(office.says(), before, "an update waits, too");
        assert_eq!(office.hydrated(PROPOSAL).as_ref(), Some(&revision));
        assert_eq!(office.hydrated(REVIEW), Some(std::mem::replace(&mut deployed, revision.clone())));
        office.merge(how);
        office.published(&word).await;
        office.leads.published(&revision).await;
        office.gone().await;
    }
    office.leads.verify_history();
    let revisions = office.leads.client_of_all().list_linearizable::<RevisionRecord>().await.unwrap();
    assert!(revisions.items.iter().all(|record| record.findings.is_empty()), "{revisions:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_refuse_is_not_asked_again_until_the_spec_branch_says_something_new() {
    let office = Office::open("reject", 1).await;
    let refused = office.proposed(&u64::MAX.to_string(), "").await;
    office.person.git(&["push", "--quiet", "origin", &format!(":refs/heads/{PROPOSAL}")]);
    office.hears("Rejected", &refused[..7]).await;
    revise(&office.leads, 1);
    let next = office.proposed("1", &refused).await;
    assert_eq!(office.told("Proposed", "waits for the merge").await.unwrap().len(), 2, "{next}");
    assert_eq!(office.says(), None);
    office.leads.verify_history();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_edit_is_no_approval_and_is_proposed_again_as_it_was() {
    let office = Office::open("edited", 1).await;
    let first = office.proposed(&u64::MAX.to_string(), "").await;
    let rendered = office.person.files(PROPOSAL).into_iter().find(|(path, _)| path.contains("/word/main/"));
    let (path, text) = rendered.unwrap();
    let spoilt = text.replace(&u64::MAX.to_string(), "666");

    // Somebody else pushes onto the proposal.
    office.look();
    office.person.git(&["checkout", "--quiet", "--force", "-B", "work", &format!("origin/{PROPOSAL}")]);
    office.person.write(&path, &spoilt);
    office.person.git(&["commit", "--quiet", "--all", "-m", "Slip something in"]);
    office.answer(PROPOSAL);
    let foreign = office.person.git(&["rev-parse", "HEAD"]).trim().to_owned();
    office.hears("ApprovalRefused", &foreign[..7]).await;
    office.proposed(&u64::MAX.to_string(), &foreign).await;

    // A merge that is not what was proposed.
    office.look();
    office.person.git(&["merge", "--quiet", "--no-ff", "-m", "Approve", &format!("origin/{PROPOSAL}")]);
    office.person.write(&path, &spoilt);
    office.person.git(&["commit", "--quiet", "--all", "--amend", "-m", "Approve something else"]);
    let merged = office.person.git(&["rev-parse", "HEAD"]).trim().to_owned();
    let before = office.person.tip(PROPOSAL).unwrap();
    office.answer(REVIEW);
    office.hears("ApprovalRefused", &format!("{} merges", &merged[..7])).await;
    office.proposed(&u64::MAX.to_string(), &before).await;
    assert_eq!(office.says(), None, "neither was published");

    // History that is written anew, then an approval at last.
    office.look();
    office.person.git(&["checkout", "--quiet", "--orphan", "other"]);
    office.person.git(&["commit", "--quiet", "--allow-empty", "-m", "Begin again"]);
    let before = office.person.tip(PROPOSAL).unwrap();
    office.person.git(&["push", "--quiet", "--force", "origin", &format!("HEAD:refs/heads/{REVIEW}")]);
    office.hears("ApprovalRefused", "neither the proposal nor ours").await;
    office.proposed(&u64::MAX.to_string(), &before).await;
    office.merge("merge");
    office.published(&u64::MAX.to_string()).await;
    assert_ne!(first, before);
    office.leads.verify_history();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_that_comes_too_late_is_refused_and_asked_for_again() {
    let office = Office::open("stale", 1).await;
    let stale = office.proposed(&u64::MAX.to_string(), "").await;
    office.look();
    office.person.git(&["merge", "--quiet", "--no-ff", "-m", "Approve", &format!("origin/{PROPOSAL}")]);
    revise(&office.leads, 1);
    let newer = office.proposed("1", &stale).await;
    office.answer(REVIEW);
    office.hears("ApprovalRefused", &format!("merges {}", &stale[..7])).await;
    office.proposed("1", &newer).await;
    assert_eq!(office.says(), None, "what was replaced is not published");
    office.merge("squash");
    office.published("1").await;

    // People merge while the leads read the next revision: whatever comes first, only what was merged counts.
    for number in 2..5 {
        office.gone().await;
        revise(&office.leads, 10 * number);
        office.proposed(&(10 * number).to_string(), "").await;
        office.look();
        office.person.git(&["merge", "--quiet", "--no-ff", "-m", "Approve", &format!("origin/{PROPOSAL}")]);
        revise(&office.leads, 10 * number + 1);
        office.answer(REVIEW);
        office.proposed(&(10 * number + 1).to_string(), "").await;
        let said = office.says().unwrap();
        assert_ne!(said, (10 * number + 1).to_string(), "nobody has merged that");
        office.merge("merge");
        office.published(&(10 * number + 1).to_string()).await;
    }
    office.leads.verify_history();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_leader_carries_on_with_what_was_proposed_and_with_what_was_merged() {
    let mut office = Office::open("heirs", 3).await;
    let word = u64::MAX.to_string();
    let proposed = office.proposed(&word, "").await;
    let killed = office.leads.leader().await;
    office.leads.kill(&killed);
    let next = office.leads.leader().await;
    assert_eq!(office.person.tip(PROPOSAL), Some(proposed), "the proposal outlives its leader");
    office.merge("merge");
    office.published(&word).await;
    office.leads.start(&killed);
    office.leads.ready(&killed).await;

    // Killed at the moment of the merge: whoever leads next finds it.
    office.gone().await;
    revise(&office.leads, 1);
    office.proposed("1", "").await;
    office.leads.signal(&next, "STOP");
    office.merge("squash");
    office.leads.kill(&next);
    office.published("1").await;
    office.leads.verify_history();
}

#[tokio::test(flavor = "multi_thread")]
async fn approval_is_switched_off_by_what_is_approved_and_only_then() {
    let office = Office::open("switched-off", 1).await;
    office.proposed(&u64::MAX.to_string(), "").await;
    office.merge("merge");
    office.published(&u64::MAX.to_string()).await;
    office.gone().await;
    office.leads.checkout.edit("fleet.yaml", "  approval: {}\n", "");
    revise(&office.leads, 1);
    office.proposed("1", "").await;
    assert_eq!(office.says(), Some(u64::MAX.to_string()), "the commit that switches it off waits itself");
    office.merge("merge");
    office.published("1").await;
    revise(&office.leads, 2);
    office.published("2").await;
    assert_eq!(office.leads.checkout.tip(PROPOSAL), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_is_seen_at_once_where_the_host_tells_of_it() {
    let mut leads = Leads::new("told", 3);
    // Nobody who polls would see it in time.
    leads.config["repository"]["poll"] = "1h".into();
    let mut office = Office::of(leads).await;
    office.proposed(&u64::MAX.to_string(), "").await;
    let leader = office.leads.leader().await;
    let follower = office.leads.names().into_iter().find(|name| *name != leader).unwrap();
    office.leads.host.tell(&format!("{}/hooks/git", office.leads.url(&follower)));
    office.merge("merge");
    office.published(&u64::MAX.to_string()).await;
    office.leads.kill(&follower);
    office.gone().await;
}
