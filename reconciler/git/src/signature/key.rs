//! The key that commits are signed with.

use std::path::{Path, PathBuf};

use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{HashAlg, LineEnding, PrivateKey};

use super::NAMESPACE;
use crate::Error;

/// An Ed25519 key in a file, which is read anew for each signature: a new key needs no restart.
///
/// *Guarantees:* the same key and bytes give the same signature, so that a commit written again has the same id.
#[derive(Debug, Clone)]
pub struct Key {
    path: PathBuf,
}

impl Key {
    /// Makes sure that the key can be used.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let key = Self { path: path.to_owned() };
        key.read()?;
        Ok(key)
    }

    pub(crate) fn sign(&self, bytes: &[u8]) -> Result<String, Error> {
        let failed = |error: ssh_key::Error| self.unusable(&error.to_string());
        let signature = self.read()?.sign(NAMESPACE, HashAlg::Sha512, bytes).map_err(failed)?;
        Ok(signature.to_pem(LineEnding::LF).map_err(failed)?.trim_end().to_owned())
    }

    fn read(&self) -> Result<PrivateKey, Error> {
        let text = std::fs::read_to_string(&self.path)
            .map_err(|source| Error::File { path: self.path.clone(), source })?;
        let key = PrivateKey::from_openssh(text)
            .map_err(|_| self.unusable("it is no private key as ssh-keygen writes them"))?;
        match key.key_data() {
            KeypairData::Ed25519(_) => Ok(key),
            KeypairData::Encrypted(_) => {
                Err(self.unusable("it asks for a passphrase; remove it with `ssh-keygen -p`"))
            }
            // Other signatures hold chance, or need a person.
            _ => Err(self.unusable("it is no Ed25519 key; make one with `ssh-keygen -t ed25519`")),
        }
    }

    fn unusable(&self, why: &str) -> Error {
        Error::SigningKey { path: self.path.clone(), why: why.to_owned() }
    }
}

/// A key that was just made, as its files hold it.
pub struct NewKey {
    pub private: String,
    /// `KEYTYPE KEY PRINCIPAL`.
    pub public: String,
}

impl NewKey {
    /// The seed has to be random, and is forgotten.
    pub fn from_seed(seed: &[u8; 32], principal: &str) -> Self {
        let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(seed));
        let key = PrivateKey::new(pair, principal).expect("an Ed25519 key can be written");
        let private = key.to_openssh(LineEnding::LF).expect("an Ed25519 key can be written").to_string();
        Self { private, public: key.public_key().to_openssh().expect("an Ed25519 key can be written") }
    }
}
