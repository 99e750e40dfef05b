//! The fence, checked in the orders in which three leads, their Knowledge Base, a Git server and bad luck can act.
//!
//! The leads run the real [`qonnect_core::lead::Fence`] and the Knowledge Base is the real state machine. The model
//! has one of each fault by default; what consensus promises is assumed: one log, one leader who can write to it.
//! A mutation takes one part of the protocol away; a model that does not notice would prove nothing.

use stateright::{Checker, HasDiscoveries, Model};

mod git;
mod lead;
mod model;
mod rules;
mod state;

use model::{Fencing, Mutation};
use state::Budget;

/// Both cores of a small machine.
const THREADS: usize = 2;

/// What the leads meet without anybody's ill will: takeovers, crashes, and pushes of unknown outcome.
const COMMON: Budget = Budget { takeovers: 2, crashes: 2, unknown: 1, decisions: 2, ..Budget::NONE };

/// States that each model of `make test` visits, depth first; `make soak` visits all.
const STATES: usize = 6_000;

fn holds(name: &str, budget: Budget) {
    let all = std::env::var_os("QONNECT_FENCING").is_some_and(|value| value == "all");
    let checker = Fencing { budget, mutation: None }
        .checker()
        .threads(THREADS)
        .finish_when(HasDiscoveries::AnyFailures)
        .target_state_count(if all { usize::MAX } else { STATES })
        .spawn_dfs()
        .join();
    println!("{name}: {} states", checker.unique_state_count());
    rules::ALWAYS.iter().for_each(|rule| checker.assert_no_discovery(rule));
    if all {
        checker.assert_properties();
    }
}

fn fails(budget: Budget, mutation: Mutation) {
    let checker = Fencing { budget, mutation: Some(mutation) }
        .checker()
        .threads(THREADS)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_dfs()
        .join();
    let broken = rules::ALWAYS.iter().find(|rule| checker.discovery(rule).is_some());
    assert!(broken.is_some(), "{mutation:?} goes unnoticed in {} states", checker.unique_state_count());
}

#[test]
fn three_leads_with_crashes_and_late_pushes_keep_the_branch_and_the_knowledge_base_true() {
    holds("common", COMMON);
}

#[test]
fn a_refusal_after_an_unknown_push_settles_nothing() {
    holds(
        "refused",
        Budget { takeovers: 1, crashes: 1, unknown: 2, refusals: 1, decisions: 1, ..Budget::NONE },
    );
}

#[test]
fn a_rolled_back_server_and_a_foreign_writer_are_overruled() {
    holds("rollback", Budget { takeovers: 1, unknown: 1, rollbacks: 1, decisions: 2, ..Budget::NONE });
    holds("foreign", Budget { takeovers: 1, unknown: 1, foreign: 1, decisions: 2, ..Budget::NONE });
    holds("both", Budget { unknown: 1, rollbacks: 1, foreign: 1, decisions: 1, ..Budget::NONE });
}

#[test]
fn a_rebuilt_knowledge_base_publishes_nothing_until_it_is_handed_the_branch() {
    holds(
        "rebuilt",
        Budget { takeovers: 2, crashes: 1, unknown: 1, rebuilds: 1, decisions: 2, ..Budget::NONE },
    );
}

#[test]
fn without_the_barrier_a_late_push_lands() {
    fails(COMMON, Mutation::NoBarrier);
}

#[test]
fn with_the_term_alone_two_leaders_of_one_term_overwrite_each_other() {
    fails(Budget { takeovers: 1, decisions: 1, ..Budget::NONE }, Mutation::TermAlone);
}

#[test]
fn with_trust_in_a_push_that_says_ok_the_knowledge_base_believes_what_never_was() {
    fails(COMMON, Mutation::OkTrusted);
}
