//! Power cuts, torn sectors, flipped bits, full disks and failed syncs: what was acknowledged is there again, or the
//! file is refused aloud.
//!
//! A file in memory journals every step of redb. Any prefix of the journal, with the steps that no sync has
//! followed dropped, kept in part or torn, is what a disk may hold when the power fails.

use std::panic::{AssertUnwindSafe, catch_unwind};

use fastrand::Rng;
use openraft::storage::RaftLogStorage;
use openraft::type_config::alias::VoteOf;
use tokio::runtime::Runtime;

use super::Types;

mod file;
mod work;

use file::{Failure, File, Unsynced, image};
use work::{Content, Moment, open, work};

/// How many cases a run takes; `make soak` sets more.
fn cases() -> u64 {
    let cases = std::env::var("QONNECT_CRASH_CASES").ok();
    cases.map_or(2_000, |cases| cases.parse().expect("QONNECT_CRASH_CASES is a number"))
}

/// Writes of one life of a log: enough for the file to grow, shrink and wrap its two commit slots.
const WRITES: usize = 12;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime needs no more than memory")
}

/// What may be found after `cut` steps: the newest write that was acknowledged by then, or one that was asked for.
fn possible(moments: &[Moment], cut: usize) -> impl Iterator<Item = &Content> {
    let acknowledged =
        moments.iter().rposition(|moment| moment.acknowledged.is_some_and(|at| at <= cut)).unwrap_or(0);
    moments[acknowledged..]
        .iter()
        .enumerate()
        .filter(move |(n, moment)| *n == 0 || moment.asked <= cut)
        .map(|(_, moment)| &moment.content)
}

/// Whether `found` is one of them, or a part of the next write that was not acknowledged yet: entries that were
/// appended without waiting become durable one by one.
fn is_possible(moments: &[Moment], cut: usize, found: &Content) -> bool {
    let candidates: Vec<&Content> = possible(moments, cut).collect();
    candidates.contains(&found) || candidates.windows(2).any(|pair| found.is_between(pair[0], pair[1]))
}

/// Reopens what a crash has left. `None`: it is refused, by an error or, in debug builds of redb, by a panic.
fn reopen(runtime: &Runtime, bytes: Vec<u8>) -> Option<Content> {
    let file = File::holding(bytes);
    let read = || {
        runtime.block_on(async {
            let mut log = open(&file).ok()?;
            let content = Content::read(&mut log).await.ok()?;
            log.close().await;
            Some(content)
        })
    };
    catch_unwind(AssertUnwindSafe(read)).ok().flatten()
}

#[test]
fn after_a_power_cut_the_log_holds_all_that_was_acknowledged() {
    let runtime = runtime();
    let mut left = cases() / 2;
    let mut seed = 0;
    let mut shorter = 0;
    while left > 0 {
        seed += 1;
        let mut rng = Rng::with_seed(seed);
        let file = File::default();
        let moments = runtime.block_on(async {
            let mut log = open(&file).unwrap();
            let moments = work(&mut log, &file, WRITES, &mut rng).await;
            log.close().await;
            moments
        });
        let journal = file.journal();
        for cut in 0..=journal.len() {
            let kinds = [Unsynced::Dropped, Unsynced::Kept, Unsynced::Some, Unsynced::Torn];
            // Every prefix with what is not synced dropped; the other fates in turn.
            for unsynced in [Unsynced::Dropped, kinds[rng.usize(1..4)]] {
                let found = reopen(&runtime, image(&journal, cut, unsynced, &mut rng));
                left = left.saturating_sub(1);
                let Some(found) = found else {
                    // A file that was never finished holds nothing that could be lost.
                    let finished = moments[0].acknowledged <= Some(cut);
                    assert!(!finished, "seed {seed}, {cut} steps, {unsynced:?}: refused");
                    continue;
                };
                assert!(
                    is_possible(&moments, cut, &found),
                    "seed {seed}, {cut} steps, {unsynced:?}: {found:?}"
                );
                shorter += u64::from(Some(&found) != moments.last().map(|moment| &moment.content));
            }
        }
    }
    assert!(shorter > 0, "no cut has lost anything");
}

#[test]
fn a_flipped_bit_in_what_a_crash_has_left_is_refused_or_of_no_consequence() {
    let runtime = runtime();
    let (mut left, mut seed, mut refused) = (cases() / 4, 1_000_000, 0);
    while left > 0 {
        seed += 1;
        let mut rng = Rng::with_seed(seed);
        let file = File::default();
        let moments = runtime.block_on(async {
            let mut log = open(&file).unwrap();
            work(&mut log, &file, WRITES, &mut rng).await
        });
        let journal = file.journal();
        for _ in 0..50 {
            let cut = rng.usize(journal.len() / 2..=journal.len());
            let mut bytes = image(&journal, cut, Unsynced::Dropped, &mut rng);
            if bytes.is_empty() {
                continue;
            }
            let at = rng.usize(..bytes.len());
            bytes[at] ^= 1 << rng.u8(..8);
            match reopen(&runtime, bytes) {
                Some(found) => assert!(
                    is_possible(&moments, cut, &found),
                    "seed {seed}, {cut} steps, byte {at}: {found:?}"
                ),
                None => refused += 1,
            }
            left = left.saturating_sub(1);
        }
    }
    assert!(refused > 0, "no flip was refused");
}

#[test]
fn a_full_disk_or_a_failed_sync_ends_the_writer_and_loses_nothing_that_was_acknowledged() {
    let runtime = runtime();
    let (mut left, mut seed, mut failed) = (cases() / 4, 2_000_000, 0);
    while left > 0 {
        seed += 1;
        let mut rng = Rng::with_seed(seed);
        let failure = if rng.bool() { Failure::NoSpace } else { Failure::SyncFailed };
        let file = File::failing(rng.usize(1..400), failure);
        let moments = runtime.block_on(async {
            let mut log = open(&file).ok()?;
            let moments = work(&mut log, &file, WRITES, &mut rng).await;
            if file.has_failed() {
                // After a failure nothing is acknowledged any more.
                assert!(moments.last().is_some_and(|moment| moment.acknowledged.is_none()), "seed {seed}");
                assert!(
                    log.save_vote(&VoteOf::<Types>::new(99, 1)).await.is_err(),
                    "seed {seed}: written after a failure"
                );
            }
            Some(moments)
        });
        failed += u64::from(file.has_failed());
        let Some(moments) = moments else { continue };
        let journal = file.journal();
        for unsynced in [Unsynced::Dropped, Unsynced::Kept, Unsynced::Some, Unsynced::Torn] {
            let found = reopen(&runtime, image(&journal, journal.len(), unsynced, &mut rng));
            let found = found.unwrap_or_else(|| panic!("seed {seed}, {failure:?}, {unsynced:?}: refused"));
            assert!(
                is_possible(&moments, journal.len(), &found),
                "seed {seed}, {failure:?}, {unsynced:?}: {found:?}"
            );
            left = left.saturating_sub(1);
        }
    }
    assert!(failed > 0, "nothing has failed");
}
