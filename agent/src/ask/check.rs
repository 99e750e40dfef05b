//! Whether an agent would work with this configuration: the disk, the cluster and the rights in it, Git, the leads,
//! the clock.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use qonnect_agent_core::inventory::NAMESPACE;
use qonnect_agent_core::release::Verified;
use qonnect_git::signature::Signer;

use super::{Newest, newest};
use crate::cluster::{Cluster, Right, Run};
use crate::config::Config;
use crate::connection::Connection;
use crate::measuring::watts;

/// A lead that is there answers at once.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Tokens and certificates are refused beyond a few minutes, and reports would tell the wrong times before that.
const CLOCK_MAX: Duration = Duration::from_secs(30);

/// Says on standard output what works, and what does not and why. True if everything does.
pub async fn check(config: &Config) -> bool {
    let mut told = Told { sound: true };
    told.say("data", disk(config));
    let release = match newest(config).await {
        Ok(Newest::Release(release, signer)) => {
            let (generation, objects) = (release.spec.generation, release.objects.len());
            told.say("repository", Ok(format!("generation {generation} with {objects} objects is in order")));
            if let Some(Signer { principal, key }) = signer {
                told.say("signature", Ok(format!("{principal} signed it with {key}")));
            }
            Some(release)
        }
        Ok(Newest::Nothing) => {
            told.say(
                "repository",
                Ok("it answers; the leads have published nothing for this cluster yet".into()),
            );
            None
        }
        Err(error) => {
            told.say("repository", Err(error.to_string()));
            None
        }
    };
    match Cluster::connect(config.kubeconfig.as_deref(), config.context.as_deref()).await {
        Err(error) => told.say("cluster", Err(error.to_string())),
        Ok(cluster) => {
            let version = cluster.version().await;
            let reached = version.is_ok();
            told.say(
                "cluster",
                version.map(|version| format!("Kubernetes {version}")).map_err(|e| e.to_string()),
            );
            if reached {
                let runs = release.iter().flat_map(|release| runs(config, release)).collect();
                rights(&cluster, runs, &mut told).await;
            }
        }
    }
    if let Some(power) = &config.measure.power {
        let found = watts(power).await.map(|watts| format!("{} nodes are measured", watts.len()));
        told.say("power", found);
    }
    leads(config, &mut told).await;
    told.sound
}

struct Told {
    sound: bool,
}

impl Told {
    fn say(&mut self, what: &str, found: Result<String, String>) {
        match found {
            Ok(text) => println!("ok       {what}: {text}"),
            Err(text) => {
                self.sound = false;
                println!("MISSING  {what}: {text}");
            }
        }
    }
}

fn disk(config: &Config) -> Result<String, String> {
    let probe = config.data.join(format!("check-{}", std::process::id()));
    let write = || {
        std::fs::create_dir_all(&config.data)?;
        std::fs::write(&probe, b"")?;
        std::fs::remove_file(&probe)
    };
    match write() {
        Ok(()) => Ok(format!("{} can be written", config.data.display())),
        Err(error) => Err(format!(
            "{} cannot be written: {error}; what is there must outlive a restart",
            config.data.display()
        )),
    }
}

/// What the release brings, and who is to write it.
fn runs<'a>(config: &'a Config, release: &'a Verified) -> impl Iterator<Item = Run> + 'a {
    release.objects.iter().map(|object| {
        let user = config.impersonate.user(&object.owner, &object.id, Some(release));
        let namespace = user.as_ref().map_or(String::new(), |_| object.id.namespace.clone());
        Run { api_version: object.api_version.clone(), kind: object.id.kind.clone(), user, namespace }
    })
}

async fn rights(cluster: &Cluster, runs: BTreeSet<Run>, told: &mut Told) {
    let own = [
        (Right::new("", "nodes", None, &["get", "list", "watch"]), "no capacity is known"),
        (Right::new("", "pods", None, &["get", "list", "watch"]), "what others run is not counted"),
        (
            Right::new("", "namespaces", None, &["get", "list", "watch", "create", "patch", "delete"]),
            "applications get no namespace",
        ),
        (
            Right::new("", "configmaps", Some(NAMESPACE), &["get", "list", "create", "patch"]),
            "the inventory cannot be kept, so nothing is applied",
        ),
        (Right::new("*", "*", None, &["list"]), "namespaces of applications that are gone are kept"),
    ];
    for (right, without) in own {
        one_right(cluster, &right, without, told).await;
    }
    for user in runs.iter().filter_map(|run| run.user.as_ref()).collect::<BTreeSet<_>>() {
        let right = Right::to_impersonate(user);
        one_right(cluster, &right, "its application cannot be applied", told).await;
    }
    for run in runs {
        let Run { api_version, kind, .. } = &run;
        match cluster.rights_to_run(&run).await {
            Ok(rights) if rights.is_empty() => told.say(&format!("kind {kind}"), Err(format!("the cluster serves no {kind} of {api_version}; the release, or somebody else, has to bring its definition"))),
            Ok(rights) => {
                for right in rights {
                    one_right(cluster, &right, "the release brings such objects", told).await;
                }
            }
            Err(why) => told.say(&format!("kind {kind}"), Err(why)),
        }
    }
}

async fn one_right(cluster: &Cluster, right: &Right, without: &str, told: &mut Told) {
    let found = match cluster.refused(right).await {
        Ok(refused) if refused.is_empty() => Ok(right.verbs.join(", ")),
        Ok(refused) => Err(format!("may not {}: {without}; grant it by RBAC", refused.join(", "))),
        Err(why) => Err(why),
    };
    told.say(&format!("right to {right}"), found);
}

async fn leads(config: &Config, told: &mut Told) {
    if config.leads.is_empty() {
        told.say("leads", Ok(format!("none are configured; the repository is polled every {}", config.poll)));
    }
    if let Some(path) = &config.token_file {
        let found = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()));
        told.say("token", found.map(|_| format!("{} can be read", path.display())));
    }
    let client = match Connection::new(config).map(|connection| connection.client()) {
        Ok(client) => client,
        Err(error) => return told.say("leads", Err(error.to_string())),
    };
    for lead in &config.leads {
        let url = format!("{}/healthz", lead.as_str().trim_end_matches('/'));
        let asked = client.get(url).timeout(ANSWER_TIMEOUT).send().await;
        let name = format!("lead {lead}");
        match asked {
            Err(error) => told.say(&name, Err(crate::uplink::text(&error))),
            Ok(answer) => {
                let date = answer.headers().get("date").and_then(|date| date.to_str().ok());
                let off = date
                    .and_then(|date| rfc2822::parse(date).ok())
                    .map(|date| Timestamp::now().duration_since(date.timestamp()).unsigned_abs());
                told.say(&name, Ok(format!("it answers ({})", answer.status())));
                match off {
                    Some(off) if off > CLOCK_MAX => told.say(
                        "clock",
                        Err(format!("it differs by {} s from the lead's; set it by NTP", off.as_secs())),
                    ),
                    Some(_) => told.say("clock", Ok("it agrees with the lead's".into())),
                    None => {}
                }
            }
        }
    }
}
