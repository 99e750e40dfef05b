//! Tokens of the app for Git itself: an app has no other way in.

use std::time::Duration;

use tokio::sync::watch;

use super::door::Door;
use crate::forge::config::Github as Config;

/// Well below what a token is still good for when it is taken for the last time.
const LOOK: Duration = Duration::from_secs(10);

/// Keeps a good token in the hands of Git, until Git is gone.
pub(in crate::forge) async fn lend(config: Config, hand: watch::Sender<Option<String>>) {
    let mut door = Door::new(config);
    let mut told = None;
    while !hand.is_closed() {
        match door.token().await {
            Ok(token) => {
                told = None;
                hand.send_if_modified(|lent| lent.replace(token.clone()).as_deref() != Some(&token));
            }
            Err(error) => {
                let text = error.told();
                if told.as_ref() != Some(&text) {
                    tracing::warn!(error = text, "Git waits for a token of the app");
                    told = Some(text);
                }
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}
