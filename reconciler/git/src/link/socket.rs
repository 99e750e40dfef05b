//! The plain protocol of `git daemon`: without encryption and identity, for networks that have both.

use std::io::{self, Write};

use tokio::net::TcpStream;

use super::Service;
use super::session::{Dial, Pipes, Timed};
use crate::deadline::Deadline;
use crate::error::Error;
use crate::packet;

pub(super) struct Socket {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) path: String,
}

impl Dial for Socket {
    fn dial(&self, service: Service, deadline: &Deadline) -> Result<Pipes, Error> {
        let unreachable = |error: io::Error| Error::Unreachable { detail: error.to_string() };
        let host = self.host.trim_matches(['[', ']']);
        let stream = deadline.wait(TcpStream::connect((host, self.port)))?.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        let (output, input) = stream.into_split();
        let mut input = Timed::new(input, deadline);
        let mut greeting = Vec::new();
        packet::write(&mut greeting, format!("{} {}\0host={}\0", service.name(), self.path, self.host));
        input.write_all(&greeting).map_err(|error| deadline.explain(&error))?;
        Ok(Pipes { output: Box::new(Timed::new(output, deadline)), input: Box::new(input) })
    }
}
