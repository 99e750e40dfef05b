//! A cluster that falls silent: what it ran runs elsewhere, by the objects in the clusters.

use qonnect_tests::wait::wait_for;

use crate::fleet::{PATIENCE, fleet, on_cost};

#[tokio::test]
async fn a_silent_cluster_is_emptied_and_cleaned_up_when_it_returns() {
    let fleet = fleet().await;
    let mut world = fleet.world_with_bookinfo("failover").await;
    world.checkout.edit(
        "fleet.yaml",
        "spec:\n",
        "spec:\n  lease: {heartbeat: 1s, suspectAfter: 4s, lostAfter: 8s}\n",
    );
    world.push("short leases").await;
    let before = fleet.objects("fog-energy").await.unwrap();

    world.kill_agent("fog-energy");
    wait_for("everything of it elsewhere", PATIENCE, async || {
        let found = fleet.objects("fog-cost").await?;
        match found == before {
            true => Ok(()),
            false => Err(format!("{found:?}\n{}", world.tails())),
        }
    })
    .await;
    let settled = world.settled(PATIENCE).await;
    assert_eq!(settled["bookinfo/reviews"], "fog-cost");
    assert_eq!(fleet.objects("fog-energy").await.unwrap(), before, "nobody could tell it");

    fleet.start_agent(&mut world, "fog-energy");
    fleet.runs(&world, &on_cost()).await;
}
