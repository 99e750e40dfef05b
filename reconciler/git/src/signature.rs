//! Whose signature a commit carries: SSH signatures, as `git commit -S` makes them with `gpg.format=ssh`.
//!
//! The verdict depends on nothing but the bytes of the commit, its committer's time among them, and the signers that
//! are given: every machine comes to the same one, also years later.

mod allowed;
mod key;
mod parts;
mod signers;

pub use key::{Key, NewKey};
pub use signers::{Signers, Trust};

use jiff::Timestamp;
use ssh_key::{Algorithm, HashAlg, PublicKey, SshSig};

use allowed::Allowed;
use parts::Parts;

/// What git signs commits for: the same key's signature of a file or a login is worth nothing here.
const NAMESPACE: &str = "git";

/// Who signed a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// As the file of allowed signers calls them.
    pub principal: String,
    /// `SHA256:…`, as `ssh-keygen -l` shows it.
    pub key: String,
}

/// Why a commit counts for nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    #[error("it is not signed; sign it (`git commit -S` with `gpg.format` ssh)")]
    Unsigned,
    #[error("it carries {what}, and only SSH signatures count; sign it with `gpg.format` ssh")]
    OtherFormat { what: &'static str },
    #[error("its signature cannot be read: {why}")]
    Unreadable { why: String },
    #[error("its signature was made for `{found}`, not for git")]
    OtherPurpose { found: String },
    #[error(
        "it is signed by a key of the type {algorithm}, which is not accepted; sign it with Ed25519 or with ECDSA \
         on P-256 or P-384"
    )]
    KeyType { algorithm: String },
    #[error("it is not what {key} has signed: it was changed afterwards")]
    Forged { key: String },
    #[error("it is signed by {key}, which is revoked")]
    Revoked { key: String },
    #[error("it is signed by {key}, which is not among the allowed signers")]
    UnknownKey { key: String },
    #[error("it is signed by {key} of {principal}, who may sign other things than commits")]
    NotForCommits { principal: String, key: String },
    #[error("it is signed by {key} of {principal}, who may sign from {from} on, and is dated before that")]
    NotYetValid { principal: String, key: String, from: Timestamp },
    #[error("it is signed by {key} of {principal}, who might sign until {until}, and is dated after that")]
    Expired { principal: String, key: String, until: Timestamp },
}

/// Judges a commit by its bytes, as `git cat-file commit` prints them.
pub fn verify(commit: &[u8], trust: &Trust) -> Result<Signer, Distrust> {
    let Parts { signature, signed, time } = parts::split(commit)?;
    let signature = SshSig::from_pem(signature).map_err(|error| match error {
        ssh_key::Error::AlgorithmUnknown => Distrust::KeyType { algorithm: "that we do not know".into() },
        error => Distrust::Unreadable { why: error.to_string() },
    })?;
    if signature.namespace() != NAMESPACE {
        return Err(Distrust::OtherPurpose { found: signature.namespace().into() });
    }
    let public = PublicKey::from(signature.public_key().clone());
    if !is_accepted(&public.algorithm()) {
        return Err(Distrust::KeyType { algorithm: public.algorithm().to_string() });
    }
    let key = public.fingerprint(HashAlg::Sha256).to_string();
    if public.verify(NAMESPACE, &signed, &signature).is_err() {
        return Err(Distrust::Forged { key });
    }
    if trust.is_revoked(public.key_data()) {
        return Err(Distrust::Revoked { key });
    }
    // A key may stand in several lines, of which one is enough.
    let mut verdict = Err(Distrust::UnknownKey { key: key.clone() });
    for allowed in trust.allowing(public.key_data()) {
        verdict = admit(allowed, time, &key);
        if verdict.is_ok() {
            break;
        }
    }
    verdict
}

fn is_accepted(algorithm: &Algorithm) -> bool {
    use ssh_key::EcdsaCurve::{NistP256, NistP384};
    match algorithm {
        Algorithm::Ed25519 | Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256 => true,
        Algorithm::Ecdsa { curve } => matches!(curve, NistP256 | NistP384),
        _ => false,
    }
}

fn admit(allowed: &Allowed, time: Timestamp, key: &str) -> Result<Signer, Distrust> {
    let (principal, key) = (allowed.principal.clone(), key.to_owned());
    if !allowed.signs(NAMESPACE) {
        return Err(Distrust::NotForCommits { principal, key });
    }
    match (allowed.from, allowed.until) {
        (Some(from), _) if time < from => Err(Distrust::NotYetValid { principal, key, from }),
        (_, Some(until)) if time > until => Err(Distrust::Expired { principal, key, until }),
        _ => Ok(Signer { principal, key }),
    }
}
