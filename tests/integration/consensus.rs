//! The replicated log on a real disk: what was acknowledged is there again, whatever ended the process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use qonnect::consensus::{Config, Consensus, Error, Leadership};
use qonnect_core::knowledge::{self, Answer, Change};
use qonnect_schema::api::{EventSeverity, Registration};
use qonnect_tests::folder::fresh;
use qonnect_tests::process::Process;
use qonnect_tests::wait::wait_for;

const PATIENCE: Duration = Duration::from_secs(30);

/// Where the child of a test writes, and that it is one.
const CHILD: &str = "QONNECT_TEST_PROPOSER";

async fn start(data: &Path) -> Consensus {
    Consensus::start(Config { data: data.into(), node: 1 }).await.unwrap()
}

async fn leads(consensus: &Consensus) -> Leadership {
    let mut leadership = consensus.leadership();
    let leads = tokio::time::timeout(PATIENCE, leadership.wait_for(Option::is_some));
    leads.await.expect("one that is alone leads").unwrap().unwrap()
}

fn register(cluster: String) -> Change {
    let registration = Registration {
        incarnation: 1,
        agent_version: "0.1.0".into(),
        kubernetes_version: "1.33 ".repeat(2_000),
    };
    Change::Register { cluster, registration }
}

fn event(message: &str) -> Change {
    Change::Event {
        severity: EventSeverity::Normal,
        reason: "Test".into(),
        regarding: "test".into(),
        message: message.into(),
    }
}

/// No test by itself: the process that the tests below start and kill.
#[tokio::test]
async fn a_proposer_goes_on_until_it_is_killed() {
    let Some(data) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let consensus = start(&data).await;
    leads(&consensus).await;
    for number in consensus.knowledge().clusters.len().. {
        let command = consensus.command(register(format!("cluster-{number}")));
        consensus.propose(command).await.unwrap();
        println!("acknowledged {number}");
    }
}

/// This test program, told to be [`a_proposer_goes_on_until_it_is_killed`].
fn proposer(data: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "consensus::a_proposer_goes_on_until_it_is_killed", "--nocapture"]);
    command.env(CHILD, data);
    command
}

/// The highest number that the proposer was told is safe.
fn acknowledged(log: &str) -> Option<usize> {
    log.lines().rev().find_map(|line| line.split_once("acknowledged ")?.1.trim().parse().ok())
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let data = fresh("killed");
    for round in 1..=3 {
        let log = data.join(format!("proposer-{round}.log"));
        let mut child = Process::start("proposer", proposer(&data), &log).unwrap();
        wait_for("a hundred more acknowledgements", PATIENCE, async || {
            let safe = acknowledged(&child.log()).unwrap_or(0);
            if safe >= round * 100 { Ok(()) } else { Err(child.tail()) }
        })
        .await;
        child.kill();
        let safe = acknowledged(&child.log()).unwrap();
        let consensus = start(&data).await;
        leads(&consensus).await;
        let known = consensus.knowledge().clusters.len();
        // One more may have been logged before its acknowledgement was printed.
        assert!((safe + 1..=safe + 2).contains(&known), "{safe} was acknowledged, {known} are known");
        consensus.stop().await;
    }
}

#[tokio::test]
async fn a_disk_that_cannot_be_written_ends_the_process_and_loses_nothing() {
    let data = fresh("full");
    let proposer = proposer(&data);
    let mut limited = Command::new("bash");
    // Files end at 2 MiB, with an error instead of a signal.
    limited.args(["-c", "trap '' XFSZ; ulimit -f 2048; exec \"$0\" \"$@\""]);
    limited.arg(proposer.get_program()).args(proposer.get_args()).env(CHILD, &data);
    let log = fresh("full-log").join("log");
    let mut child = Process::start("proposer", limited, &log).unwrap();
    let status =
        wait_for("its end", Duration::from_secs(120), async || child.ended().ok_or_else(|| child.tail()))
            .await;
    let said = child.log();
    assert_eq!(status.code(), Some(74), "{}", child.tail());
    assert!(said.contains("cannot be written") && said.contains("start the lead again"), "{}", child.tail());
    let consensus = start(&data).await;
    leads(&consensus).await;
    let known = consensus.knowledge().clusters.len();
    assert!(known > acknowledged(&said).unwrap(), "{known} are known\n{}", child.tail());
    consensus.stop().await;
}

