//! Protocols with a lasting session: the server speaks first, then answers one request.

use std::io::{self, Read, Write};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{References, Reply, Service, recognise};
use crate::deadline::Deadline;
use crate::error::Error;
use crate::packet;

/// What a session reads from and writes to; both end at the deadline of the call that opened it.
pub(super) struct Pipes {
    pub(super) output: Box<dyn Read + Send>,
    pub(super) input: Box<dyn Write + Send>,
}

/// One way of a session, in which every read and write ends at the deadline.
pub(super) struct Timed<P> {
    pipe: P,
    deadline: Deadline,
}

impl<P> Timed<P> {
    pub(super) fn new(pipe: P, deadline: &Deadline) -> Self {
        Self { pipe, deadline: deadline.clone() }
    }
}

impl<P: AsyncRead + Unpin> Read for Timed<P> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.deadline.wait_io(self.pipe.read(buffer))
    }
}

impl<P: AsyncWrite + Unpin> Write for Timed<P> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.deadline.wait_io(self.pipe.write(buffer))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.deadline.wait_io(self.pipe.flush())
    }
}

/// Opens sessions.
pub(super) trait Dial: Send {
    fn dial(&self, service: Service, deadline: &Deadline) -> Result<Pipes, Error>;
}

pub(crate) struct Sessions {
    dial: Box<dyn Dial>,
    open: Option<(Service, Pipes)>,
}

impl Sessions {
    pub(super) fn new(dial: impl Dial + 'static) -> Self {
        Self { dial: Box::new(dial), open: None }
    }

    pub(super) fn ask(&mut self, service: Service, deadline: &Deadline) -> Result<References, Error> {
        self.hang_up();
        let mut pipes = self.dial.dial(service, deadline)?;
        let references = References::read(&mut pipes.output, false, deadline).map_err(before_a_request)?;
        self.open = Some((service, pipes));
        Ok(references)
    }

    pub(super) fn prepare(&mut self, service: Service, deadline: &Deadline) -> Result<(), Error> {
        match &self.open {
            Some((open, _)) if *open == service => Ok(()),
            _ => self.ask(service, deadline).map(drop),
        }
    }

    pub(super) fn call(
        &mut self,
        service: Service,
        request: &[u8],
        deadline: &Deadline,
    ) -> Result<Reply, Error> {
        self.prepare(service, deadline)?;
        let (_, Pipes { mut input, output }) = self.open.take().expect("prepare opens a session");
        input.write_all(request).and_then(|()| input.flush()).map_err(|error| deadline.explain(&error))?;
        // The input stays open while the reply is read: some servers take its end for a hang-up.
        Ok(Box::new(Answer { output, _input: input }))
    }

    pub(super) fn hang_up(&mut self) {
        if let Some((_, mut pipes)) = self.open.take() {
            // A courtesy; the session ends in any case.
            let _ = pipes.input.write_all(packet::FLUSH);
        }
    }
}

struct Answer {
    output: Box<dyn Read + Send>,
    _input: Box<dyn Write + Send>,
}

impl Read for Answer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.output.read(buffer)
    }
}

fn before_a_request(error: Error) -> Error {
    match error {
        Error::Broken { detail } => recognise(detail),
        other => other,
    }
}
