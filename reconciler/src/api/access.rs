//! Who asks, and what they may.
//!
//! | identity | may |
//! |---|---|
//! | `cluster/NAME` | register, send heartbeats and report, for that cluster |
//! | `reader` | read everything |
//! | `hook` | say that the spec branch has moved |
//! | `admin` | what `reader` and `hook` may, and change the group of leads |
//!
//! Who asks is said by the certificate that a client shows (see `tls/names.rs`), or by a token of the token file.
//! Whether the lead lives (`/healthz`, `/readyz`) and what it understands (`/openapi.json`) everybody may ask.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::Error;
use crate::tls::reload;

/// Shorter tokens can be guessed.
const TOKEN_CHARS_MIN: usize = 16;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Identity {
    Cluster(String),
    Reader,
    Hook,
    Admin,
}

/// For whom a route is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Everybody,
    /// The agent of the cluster that the path names.
    Agent,
    Readers,
    Hooks,
    Admins,
}

impl Who {
    pub(super) fn allows(self, identity: &Identity, cluster: Option<&str>) -> bool {
        match (self, identity) {
            (Self::Everybody, _) => true,
            (Self::Agent, Identity::Cluster(name)) => cluster == Some(name),
            (Self::Readers, Identity::Reader | Identity::Admin) => true,
            (Self::Hooks, Identity::Hook | Identity::Admin) => true,
            (Self::Admins, Identity::Admin) => true,
            (Self::Agent | Self::Readers | Self::Hooks | Self::Admins, _) => false,
        }
    }
}

impl Identity {
    /// All but clusters.
    pub(super) fn role(name: &str) -> Option<Self> {
        match name {
            "reader" => Some(Self::Reader),
            "hook" => Some(Self::Hook),
            "admin" => Some(Self::Admin),
            _ => None,
        }
    }
}

/// How the API learns who asks.
#[derive(Clone)]
pub(super) struct Access {
    /// Absent: only certificates count.
    tokens: Option<watch::Receiver<Arc<Tokens>>>,
}

impl Access {
    /// The file is followed from here on.
    pub(super) fn new(tokens: Option<&Path>) -> Result<Self, Error> {
        let followed = tokens.map(|path| {
            let path = path.to_owned();
            reload::follow(vec![path.clone()], move || Tokens::read(&path))
        });
        Ok(Self { tokens: followed.transpose()? })
    }

    /// A certificate was verified before anything was said; it goes before a token.
    pub(super) fn identify(&self, certified: Option<Identity>, headers: &HeaderMap) -> Option<Identity> {
        certified.or_else(|| self.tokens.as_ref()?.borrow().identify(headers))
    }
}

/// The token file. Only digests of tokens stay in memory.
struct Tokens(Vec<([u8; 32], Identity)>);

impl Tokens {
    fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(|source| Error::Read { path: path.into(), source })?;
        let wrong = |line, why| Error::Tokens { path: path.into(), line: line + 1, why };
        let lines = text.lines().enumerate().filter(|(_, line)| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with('#')
        });
        let entries = lines.map(|(number, line)| parse(line).map_err(|why| wrong(number, why)));
        let entries = entries.collect::<Result<Vec<_>, _>>()?;
        match entries.is_empty() {
            true => Err(wrong(0, "the file names nobody; write lines such as `cluster/fog-1 TOKEN`")),
            false => Ok(Self(entries)),
        }
    }

    /// Takes the same time for every token of the same length, known or not.
    fn identify(&self, headers: &HeaderMap) -> Option<Identity> {
        let token = headers.get(AUTHORIZATION)?.as_bytes().strip_prefix(b"Bearer ")?;
        let asked = digest(token);
        let mut found = None;
        for (known, identity) in &self.0 {
            let difference = known.iter().zip(&asked).fold(0, |all, (a, b)| all | (a ^ b));
            if difference == 0 {
                found = Some(identity);
            }
        }
        found.cloned()
    }
}

fn parse(line: &str) -> Result<([u8; 32], Identity), &'static str> {
    let mut words = line.split_whitespace();
    let (Some(identity), Some(token), None) = (words.next(), words.next(), words.next()) else {
        return Err("expected `IDENTITY TOKEN`");
    };
    if token.len() < TOKEN_CHARS_MIN {
        return Err(
            "the token is too short: use at least 16 characters, such as `openssl rand -hex 32` prints",
        );
    }
    let identity = match (Identity::role(identity), identity.strip_prefix("cluster/")) {
        (Some(role), _) => role,
        (None, Some(name)) if !name.is_empty() => Identity::Cluster(name.into()),
        (None, _) => return Err("unknown identity: expected `cluster/NAME`, `reader`, `hook` or `admin`"),
    };
    Ok((digest(token.as_bytes()), identity))
}

fn digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_may_only_what_the_table_says() {
        let identities = [Identity::Cluster("fog".into()), Identity::Reader, Identity::Hook, Identity::Admin];
        let may = |who: Who, cluster| identities.each_ref().map(|identity| who.allows(identity, cluster));
        assert_eq!(may(Who::Everybody, None), [true, true, true, true]);
        assert_eq!(may(Who::Agent, Some("fog")), [true, false, false, false]);
        assert_eq!(may(Who::Agent, Some("edge")), [false; 4]);
        assert_eq!(may(Who::Readers, None), [false, true, false, true]);
        assert_eq!(may(Who::Hooks, None), [false, false, true, true]);
        assert_eq!(may(Who::Admins, None), [false, false, false, true]);
    }

    #[test]
    fn a_token_file_is_read_or_refused_with_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        let read = |text: &str| {
            fs::write(&path, text).unwrap();
            Tokens::read(&path).map_err(|error| error.to_string())
        };
        let access =
            read("# people\nreader 0123456789abcdef\n\ncluster/fog fedcba9876543210\n").ok().unwrap();
        let identify = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            access.identify(&headers)
        };
        assert_eq!(identify("Bearer 0123456789abcdef"), Some(Identity::Reader));
        assert_eq!(identify("Bearer fedcba9876543210"), Some(Identity::Cluster("fog".into())));
        assert_eq!(identify("Bearer 0123456789abcdeF"), None);
        assert_eq!(identify("0123456789abcdef"), None);
        for (text, part) in [
            ("reader", "line 1: expected"),
            ("\nreader short", "line 2: the token is too short"),
            ("writer 0123456789abcdef", "unknown identity"),
            ("cluster/ 0123456789abcdef", "unknown identity"),
            ("# nobody", "names nobody"),
        ] {
            let error = read(text).err().unwrap();
            assert!(error.contains(part), "{text:?} gave {error}");
            assert!(!error.contains("0123456789abcdef"), "a token leaked");
        }
    }
}
