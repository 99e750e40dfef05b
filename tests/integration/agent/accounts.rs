//! Service accounts in place of wide rights: an application is written by its own account, and cannot do more.

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{Api, Patch, PatchParams, PostParams};
use qonnect_schema::documents::snapshot::Health;
use qonnect_tests::control_plane::ControlPlane;
use serde_json::{Value, json};

use super::questions::allow;
use super::wanted;
use super::world::{CONFIG_MAP, DEPLOYMENT, World, config_map, deployment};

const HOME: &str = "qonnect-system";
const DEPLOYER: &str = "system:serviceaccount:shop:deployer";

#[tokio::test(flavor = "multi_thread")]
async fn an_application_cannot_do_more_than_its_account_may() {
    let mut world = World::start(ControlPlane::start_api("agent-accounts").await).await;
    become_an_agent_with_few_rights(&world).await;
    world.configure(|config| {
        config["impersonate"] =
            json!({"serviceAccountName": "nobody", "applications": {"shop": {"serviceAccountName": "deployer"}}});
    });
    let web = [("web", vec![config_map("web", "1")])];
    world.publish(&wanted(&web));

    // Nothing at all: the namespace is the agent's own work, and the rest waits for rights of the account.
    world.start_agent();
    let status = world.component("web", Health::Stalled, "Forbidden").await;
    for part in [DEPLOYER, "cannot patch resource \"configmaps\"", "grant it to that account"] {
        assert!(status.message.contains(part), "{}", status.message);
    }
    let (_, said) = world.ask("check");
    for line in [
        format!("MISSING  right to configmaps in shop of {DEPLOYER}: may not get, create, patch, delete"),
        "ok       right to serviceaccounts deployer in shop: impersonate".into(),
    ] {
        assert!(said.contains(&line), "{line}:\n{said}");
    }
    grant(&world, &["get", "create", "patch"]).await;
    world.component("web", Health::Ready, "").await;

    // More than its account may: refused, and nobody else is held up.
    let far = ("far", vec![deployment("far", "10m")]);
    world.publish(&wanted(&[web[0].clone(), far]));
    let status = world.component("far", Health::Stalled, "Forbidden").await;
    assert!(
        status.message.contains(DEPLOYER) && status.message.contains("cannot patch resource \"deployments\""),
        "{}",
        status.message
    );
    assert!(world.get(DEPLOYMENT, "far").await.is_none());
    let (status, said) = world.ask("diff");
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("error   Deployment.apps shop/far: Forbidden"), "{said}");

    // Deletions are the account's as well.
    let mut release = wanted(&[]);
    release.removals = vec![("shop", "web"), ("shop", "far")];
    world.publish(&release);
    let status = world.unhealthy("web", Health::Stalled).await;
    assert!(status.message.contains("cannot delete resource \"configmaps\""), "{}", status.message);
    grant(&world, &["get", "create", "patch", "delete"]).await;
    world.without("web").await;
    assert!(world.get(CONFIG_MAP, "web").await.is_none());
}

/// An agent that may look at everything, keep its inventory, make namespaces, and act as accounts: no more.
async fn become_an_agent_with_few_rights(world: &World) {
    let params = PostParams::default();
    let home = serde_json::from_value(json!({"metadata": {"name": HOME}})).unwrap();
    Api::<Namespace>::all(world.client.clone()).create(&params, &home).await.unwrap();
    let accounts: Api<ServiceAccount> = Api::namespaced(world.client.clone(), HOME);
    let agent = serde_json::from_value(json!({"metadata": {"name": "agent"}})).unwrap();
    accounts.create(&params, &agent).await.unwrap();
    let rules = json!([
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["create", "patch", "delete"]},
        {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["impersonate"]},
    ]);
    allow(world, "agent", rules).await;
    let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "patch"]}]);
    role(world, HOME, "agent", HOME, rules).await;

    let request = TokenRequest {
        spec: TokenRequestSpec { audiences: vec![], ..TokenRequestSpec::default() },
        ..TokenRequest::default()
    };
    let answer = accounts.create_token_request("agent", &params, &request).await.unwrap();
    let mut kubeconfig = world.kubeconfig();
    kubeconfig["users"][0]["user"] = json!({"token": answer.status.unwrap().token});
    world.reach_by(&kubeconfig);
}

/// What the account of the application may do with ConfigMaps, and nothing else.
async fn grant(world: &World, verbs: &[&str]) {
    let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": verbs}]);
    role(world, "shop", "deployer", "shop", rules).await;
}

async fn role(world: &World, namespace: &str, account: &str, home: &str, rules: Value) {
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": account}, "rules": rules});
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": account},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": home}],
    });
    let params = PatchParams::apply("administrator").force();
    let roles: Api<Role> = Api::namespaced(world.client.clone(), namespace);
    roles.patch(account, &params, &Patch::Apply(&role)).await.unwrap();
    let bindings: Api<RoleBinding> = Api::namespaced(world.client.clone(), namespace);
    bindings.patch(account, &params, &Patch::Apply(&binding)).await.unwrap();
}
