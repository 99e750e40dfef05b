//! Whose commits an agent carries out, whoever brings them.

use qonnect_tests::control_plane::ControlPlane;
use qonnect_tests::process::run;
use serde_json::json;

use super::wanted;
use super::world::{CONFIG_MAP, World, config_map, git};

/// Makes a key that can sign, and returns its public half.
fn key(world: &World, name: &str) -> String {
    let file = world.path(name);
    run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", file.to_str().unwrap()]);
    std::fs::read_to_string(file.with_extension("pub")).unwrap()
}

/// What is published from now on is signed with the key of that name, or not at all.
fn sign_with(world: &World, key: Option<&str>) {
    let set = |name: &str, value: &str| drop(git(&world.path("work"), &["config", name, value]));
    set("commit.gpgSign", if key.is_some() { "true" } else { "false" });
    set("gpg.format", "ssh");
    set("user.signingKey", world.path(key.unwrap_or("none")).to_str().unwrap());
}

/// Whose commits count from now on.
fn allow(world: &World, lines: &str) {
    std::fs::write(world.path("allowed_signers"), lines).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_an_allowed_signer_has_signed_is_carried_out() {
    let mut world = World::start(ControlPlane::start_api("agent-signatures").await).await;
    let (lead, other) = (key(&world, "lead"), key(&world, "other"));
    allow(&world, &format!("lead-1 namespaces=\"git\" {lead}"));
    world.configure(|config| config["repository"]["signers"] = json!({"allowed": "allowed_signers"}));
    let web = |value: &str| wanted(&[("web", vec![config_map("web", value)])]);
    let value = async |world: &World| world.get(CONFIG_MAP, "web").await.unwrap()["data"]["key"].clone();

    sign_with(&world, Some("lead"));
    let signed = world.publish(&web("signed"));
    let (_, said) = world.ask("check");
    assert!(said.contains("ok       signature: lead-1 signed it with SHA256:"), "{said}");
    world.start_agent();
    world.applied(signed).await;

    sign_with(&world, None);
    world.publish(&web("unsigned"));
    world.stalled("is not trusted: it is not signed").await;
    world.event("ReleaseRefused", "it is not signed").await;
    // A lead that hands it on makes it no better.
    world.hand_on(&web("handed on"), |_| {});
    sign_with(&world, Some("other"));
    let by_other = world.publish(&web("by another"));
    world.stalled("which is not among the allowed signers").await;
    let (status, said) = world.ask("check");
    assert!(status == Some(1) && said.contains("MISSING  repository: commit "), "{said}");
    assert_eq!(value(&world).await, "signed", "what runs goes on");

    // Mended without a restart: the file is read again.
    allow(&world, &format!("lead-1 {lead}\nlead-2 {other}"));
    world.applied(by_other).await;
    assert_eq!(value(&world).await, "by another");
}
