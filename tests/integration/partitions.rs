//! A network that comes apart under real leads, in every shape: nothing that was acknowledged is lost, and the deploy
//! branch stays one line.

use std::net::Ipv4Addr;
use std::time::Duration;

use qonnect_schema::api::LeadRole;
use qonnect_tests::leads::{API_PORT, Leads, PATIENCE};
use qonnect_tests::network::Traffic;
use qonnect_tests::speakers::Speakers;
use qonnect_tests::wait::wait_for;
use qonnect_tests::world::DEPLOY;

use crate::leaders::{add_application, number, revise};

const CLUSTERS: [&str; 3] = ["cloud-cost", "edge-cost", "fog-cost"];

/// Between two reports of one cluster.
const PAUSE: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    LeaderAlone,
    FollowerAlone,
    /// Where the line runs is chance: the leader may be on either side.
    Halves,
    /// Nobody hears the leader; it hears all.
    OneWay,
    /// Of three, each hears only the one before: no connection stands. Of five, each reaches both neighbours.
    Ring,
    /// Two sides that share one lead.
    Bridge,
    LeaderWithoutGit,
    LeadsWithoutAgents,
    /// The leader is cut off again as soon as there is one.
    Flapping,
}

const SHAPES: [Shape; 9] = [
    Shape::LeaderAlone,
    Shape::FollowerAlone,
    Shape::Halves,
    Shape::OneWay,
    Shape::Ring,
    Shape::Bridge,
    Shape::LeaderWithoutGit,
    Shape::LeadsWithoutAgents,
    Shape::Flapping,
];

/// In `make soak`, where it is set: so many of each shape, on three leads and on five.
fn rounds() -> (u64, &'static [usize]) {
    match number("QONNECT_PARTITION_ROUNDS") {
        Some(rounds) => (rounds, &[3, 5]),
        None => (1, &[3]),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_of_every_shape_lose_nothing_and_leave_one_line_of_history() {
    let (rounds, counts) = rounds();
    for count in counts {
        let mut leads = Leads::apart("partitions", *count, &CLUSTERS).await;
        add_application(&leads);
        leads.start_all().await;
        let speakers = leads.speakers(&CLUSTERS.map(String::from), PAUSE);
        speakers.go_on(20, PATIENCE).await;
        for round in 0..rounds {
            for (at, shape) in SHAPES.into_iter().enumerate() {
                come_apart(&leads, &speakers, shape, round * SHAPES.len() as u64 + at as u64).await;
            }
        }
        let status = leads.raft(&["status"]);
        assert!(status.contains("agree at index"), "{status}");
    }
}

async fn come_apart(leads: &Leads, speakers: &Speakers, shape: Shape, number: u64) {
    let network = leads.network();
    let leader = leads.leader().await;
    let tip = leads.checkout.tip(DEPLOY);
    match shape {
        Shape::LeaderWithoutGit => {
            network.cut(network.address(&leader), network.here(), Traffic::To(leads.git().address.port()));
        }
        Shape::LeadsWithoutAgents => {
            for name in leads.names() {
                network.cut(network.here(), network.address(&name), Traffic::To(API_PORT));
            }
        }
        Shape::Flapping => flap(leads).await,
        _ => {
            for (from, to) in cuts(leads, &leader, shape) {
                network.cut(from, to, Traffic::All);
            }
        }
    }
    let revision = revise(leads, number);
    match shape {
        // Nobody can be elected.
        Shape::Ring if leads.names().len() == 3 => {}
        Shape::LeaderWithoutGit => speakers.go_on(20, PATIENCE).await,
        Shape::LeadsWithoutAgents => {
            wait_for("the deploy branch to move on", PATIENCE, async || {
                if leads.checkout.tip(DEPLOY) != tip { Ok(()) } else { Err(leads.tails()) }
            })
            .await;
        }
        Shape::LeaderAlone | Shape::OneWay => {
            another_leads(leads, &leader).await;
            speakers.go_on(20, PATIENCE).await;
            leads.published(&revision).await;
        }
        _ => {
            speakers.go_on(20, PATIENCE).await;
            leads.published(&revision).await;
        }
    }
    network.heal();
    speakers.go_on(20, PATIENCE).await;
    leads.published(&revision).await;
    leads.leader().await;
    leads.know(&speakers.acknowledged()).await;
    leads.verify_history();
}

/// Who no longer hears whom.
fn cuts(leads: &Leads, leader: &str, shape: Shape) -> Vec<(Ipv4Addr, Ipv4Addr)> {
    let names = leads.names();
    let mut leader_first = names.clone();
    leader_first.sort_by_key(|name| name != leader);
    let last = leader_first.len() - 1;
    let half = |names: &[String]| names.split_at(names.len() / 2).0.to_vec();
    // Those that can only hear each other.
    let (island, bridge) = match shape {
        Shape::LeaderAlone | Shape::OneWay => (vec![leader_first[0].clone()], None),
        Shape::FollowerAlone => (vec![leader_first[last].clone()], None),
        Shape::Bridge => (half(&leader_first[..last]), Some(&leader_first[last])),
        _ => (half(&names), None),
    };
    let next =
        |name: &String| names[(names.iter().position(|n| n == name).unwrap() + 1) % names.len()].clone();
    let is_cut = |from: &String, to: &String| match shape {
        Shape::Ring => next(from) != *to && (names.len() == 3 || next(to) != *from),
        Shape::OneWay => island.contains(from),
        _ => island.contains(from) != island.contains(to) && bridge != Some(from) && bridge != Some(to),
    };
    let address = |name: &String| leads.network().address(name);
    let ways = names.iter().flat_map(|from| names.iter().map(move |to| (from, to)));
    let cut = ways.filter(|(from, to)| from != to && is_cut(from, to));
    cut.map(|(from, to)| (address(from), address(to))).collect()
}

async fn flap(leads: &Leads) {
    for _ in 0..3 {
        let leader = leads.leader().await;
        for (from, to) in cuts(leads, &leader, Shape::LeaderAlone) {
            leads.network().cut(from, to, Traffic::All);
        }
        another_leads(leads, &leader).await;
        leads.network().heal();
    }
}

async fn another_leads(leads: &Leads, than: &str) {
    wait_for("another leader", PATIENCE, async || {
        for name in leads.names().iter().filter(|name| *name != than) {
            if leads.role(name, name).await? == LeadRole::Leader {
                return Ok(());
            }
        }
        Err(leads.tails())
    })
    .await;
}
