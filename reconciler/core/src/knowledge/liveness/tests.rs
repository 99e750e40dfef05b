use super::*;
use ClusterStatus::{Lost, Ready, Suspect, Unknown};

const EVERY: Duration = Duration::from_millis(500);

fn fleet(status: ClusterStatus) -> BTreeMap<String, Arc<ClusterState>> {
    BTreeMap::from([("fog".to_owned(), Arc::new(ClusterState { status, ..Default::default() }))])
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn tick(liveness: &mut Liveness, now: Duration, status: ClusterStatus) -> BTreeMap<String, ClusterStatus> {
    let (lease, failover, known) = (Lease::default(), Failover::default(), fleet(status));
    let terms =
        Terms { lease: &lease, failover: &failover, known: &known, brake: None, ends: BTreeMap::new() };
    let edges = liveness.tick(now, EVERY, &terms);
    assert_eq!(edges.brake, None);
    edges.status
}

/// Ticks on time until `until` and gives the edges with their seconds.
fn run(
    liveness: &mut Liveness,
    mut status: ClusterStatus,
    from: u64,
    until: u64,
) -> Vec<(u64, ClusterStatus)> {
    let mut seen = Vec::new();
    let mut now = secs(from);
    while now < secs(until) {
        now += EVERY;
        for (_, edge) in tick(liveness, now, status) {
            status = edge;
            seen.push((now.as_secs(), edge));
        }
    }
    seen
}

#[test]
fn silence_makes_suspect_then_lost_and_a_word_makes_ready() {
    let mut liveness = Liveness::lead(secs(0), &Lease::default(), &fleet(Ready));
    assert_eq!(run(&mut liveness, Ready, 0, 100), [(15, Suspect), (30, Lost)]);
    liveness.heard("fog", secs(100));
    assert_eq!(run(&mut liveness, Lost, 100, 101), [(100, Ready)]);
}

#[test]
fn a_new_leader_grants_ready_a_lease_suspect_two_heartbeats_and_lost_nothing() {
    let lead = |status| Liveness::lead(secs(50), &Lease::default(), &fleet(status));
    assert_eq!(run(&mut lead(Ready), Ready, 50, 90), [(65, Suspect), (80, Lost)]);
    assert_eq!(run(&mut lead(Suspect), Suspect, 50, 90), [(60, Lost)]);
    assert_eq!(run(&mut lead(Lost), Lost, 50, 90), []);
}

#[test]
fn a_stall_of_our_own_counts_against_nobody() {
    let mut liveness = Liveness::lead(secs(0), &Lease::default(), &fleet(Ready));
    assert_eq!(run(&mut liveness, Ready, 0, 10), []);
    // Held up for a minute.
    assert_eq!(tick(&mut liveness, secs(70), Ready), BTreeMap::new());
    assert_eq!(run(&mut liveness, Ready, 70, 80), [(74, Suspect)]);
}

#[test]
fn a_large_fleet_speaks_less_often_and_is_waited_for_longer() {
    let lease = Lease::default();
    assert_eq!([0, 9, 2_500].map(|clusters| stretched(&lease, clusters)), [lease; 3]);
    let large = stretched(&lease, 5_000);
    let secs = [large.heartbeat, large.suspect_after, large.lost_after].map(|span| span.0 / 1_000);
    assert_eq!(secs, [10, 30, 60]);
}

#[test]
fn a_word_that_comes_late_takes_no_newer_one_back() {
    let mut liveness = Liveness::lead(secs(0), &Lease::default(), &fleet(Ready));
    liveness.heard("fog", secs(10));
    liveness.heard("fog", secs(8));
    assert_eq!(run(&mut liveness, Ready, 10, 50), [(25, Suspect), (40, Lost)]);
}

#[test]
fn who_has_not_registered_has_no_status_to_lose() {
    let mut liveness = Liveness::default();
    liveness.heard("fog", secs(1));
    liveness.heard("stranger", secs(1));
    assert_eq!(run(&mut liveness, Unknown, 1, 60), []);
}

/// Ten clusters, of which some fall silent, as the Knowledge Base sees them.
struct Ten {
    liveness: Liveness,
    revision: Revision,
    knowledge: Knowledge,
    silent: BTreeMap<usize, u64>,
    now: u64,
}

impl Ten {
    fn new() -> Self {
        let names = (0..10).map(|number| format!("c{number}"));
        let ready = Arc::new(ClusterState { status: Ready, ..Default::default() });
        let known: BTreeMap<_, _> = names.map(|name| (name, ready.clone())).collect();
        let liveness = Liveness::lead(secs(0), &Lease::default(), &known);
        let knowledge = Knowledge { clusters: Arc::new(known), ..Knowledge::default() };
        let revision = Revision {
            commit: String::new(),
            time: jiff::Timestamp::UNIX_EPOCH,
            fleet: Default::default(),
            clusters: BTreeMap::new(),
            signals: BTreeMap::new(),
            applications: BTreeMap::new(),
        };
        Self { liveness, revision, knowledge, silent: BTreeMap::new(), now: 0 }
    }

    fn apply(&mut self, change: crate::knowledge::Change) {
        let index = self.knowledge.index + 1;
        let now = jiff::Timestamp::from_second(self.now.cast_signed()).unwrap();
        let command = crate::knowledge::Command { key: index.to_string(), now, change };
        self.knowledge.apply(index, &command);
    }

    /// Goes on until this second; gives when each cluster was lost.
    fn until(&mut self, until: u64) -> Vec<(u64, String)> {
        use crate::knowledge::Change;
        let mut lost = Vec::new();
        while self.now < until {
            self.now += 1;
            for number in 0..10 {
                if self.silent.get(&number).is_none_or(|from| self.now < *from) {
                    self.liveness.heard(&format!("c{number}"), secs(self.now));
                }
            }
            let lease = Lease::default();
            let terms = Terms::new(&lease, &self.revision, &self.knowledge);
            let edges = self.liveness.tick(secs(self.now), Duration::from_secs(1), &terms);
            if let Some(clusters) = edges.brake {
                self.apply(Change::Brake { clusters });
            }
            let gone = edges.status.iter().filter(|(_, status)| **status == Lost);
            lost.extend(gone.map(|(name, _)| (self.now, name.clone())));
            self.apply(Change::Status { clusters: edges.status });
        }
        lost
    }

    fn braked(&self) -> bool {
        self.knowledge.brake.as_deref().is_some_and(Brake::is_engaged)
    }
}

#[test]
fn two_lost_clusters_of_ten_go_in_two_batches() {
    let mut ten = Ten::new();
    ten.silent = BTreeMap::from([(3, 5), (7, 5)]);
    assert_eq!(ten.until(100), [(34, "c3".to_owned()), (44, "c7".to_owned())]);
    assert!(!ten.braked());
}

#[test]
fn three_of_ten_that_fall_silent_together_freeze_everything_until_they_are_back() {
    let mut ten = Ten::new();
    ten.silent = BTreeMap::from([(3, 5), (4, 15), (7, 20)]);
    assert_eq!(ten.until(1_000), []);
    assert!(ten.braked());
    // One answers again: the other two are not too many.
    ten.silent.remove(&4);
    let lost = ten.until(1_100);
    assert_eq!(lost, [(1_001, "c3".to_owned()), (1_011, "c7".to_owned())]);
    assert!(!ten.braked());
}

#[test]
fn a_person_releases_the_brake_and_the_silent_go_step_by_step() {
    let mut ten = Ten::new();
    ten.silent = (0..4).map(|number| (number, 5)).collect();
    assert_eq!(ten.until(100), []);
    ten.apply(crate::knowledge::Change::ReleaseBrake);
    let lost = ten.until(200);
    let steps: Vec<_> = lost.iter().map(|(second, _)| *second).collect();
    assert_eq!(steps, [101, 111, 121, 131]);
    assert!(!ten.braked(), "what a person said is not asked again");
    // Those that are back count as any other.
    ten.silent.clear();
    ten.until(210);
    assert_eq!(ten.knowledge.brake, None);
    ten.silent = (0..4).map(|number| (number, 211)).collect();
    ten.until(300);
    assert!(ten.braked());
}

#[test]
fn clusters_that_fall_one_after_the_other_hold_no_brake() {
    let mut ten = Ten::new();
    ten.silent = BTreeMap::from([(1, 5), (2, 60), (3, 115)]);
    assert_eq!(ten.until(300).len(), 3);
    assert!(!ten.braked());
}

#[test]
fn a_few_of_many_hold_no_brake() {
    let mut ten = Ten::new();
    // Two are fewer than three, though they are a third of the six that are left.
    ten.silent = (0..4).map(|number| (number, 5 + 70 * number as u64)).collect();
    assert_eq!(ten.until(300).len(), 4);
    ten.silent.extend([(4, 301), (5, 301)]);
    assert_eq!(ten.until(400).len(), 2);
    assert!(!ten.braked());
}

#[test]
fn a_lease_ends_long_enough_after_the_loss_was_logged_and_each_leadership_counts_anew() {
    let (lease, failover, known) = (Lease::default(), Failover::default(), fleet(Lost));
    let ends = BTreeMap::from([("fog".to_owned(), secs(75))]);
    let terms = Terms { lease: &lease, failover: &failover, known: &known, brake: None, ends };
    let expired = |liveness: &mut Liveness, from: u64, until: u64| {
        (from..until)
            .find(|now| !liveness.tick(secs(*now), Duration::from_secs(1), &terms).expired.is_empty())
    };
    let mut liveness = Liveness::lead(secs(100), &lease, &known);
    assert_eq!(expired(&mut liveness, 101, 300), Some(176));
    let mut liveness = Liveness::lead(secs(170), &lease, &known);
    assert_eq!(expired(&mut liveness, 171, 300), Some(246));
    // Nothing runs by a lease there.
    let terms = Terms { ends: BTreeMap::new(), ..terms };
    assert!(liveness.tick(secs(400), Duration::from_secs(1), &terms).expired.is_empty());
}
