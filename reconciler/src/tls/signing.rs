//! Keys that leads sign their commits with, and the file that tells agents whose signatures count.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use qonnect_git::signature::NewKey;

use super::issue::{random, write};

/// What agents name as `repository.signers.allowed`.
const ALLOWED: &str = "allowed_signers";

/// Writes `LEAD.signing` for each lead that has none, and enters its key among the allowed signers.
pub(crate) fn issue(folder: &Path, leads: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
    let (mut written, allowed) = (Vec::new(), folder.join(ALLOWED));
    for lead in leads {
        let file = folder.join(format!("{lead}.signing"));
        if file.exists() {
            continue;
        }
        let key = NewKey::from_seed(&random()?, lead);
        let before = match std::fs::read_to_string(&allowed) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            read => read.with_context(|| format!("cannot read {}", allowed.display()))?,
        };
        // The signers first: a key that nobody knows would stop every agent.
        written.retain(|path| *path != allowed);
        let line = format!("{lead} namespaces=\"git\" {}\n", key.public);
        write(&allowed, &(before + &line), false, &mut written)?;
        write(&file, &key.private, true, &mut written)?;
    }
    Ok(written)
}
