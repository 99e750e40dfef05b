//! How long it takes to another cluster and back: the time until its endpoint answers to a connection.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use qonnect_schema::units::Latency;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::backoff::jittered;

/// A round asks so many at the most, one after the other, whatever a lead says.
pub(super) const NEIGHBOURS_MAX: usize = 16;
/// The quickest of these counts: queues and sleeping machines only ever make a trip longer.
const TRIES: usize = 3;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(200);
/// Twice round the earth takes less.
const TIMEOUT: Duration = Duration::from_secs(2);

/// To a `HOST:PORT` and back; `None` where nothing answers. A refusal is an answer as well.
pub(super) async fn round_trip(place: &str) -> Option<Latency> {
    let address = timeout(TIMEOUT, lookup_host(place)).await.ok()?.ok()?.next()?;
    let mut quickest: Option<Duration> = None;
    for attempt in 0..TRIES {
        if attempt > 0 {
            tokio::time::sleep(jittered(PAUSE)).await;
        }
        let start = Instant::now();
        match timeout(TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => {}
            _ => break,
        }
        let trip = start.elapsed();
        quickest = Some(quickest.map_or(trip, |before| before.min(trip)));
    }
    quickest.map(|trip| Latency(u64::try_from(trip.as_micros()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn an_open_port_a_closed_one_and_a_name_that_nobody_has() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let open = listener.local_addr().unwrap().to_string();
        assert!(round_trip(&open).await.is_some());
        drop(listener);
        assert!(round_trip(&open).await.is_some(), "a refusal comes from the other end as well");
        assert_eq!(round_trip("no-such-host.invalid:443").await, None);
        assert_eq!(round_trip("no port").await, None);
    }
}
