//! What goes wrong, and how often.

use qonnect_core::knowledge::Change;

use super::setting::Weather;
use super::{Call, LEADS, World};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    LeadKilled,
    LeadStopped,
    LeadCutOff,
    LeaderReplaced,
    DisksLost,
    GitHangs,
    BranchRolledBack,
    BranchRemoved,
    ForeignCommit,
    AgentKilled,
    AgentCutOff,
    // Of single exchanges.
    PushUnknown,
    PushRefused,
    LateArrived,
    LateRejected,
    ReadFailed,
    ProposalUnknown,
    ApplyFailed,
    ReportLost,
    LeaseEnded,
    // Of seasons.
    Flapping,
    Outage,
    OutageOfRegion,
    OwnNetwork,
    Prices,
    PricesTremble,
    Loads,
    LoadsTremble,
    Fenced,
    LeaderChangedWhilePlacing,
    LeaderChangedWhileRepointing,
    LeaderChangedWhileLeaving,
}

impl Fault {
    pub(crate) const OF_A_STORM: [Self; 20] = [
        Self::LeadKilled,
        Self::LeadStopped,
        Self::LeadCutOff,
        Self::LeaderReplaced,
        Self::DisksLost,
        Self::GitHangs,
        Self::BranchRolledBack,
        Self::BranchRemoved,
        Self::ForeignCommit,
        Self::AgentKilled,
        Self::AgentCutOff,
        Self::PushUnknown,
        Self::PushRefused,
        Self::LateArrived,
        Self::LateRejected,
        Self::ReadFailed,
        Self::ProposalUnknown,
        Self::ApplyFailed,
        Self::ReportLost,
        Self::LeaseEnded,
    ];

    /// How often each is met in two days, at least.
    pub(crate) const OF_SEASONS: [(Self, usize); 14] = [
        (Self::Flapping, 8),
        (Self::Outage, 3),
        (Self::OutageOfRegion, 1),
        (Self::OwnNetwork, 1),
        (Self::Prices, 10),
        (Self::PricesTremble, 3),
        (Self::Loads, 20),
        (Self::LoadsTremble, 5),
        (Self::LeaderChangedWhilePlacing, 3),
        (Self::LeaderChangedWhileRepointing, 1),
        (Self::LeaderChangedWhileLeaving, 1),
        (Self::LeaderReplaced, 5),
        (Self::PushUnknown, 5),
        (Self::ApplyFailed, 3),
    ];
}

impl World {
    pub(super) fn fault(&mut self) {
        if self.healing() {
            return;
        }
        let pause = self.about(if self.setting.leased { 30_000 } else { 5_000 });
        self.after(pause, Call::Fault);
        let lead = match self.group.leader.filter(|_| self.rng.bool()) {
            Some(leader) => leader.lead,
            None => self.rng.usize(..LEADS),
        };
        let agent = self.rng.usize(..self.agents.len());
        match self.rng.u32(0..24) {
            0..3 => self.kill(lead),
            3..5 => self.stop(lead),
            5..8 => self.cut_off(lead),
            8..11 => self.replace_leader(),
            // Leads without a memory promise nothing of what must not run twice.
            11 if !self.setting.leased || self.rng.u32(0..8) == 0 => self.lose_disks(),
            12..15 => {
                let until = self.now + self.rng.u64(1_000..40_000);
                self.git.hangs_until = until;
                self.began(Fault::GitHangs, "the Git server hangs");
            }
            15..17 => self.roll_back(),
            17 => {
                self.move_branch(None);
                self.began(Fault::BranchRemoved, "the branch is removed");
            }
            18..20 => {
                self.meddle();
            }
            20..22 => {
                self.agents[agent].kill();
                let pause = self.about(10_000);
                self.after(pause, Call::StartAgent(agent));
                self.began(Fault::AgentKilled, "an agent is killed");
            }
            _ => {
                let longest = if self.setting.leased { 250_000 } else { 60_000 };
                let until = self.now + self.rng.u64(5_000..longest);
                self.fall_silent(agent, until, false);
                self.began(Fault::AgentCutOff, "an agent is cut off");
            }
        }
    }

    pub(super) fn began(&mut self, fault: Fault, what: &str) {
        self.met(fault);
        self.tell(what);
    }

    pub(super) fn kill(&mut self, lead: usize) {
        if self.leads[lead].runs() {
            self.kill_lead(lead);
            let pause = self.about(8_000);
            self.after(pause, Call::Start(lead));
            self.began(Fault::LeadKilled, &format!("lead {} is killed", lead + 1));
        }
    }

