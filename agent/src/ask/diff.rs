//! What the newest release would change in the cluster, by a dry run of each object on the API server.

use futures::{StreamExt, stream};
use json_patch::{PatchOperation, diff as between};
use qonnect_agent_core::release::Desired;
use qonnect_agent_core::state::State;
use serde_json::Value;

use super::{Newest, newest};
use crate::cluster::{Cluster, Trial};
use crate::config::Config;

/// As many as a pass of the agent asks for at once.
const PARALLEL: usize = 8;

/// Writes to standard output what would change, and says whether anything would.
pub async fn diff(config: &Config) -> anyhow::Result<bool> {
    let Newest::Release(release, _) = newest(config).await? else {
        println!("the leads have published nothing for this cluster yet");
        return Ok(false);
    };
    let cluster = Cluster::connect(config.kubeconfig.as_deref(), config.context.as_deref()).await?;
    let (inventory, _) = cluster.load_inventory().await?;
    let user = |desired: &Desired| config.impersonate.user(&desired.owner, &desired.id, Some(&release));
    let objects: Vec<_> = release.objects.iter().map(|desired| (desired.clone(), user(desired))).collect();
    println!("generation {} with {} objects", release.spec.generation, objects.len());
    let trials: Vec<Vec<String>> = stream::iter(objects)
        .map(|(desired, user)| {
            let cluster = &cluster;
            async move {
                match config.allow.refusal(&desired.id) {
                    Some(why) => vec![format!("refuse  {}: {why}", desired.id)],
                    None => tried(&desired, cluster.dry_run(&desired, &user).await),
                }
            }
        })
        .buffered(PARALLEL)
        .collect()
        .await;
    let mut lines: Vec<String> = trials.into_iter().flatten().collect();
    let mut state = State::new(inventory, config.prune).within(config.allow.clone());
    state.adopt(*release);
    lines.extend(state.to_remove().into_iter().map(|(owner, id)| format!("delete  {id} of {owner}")));
    lines.extend(state.kept().iter().map(|why| format!("keep    {why}")));
    for line in &lines {
        println!("{line}");
    }
    Ok(!lines.is_empty())
}

fn tried(desired: &Desired, trial: Trial) -> Vec<String> {
    let id = &desired.id;
    match trial {
        Trial::New => vec![format!("create  {id}")],
        Trial::Refused(problem) => vec![format!("error   {id}: {}: {}", problem.reason, problem.message)],
        Trial::Changed { before, after } => {
            let secret = id.kind == "Secret" && id.group.is_empty();
            let changes = changes(before, after, secret);
            match changes.is_empty() {
                true => Vec::new(),
                false => std::iter::once(format!("change  {id}")).chain(changes).collect(),
            }
        }
    }
}

/// One line a field; values of secrets are not shown.
fn changes(mut before: Value, mut after: Value, secret: bool) -> Vec<String> {
    for object in [&mut before, &mut after] {
        if let Some(metadata) = object["metadata"].as_object_mut() {
            // What the server counts, not what anybody wrote.
            for name in ["managedFields", "resourceVersion", "generation", "creationTimestamp"] {
                metadata.remove(name);
            }
        }
    }
    let shown = |value: Option<&Value>| match value {
        _ if secret => "…".into(),
        Some(value) => value.to_string(),
        None => "nothing".into(),
    };
    between(&before, &after)
        .0
        .iter()
        .filter(|operation| !matches!(operation, PatchOperation::Test(_)))
        .map(|operation| {
            let path = operation.path().to_string();
            format!("          {path}: {} → {}", shown(before.pointer(&path)), shown(after.pointer(&path)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn changes_name_the_field_and_both_values_but_no_secrets() {
        let object = |version: &str, value: &str| json!({"metadata": {"name": "a", "resourceVersion": version}, "data": {"key": value}});
        assert_eq!(changes(object("1", "x"), object("2", "y"), false), [r#"          /data/key: "x" → "y""#]);
        assert_eq!(changes(object("1", "x"), object("2", "y"), true), ["          /data/key: … → …"]);
        assert!(changes(object("1", "x"), object("2", "x"), false).is_empty());
    }
}
