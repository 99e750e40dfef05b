//! Files that are read again when they change, so that certificates and tokens are renewed without a restart.

use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::watch;

/// Some small files, looked at so often; whoever renews a certificate does it days before the old one ends.
const LOOK: Duration = Duration::from_secs(2);

/// As [`follow_every`], at a pace that fits certificates.
pub(crate) fn follow<T: Send + Sync + 'static, E: Display>(
    files: Vec<PathBuf>,
    read: impl Fn() -> Result<T, E> + Send + 'static,
) -> Result<watch::Receiver<Arc<T>>, E> {
    follow_every(LOOK, files, read)
}

/// What was read last. It follows the files as long as a receiver is there; what cannot be read changes nothing.
fn follow_every<T: Send + Sync + 'static, E: Display>(
    pause: Duration,
    files: Vec<PathBuf>,
    read: impl Fn() -> Result<T, E> + Send + 'static,
) -> Result<watch::Receiver<Arc<T>>, E> {
    let mut seen = digest(&files);
    let (tell, receiver) = watch::channel(Arc::new(read()?));
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = tell.closed() => return,
            }
            let now = digest(&files);
            if now == seen {
                continue;
            }
            seen = now;
            let files: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
            match read() {
                Ok(read) => {
                    tracing::info!(?files, "files have changed and were read again");
                    tell.send_replace(Arc::new(read));
                }
                Err(error) => {
                    tracing::warn!(?files, %error, "files have changed; what was read before still counts");
                }
            }
        }
    });
    Ok(receiver)
}

/// Contents, not times: a mounted secret changes by a link that points elsewhere.
fn digest(files: &[PathBuf]) -> [u8; 32] {
    let mut all = Sha256::new();
    for file in files {
        // Whatever cannot be read counts as empty.
        all.update(Sha256::digest(std::fs::read(file).unwrap_or_default()));
    }
    all.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_changes_is_read_again_and_what_breaks_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("number");
        std::fs::write(&file, "1").unwrap();
        let (tried, mut tries) = watch::channel(0);
        let read = {
            let file = file.clone();
            move || {
                tried.send_modify(|tries| *tries += 1);
                std::fs::read_to_string(&file).unwrap_or_default().parse::<u32>()
            }
        };
        let mut number = follow_every(Duration::from_millis(5), vec![file.clone()], read).unwrap();
        tries.borrow_and_update();
        std::fs::write(&file, "none").unwrap();
        tries.changed().await.unwrap();
        assert_eq!(**number.borrow_and_update(), 1);
        std::fs::write(&file, "2").unwrap();
        number.changed().await.unwrap();
        assert_eq!(**number.borrow(), 2);
    }
}
