//! The state of the machine on disk: one file, written beside the old one, synced, renamed.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use openraft::type_config::alias::SnapshotMetaOf;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Types;
use crate::consensus::folder::replace;

/// The state as JSON.
pub(super) type Bytes = Arc<[u8]>;

/// The first line of the file.
#[derive(Serialize, Deserialize)]
struct Head {
    format: u32,
    sha256: String,
    meta: SnapshotMetaOf<Types>,
}

const FORMAT: u32 = 1;

pub(super) fn write(path: &Path, meta: &SnapshotMetaOf<Types>, state: &[u8]) -> io::Result<()> {
    let head = Head { format: FORMAT, sha256: digest(state), meta: meta.clone() };
    let mut head = serde_json::to_vec(&head).map_err(io::Error::other)?;
    head.push(b'\n');
    replace(path, &[&head, state])
}

/// `None` if there is none; an error if it is not what was written.
pub(super) fn read(path: &Path) -> io::Result<Option<(SnapshotMetaOf<Types>, Bytes)>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let damaged = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(|| damaged("it has no first line"))?;
    let head: Head =
        serde_json::from_slice(&bytes[..end]).map_err(|_| damaged("its first line is no header"))?;
    let state = &bytes[end + 1..];
    if head.format != FORMAT {
        return Err(damaged(&format!("its format is {}, this program reads {FORMAT}", head.format)));
    }
    if head.sha256 != digest(state) {
        return Err(damaged("its checksum is wrong"));
    }
    Ok(Some((head.meta, state.into())))
}

fn digest(state: &[u8]) -> String {
    hex::encode(Sha256::digest(state))
}
