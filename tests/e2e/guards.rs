//! What protects a fleet from its people and from crashes: held applications, removals that wait, restarts.

use kube::api::{Api, DynamicObject};
use qonnect_schema::api::Verdict;
use qonnect_tests::wait::wait_for;
use qonnect_tests::world::{DEPLOY, World};

use crate::fleet::{PATIENCE, fleet, on_cost, on_energy};

#[tokio::test]
async fn a_typo_holds_only_its_own_application() {
    let fleet = fleet().await;
    let world = fleet.world_with_bookinfo("typo").await;

    world.checkout.edit("apps/bookinfo/application.yaml", "objectives:", "objctives:");
    add_small_application(&world, "greeter");
    let record = world.push("a typo, and something new").await;

    assert_eq!((record.verdict, record.held), (Verdict::Held, vec!["bookinfo".to_owned()]));
    wait_for("the new application", PATIENCE, async || {
        let found = fleet.objects("cloud-energy").await?;
        let all_there = found.contains("Deployment greeter/greeter")
            && found.contains("Deployment bookinfo/productpage-v1");
        if all_there { Ok(()) } else { Err(format!("{found:?}\n{}", world.tails())) }
    })
    .await;
    assert_eq!(fleet.objects("fog-energy").await.unwrap().len(), 11, "bookinfo stays as it was");
}

#[tokio::test]
async fn a_revision_that_drops_most_components_waits_for_its_trailer_and_goes_with_it() {
    let fleet = fleet().await;
    let world = fleet.world_with_bookinfo("removals").await;
    let before = world.checkout.tip(DEPLOY);

    world.checkout.remove("apps/bookinfo");
    let waiting = world.push("away with it").await;

    assert_eq!(waiting.verdict, Verdict::Waiting, "{waiting:?}");
    assert!(waiting.message.contains("Qonnect-Allow-Removals: 4"), "{}", waiting.message);
    assert_eq!(world.checkout.tip(DEPLOY), before, "nothing was committed");
    fleet.runs(&world, &on_energy()).await;

    let allowed = world.push("yes, away with it\n\nQonnect-Allow-Removals: 4").await;
    assert_eq!(allowed.verdict, Verdict::Accepted, "{allowed:?}");
    fleet.runs(&world, &[]).await;
}

#[tokio::test]
async fn a_lead_that_was_killed_goes_on_with_what_was_pushed_meanwhile() {
    let fleet = fleet().await;
    let mut world = fleet.world_with_bookinfo("restart").await;

    world.kill_lead();
    world.checkout.edit("apps/bookinfo/application.yaml", "energy: 1.0, cost: 0.0", "energy: 0.0, cost: 1.0");
    let commit = world.checkout.push("pushed while the lead was down");
    world.start_lead().await;

    world.verdict(&commit).await;
    fleet.runs(&world, &on_cost()).await;
}

#[tokio::test]
async fn an_agent_that_was_killed_corrects_what_happened_meanwhile() {
    let fleet = fleet().await;
    let mut world = fleet.world_with_bookinfo("agent-restart").await;
    let client = fleet.client("fog-energy").await;
    let deployment = kube::api::ApiResource::erase::<k8s_openapi::api::apps::v1::Deployment>(&());
    let deployments: Api<DynamicObject> = Api::namespaced_with(client, "bookinfo", &deployment);

    world.kill_agent("fog-energy");
    deployments.delete("reviews-v1", &Default::default()).await.unwrap();
    fleet.start_agent(&mut world, "fog-energy");

    fleet.runs(&world, &on_energy()).await;
}

#[tokio::test]
async fn a_change_that_alters_no_object_makes_no_commit() {
    let fleet = fleet().await;
    let world = fleet.world_with_bookinfo("no-commit").await;
    let before = world.checkout.tip(DEPLOY);

    world.checkout.write("README.md", "another text");
    let record = world.push("a better README").await;

    assert_eq!((record.verdict, record.published), (Verdict::Accepted, None));
    assert_eq!(world.checkout.tip(DEPLOY), before);
}

fn add_small_application(world: &World, name: &str) {
    let application = format!(
        "apiVersion: qonnect.io/v1alpha1\nkind: Application\nmetadata: {{name: {name}}}\nspec:\n  objectives: \
         {{energy: 1.0}}\n  components:\n    - {{name: {name}, manifests: [{name}.yaml], tiers: [cloud]}}\n"
    );
    let deployment = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec:\n  selector: {{matchLabels: {{app: \
         {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec:\n      containers:\n        - \
         {{name: {name}, image: \"{name}:1\", resources: {{requests: {{cpu: 100m, memory: 64Mi}}}}}}\n"
    );
    world.checkout.write(&format!("apps/{name}/application.yaml"), application);
    world.checkout.write(&format!("apps/{name}/{name}.yaml"), deployment);
}
