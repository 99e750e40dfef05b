//! Leaders that die or hang under load: fifty agents report, people push, and nothing that was acknowledged is lost.

use std::time::{Duration, Instant};

use qonnect_schema::api::LeadRole;
use qonnect_tests::leads::{Leads, PATIENCE};
use qonnect_tests::speakers::Speakers;
use qonnect_tests::wait::wait_for;

const AGENTS: usize = 50;

/// Between two reports of one agent: some two hundred commands a second.
const PAUSE: Duration = Duration::from_millis(250);

/// More acknowledgements than can be on their way when a leader ends.
const FURTHER: u64 = 2 * AGENTS as u64;

/// What an environment variable of a longer run says.
pub(crate) fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

/// An application whose every revision changes what is rendered.
pub(crate) fn add_application(leads: &Leads) {
    let application = "apiVersion: qonnect.io/v1alpha1\nkind: Application\nmetadata: {name: word}\nspec:\n  objectives: \
                       {energy: 1}\n  components:\n    - {name: main, manifests: [main.yaml]}\n";
    leads.checkout.write("apps/word/application.yaml", application);
    revise(leads, u64::MAX);
}

pub(crate) fn revise(leads: &Leads, number: u64) -> String {
    let object =
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: word}}\ndata: {{word: \"{number}\"}}\n");
    leads.checkout.write("apps/word/main.yaml", object);
    leads.checkout.push(&format!("Say {number}"))
}

async fn under_load(name: &str, count: usize) -> (Leads, Speakers) {
    let mut leads = Leads::new(name, count);
    let clusters = leads.add_clusters(AGENTS);
    add_application(&leads);
    leads.start_all().await;
    let speakers = leads.speakers(&clusters, PAUSE);
    speakers.go_on(FURTHER, PATIENCE).await;
    (leads, speakers)
}

async fn nothing_is_lost(leads: &Leads, speakers: &Speakers, revision: &str) {
    speakers.go_on(FURTHER, PATIENCE).await;
    leads.published(revision).await;
    leads.know(&speakers.acknowledged()).await;
    leads.verify_history();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_is_replaced_and_comes_back_as_follower() {
    let kills = number("QONNECT_KILLS").unwrap_or(10);
    for (count, kills) in [(3, kills.div_ceil(2)), (5, kills / 2)] {
        let (mut leads, speakers) = under_load("killed", count).await;
        for kill in 0..kills {
            let killed = leads.leader().await;
            // In the middle of a decision, as often as not.
            let revision = revise(&leads, kill);
            leads.kill(&killed);
            speakers.go_on(FURTHER, PATIENCE).await;
            let next = leads.leader().await;
            leads.start(&killed);
            wait_for("the killed one to follow", PATIENCE, async || {
                match leads.role(&next, &killed).await? {
                    LeadRole::Leader => Ok(()),
                    role => Err(format!("it takes {next} for {role:?}\n{}", leads.tails())),
                }
            })
            .await;
            nothing_is_lost(&leads, &speakers, &revision).await;
        }
        let pause = speakers.longest_pause();
        assert!(pause < Duration::from_secs(20), "nothing was acknowledged for {pause:?}");
        let status = leads.raft(&["status"]);
        assert!(status.contains("agree at index"), "{status}");
    }
}

/// Between 1 and 30 s, short and long by turns; another leader is waited for in any case.
fn hang_length(hang: u64) -> Duration {
    Duration::from_secs(1 + hang * 7 % 30)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_hangs_is_replaced_and_wakes_up_as_follower() {
    let hangs = number("QONNECT_HANGS").unwrap_or(3);
    for (count, hangs) in [(3, hangs.div_ceil(2)), (5, hangs / 2)] {
        let (leads, speakers) = under_load("hung", count).await;
        for hang in 0..hangs {
            let hung = leads.leader().await;
            let others: Vec<_> = leads.names().into_iter().filter(|name| *name != hung).collect();
            let revision = revise(&leads, hang);
            leads.signal(&hung, "STOP");
            let hung_until = Instant::now() + hang_length(hang);
            wait_for("another leader", PATIENCE, async || {
                for name in &others {
                    if leads.role(name, name).await? == LeadRole::Leader {
                        return Ok(());
                    }
                }
                Err(leads.tails())
            })
            .await;
            speakers.go_on(FURTHER, PATIENCE).await;
            tokio::time::sleep_until(hung_until.into()).await;
            leads.signal(&hung, "CONT");
            // It learns that it was replaced, and that it wrote nothing meanwhile.
            assert_ne!(leads.leader().await, hung);
            nothing_is_lost(&leads, &speakers, &revision).await;
        }
    }
}
