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
    let mut seen = String::from("nothing: no look has come to its end");
    loop {
        let patience = deadline.saturating_sub(start.elapsed()).max(PAUSE);
        match tokio::time::timeout(patience, look()).await {
            Ok(Ok(found)) => return found,
            Ok(Err(instead)) => seen = instead,
            Err(_) => {}
        }
        if start.elapsed() >= deadline {
            panic!("waited {deadline:?} for {what}; last seen: {seen}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}
