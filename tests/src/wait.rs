//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

/// How long to leave the machine to others between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Asks until the answer is `Ok`. Past the deadline it panics with the last `Err`: what was seen instead.
pub async fn wait_for<T>(
    what: &str,
    deadline: Duration,
    mut look: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    let start = Instant::now();
    loop {
        let patience = deadline.saturating_sub(start.elapsed()).max(PAUSE);
        let seen = match tokio::time::timeout(patience, look()).await {
            Ok(Ok(found)) => return found,
            Ok(Err(seen)) => seen,
            Err(_) => "no answer to the last look".into(),
        };
        if start.elapsed() >= deadline {
            panic!("waited {deadline:?} for {what}; last seen: {seen}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}
