//! Waiting longer after each failure, and never all at the same moment.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(first: Duration, max: Duration) -> Self {
        Self { first, max, failures: 0 }
    }

    /// How long to wait after another failure: between half and the whole of a time that doubles.
    pub(crate) fn failed(&mut self) -> Duration {
        let whole = self.first.saturating_mul(1 << self.failures.min(16)).min(self.max);
        self.failures += 1;
        jittered(whole)
    }

    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }
}

/// Between half and the whole.
pub(crate) fn jittered(whole: Duration) -> Duration {
    // The keys of a fresh hasher are random, which spares a generator.
    let random = RandomState::new().hash_one(0u8) as u32;
    whole / 2 + (whole / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_limit_and_start_again_after_a_success() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        for whole in [100, 200, 400, 800, 1000, 1000] {
            let wait = backoff.failed().as_millis();
            assert!((whole / 2..=whole).contains(&wait), "{wait} of {whole}");
        }
        backoff.succeeded();
        assert!(backoff.failed().as_millis() <= 100);
    }
}