#[tokio::test]
async fn a_restart_from_snapshot_and_log_gives_the_same_state() {
    let data = fresh("restart");
    let consensus = start(&data).await;
    let before = leads(&consensus).await;
    // Enough for a snapshot, and for entries behind it.
    let commands = (0..2_500).map(|number| consensus.command(event(&number.to_string())));
    let answers = join_all(commands.map(|command| consensus.propose(command))).await;
    assert!(answers.iter().all(|answer| matches!(answer, Ok(Answer::Done))));
    wait_for("a snapshot", PATIENCE, async || {
        data.join("knowledge/snapshot.json").exists().then_some(()).ok_or_else(|| "none".into())
    })
    .await;
    let (index, hash) = (consensus.knowledge().index, consensus.knowledge().hash());
    consensus.stop().await;

    let consensus = start(&data).await;
    let after = leads(&consensus).await;
    assert_eq!((consensus.knowledge().index, consensus.knowledge().hash()), (index, hash));
    assert!(after.term > before.term, "a restarted leader must not go on under its old epoch");
    consensus.stop().await;
}

#[tokio::test]
async fn a_command_that_is_proposed_again_after_a_restart_counts_once() {
    let data = fresh("again");
    let change = event("once");
    let command = knowledge::Command { key: "k".into(), now: Timestamp::now(), change };
    for _ in 0..2 {
        let consensus = start(&data).await;
        leads(&consensus).await;
        assert_eq!(consensus.propose(command.clone()).await.unwrap(), Answer::Done);
        assert_eq!(consensus.knowledge().events.len(), 1);
        consensus.stop().await;
    }
}

#[tokio::test]
async fn what_an_ended_leadership_proposes_is_refused() {
    let consensus = start(&fresh("ended")).await;
    let now = leads(&consensus).await;
    let propose = |leadership| consensus.propose_as(leadership, consensus.command(event("late")));
    propose(now).await.unwrap();
    let ended = Leadership { term: now.term - 1, ..now };
    assert!(matches!(propose(ended).await, Err(Error::NotLeader { .. })));
    assert_eq!(consensus.knowledge().events.len(), 1);
    consensus.stop().await;
}

#[tokio::test]
async fn a_folder_serves_one_process_and_one_node() {
    let data = fresh("shared");
    let consensus = start(&data).await;
    leads(&consensus).await;
    let second = Consensus::start(Config { data: data.clone(), node: 1 }).await;
    assert!(matches!(&second, Err(Error::InUse(_))), "{:?}", second.err());
    consensus.stop().await;
    drop(consensus);
    let other = Consensus::start(Config { data, node: 2 }).await;
    assert!(matches!(&other, Err(Error::OtherNode { holds: 1, wanted: 2, .. })), "{:?}", other.err());
}

#[tokio::test]
async fn a_damaged_file_is_refused_with_a_way_out() {
    for file in ["snapshot.json", "log.redb"] {
        let data = fresh("damaged");
        let consensus = start(&data).await;
        leads(&consensus).await;
        let commands = (0..2_100).map(|number| consensus.command(event(&number.to_string())));
        join_all(commands.map(|command| consensus.propose(command))).await;
        let path = data.join("knowledge").join(file);
        wait_for("the file", PATIENCE, async || path.exists().then_some(()).ok_or_else(|| "none".into()))
            .await;
        consensus.stop().await;
        drop(consensus);

        let mut bytes = std::fs::read(&path).unwrap();
        // One bit in every page behind the first, whichever of them are in use.
        for page in bytes.chunks_mut(4096).skip(1) {
            page[page.len() / 2] ^= 1;
        }
        std::fs::write(&path, bytes).unwrap();
        let refused = Consensus::start(Config { data, node: 1 }).await.err();
        let said = refused.map(|error| error.to_string()).unwrap_or_default();
        assert!(said.contains(file) && said.contains("damaged"), "{file}: {said}");
        assert!(said.contains("backup"), "{file}: {said}");
    }
}
