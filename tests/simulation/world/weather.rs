//! The seasons of a fleet: what comes and goes over hours and days.

use std::collections::BTreeMap;

use qonnect_schema::documents::placement::MovePhase;
use qonnect_schema::documents::snapshot::ClusterStatus;
use qonnect_schema::units::Cpu;

use super::faults::Fault;
use super::setting::HOUR;
use super::{Call, Ms, Phase, World, documents};

const MINUTE: Ms = 60_000;

/// What a move has to gain.
const MOVE_PRICE: f64 = 0.05;

/// By how much a price trembles: a component adds less than that.
const TREMBLES: f64 = 0.4;

/// Another lead leads after one of so many commits that leave something on its way, and after each until it has met
/// every phase: some are short, and few commits show them.
const CHANGES_ONCE_IN: u32 = 8;

/// What it is to meet when another lead leads while something is in a phase.
const TAKEOVERS: [(MovePhase, Fault); 3] = [
    (MovePhase::Placing, Fault::LeaderChangedWhilePlacing),
    (MovePhase::Repointing, Fault::LeaderChangedWhileRepointing),
    (MovePhase::Leaving, Fault::LeaderChangedWhileLeaving),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Season {
    /// A cluster is silent for long enough to be noticed, and too short to be lost, again and again.
    Flapping,
    Outage,
    OutageOfRegion,
    /// Many clusters at once, of which all are well.
    OwnNetwork,
    Leads,
    Git,
    Prices,
    Loads,
}

impl Season {
    const ALL: [Self; 8] = [
        Self::Flapping,
        Self::Outage,
        Self::OutageOfRegion,
        Self::OwnNetwork,
        Self::Leads,
        Self::Git,
        Self::Prices,
        Self::Loads,
    ];

    fn every(self) -> Ms {
        match self {
            Self::Flapping => 5 * HOUR,
            Self::Outage => 6 * HOUR,
            Self::OutageOfRegion | Self::OwnNetwork => 20 * HOUR,
            Self::Leads => 8 * HOUR,
            Self::Git => 20 * HOUR,
            Self::Prices => 2 * HOUR,
            Self::Loads => HOUR,
        }
    }
}

impl World {
    pub(super) fn seasons_begin(&mut self) {
        for season in Season::ALL {
            let first = self.about(season.every() / 2);
            self.after(10 * MINUTE + first, Call::Season(season));
        }
    }

    /// What has settled at the usual price of a move stays if a move costs as much more as trembling prices gain.
    pub(super) fn tremble(&mut self) {
        if self.setting.quiet_ms > 0 {
            self.spec.ask_of_moves(MOVE_PRICE + 2.0 * TREMBLES);
        }
    }

    pub(super) fn season(&mut self, season: Season) {
        let pause = self.about(season.every());
        self.after(pause, Call::Season(season));
        match (season, self.phase) {
            (Season::Prices, Phase::Faults) => self.set_prices(),
            (Season::Prices, Phase::Trembling) => self.tremble_prices(),
            (Season::Loads, Phase::Faults) => self.set_loads(false),
            (Season::Loads, Phase::Trembling) => self.set_loads(true),
            // Who leads is no input.
            (Season::Leads, Phase::Faults | Phase::Constant | Phase::Trembling) => self.leads_season(),
            (_, Phase::Healing | Phase::Constant | Phase::Trembling) => {}
            (Season::Flapping, _) => {
                let agent = self.rng.usize(..self.agents.len());
                for nth in 0..3 {
                    let from = nth * 90_000 + self.about(10_000);
                    self.after(from, Call::Flap(agent));
                }
            }
            (Season::Outage, _) => {
                // Rather one that matters.
                let busy: Vec<usize> =
                    (0..self.agents.len()).filter(|agent| !self.agents[*agent].objects.is_empty()).collect();
                if !busy.is_empty() {
                    let agent = busy[self.rng.usize(..busy.len())];
                    let until = self.now + self.rng.u64(5 * MINUTE..5 * HOUR);
                    self.fall_silent(agent, until, true);
                    self.began(Fault::Outage, "a cluster is off");
                }
            }
            (Season::OutageOfRegion, _) => {
                let region = documents::region(self.rng.usize(..self.setting.regions));
                let length = self.rng.u64(HOUR..6 * HOUR);
                for agent in self.spec.region(&region) {
                    let (late, back) = (self.rng.u64(0..3_000), self.about(2 * MINUTE));
                    self.after(late, Call::Off { agent, until: self.now + length + back });
                }
                self.began(Fault::OutageOfRegion, &format!("{region} is off"));
            }
            (Season::OwnNetwork, _) => {
                let length = self.rng.u64(MINUTE..15 * MINUTE);
                for agent in 0..self.agents.len() {
                    if self.rng.u32(0..10) < 4 {
                        self.fall_silent(agent, self.now + length, false);
                    }
                }
                self.began(Fault::OwnNetwork, "many clusters cannot be reached");
            }
            (Season::Git, _) => match self.rng.u32(0..4) {
                0 => self.roll_back(),
                1 => self.meddle(),
                _ => {
                    self.git.hangs_until = self.now + self.rng.u64(1_000..10 * MINUTE);
                    self.began(Fault::GitHangs, "the Git server hangs");
                }
            },
        }
    }

    pub(super) fn flap(&mut self, agent: usize) {
        if self.phase == Phase::Faults && self.is_connected(agent) {
            // Noticed after 15 s, lost after 30 s.
            let until = self.now + self.rng.u64(21_000..24_000);
            self.fall_silent(agent, until, false);
            self.met(Fault::Flapping);
        }
    }

    fn leads_season(&mut self) {
        let lead = self.group.leader.map_or(0, |leader| leader.lead);
        match self.rng.u32(0..4) {
            0 => self.kill(lead),
            1 => self.stop(lead),
            2 => self.cut_off(lead),
            _ => self.replace_leader(),
        }
    }

    /// By the hour of the day, for each region another one.
    fn set_prices(&mut self) {
        let hour = self.now as f64 / HOUR as f64;
        let mut prices = BTreeMap::new();
        for (number, cluster) in self.spec.clusters().enumerate().collect::<Vec<_>>() {
            let region = (number / self.setting.clusters) as f64 / self.setting.regions as f64;
            let swing = 1.0 + 0.8 * ((hour / 24.0 + region) * std::f64::consts::TAU).sin();
            let price = (2.0 + (number % 17) as f64 * 0.3) * swing + self.rng.f64() - 0.5;
            prices.insert(cluster, price.max(0.2));
        }
        self.calm_prices.clone_from(&prices);
        self.spec.signal(prices);
        self.met(Fault::Prices);
    }

    /// Around what they were when all was calm, by less than a move costs.
    fn tremble_prices(&mut self) {
        let rng = &mut self.rng;
        let trembling =
            |(cluster, price): (&String, &f64)| (cluster.clone(), price + (2.0 * rng.f64() - 1.0) * TREMBLES);
        let prices = self.calm_prices.iter().map(trembling).collect();
        self.spec.signal(prices);
        self.met(Fault::PricesTremble);
    }

    /// What others ask for in a region: a whole number of cores and a half, so that a little more changes nothing.
    fn set_loads(&mut self, trembles: bool) {
        let region = self.rng.usize(..self.setting.regions);
        for agent in self.spec.region(&documents::region(region)) {
            let Cpu(before) = self.agents[agent].load;
            self.agents[agent].load = match trembles {
                true => Cpu(before / 1_000 * 1_000 + self.rng.u64(400..600)),
                false => Cpu(self.rng.u64(0..6) * 1_000 + 500),
            };
            self.wake(agent);
        }
        self.met(if trembles { Fault::LoadsTremble } else { Fault::Loads });
    }

    /// After a commit that leaves something on its way: sometimes another lead leads from here on.
    pub(super) fn leaders_change(&mut self) {
        let Some(tip) = self.git.tip.clone().filter(|_| self.setting.pace.rests) else { return };
        let phases = self.git.moving(&tip);
        let is_new =
            |(phase, fault): &(MovePhase, Fault)| phases.contains(phase) && !self.faults.contains_key(fault);
        let due = TAKEOVERS.iter().any(is_new) || self.rng.u32(0..CHANGES_ONCE_IN) == 0;
        if !phases.is_empty() && self.phase == Phase::Faults && due {
            let soon = self.rng.u64(10..4_000);
            self.after(soon, Call::ReplaceLeader);
        }
    }

    /// Another lead leads: what was on its way then?
    pub(super) fn count_takeover(&mut self) {
        let Some(tip) = self.git.tip.clone().filter(|_| self.setting.pace.rests) else { return };
        let phases = self.git.moving(&tip);
        for (phase, fault) in TAKEOVERS {
            if phases.contains(&phase) {
                self.met(fault);
            }
        }
    }

    /// What a person does about clusters that are lost for long: says that nothing runs there, having seen to it.
    pub(super) fn fence(&mut self) {
        let lost = |agent: &&super::agent::Agent| {
            let state = self.group.knowledge.clusters.get(&agent.cluster);
            agent.off_since.is_some() && state.is_some_and(|state| state.status == ClusterStatus::Lost)
        };
        let lost = self.agents.iter().filter(lost).map(|agent| agent.cluster.clone()).collect::<Vec<_>>();
        if !lost.is_empty() {
            let cluster = lost[self.rng.usize(..lost.len())].clone();
            let number = self.agents.iter().position(|agent| agent.cluster == cluster).unwrap_or_default();
            self.agents[number].wipe();
            self.tell(format!("a person fences {cluster}"));
            self.spec.wishes.fenced.insert(cluster);
            self.spec.commit();
            self.met(Fault::Fenced);
        }
    }

    /// What is back is used again.
    pub(super) fn unfence(&mut self) {
        let back = |cluster: &String| {
            let mut agents = self.agents.iter();
            agents.any(|agent| agent.cluster == *cluster && agent.off_since.is_none())
        };
        let back: Vec<String> = self.spec.wishes.fenced.iter().filter(|one| back(one)).cloned().collect();
        if !back.is_empty() {
            self.spec.wishes.fenced.retain(|cluster| !back.contains(cluster));
            self.spec.commit();
            self.tell(format!("a person uses {back:?} again"));
        }
    }
}
