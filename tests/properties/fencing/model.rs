//! What can happen next.

use qonnect_core::knowledge::{Answer, Change, Knowledge};
use qonnect_core::lead::Pushed;
use qonnect_schema::Epoch;
use stateright::{Model, Property};

use super::git::Git;
use super::lead::Lead;
use super::rules;
use super::state::{Budget, LEADS, Printed, State};

/// A part of the protocol that is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mutation {
    /// A new leader plans on the tip that it has read, without a barrier.
    NoBarrier,
    /// Epochs have no node.
    TermAlone,
    /// A push that the server has rejected counts as done, as libgit2 reports it.
    OkTrusted,
}

#[derive(Debug, Clone)]
pub(super) struct Fencing {
    pub(super) budget: Budget,
    pub(super) mutation: Option<Mutation>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    /// In a new term, or in the same one by a higher node.
    Elect {
        lead: usize,
        same_term: bool,
    },
    /// A deposed leader hears of it.
    Hear(usize),
    Crash(usize),
    /// A leader carries out what it wanted to do next.
    Step(usize),
    Decide(usize),
    Poll(usize),
    /// The push that a leader waits for is carried out and answered.
    Answer(usize),
    Refuse(usize),
    /// Its answer is lost; it may still arrive.
    Lose(usize),
    /// A push that nobody waits for arrives.
    Late(String),
    RollBack(Option<String>),
    Foreign,
    Rebuild,
    /// A person hands the branch to the new group.
    Adopt,
}

impl Fencing {
    fn fence_epoch(&self, epoch: Epoch) -> Epoch {
        match self.mutation {
            Some(Mutation::TermAlone) => Epoch { node: 0, ..epoch },
            _ => epoch,
        }
    }

    fn elect(&self, state: &mut State, lead: usize, same_term: bool) -> Option<()> {
        state.term += u64::from(!same_term);
        let node = lead as u64 + 1;
        let (term, logged) = (state.term, self.fence_epoch(Epoch { era: 0, term: 0, node }).node);
        let group = state.group().into();
        let Answer::Epoch(epoch) = state.apply(Change::OpenEpoch { node: logged, term, group }) else {
            return None;
        };
        state.leader = Some(lead);
        self.begin(state, lead, Epoch { node, ..epoch });
        Some(())
    }

    fn begin(&self, state: &mut State, lead: usize, epoch: Epoch) {
        Lead::clone(&state.leads[lead]).end(&mut state.git);
        let leading = Lead::leading(epoch, self.fence_epoch(epoch), &state.knowledge);
        state.leads[lead] = Printed::new(leading);
    }

    fn change(&self, state: &mut State, lead: usize, change: impl FnOnce(&mut Lead, &mut Git)) {
        let mut changed = Lead::clone(&state.leads[lead]);
        change(&mut changed, &mut state.git);
        changed.write(&mut state.git, self.mutation);
        state.leads[lead] = Printed::new(changed);
    }
}

