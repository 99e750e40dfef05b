//! The forge: where people see what they are asked, and what became of their commits. Without one Git says it all.
//!
//! ```text
//! core ─ wanted ─▶ round: look, do what is missing ─▶ what people did ─▶ core
//!                    ▲ changed, a delivery, a while │
//!                    └──────────────────────────────┘
//! ```
//!
//! *Guarantees:* nothing waits for it; it is asked only while this lead leads, one call at a time. Another forge is
//! another variant here.

use std::sync::Arc;
use std::time::Duration;

use qonnect_core::forge::Wanted;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

mod config;
mod github;

pub(crate) use config::full_name;
pub use config::{App, Config, Error as ConfigError, Github};

/// After a round: what comes within it is one more round.
const PAUSE: Duration = Duration::from_millis(500);

/// After a failure, and after each further one twice as long.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// Whether the file with the credential has changed: a small file, looked at as often as those of TLS.
const RENEWED_LOOK: Duration = Duration::from_secs(2);

/// So many failures in a row are no hiccup: people are told.
const FAILURES_TOLD: u32 = 3;

/// What a leadership wants to be shown, for as long as it lasts.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) wanted: Arc<Wanted>,
    pub(crate) end: CancellationToken,
}

/// What the forge says.
#[derive(Debug)]
pub(crate) enum Word {
    /// People have closed the pull request of this commit.
    Closed(String),
    /// A reason in one word, and what a person has to do.
    Trouble(&'static str, String),
}

/// Shows what is ordered until nobody orders any more. `look` says that something has happened there.
pub(crate) async fn run(
    config: Config,
    mut orders: watch::Receiver<Option<Order>>,
    look: Arc<Notify>,
    poll: Duration,
    words: mpsc::UnboundedSender<Word>,
) {
    let Config::Github(github) = config;
    let mut shown = Shown {
        github: github::Github::new(github),
        failures: 0,
        told: None,
        logged: None,
        renamed: None,
        words,
    };
    loop {
        let order = orders.borrow_and_update().clone();
        let Some(order) = order.filter(|order| !order.end.is_cancelled()) else {
            shown.github.forget();
            if orders.changed().await.is_err() {
                return;
            }
            continue;
        };
        let pause = tokio::select! {
            () = order.end.cancelled() => continue,
            pause = shown.round(&order.wanted) => pause.unwrap_or(poll),
        };
        tokio::select! {
            () = order.end.cancelled() => continue,
            () = tokio::time::sleep(PAUSE.min(pause)) => {}
        }
        // What failed is not tried sooner because something else is wanted.
        let hears = shown.failures == 0;
        tokio::select! {
            () = order.end.cancelled() => {}
            changed = orders.changed(), if hears => if changed.is_err() { return },
            () = look.notified(), if hears => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Keeps a token for Git in this hand, for as long as somebody holds the other end.
pub(crate) async fn lend(config: Config, hand: watch::Sender<Option<String>>) {
    let Config::Github(github) = config;
    github::lend(github, hand).await;
}

struct Shown {
    github: github::Github,
    /// In a row.
    failures: u32,
    /// What people were told last, and what the log says, until all is well again.
    told: Option<String>,
    logged: Option<String>,
    renamed: Option<String>,
    words: mpsc::UnboundedSender<Word>,
}

impl Shown {
    /// How long until the next round, if that has a reason of its own.
    async fn round(&mut self, wanted: &Wanted) -> Option<Duration> {
        match self.github.round(wanted).await {
            Ok(found) => {
                if self.failures > 0 {
                    tracing::info!("the forge can be asked again");
                }
                (self.failures, self.told, self.logged) = (0, None, None);
                if let Some(commit) = found.closed {
                    self.say(Word::Closed(commit));
                }
                for error in found.refused {
                    self.say(Word::Trouble("ForgeRefused", format!("{error}; the rest goes on")));
                }
                if let Some(name) = found.renamed.filter(|name| self.renamed.as_ref() != Some(name)) {
                    let why = format!("the repository is {name} by now: say so in `forge.github.repository`");
                    self.say(Word::Trouble("RepositoryRenamed", why));
                    self.renamed = Some(name);
                }
                found.again
            }
            Err(error) => {
                self.failures += 1;
                Some(self.failed(&error))
            }
        }
    }

    fn failed(&mut self, error: &github::Error) -> Duration {
        use github::Error;
        let retry = RETRY_MIN.saturating_mul(1 << (self.failures - 1).min(16)).min(RETRY_MAX);
        let (reason, pause) = match error {
            Error::Limited(pause) => ("ForgeLimited", (*pause).max(RETRY_MIN)),
            Error::Unauthorized(_) | Error::Credential { .. } | Error::BadCredential(_) => {
                ("ForgeUnauthorized", RENEWED_LOOK)
            }
            Error::Forbidden { .. } => ("ForgeForbidden", retry),
            Error::Refused { .. } => ("ForgeRefused", retry),
            Error::Moved(_) | Error::Unavailable { .. } => ("ForgeUnavailable", retry),
        };
        let passes = matches!(error, Error::Limited(_) | Error::Unavailable { .. } | Error::Moved(_));
        let text = error.told();
        if self.logged.as_ref() != Some(&text) {
            tracing::warn!(error = text, "the forge does not show everything yet");
            self.logged = Some(text.clone());
        }
        if (!passes || self.failures >= FAILURES_TOLD) && self.told.as_ref() != Some(&text) {
            let rest = "placements go on, and a merge in Git is seen without it";
            self.say(Word::Trouble(reason, format!("{text}; {rest}")));
            self.told = Some(text);
        }
        pause
    }

    /// After the lead has ended nobody needs to know any more.
    fn say(&self, word: Word) {
        drop(self.words.send(word));
    }
}
