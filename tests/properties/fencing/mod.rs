//! The fence, checked in the orders in which three leads, their Knowledge Base, a Git server and bad luck can act.
//!
//! The leads run the real [`qonnect_core::lead::Fence`] and the Knowledge Base is the real state machine. What
//! consensus promises is assumed: one log, one leader who can write to it. Every state of each model is visited;
//! together they hold each fault beside every other that it could meet. Two things keep them small, and leave nothing
//! out: leads are alike, so it is of no matter which of them is elected; and one that cannot write to the log any more
//! is to the branch no more than the pushes that it has sent off, whether it has crashed or goes on.
//!
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

/// What the leads meet without anybody's ill will: each of three leads, the first two of which end, and a push of
/// unknown outcome.
const COMMON: Budget = Budget { ends: 2, unknown: 1, decisions: 2, ..Budget::NONE };

/// Visits every state of a model, in `make soak` of the larger one.
fn holds(name: &str, budget: Budget, larger: Budget) {
    let all = std::env::var_os("QONNECT_FENCING").is_some_and(|value| value == "all");
    let checker = Fencing { budget: if all { larger } else { budget }, mutation: None }
        .checker()
        .threads(THREADS)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_dfs()
        .join();
    println!("{name}: {} states", checker.unique_state_count());
    assert!(checker.is_done(), "states are left");
    checker.assert_properties();
}

fn fails(budget: Budget, mutation: Mutation) {
    let checker = Fencing { budget, mutation: Some(mutation) }
        .checker()
        .threads(THREADS)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let broken = rules::ALWAYS.iter().find(|rule| checker.discovery(rule).is_some());
    assert!(broken.is_some(), "{mutation:?} goes unnoticed in {} states", checker.unique_state_count());
}

#[test]
fn three_leads_with_crashes_and_late_pushes_keep_the_branch_and_the_knowledge_base_true() {
    holds("common", COMMON, Budget { ends: 3, unknown: 2, ..COMMON });
}

#[test]
fn a_refusal_after_an_unknown_push_settles_nothing() {
    let refused = Budget { ends: 1, unknown: 2, refusals: 1, decisions: 1, ..Budget::NONE };
    holds("refused", refused, Budget { ends: 2, ..refused });
}

#[test]
fn a_rolled_back_server_and_a_foreign_writer_are_overruled() {
    let one = Budget { ends: 1, unknown: 1, decisions: 1, ..Budget::NONE };
    holds("rollback", Budget { rollbacks: 1, ..one }, Budget { rollbacks: 1, ends: 2, ..one });
    holds("foreign", Budget { foreign: 1, ..one }, Budget { foreign: 1, ends: 2, ..one });
    let both = Budget { rollbacks: 1, foreign: 1, ..one };
    holds("both", Budget { ends: 0, ..both }, both);
}

#[test]
fn a_rebuilt_knowledge_base_publishes_nothing_until_it_is_handed_the_branch() {
    let rebuilt = Budget { ends: 1, unknown: 1, rebuilds: 1, decisions: 1, ..Budget::NONE };
    holds("rebuilt", rebuilt, Budget { ends: 2, ..rebuilt });
    let meddled = Budget { ends: 0, foreign: 1, ..rebuilt };
    holds("rebuilt and meddled", meddled, Budget { rollbacks: 1, ..meddled });
}

#[test]
fn without_the_barrier_a_late_push_lands() {
    fails(COMMON, Mutation::NoBarrier);
}

#[test]
fn with_the_term_alone_two_leaders_of_one_term_overwrite_each_other() {
    fails(Budget { ends: 1, decisions: 1, ..Budget::NONE }, Mutation::TermAlone);
}

#[test]
fn with_trust_in_a_push_that_says_ok_the_knowledge_base_believes_what_never_was() {
    fails(COMMON, Mutation::OkTrusted);
}
