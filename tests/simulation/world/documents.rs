//! What stands in the spec branch of a world before anybody changes it.

use std::sync::Arc;

use qonnect_schema::revision::ApplicationSource;
use qonnect_schema::tree::{Entry, Tree};

use super::setting::{Setting, Weather};

pub(super) fn tree(setting: &Setting) -> Tree {
    let mut tree = Tree::new();
    let mut put = |path: String, text: String| drop(tree.insert(path, Entry::file(text)));
    put("fleet.yaml".into(), document("Fleet", "fleet", fleet(setting)));
    for number in 0..setting.regions * setting.clusters {
        let (name, region) = (cluster(setting, number), region(number / setting.clusters));
        // No two alike: 1.0, 1.2, 1.4 and so on.
        let price = 1.0 + 0.2 * ((number * 7) % (setting.regions * setting.clusters)) as f64;
        let node = "{name: node, cpu: 8, memory: 16Gi, storage: 100Gi}";
        let spec = format!(
            "{{tier: edge, region: {region}, ingress: {{address: 10.0.0.1}}, defaults: {{price: {price:.1}}}, nodes: \
             [{node}]}}"
        );
        put(format!("clusters/{name}.yaml"), document("Cluster", &name, spec));
    }
    for number in 0..setting.applications {
        let name = match setting.weather {
            Weather::Storm => ["bank", "shop"][number].to_owned(),
            Weather::Seasons => format!("app-{number:02}"),
        };
        let components = components(setting, number);
        let lines: Vec<String> = components.iter().map(|one| format!("{{{one}}}")).collect();
        let spec = format!("{{objectives: {{cost: 1.0}}, components: [{}]}}", lines.join(", "));
        put(format!("apps/{name}/application.yaml"), document("Application", &name, spec));
        for component in &components {
            let name_of = component.trim_start_matches("name: ").split(',').next().unwrap_or_default();
            put(format!("apps/{name}/{name_of}.yaml"), deployment(name_of));
        }
    }
    tree
}

/// Another image in every Deployment.
pub(super) fn release(source: &mut ApplicationSource, version: u32) {
    for manifest in Arc::make_mut(&mut source.manifests).values_mut().flatten() {
        let image = "/spec/template/spec/containers/0/image";
        if let Some(image) = manifest.object.pointer_mut(image) {
            *image = format!("example.org/main:{version}").into();
        }
    }
}

pub(super) fn region(number: usize) -> String {
    format!("region-{number}")
}

fn cluster(setting: &Setting, number: usize) -> String {
    match setting.weather {
        Weather::Storm => format!("edge-{}", number + 1),
        Weather::Seasons => format!("edge-{number:03}"),
    }
}

fn document(kind: &str, name: &str, spec: String) -> String {
    format!("apiVersion: qonnect.io/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n")
}

fn fleet(setting: &Setting) -> String {
    match setting.weather {
        // Whatever moves, moves at once: then its cause stands just before it in the log.
        Weather::Storm if !setting.leased => "{moves: {residence: 0s, failbackAfter: 0s}}".into(),
        // Lost long before what runs by a lease has ended.
        Weather::Storm => {
            "{moves: {residence: 0s, failbackAfter: 0s}, lease: {heartbeat: 5s, suspectAfter: 8s, \
                           lostAfter: 12s}}"
                .into()
        }
        // Budgets that are used up now and then, the last one by what is larger.
        Weather::Seasons => {
            // What weather stirs grows with the fleet, and must find its way back while it heals.
            let per_hour = setting.regions * setting.clusters * 3 / 4;
            format!("{{moves: {{perHour: {per_hour}, inFlight: {{fleet: 5, cluster: 3, application: 2}}}}}}")
        }
    }
}

/// The components of an application, as its document says.
fn components(setting: &Setting, number: usize) -> Vec<String> {
    // The store must not run twice.
    let store = "name: store, manifests: [store.yaml], strategy: recreate";
    let own = |text: &str| text.to_owned();
    match setting.weather {
        Weather::Storm if setting.leased => {
            vec![own("name: web, manifests: [web.yaml]"), format!("{store}, onLost: afterLease")]
        }
        Weather::Storm => vec![own("name: web, manifests: [web.yaml]"), own(store)],
        Weather::Seasons => {
            let mut components = vec![
                own("name: web, manifests: [web.yaml], dependsOn: [{component: api}]"),
                own("name: api, manifests: [api.yaml]"),
            ];
            match number % 4 {
                0 => components.push(own(store)),
                1 => components.push(own(
                    "name: queue, manifests: [queue.yaml], strategy: recreate, minAvailable: 2, replicas: {division: \
                     weighted, clusters: 3}",
                )),
                // At home in one region, with nowhere to go when that is off.
                2 => components.push(format!(
                    "name: local, manifests: [local.yaml], regions: [{}]",
                    region(number % setting.regions)
                )),
                _ => {}
            }
            components
        }
    }
}

fn deployment(name: &str) -> String {
    let labels = format!("{{app: {name}}}");
    let replicas = if name == "queue" { 3 } else { 1 };
    let container =
        "{name: main, image: \"example.org/main:0\", resources: {requests: {cpu: 1, memory: 1Gi}}}";
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec:\n  replicas: {replicas}\n  \
         selector: {{matchLabels: {labels}}}\n  template:\n    metadata: {{labels: {labels}}}\n    spec: \
         {{containers: [{container}]}}\n"
    )
}
