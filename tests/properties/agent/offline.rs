//! Thirty days without Git and leads: reboots and meddling, then one word from a lead.

use jiff::Timestamp;
use qonnect_agent_core::outbox::{EVENTS_MAX, Outbox};
use qonnect_agent_core::release::{Verified, verify};
use qonnect_agent_core::state::{PodTroubles, State};
use qonnect_schema::api::{EventSeverity, Report, ReportedEvent};
use qonnect_schema::documents::release::Mark;
use qonnect_schema::manifest::ObjectId;

use super::{CLUSTER, Server, Wanted};

const MINUTE: u64 = 60_000;
const DAY: u64 = 24 * 60 * MINUTE;

/// Repeatable, and uneven enough for a script of accidents.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn release(wanted: &Wanted, generation: u64, held: &Mark) -> Verified {
    verify(&wanted.tree(generation), CLUSTER, held, &[]).unwrap()
}

/// What the shell does after each change: the newest state and what people should hear wait for a lead.
fn report(state: &mut State, outbox: &mut Outbox, seq: &mut u64) {
    for notice in state.take_notices() {
        outbox.event(ReportedEvent {
            time: Timestamp::UNIX_EPOCH,
            severity: EventSeverity::Normal,
            reason: notice.reason.into(),
            regarding: notice.owner.to_string(),
            message: notice.message,
        });
    }
    *seq += 1;
    let components = state.components(&PodTroubles::new());
    outbox.put(Report { seq: *seq, components, mark: state.mark(), ..Report::default() });
}

#[test]
fn thirty_days_offline_change_nothing_and_a_minute_brings_the_new_release() {
    for seed in 1..=20 {
        let mut dice = Dice(seed << 32 | 0x9E37_79B9);
        let wanted = Wanted::of(&[("db", 5), ("web", 20)]);
        let copy = release(&wanted, 7, &Mark::default());
        let mut server = Server::default();
        let mut state = server.boot(Some(copy.clone()));
        server.pass(&mut state, 0);
        let names: Vec<ObjectId> =
            server.objects.keys().filter(|id| id.kind == "ConfigMap").cloned().collect();

        let (mut now, mut reboots, mut repaired, mut seq) = (0, 0, 0, 0);
        let mut outbox = Outbox::default();
        while now < 30 * DAY {
            now += 1 + dice.below(4 * 60 * MINUTE);
            let id = &names[dice.below(names.len() as u64) as usize];
            match dice.below(10) {
                0..4 => {
                    let mut object = server.objects[id].clone();
                    object["data"]["key"] = "meddled".into();
                    let object = server.put(id, object);
                    assert!(state.observe(id, &object));
                }
                4..7 => {
                    server.objects.remove(id);
                    state.gone(id);
                }
                7..9 => {
                    reboots += 1;
                    state = server.boot(Some(copy.clone()));
                    (outbox, seq) = (Outbox::default(), 0);
                }
                // A watch that was cut off lists again.
                _ => server.list(&mut state),
            }
            // The agent sleeps exactly as long as its core says.
            for _ in 0..100 {
                let before = server.version;
                server.pass(&mut state, now);
                repaired += server.version - before;
                match state.next_due(now) {
                    Some(due) => now = due,
                    None => break,
                }
            }
            report(&mut state, &mut outbox, &mut seq);
            let waiting = outbox.to_send().expect("nothing is acknowledged").0;
            assert!(waiting.seq == seq && waiting.events.len() <= EVENTS_MAX, "seed {seed}: it piles up");
            assert!(state.is_complete() && server.deleted.is_empty(), "seed {seed}");
            assert!(
                names.iter().all(|id| server.objects[id]["data"]["key"] == "1"),
                "seed {seed}: drift stays"
            );
        }
        assert!(reboots > 5 && repaired > 50, "seed {seed}: {reboots} reboots, {repaired} repairs");

        // A lead answers again; meanwhile the release went on by forty.
        let mut next = Wanted { removals: vec![("shop", "db")], ..Wanted::of(&[("web", 20)]) };
        next.set("web", "web-0", "2");
        state.adopt(release(&next, 47, &copy.mark()));
        let reconnected = now;
        while !state.is_complete() || !state.to_remove().is_empty() {
            server.pass(&mut state, now);
            now = state.next_due(now).unwrap_or(now + 1);
            assert!(now < reconnected + MINUTE, "seed {seed}: not converged within a minute");
        }
        assert_eq!((server.objects.len(), server.deleted.len()), (21, 5), "seed {seed}");
        let changed = server.objects.values().filter(|object| object["data"]["key"] == "2").count();
        assert_eq!(changed, 1, "seed {seed}");

        // One report says it all, and nothing of the thirty days waits any more.
        report(&mut state, &mut outbox, &mut seq);
        let (told, last) = outbox.to_send().expect("it is news");
        assert_eq!((told.mark.generation, told.components.len()), (47, 1), "seed {seed}");
        outbox.arrived(told.seq, last);
        assert!(outbox.to_send().is_none(), "seed {seed}");
    }
}
