//! The moment at which an operation ends, however far it got.

use std::io;
use std::time::{Duration, Instant};

use crate::Error;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    at: Instant,
    allowed: Duration,
}

impl Deadline {
    pub(crate) fn after(allowed: Duration) -> Self {
        Self { at: Instant::now() + allowed, allowed }
    }

    /// What is left, or the error that says that nothing is.
    pub(crate) fn left(&self) -> Result<Duration, Error> {
        match self.at.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(Error::Deadline { after: self.allowed }),
            left => Ok(left),
        }
    }

    /// The error behind a failed read or write: the deadline, or a connection that broke before it.
    pub(crate) fn explain(&self, error: &io::Error) -> Error {
        let timed_out = matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock);
        if timed_out || self.left().is_err() {
            Error::Deadline { after: self.allowed }
        } else {
            Error::Broken { detail: error.to_string() }
        }
    }
}
