//! The plain protocol of `git daemon`: without encryption and identity, for networks that have both.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};

use super::Service;
use super::session::{Dial, Pipes};
use crate::deadline::Deadline;
use crate::error::Error;
use crate::packet;

pub(super) struct Socket {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) path: String,
}

impl Dial for Socket {
    fn dial(&self, service: Service, deadline: Deadline) -> Result<Pipes, Error> {
        let unreachable = |error: io::Error| Error::Unreachable { detail: error.to_string() };
        let host = self.host.trim_matches(['[', ']']);
        let mut addresses = (host, self.port).to_socket_addrs().map_err(unreachable)?;
        let address = addresses.next().ok_or_else(|| unreachable(io::ErrorKind::NotFound.into()))?;
        let stream = TcpStream::connect_timeout(&address, deadline.left()?).map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        let output = Timed { stream: stream.try_clone().map_err(unreachable)?, deadline };
        let mut input = Timed { stream, deadline };
        let mut greeting = Vec::new();
        packet::write(&mut greeting, format!("{} {}\0host={}\0", service.name(), self.path, self.host));
        input.write_all(&greeting).map_err(|error| deadline.explain(&error))?;
        Ok(Pipes { output: Box::new(output), input: Box::new(input) })
    }
}

/// A socket whose reads and writes end at the deadline.
struct Timed {
    stream: TcpStream,
    deadline: Deadline,
}

fn passed(_: Error) -> io::Error {
    io::ErrorKind::TimedOut.into()
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.deadline.left().map_err(passed)?))?;
        self.stream.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.deadline.left().map_err(passed)?))?;
        self.stream.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
