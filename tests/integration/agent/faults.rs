//! Bad networks between the agent and the API server, and between the agent and Git: by seed, and always the same end.

use std::collections::BTreeMap;
use std::time::Duration;

use qonnect_tests::control_plane::ControlPlane;
use qonnect_tests::proxy::Fault;
use serde_json::Value;

use super::wanted;
use super::world::{CONFIG_MAP, World, config_map};

/// More in `make soak`: `QONNECT_FAULT_RUNS=500`.
const RUNS: u64 = 20;
const OBJECTS: u64 = 12;

struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn fault(&mut self) -> Fault {
        let milliseconds = 1 + self.below(40);
        match self.below(6) {
            0 => Fault::None,
            1 => Fault::Latency(Duration::from_millis(milliseconds)),
            2 => Fault::Reset(1 << (8 + self.below(8))),
            3 => Fault::Silence,
            4 => Fault::Drip(16 << self.below(4), Duration::from_millis(1)),
            _ => Fault::Refuse,
        }
    }

    /// Some of the objects, each with one of three values.
    fn contents(&mut self) -> BTreeMap<String, String> {
        let mut contents = BTreeMap::from([("object-0".to_string(), self.below(3).to_string())]);
        for at in 1..OBJECTS {
            if self.below(10) < 8 {
                contents.insert(format!("object-{at}"), self.below(3).to_string());
            }
        }
        contents
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_network_ends_in_exactly_the_release() {
    let runs = std::env::var("QONNECT_FAULT_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(RUNS);
    let mut world = World::start(ControlPlane::start_api("agent-faults").await).await;
    let (api, git) = world.through_proxies().await;
    // What a fault kept from being applied must not add up to a trip of the guard.
    world.configure(|config| config["prune"]["always"] = OBJECTS.into());
    world.start_agent();
    for seed in 1..=runs {
        let mut dice = Dice(seed << 32 | 0x9E37_79B9);
        let mut said = String::new();
        for _ in 0..2 {
            let (to_api, to_git) = (dice.fault(), dice.fault());
            said += &format!("; API {to_api:?}, Git {to_git:?}");
            api.set(to_api);
            git.set(to_git);
            let contents = dice.contents();
            world.publish(&wanted(&[("web", objects(&contents))]));
            if dice.below(4) == 0 {
                world.stop_agent();
                world.start_agent();
            }
            // It lasts until the agent has met it, or has nothing to meet.
            world.some_words_of_the_agent(dice.below(4) as usize).await;
        }
        api.set(Fault::None);
        git.set(Fault::None);
        let last = dice.contents();
        let generation = world.publish(&wanted(&[("web", objects(&last))]));
        world.applied(generation).await;
        let what = format!("seed {seed} ends as it should{said}");
        world.until(&what, async || held(&world).await == last).await;
    }
}

fn objects(contents: &BTreeMap<String, String>) -> Vec<Value> {
    contents.iter().map(|(name, value)| config_map(name, value)).collect()
}

async fn held(world: &World) -> BTreeMap<String, String> {
    let list = world.api(CONFIG_MAP).list(&Default::default()).await.unwrap();
    let value = |data: &Value| data["data"]["key"].as_str().unwrap_or_default().to_string();
    list.items.into_iter().map(|map| (map.metadata.name.unwrap(), value(&map.data))).collect()
}
