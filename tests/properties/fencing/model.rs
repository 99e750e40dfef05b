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
    /// A lead of those that follow, which are alike: in a new term, or in the same one by a higher number.
    Elect {
        same_term: bool,
    },
    /// A leader carries out what it wanted to do next.
    Step(usize),
    Decide(usize),
    Poll(usize),
    /// The push that a leader waits for is carried out, and the answer takes its time.
    Land(usize),
    /// It is carried out, unless it was before, and answered.
    Answer(usize),
    Refuse(usize),
    /// Its answer is lost; it may have arrived, or may still.
    Lose(usize),
    /// A push that was sent off at any time arrives.
    Arrive(String),
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

    fn elect(&self, state: &mut State, same_term: bool) -> Option<()> {
        let mut others = (0..LEADS).filter(|lead| state.leader != Some(*lead));
        let idle = others.clone().find(|lead| state.leads[*lead].fence.is_none());
        let lead = idle.or_else(|| others.next())?;
        state.term += u64::from(!same_term);
        state.node = if same_term { state.node + 1 } else { 1 };
        let node = state.node;
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
        state.leads[lead].let_go(&mut state.git);
        let leading = Lead::leading(epoch, self.fence_epoch(epoch), &state.knowledge);
        state.leads[lead] = Printed::new(leading);
    }

    fn change(&self, state: &mut State, lead: usize, change: impl FnOnce(&mut Lead, &mut Git)) {
        let mut changed = Lead::clone(&state.leads[lead]);
        change(&mut changed, &mut state.git);
        state.leads[lead] = Printed::new(changed);
    }

    /// What follows at once, whatever the others do.
    fn settle(&self, state: &mut State) {
        for number in 0..LEADS {
            if state.may_propose(number, self.mutation) {
                if !state.leads[number].acts() {
                    continue;
                }
                self.change(state, number, |lead, git| lead.act(git, self.mutation));
            } else if state.leads[number].fence.is_some() {
                state.leads[number].let_go(&mut state.git);
                state.leads[number] = Printed::new(Lead::default());
            }
        }
        if state.budget.rollbacks == 0 {
            state.git.forget();
        }
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
            node: 0,
            git,
            budget: self.budget,
            rolled_back: false,
            rebuilt: false,
        };
        self.elect(&mut state, false);
        self.settle(&mut state);
        vec![state]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let budget = state.budget;
        if budget.ends > 0 || state.leader.is_none() {
            actions.push(Action::Elect { same_term: false });
            actions.extend(state.leader.map(|_| Action::Elect { same_term: true }));
        }
        for (number, lead) in state.leads.iter().enumerate() {
            if let Some(push) = &lead.awaits {
                actions.push(Action::Answer(number));
                actions.extend((budget.unknown > 0).then_some(Action::Lose(number)));
                actions.extend((budget.refusals > 0 && !push.landed).then_some(Action::Refuse(number)));
                // Where nobody meddles with what has landed, the answer may as well come at once.
                let meddled = budget.rollbacks + budget.foreign > 0;
                let lands = meddled && !push.landed && state.git.fits(&push.commit);
                actions.extend(lands.then_some(Action::Land(number)));
            } else if !lead.effects.is_empty() {
                actions.push(Action::Step(number));
            } else if lead.is_ready() {
                actions.extend((budget.decisions > 0).then_some(Action::Decide(number)));
                actions.extend((lead.tip() != state.git.tip.as_deref()).then_some(Action::Poll(number)));
            }
        }
        actions.extend(state.git.arriving().cloned().map(Action::Arrive));
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
            Action::Elect { same_term } => {
                // The first election, and the first after a rebuild, end nothing.
                state.budget.ends -= u8::from(state.leader.is_some());
                self.elect(state, same_term)?;
            }
            Action::Step(lead) => state.step(lead),
            Action::Decide(lead) => {
                state.budget.decisions -= 1;
                self.change(state, lead, |lead, _| lead.decide());
            }
            Action::Poll(lead) => self.change(state, lead, |lead, _| {
                lead.with_fence(|fence, knowledge, effects| fence.poll(knowledge, effects));
            }),
            Action::Answer(lead) => self.change(state, lead, |lead, git| {
                let Some(push) = &lead.awaits else { return };
                let trusted = self.mutation == Some(Mutation::OkTrusted);
                let published = push.landed || git.arrive(&push.commit) || trusted;
                lead.answered(if published { Pushed::Published } else { Pushed::Lost });
            }),
            Action::Land(lead) => self.change(state, lead, |lead, git| {
                let Some(push) = &mut lead.awaits else { return };
                push.landed = git.arrive(&push.commit);
            }),
            Action::Refuse(lead) => {
                state.budget.refusals -= 1;
                self.change(state, lead, |lead, _| lead.answered(Pushed::Refused("no".into())));
            }
            Action::Lose(lead) => {
                state.budget.unknown -= 1;
                self.change(state, lead, |lead, git| {
                    lead.let_go(git);
                    lead.answered(Pushed::Unknown);
                });
            }
            Action::Arrive(commit) => state.git.move_to(Some(commit)),
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
                state.knowledge = Printed::new(Knowledge::default());
                (state.leader, state.term, state.node, state.rebuilt) = (None, 0, 0, true);
            }
            Action::Adopt => {
                let adopt = state.knowledge.blocked.as_ref().map(|origin| origin.group.clone());
                let Answer::Epoch(epoch) = state.apply(Change::Recover { adopt }) else { return None };
                if let Some(lead) = state.leader {
                    let node = state.node;
                    self.begin(state, lead, Epoch { node, ..epoch });
                }
            }
        }
        self.settle(&mut next);
        (next != *last).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        rules::properties(self)
    }
}
