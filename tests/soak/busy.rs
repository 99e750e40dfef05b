//! Busy machines: leads that are alive and reach each other elect nobody anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use qonnect_schema::api::LeadView;
use qonnect_tests::leads::{Leads, PATIENCE};

const AGENTS: usize = 50;

/// Between two reports of one agent: some two hundred commands a second.
const PAUSE: Duration = Duration::from_millis(250);

const BUSY: Duration = Duration::from_secs(600);

/// A thread for each core that does nothing else than to keep it.
struct Load(Arc<AtomicBool>);

impl Load {
    fn on_every_core() -> Self {
        let goes_on = Arc::new(AtomicBool::new(true));
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            let goes_on = goes_on.clone();
            std::thread::spawn(move || while goes_on.load(Ordering::Relaxed) {});
        }
        Self(goes_on)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

async fn term(leads: &Leads) -> u64 {
    let group = leads.client_of_all().list::<LeadView>().await.expect("a lead answers").items;
    group.iter().map(|lead| lead.term).max().expect("there are leads")
}

#[tokio::test(flavor = "multi_thread")]
async fn busy_cores_depose_nobody() {
    let mut leads = Leads::new("busy", 3);
    let clusters = leads.add_clusters(AGENTS);
    leads.start_all().await;
    let leader = leads.leader().await;
    let speakers = leads.speakers(&clusters, PAUSE);
    speakers.go_on(AGENTS as u64, PATIENCE).await;
    let before = term(&leads).await;

    let _load = Load::on_every_core();
    let start = Instant::now();
    while start.elapsed() < BUSY {
        speakers.go_on(AGENTS as u64, PATIENCE).await;
        assert_eq!(term(&leads).await, before, "after {:?}\n{}", start.elapsed(), leads.tails());
    }
    assert_eq!(leads.leader().await, leader);
}
