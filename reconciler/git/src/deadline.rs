//! The moment at which an operation ends, however far it got, and who may end it sooner.

use std::io;
use std::sync::LazyLock;
use std::time::Duration;

use tokio::runtime::{self, Runtime};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Error;

/// Drives the sockets and the programs of all operations; each waits on the thread that asked for it.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    // One: the bytes of a socket go through the thread that reads them.
    let mut runtime = runtime::Builder::new_multi_thread();
    runtime.worker_threads(1).thread_name("git").enable_all().build().expect("the system has threads left")
});

#[derive(Debug, Clone)]
pub(crate) struct Deadline {
    at: Instant,
    allowed: Duration,
    end: CancellationToken,
}

impl Deadline {
    pub(crate) fn after(allowed: Duration, end: CancellationToken) -> Self {
        Self { at: Instant::now() + allowed, allowed, end }
    }

    /// What is left, or the error that says that nothing is.
    pub(crate) fn left(&self) -> Result<Duration, Error> {
        if self.end.is_cancelled() {
            return Err(Error::Ended);
        }
        match self.at.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(Error::Deadline { after: self.allowed }),
            left => Ok(left),
        }
    }

    /// Waits for what comes, no longer than this lasts.
    pub(crate) fn wait<T>(&self, coming: impl Future<Output = T>) -> Result<T, Error> {
        self.left()?;
        RUNTIME.block_on(async {
            tokio::select! {
                came = coming => Ok(came),
                error = self.passed() => Err(error),
            }
        })
    }

    /// Returns when it is over, with the reason.
    pub(crate) async fn passed(&self) -> Error {
        tokio::select! {
            () = self.end.cancelled() => Error::Ended,
            () = tokio::time::sleep_until(self.at) => Error::Deadline { after: self.allowed },
        }
    }

    /// As [`Self::wait`], for a part of an exchange: [`Self::explain`] tells what its error meant.
    pub(crate) fn wait_io<T>(&self, coming: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        self.wait(coming).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// The error behind a failed read or write: the deadline, or a connection that broke before it.
    pub(crate) fn explain(&self, error: &io::Error) -> Error {
        match self.left() {
            Err(over) => over,
            Ok(_) => Error::Broken { detail: error.to_string() },
        }
    }
}

/// Goes on beside the operations.
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    RUNTIME.spawn(task);
}

/// For what has to be made inside of the runtime that drives it.
pub(crate) fn enter() -> runtime::EnterGuard<'static> {
    RUNTIME.enter()
}
