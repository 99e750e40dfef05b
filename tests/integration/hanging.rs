//! A Git server that hangs under real leads: whoever does not lead any more does not wait for it.

use std::time::{Duration, Instant};

use qonnect_tests::leads::{Leads, PATIENCE};
use qonnect_tests::proxy::Fault;
use qonnect_tests::wait::wait_for;

use crate::leaders::{add_application, revise};

/// An exchange with Git ends by itself after this long.
const DEADLINE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_deposed_leader_lets_go_of_a_server_that_hangs() {
    let mut leads = Leads::behind_a_proxy("hanging", 3).await;
    add_application(&leads);
    leads.start_all().await;
    let deposed = leads.leader().await;
    let next = leads.names().into_iter().find(|name| *name != deposed).unwrap();
    leads.published(&revise(&leads, 1)).await;

    leads.git().set(Fault::Silence);
    let silent = Instant::now();
    // Each lead looks at the spec branch, the leader also at the deploy branch.
    let everybody_waits = leads.names().len() as u64 + 1;
    wait_for("everybody to wait for Git", PATIENCE, async || {
        let waiting = leads.git().swallowed();
        if waiting >= everybody_waits { Ok(()) } else { Err(format!("{waiting} exchanges wait")) }
    })
    .await;
    leads.raft(&["transfer", &next]);
    wait_for("the deposed one to let go", PATIENCE, async || {
        let ended = leads.log(&deposed).contains("what was asked of the deploy branch was ended");
        if ended { Ok(()) } else { Err(leads.tails()) }
    })
    .await;
    assert!(silent.elapsed() < DEADLINE, "it let go after {:?}, as it would have anyway", silent.elapsed());
    let gave_up = |name: &str| leads.log(name).contains("the deploy branch cannot be read");
    assert!(!gave_up(&deposed), "{}", leads.log(&deposed));

    leads.git().set(Fault::None);
    leads.published(&revise(&leads, 2)).await;
    leads.verify_history();
}
