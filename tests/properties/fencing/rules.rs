//! What must hold in every state.

use qonnect_core::knowledge::Outcome;

use stateright::Property;

use super::lead::is_open;
use super::model::Fencing;
use super::state::State;

pub(super) const ALWAYS: [&str; 5] = [
    "epochs never decrease along the branch",
    "what counts as published was on the branch",
    "what counts as lost or refused never arrives",
    "every commit on the branch was recorded before",
    "nobody writes above another group's commits unless handed the branch",
];

pub(super) fn properties(model: &Fencing) -> Vec<Property<Fencing>> {
    let mut properties = vec![
        Property::always(ALWAYS[0], |_: &Fencing, state: &State| epochs_never_decrease(state)),
        Property::always(ALWAYS[1], |_, state| published_was_there(state)),
        Property::always(ALWAYS[2], |_, state| lost_never_arrives(state)),
        Property::always(ALWAYS[3], |_, state| commits_are_known(state)),
        Property::always(ALWAYS[4], |_, state| groups_stay_apart(state)),
    ];
    // Without these the model would have shown nothing.
    if model.budget.ends > 0 {
        properties.push(Property::sometimes("two leaderships have published", |_, state| authors(state) > 1));
    }
    if model.budget.ends > 0 && model.budget.unknown > 0 {
        properties.push(Property::sometimes("a deposed leader's push has arrived", |_, state| {
            deposed_arrived(state)
        }));
    }
    if model.budget.decisions > 1 {
        properties.push(Property::sometimes("all decisions are published", |_, state| all_published(state)));
    }
    properties
}

fn all_published(state: &State) -> bool {
    let settled = state.knowledge.intents.iter().all(|intent| intent.outcome == Outcome::Published);
    state.budget.decisions == 0 && settled && state.knowledge.intents.len() > 2
}

fn deposed_arrived(state: &State) -> bool {
    state.git.history().any(|(id, commit)| {
        commit.author.is_some_and(|author| author < state.knowledge.epoch) && is_open(&state.knowledge, id)
    })
}

fn authors(state: &State) -> usize {
    let authors = state.git.history().filter_map(|(_, commit)| commit.author);
    authors.collect::<std::collections::BTreeSet<_>>().len()
}

fn epochs_never_decrease(state: &State) -> bool {
    let epochs: Vec<_> = state.git.history().filter_map(|(_, commit)| commit.author).collect();
    epochs.iter().rev().is_sorted()
}

fn published_was_there(state: &State) -> bool {
    let published = state.knowledge.intents.iter().filter(|intent| intent.outcome == Outcome::Published);
    published.into_iter().all(|intent| state.git.ever.contains(&intent.commit))
}

/// A server that goes back in time can take a push twice, or late: then the branch is restored instead.
fn lost_never_arrives(state: &State) -> bool {
    let given_up = |outcome: &Outcome| matches!(outcome, Outcome::Lost | Outcome::Refused(_));
    let mut lost = state.knowledge.intents.iter().filter(|intent| given_up(&intent.outcome));
    state.rolled_back || lost.all(|intent| !state.git.ever.contains(&intent.commit))
}

fn commits_are_known(state: &State) -> bool {
    let known = |id: &String| state.knowledge.intents.iter().any(|intent| intent.commit == *id);
    let ours = state.git.history().filter(|(_, commit)| {
        commit.trailers.as_ref().is_some_and(|trailers| trailers.group == state.knowledge.group)
    });
    ours.into_iter().all(|(id, _)| known(id))
}

fn groups_stay_apart(state: &State) -> bool {
    let trailers = state.git.history().filter_map(|(_, commit)| commit.trailers.as_ref());
    let groups: Vec<_> = trailers.map(|trailers| &trailers.group).collect();
    let mixed = groups.iter().any(|group| *group != groups[0]);
    !mixed || groups.into_iter().all(|group| state.knowledge.follows(group))
}
