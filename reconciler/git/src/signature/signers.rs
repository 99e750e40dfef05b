//! Whose signatures count: the files that say so, and what they say.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use ssh_key::PublicKey;
use ssh_key::public::KeyData;

use super::allowed::Allowed;
use crate::Error;

/// Some ten thousand keys; a file that is larger was named by mistake.
const BYTES_MAX: u64 = 4 << 20;

/// The files, which are read anew for each verdict: a key that was revoked counts no more, without a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Signers {
    /// Lines `PRINCIPALS [OPTIONS] KEYTYPE KEY`: what git calls `gpg.ssh.allowedSignersFile`.
    pub allowed: PathBuf,
    /// Public keys that count no more, one a line: what git calls `gpg.ssh.revocationFile`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<PathBuf>,
}

impl Signers {
    /// *Guarantees:* a line that cannot be understood is an error, so that none is left out by mistake.
    pub fn read(&self) -> Result<Trust, Error> {
        let allowed = lines(&self.allowed, Allowed::parse)?;
        let revoked = match &self.revoked {
            Some(path) => lines(path, |line| {
                let key = PublicKey::from_openssh(line).map_err(|_| "expected a public key".to_owned())?;
                Ok(key.key_data().clone())
            })?,
            None => Vec::new(),
        };
        Ok(Trust { allowed, revoked })
    }
}

/// What [`Signers`] say.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    allowed: Vec<Allowed>,
    revoked: Vec<KeyData>,
}

impl Trust {
    pub(super) fn allowing<'a>(&'a self, key: &'a KeyData) -> impl Iterator<Item = &'a Allowed> {
        self.allowed.iter().filter(move |allowed| allowed.key == *key)
    }

    pub(super) fn is_revoked(&self, key: &KeyData) -> bool {
        self.revoked.contains(key)
    }
}

fn lines<T>(path: &Path, parse: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, Error> {
    let failed = |source| Error::File { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(Error::Limit { what: format!("the size of {}", path.display()), limit: BYTES_MAX });
    }
    let wrong = |line, why| Error::Signers { path: path.to_owned(), line, why };
    if bytes.starts_with(b"SSHKRL") {
        return Err(wrong(
            1,
            "a binary list (KRL) is not supported; list the public keys, one a line".into(),
        ));
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong(1, "it is no text".into()))?;
    let numbered = text.lines().map(str::trim).zip(1..);
    let told = numbered.filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
    told.map(|(line, number)| parse(line).map_err(|why| wrong(number, why))).collect()
}
