//! Ports of loopback, for programs that must be told theirs and for those that come back to the one they had.

use std::net::TcpListener;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Below those that the system gives to whoever asks for any, which begin at 32,768: a port that was free a moment ago
/// is given to nobody else in between.
const PORTS: Range<u16> = 18_000..30_000;

/// A prime: processes that run beside each other begin far apart.
const STEP: usize = 7_919;

/// A port that nobody holds and that this process was not given before.
pub fn free_port() -> u16 {
    static GIVEN: AtomicUsize = AtomicUsize::new(0);
    let first = std::process::id() as usize * STEP;
    for _ in PORTS {
        let at = (first + GIVEN.fetch_add(1, Ordering::Relaxed)) % PORTS.len();
        let port = PORTS.start + at as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("loopback has no free port in {PORTS:?}");
}

pub fn free_ports(count: usize) -> Vec<u16> {
    (0..count).map(|_| free_port()).collect()
}
