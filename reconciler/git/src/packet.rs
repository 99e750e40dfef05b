//! The framing of git's protocol: lines with their length, and the side band in which a server speaks.

use std::io::{self, Read};

/// Ends a section of a request.
pub(crate) const FLUSH: &[u8] = b"0000";

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    Line(Vec<u8>),
    Flush,
}

pub(crate) fn read(from: &mut dyn Read) -> io::Result<Packet> {
    let mut head = [0; 4];
    from.read_exact(&mut head)?;
    let length = std::str::from_utf8(&head)
        .ok()
        .filter(|head| head.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .and_then(|head| usize::from_str_radix(head, 16).ok());
    match length {
        Some(0) => Ok(Packet::Flush),
        Some(length @ 4..) => {
            let mut line = vec![0; length - 4];
            from.read_exact(&mut line)?;
            Ok(Packet::Line(line))
        }
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "a line without its length")),
    }
}

/// Appends `line` with its length in front.
pub(crate) fn write(to: &mut Vec<u8>, line: impl AsRef<[u8]>) {
    let line = line.as_ref();
    to.extend_from_slice(format!("{:04x}", line.len() + 4).as_bytes());
    to.extend_from_slice(line);
}

/// The data of a reply in which a server also talks to people.
pub(crate) struct SideBand<R> {
    first: Option<Vec<u8>>,
    from: R,
    data: Vec<u8>,
    taken: usize,
    /// What the server said to people: hooks speak here.
    pub(crate) said: Vec<u8>,
    ended: bool,
}

impl<R: Read> SideBand<R> {
    const SAID_MAX: usize = 4096;

    pub(crate) fn new(from: R) -> Self {
        Self { first: None, from, data: Vec::new(), taken: 0, said: Vec::new(), ended: false }
    }

    /// As `new`, for one whose first line has been read already.
    pub(crate) fn begun(first: Vec<u8>, from: R) -> Self {
        Self { first: Some(first), ..Self::new(from) }
    }

    fn next(&mut self) -> io::Result<()> {
        let line = match self.first.take() {
            Some(line) => line,
            None => match read(&mut self.from)? {
                Packet::Line(line) => line,
                Packet::Flush => {
                    self.ended = true;
                    return Ok(());
                }
            },
        };
        match line.split_first() {
            Some((1, _)) => {
                self.data = line;
                self.taken = 1;
            }
            Some((2, text)) => {
                let room = Self::SAID_MAX.saturating_sub(self.said.len()).min(text.len());
                self.said.extend_from_slice(&text[..room]);
            }
            Some((3, text)) => return Err(io::Error::other(crate::error::plain(text))),
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "a line of no side band")),
        }
        Ok(())
    }
}

impl<R: Read> Read for SideBand<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.data.len() && !self.ended {
            self.next()?;
        }
        let length = buffer.len().min(self.data.len() - self.taken);
        buffer[..length].copy_from_slice(&self.data[self.taken..self.taken + length]);
        self.taken += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_line_is_read_back() {
        let mut wire = Vec::new();
        write(&mut wire, "have a\n");
        wire.extend_from_slice(FLUSH);
        let mut wire = wire.as_slice();
        assert_eq!(read(&mut wire).unwrap(), Packet::Line(b"have a\n".to_vec()));
        assert_eq!(read(&mut wire).unwrap(), Packet::Flush);
    }

    #[test]
    fn a_line_without_a_sensible_length_is_an_error() {
        for bad in ["0003", "+123", "zzzz", "00"] {
            assert!(read(&mut bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_side_band_parts_data_from_words() {
        let mut wire = Vec::new();
        write(&mut wire, b"\x01PA");
        write(&mut wire, b"\x02counting");
        write(&mut wire, b"\x01CK");
        wire.extend_from_slice(FLUSH);
        let mut band = SideBand::new(wire.as_slice());
        let mut data = Vec::new();
        band.read_to_end(&mut data).unwrap();
        assert_eq!((data.as_slice(), band.said.as_slice()), (&b"PACK"[..], &b"counting"[..]));
    }
}
