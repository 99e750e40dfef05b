//! A signed commit, taken apart: the signature, and the bytes that it is of.

use jiff::Timestamp;

use super::Distrust;

/// Where git puts the signature.
const HEADER: &[u8] = b"gpgsig ";
/// Where it puts one more, in repositories that change over to SHA-256.
const OTHER_HEADER: &[u8] = b"gpgsig-sha256 ";

/// What marks a signature, and what it is called.
const FORMATS: [(&[u8], &str); 2] =
    [(b"-----BEGIN PGP ", "a PGP signature"), (b"-----BEGIN SIGNED MESSAGE", "an X.509 signature")];
const SSH: &[u8] = b"-----BEGIN SSH SIGNATURE-----";

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) signature: Vec<u8>,
    pub(super) signed: Vec<u8>,
    /// When the committer says it was.
    pub(super) time: Timestamp,
}

/// The signature is of all bytes but its own header.
pub(super) fn split(commit: &[u8]) -> Result<Parts, Distrust> {
    let unreadable = |why: &str| Distrust::Unreadable { why: why.into() };
    let (mut signature, mut signed, mut time) = (Vec::new(), Vec::with_capacity(commit.len()), None);
    let (mut rest, mut inside) = (commit, false);
    // Headers end at the first empty line; a line that begins with a blank continues the header above it.
    while !rest.is_empty() && !rest.starts_with(b"\n") {
        let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
        let (line, after) = rest.split_at(end);
        rest = after;
        let begins = line.strip_prefix(HEADER);
        if (begins.is_some() && !signature.is_empty()) || line.starts_with(OTHER_HEADER) {
            return Err(unreadable("it carries more than one"));
        }
        inside = begins.is_some() || (inside && line.starts_with(b" "));
        if inside {
            signature.extend_from_slice(begins.unwrap_or(&line[1..]));
            continue;
        }
        if let Some(person) = line.strip_prefix(b"committer ") {
            time = committed(person);
        }
        signed.extend_from_slice(line);
    }
    signed.extend_from_slice(rest);
    if signature.is_empty() {
        return Err(Distrust::Unsigned);
    }
    if let Some((_, what)) = FORMATS.iter().find(|(mark, _)| signature.starts_with(mark)) {
        return Err(Distrust::OtherFormat { what });
    }
    if !signature.starts_with(SSH) {
        return Err(Distrust::OtherFormat { what: "a signature of a kind that we do not know" });
    }
    let time = time.ok_or_else(|| unreadable("the commit has no time"))?;
    Ok(Parts { signature, signed, time })
}

/// `Name <address> SECONDS ZONE`.
fn committed(person: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(person.rsplit(|byte| *byte == b'>').next()?).ok()?;
    Timestamp::from_second(text.split_whitespace().next()?.parse().ok()?).ok()
}