    pub(super) fn stop(&mut self, lead: usize) {
        let until = self.now + self.rng.u64(1_000..30_000);
        self.leads[lead].paused_until = until;
        self.after(1_000, Call::Election);
        self.at(until + 10, Call::Election);
        self.began(Fault::LeadStopped, &format!("lead {} is stopped until {until}", lead + 1));
    }

    pub(super) fn cut_off(&mut self, lead: usize) {
        let until = self.now + self.rng.u64(1_000..30_000);
        self.leads[lead].cut_off_until = until;
        self.after(1_000, Call::Election);
        self.at(until + 10, Call::Election);
        self.at(until + 20, Call::Learn(lead));
        self.at(until + 30, Call::Leadership(lead));
        self.began(Fault::LeadCutOff, &format!("lead {} is cut off until {until}", lead + 1));
    }

    /// As after a slow heartbeat: the old leader is alive and well.
    pub(super) fn replace_leader(&mut self) {
        let Some(leader) = self.group.leader else { return };
        let others = (0..LEADS).filter(|lead| *lead != leader.lead && self.leads[*lead].votes(self.now));
        if others.count() < LEADS - 1 {
            return;
        }
        self.leads[leader.lead].cut_off_until = self.now + 1;
        self.election();
        self.began(Fault::LeaderReplaced, "another leader is elected");
    }

    fn lose_disks(&mut self) {
        for lead in 0..LEADS {
            if self.leads[lead].runs() {
                self.kill_lead(lead);
            }
            self.after(2_000, Call::Start(lead));
        }
        self.group.lose_everything(self.now);
        self.reads = Default::default();
        self.began(Fault::DisksLost, "all leads lose their disks");
    }

    pub(super) fn roll_back(&mut self) {
        let older: Vec<String> =
            self.git.history(self.git.tip.as_deref()).skip(1).take(4).map(|(id, _)| id.into()).collect();
        if !older.is_empty() {
            let to = older[self.rng.usize(..older.len())].clone();
            self.tell(format!("the branch goes back to {to}"));
            self.move_branch(Some(to));
            self.met(Fault::BranchRolledBack);
        }
    }

    pub(super) fn meddle(&mut self) {
        self.git.meddle(self.now);
        self.tell_agents();
        self.began(Fault::ForeignCommit, "a person writes the branch");
    }

    fn move_branch(&mut self, to: Option<String>) {
        self.git.move_to(self.now, to, true);
        self.tell_agents();
    }

    /// With the disks, the branch may have lost what agents remember: no lead can know of that era, nor of objects
    /// that nothing lists any more. Agents say both, and wait for a person.
    fn clear_up(&mut self) {
        if self.group.knowledge.stalled.values().any(|why| why.contains("a deposed leader wrote it")) {
            let command = self.group.command(self.clock(), Change::Recover { adopt: None });
            let answer = self.commit(&command);
            self.tell(format!("a person begins an era that agents follow: {answer:?}"));
        }
        for agent in &mut self.agents {
            for id in agent.clear_up() {
                self.story.push(format!("         a person deletes {id} on {}", agent.cluster));
            }
        }
    }

    pub(super) fn end_faults(&mut self) {
        self.tell("no more faults");
        self.spec.mend();
        self.git.hangs_until = 0;
        for agent in 0..self.agents.len() {
            self.agents[agent].end_silence(self.now);
            self.after(100, Call::Back(agent));
            self.after(100, Call::StartAgent(agent));
        }
        for lead in 0..LEADS {
            self.leads[lead].cut_off_until = 0;
            self.after(100, Call::Start(lead));
            self.after(500, Call::Leadership(lead));
        }
        self.after(300, Call::Election);
    }

    /// Changes the spec branch now and then, hands the branch to a group that asks for it, and clears up after the
    /// loss of all disks.
    pub(super) fn person(&mut self) {
        let pause = self.about(self.setting.person_ms);
        self.after(pause, Call::Person);
        if let Some(blocked) = self.group.knowledge.blocked.clone() {
            let recover = Change::Recover { adopt: Some(blocked.group.clone()) };
            let command = self.group.command(self.clock(), recover);
            let answer = self.commit(&command);
            self.tell(format!("a person hands over the branch of {}: {answer:?}", blocked.group));
        } else if self.group.rebuilt.is_some() {
            self.clear_up();
        }
        self.unfence();
        if !self.healing() {
            if self.setting.weather == Weather::Seasons && self.rng.u32(0..3) == 0 {
                self.fence();
            }
            let done = self.spec.change(&mut self.rng);
            self.tell(format!("a person {done}"));
        }
    }
}
