//! How long what runs by a lease may run on, on a clock that goes on while the machine sleeps.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use qonnect_schema::layout::LEASE;
use tokio::sync::watch;

/// How often the clock is looked at: timers stand still while the machine sleeps.
const LOOK: Duration = Duration::from_secs(1);

/// How long an agent that has just started waits for a first answer, before what runs by a lease ends.
const START: Duration = Duration::from_secs(5);

pub(crate) struct Lease {
    until: Mutex<Duration>,
    held: watch::Sender<Option<bool>>,
}

impl Lease {
    pub(crate) fn new() -> Self {
        Self { until: Mutex::new(now().saturating_add(START)), held: watch::Sender::new(None) }
    }

    /// Whether a lead vouches; `None` while nobody knows yet.
    pub(crate) fn held(&self) -> watch::Receiver<Option<bool>> {
        self.held.subscribe()
    }

    /// A lead vouches for so long, counted from the moment at which it was asked.
    pub(crate) fn granted(&self, asked: Duration, lasts: Duration) {
        let mut until = self.until();
        *until = until.max(asked.saturating_add(lasts));
        if *until > now() {
            self.tell(true);
        }
    }

    /// Whether it lasts for less than half of its length, or not at all.
    pub(crate) fn is_ending(&self) -> bool {
        self.until().saturating_sub(now()) < LEASE / 2
    }

    /// Tells of its end, until it is dropped.
    pub(crate) async fn run(&self) {
        loop {
            tokio::time::sleep(LOOK).await;
            let until = self.until();
            if *until <= now() {
                self.tell(false);
            }
        }
    }

    fn tell(&self, held: bool) {
        self.held.send_if_modified(|known| known.replace(held) != Some(held));
    }

    fn until(&self) -> MutexGuard<'_, Duration> {
        self.until.lock().expect("no thread panics while it holds this lock")
    }
}

/// Since the machine has started, the time included that it slept.
pub(crate) fn now() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    #[expect(unsafe_code, reason = "the standard library has no clock that goes on during sleep")]
    // SAFETY: the call writes into `time`, which outlives it.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) } != 0;
    // Without a clock every lease has ended.
    if failed { Duration::MAX } else { Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32) }
}
