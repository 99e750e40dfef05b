//! Exchanges of a lead with the deploy branch, one after the other, and what can become of them.

use std::collections::BTreeSet;

use qonnect_core::decision::Draft;
use qonnect_core::lead::{Event, Pushed};

use super::faults::Fault;
use super::{Call, Ms, World};

/// An exchange ends after this long, whatever the server does.
const DEADLINE_MS: Ms = 30_000;

#[derive(Debug, Clone)]
pub(super) enum Work {
    Read { asks: BTreeSet<String>, expected: Option<String> },
    Write(Box<Draft>),
    Push { intent: String, commit: String, base: Option<String> },
}

impl World {
    pub(super) fn enqueue(&mut self, number: usize, work: Work) {
        let lead = &mut self.leads[number];
        lead.work.push_back(work);
        let life = lead.life;
        if !std::mem::replace(&mut lead.working, true) {
            let pause = self.about(40);
            self.after(pause, Call::Work { lead: number, life });
        }
    }

    pub(super) fn work(&mut self, number: usize) {
        let life = self.leads[number].life;
        let Some(work) = self.leads[number].work.pop_front() else {
            return self.leads[number].working = false;
        };
        let (event, took) = self.exchange(number, work);
        self.after(took, Call::Core { lead: number, life, event: Box::new(event) });
        let pause = self.about(40);
        self.after(took + pause, Call::Work { lead: number, life });
    }

    /// What comes of it, and how long that takes.
    fn exchange(&mut self, number: usize, work: Work) -> (Event, Ms) {
        let hangs = self.git.hangs_until > self.now || self.leads[number].is_cut_off(self.now);
        match work {
            Work::Write(draft) => {
                let commit = self.git.write(&draft);
                (Event::Written { intent: draft.intent, commit }, 1)
            }
            Work::Read { .. } if hangs => (Event::TipUnreadable, DEADLINE_MS),
            Work::Read { .. } if self.unlucky(20) => {
                self.met(Fault::ReadFailed);
                (Event::TipUnreadable, 50)
            }
            Work::Read { expected, .. } if expected.is_some() && expected == self.git.tip => {
                (Event::TipUnchanged, 20)
            }
            // Answered late, an answer is out of date.
            Work::Read { asks, .. } => (Event::Tip(Box::new(self.git.read(&asks))), self.about(40)),
            Work::Push { intent, commit, base } => {
                let (result, took) = self.push(&commit, base.as_deref(), hangs);
                self.tell(format!("lead {} pushes {commit}: {result:?}", number + 1));
                (Event::Pushed { intent, result }, took)
            }
        }
    }

    fn push(&mut self, commit: &str, base: Option<&str>, hangs: bool) -> (Pushed, Ms) {
        if hangs {
            self.met(Fault::PushUnknown);
            self.maybe_late(commit);
            return (Pushed::Unknown, DEADLINE_MS);
        }
        if self.unlucky(12) {
            self.met(Fault::PushUnknown);
            match self.rng.u32(0..3) {
                // The answer is lost, or the request is, or it arrives when nobody waits for it any more.
                0 => drop(self.swap(commit, base)),
                1 => {}
                _ => self.maybe_late(commit),
            }
            return (Pushed::Unknown, 500);
        }
        if self.unlucky(25) {
            self.met(Fault::PushRefused);
            return (Pushed::Refused("the hook says no".into()), 30);
        }
        match self.swap(commit, base) {
            true => (Pushed::Published, 40),
            false => (Pushed::Lost, 40),
        }
    }

    fn swap(&mut self, commit: &str, base: Option<&str>) -> bool {
        let landed = self.git.swap(self.now, commit, base);
        if landed {
            self.tell_agents();
            self.leaders_change();
        }
        landed
    }

    /// A push on its way is lost, or arrives: before the next leader's barrier as often as long after it.
    pub(super) fn maybe_late(&mut self, commit: &str) {
        if self.rng.bool() {
            let late = if self.rng.bool() { 600 } else { 15_000 };
            let late = self.about(late);
            self.after(late, Call::Late { commit: commit.into() });
        }
    }

    pub(super) fn arrive_late(&mut self, commit: &str) {
        let base = self.git.commits[commit].base.clone();
        let arrived = self.swap(commit, base.as_deref());
        self.tell(format!("a late push of {commit}: {}", if arrived { "arrives" } else { "is rejected" }));
        self.met(if arrived { Fault::LateArrived } else { Fault::LateRejected });
    }
}