impl Model for Fencing {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut git = Git::default();
        let root = git.write(None, "a person begins the branch".into(), None);
        git.move_to(Some(root));
        let mut state = State {
            knowledge: Printed::new(Knowledge::default()),
            leads: std::array::from_fn(|_| Printed::new(Lead::default())),
            leader: None,
            term: 0,
            git,
            budget: self.budget,
            rolled_back: false,
            rebuilt: false,
        };
        self.elect(&mut state, 0, false);
        vec![state]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let budget = state.budget;
        for (number, lead) in state.leads.iter().enumerate() {
            let leads = state.leader == Some(number);
            if !leads && (budget.takeovers > 0 || state.leader.is_none()) {
                actions.push(Action::Elect { lead: number, same_term: false });
                if state.leader.is_some_and(|leader| leader < number) {
                    actions.push(Action::Elect { lead: number, same_term: true });
                }
            }
            if lead.fence.is_none() {
                continue;
            }
            if !leads {
                actions.push(Action::Hear(number));
            }
            if budget.crashes > 0 {
                actions.push(Action::Crash(number));
            }
            if lead.awaits.is_some() {
                actions.push(Action::Answer(number));
                actions.extend((budget.unknown > 0).then_some(Action::Lose(number)));
                actions.extend((budget.refusals > 0).then_some(Action::Refuse(number)));
            } else if !lead.effects.is_empty() {
                actions.push(Action::Step(number));
            } else if lead.is_ready() {
                actions.extend((budget.decisions > 0).then_some(Action::Decide(number)));
                actions.extend((lead.tip() != state.git.tip.as_deref()).then_some(Action::Poll(number)));
            }
        }
        actions.extend(state.git.late.iter().cloned().map(Action::Late));
        if budget.rollbacks > 0 {
            let older = state.git.history().skip(1).map(|(id, _)| Some(id.clone()));
            actions.extend(older.chain([None]).map(Action::RollBack));
        }
        actions.extend((budget.foreign > 0).then_some(Action::Foreign));
        actions.extend((budget.rebuilds > 0).then_some(Action::Rebuild));
        actions.extend(state.knowledge.blocked.is_some().then_some(Action::Adopt));
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut next = last.clone();
        let state = &mut next;
        match action {
            Action::Elect { lead, same_term } => {
                // The first election after a crash or a rebuild is no takeover of its own.
                state.budget.takeovers -= u8::from(state.leader.is_some());
                self.elect(state, lead, same_term)?;
            }
            Action::Hear(lead) => self.change(state, lead, Lead::end),
            Action::Crash(lead) => {
                state.budget.crashes -= 1;
                self.change(state, lead, Lead::end);
                state.leader = state.leader.filter(|leader| *leader != lead);
            }
            Action::Step(lead) => state.step(lead, self.mutation),
            Action::Decide(lead) => {
                state.budget.decisions -= 1;
                self.change(state, lead, |lead, _| lead.decide());
            }
            Action::Poll(lead) => self.change(state, lead, |lead, _| {
                lead.with_fence(|fence, knowledge, effects| fence.poll(knowledge, effects));
            }),
            Action::Answer(lead) => self.change(state, lead, |lead, git| {
                let Some((_, commit)) = &lead.awaits else { return };
                let result = match git.arrive(commit) {
                    Pushed::Lost if self.mutation == Some(Mutation::OkTrusted) => Pushed::Published,
                    result => result,
                };
                lead.pushed(result);
            }),
            Action::Refuse(lead) => {
                state.budget.refusals -= 1;
                self.change(state, lead, |lead, _| lead.pushed(Pushed::Refused("no".into())));
            }
            Action::Lose(lead) => {
                state.budget.unknown -= 1;
                self.change(state, lead, |lead, git| {
                    git.late.extend(lead.awaits.clone().map(|(_, commit)| commit));
                    lead.pushed(Pushed::Unknown);
                });
            }
            Action::Late(commit) => {
                state.git.late.remove(&commit);
                state.git.arrive(&commit);
            }
            Action::RollBack(tip) => {
                state.budget.rollbacks -= 1;
                state.rolled_back = true;
                state.git.move_to(tip);
            }
            Action::Foreign => {
                state.budget.foreign -= 1;
                let foreign = state.git.write(state.git.tip.clone(), "a person's commit".into(), None);
                state.git.move_to(Some(foreign));
            }
            Action::Rebuild => {
                state.budget.rebuilds -= 1;
                for lead in 0..LEADS {
                    self.change(state, lead, Lead::end);
                }
                state.knowledge = Printed::new(Knowledge::default());
                (state.leader, state.term, state.rebuilt) = (None, 0, true);
            }
            Action::Adopt => {
                let adopt = state.knowledge.blocked.as_ref().map(|origin| origin.group.clone());
                let Answer::Epoch(epoch) = state.apply(Change::Recover { adopt }) else { return None };
                if let Some(lead) = state.leader {
                    let node = lead as u64 + 1;
                    self.begin(state, lead, Epoch { node, ..epoch });
                }
            }
        }
        (next != *last).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        rules::properties(self)
    }
}
