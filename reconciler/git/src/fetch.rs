//! The request for a commit and what it needs, and its reply.

use std::collections::BTreeSet;
use std::io::{Read, Write};

use git2::{Oid, Repository};

use crate::deadline::Deadline;
use crate::error::{Error, plain};
use crate::link::{Link, Reply, Service};
use crate::mirror::Depth;
use crate::packet::{self, Packet, SideBand};

/// Bytes of one reply: a repository of documents is never as large, a broken server may be.
const PACK_BYTES_MAX: u64 = 4 << 30;
/// Commits of each branch that we name as known; with none of them in common the server sends all.
const HAVES_PER_BRANCH_MAX: usize = 32;
/// As git writes it when it wants the whole history of what was shallow.
const DEEPEN_TO_THE_ROOT: u32 = 0x7fff_ffff;

/// Gets `want` and what it needs; `boundary` are the commits whose parents the clone leaves out.
pub(crate) fn fetch(
    repository: &Repository,
    link: &mut Link,
    want: Oid,
    depth: Depth,
    boundary: &mut BTreeSet<Oid>,
    deadline: &Deadline,
) -> Result<(), Error> {
    let deepen = match depth {
        Depth::Shallow => Some(1),
        Depth::Full if !boundary.is_empty() => Some(DEEPEN_TO_THE_ROOT),
        Depth::Full => None,
    };
    let request = request(want, &haves(repository)?, boundary, deepen);
    let mut reply = link.call(Service::UploadPack, request, deadline)?;
    if deepen.is_some() {
        read_boundary(&mut reply, boundary, deadline)?;
    }
    let first = skip_acknowledgements(&mut reply, deadline)?;
    store(repository, SideBand::begun(first, reply), deadline)
}

/// One request with everything in it, so that one exchange is enough.
///
/// Without `multi_ack` the server acknowledges what we have in common and sends the rest at once.
fn request(want: Oid, haves: &[Oid], boundary: &BTreeSet<Oid>, deepen: Option<u32>) -> Vec<u8> {
    let mut request = Vec::new();
    packet::write(
        &mut request,
        format!("want {want} thin-pack side-band-64k ofs-delta no-progress agent=qonnect\n"),
    );
    for shallow in boundary {
        packet::write(&mut request, format!("shallow {shallow}\n"));
    }
    if let Some(depth) = deepen {
        packet::write(&mut request, format!("deepen {depth}\n"));
    }
    request.extend_from_slice(packet::FLUSH);
    for have in haves {
        packet::write(&mut request, format!("have {have}\n"));
    }
    packet::write(&mut request, "done\n");
    request
}

/// The newest commits of every branch that we mirror.
fn haves(repository: &Repository) -> Result<Vec<Oid>, Error> {
    let mut haves = Vec::new();
    for reference in repository.references_glob("refs/heads/*")? {
        let mut next = reference?.target();
        for _ in 0..HAVES_PER_BRANCH_MAX {
            let Some(commit) = next.and_then(|id| repository.find_commit(id).ok()) else { break };
            haves.push(commit.id());
            next = commit.parent_ids().next();
        }
    }
    Ok(haves)
}

fn read_boundary(reply: &mut Reply, boundary: &mut BTreeSet<Oid>, deadline: &Deadline) -> Result<(), Error> {
    while let Some(line) = read_line(reply, deadline)? {
        let line = plain(&line);
        let bad = || Error::Protocol { detail: line.clone() };
        let (word, id) = line.split_once(' ').ok_or_else(bad)?;
        let id = Oid::from_str(id).map_err(|_| bad())?;
        match word {
            "shallow" => boundary.insert(id),
            "unshallow" => boundary.remove(&id),
            _ => return Err(bad()),
        };
    }
    Ok(())
}

/// Skips the acknowledgements, of which an older commit of ours may bring one more, up to the first other line.
fn skip_acknowledgements(reply: &mut Reply, deadline: &Deadline) -> Result<Vec<u8>, Error> {
    loop {
        let line = read_line(reply, deadline)?.unwrap_or_default();
        if !line.starts_with(b"ACK ") && !line.starts_with(b"NAK") {
            return Ok(line);
        }
    }
}

fn read_line(reply: &mut Reply, deadline: &Deadline) -> Result<Option<Vec<u8>>, Error> {
    match packet::read(reply).map_err(|error| deadline.explain(&error))? {
        Packet::Flush => Ok(None),
        Packet::Line(line) => match line.strip_prefix(b"ERR ") {
            Some(complaint) => Err(Error::Remote { detail: plain(complaint) }),
            None => Ok(Some(line)),
        },
    }
}

fn store(repository: &Repository, mut data: SideBand<Reply>, deadline: &Deadline) -> Result<(), Error> {
    let odb = repository.odb()?;
    let mut pack = odb.packwriter()?;
    let mut buffer = vec![0; 64 * 1024];
    let mut received = 0;
    loop {
        let length = data.read(&mut buffer).map_err(|error| deadline.explain(&error))?;
        if length == 0 {
            break;
        }
        received += length as u64;
        if received > PACK_BYTES_MAX {
            return Err(Error::Limit { what: "what the repository sends".into(), limit: PACK_BYTES_MAX });
        }
        pack.write_all(&buffer[..length]).map_err(|error| Error::Protocol { detail: error.to_string() })?;
    }
    pack.commit()?;
    Ok(())
}
